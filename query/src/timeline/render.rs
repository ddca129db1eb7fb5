//! Items as they are answered: the line that was sent, with what daybook knows spliced in before its
//! closing brace, so that every value keeps its bytes.
//!
//! ```text
//! {"session":...,"kind":"command", ... ,"offset":7,"seq":3,"outputs":[...],"end":{...},
//!  "review":{"status":"approved","request":{...},"decisions":[...],"more":[{"request":...}]}}
//! ```
//!
//! `seq` is added when it was assigned here. The `status` of a review is where it stands now, whatever the page has of it; a
//! request that stands by itself has it beside its `decisions`, once there are some. A second end stands in `ends_more`, a second review of a
//! command in `review.more`. Outputs beyond [`GROUP_BYTES_MAX`] are left to `fold=false`, and
//! `folded_omitted` says how many events that were.

use super::fold::Role;
use super::groups::Group;
use super::runs::{Entry, Runs};
use crate::error::QueryError;
use daybook_engine::Error;
use daybook_engine::block::Record;
use daybook_engine::event::Seq;
use daybook_engine::review::{self, ReviewStatus};
use daybook_engine::session::SessionState;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// A page ends before the item with which it would be longer, in bytes. One item alone may be.
pub(super) const PAGE_BYTES_MAX: usize = 8 << 20;

/// The most that is folded under one item, in bytes.
const GROUP_BYTES_MAX: usize = 16 << 20;

/// How many events are read in one go, if they are in more than one group.
const READ_MAX: usize = 256;

/// The items of groups, as many from the first on as the page's bytes allow.
pub(super) fn items(
    (runs, state): (&Runs<'_>, &SessionState),
    groups: &[Group],
) -> Result<Vec<Box<RawValue>>, QueryError> {
    let mut items = Vec::with_capacity(groups.len());
    let mut bytes = 0;
    let mut rest = groups;
    let mut count = READ_MAX;
    while !rest.is_empty() {
        let mut entries = 0;
        let fit = rest.iter().take_while(|group| {
            entries += 1 + group.members.len();
            entries <= count
        });
        let (some, after) = rest.split_at(fit.count().clamp(1, rest.len()));
        let Some(rendered) = render((runs, state), some)? else {
            // Too much at once: one by one.
            count = 1;
            continue;
        };
        for item in rendered {
            if !items.is_empty() && bytes + item.len() > PAGE_BYTES_MAX {
                return Ok(items);
            }
            bytes += item.len();
            items.push(RawValue::from_string(item).map_err(|e| altered(&e))?);
        }
        rest = after;
    }
    Ok(items)
}

fn altered(error: &serde_json::Error) -> Error {
    Error::Corrupt { path: "an event".into(), at: 0, what: error.to_string() }
}

/// The items of some groups; `None` if they are too long to be made together.
fn render(
    (runs, state): (&Runs<'_>, &SessionState),
    groups: &[Group],
) -> Result<Option<Vec<String>>, QueryError> {
    let entries: Vec<Entry> = groups
        .iter()
        .flat_map(|g| std::iter::once(g.leader).chain(g.members.iter().map(|(entry, _)| *entry)))
        .collect();
    let mut lines: Vec<Option<String>> = vec![None; entries.len()];
    let (mut bytes, mut over) = (0, false);
    runs.read(&entries, |place, record| {
        // The one item's own line is always shown.
        if bytes + record.json.len() > GROUP_BYTES_MAX && (groups.len() > 1 || place > 0) {
            over = true;
            return Ok(if groups.len() > 1 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            });
        }
        bytes += record.json.len();
        if let Some(line) = lines.get_mut(place) {
            *line = Some(runs.line(&record)?);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if over && groups.len() > 1 {
        return Ok(None);
    }
    let mut lines = lines.into_iter();
    let mut items = Vec::with_capacity(groups.len());
    for group in groups {
        let leader = lines.next().flatten().ok_or(Error::NoSuchEvent(group.leader.facts.offset))?;
        let members: Vec<_> = group.members.iter().zip(lines.by_ref()).collect();
        items.push(fold(leader, group, &members, state));
    }
    Ok(Some(items))
}

#[derive(Default)]
struct Review<'a> {
    request: Option<&'a str>,
    decisions: Vec<&'a str>,
}

impl Review<'_> {
    fn write(&self, status: Option<ReviewStatus>) -> String {
        let status = status.map(|s| format!("\"status\":\"{}\",", s.name())).unwrap_or_default();
        let request = self.request.map(|r| format!("\"request\":{r},")).unwrap_or_default();
        format!("{status}{request}\"decisions\":[{}]", self.decisions.join(","))
    }
}

/// Splices what stands under an item into it.
fn fold(
    leader: String,
    group: &Group,
    members: &[(&(Entry, Role), Option<String>)],
    state: &SessionState,
) -> String {
    if members.is_empty() {
        return leader;
    }
    let (mut outputs, mut ends, mut omitted) = (Vec::new(), Vec::new(), 0);
    let mut reviews: BTreeMap<Seq, Review<'_>> = BTreeMap::new();
    for ((entry, role), line) in members {
        let Some(line) = line.as_deref() else {
            omitted += 1;
            continue;
        };
        match role {
            Role::Item => {}
            Role::Output => outputs.push(line),
            Role::End => ends.push(line),
            Role::Request => {
                reviews.entry(entry.facts.seq).or_default().request = Some(line);
            }
            Role::Decision { request } => {
                reviews.entry(*request).or_default().decisions.push(line);
            }
        }
    }
    let mut more = String::new();
    if !outputs.is_empty() {
        more.push_str(&format!(",\"outputs\":[{}]", outputs.join(",")));
    }
    if let Some((end, others)) = ends.split_first() {
        more.push_str(&format!(",\"end\":{end}"));
        if !others.is_empty() {
            more.push_str(&format!(",\"ends_more\":[{}]", others.join(",")));
        }
    }
    let status = |seq: Seq| {
        let of =
            |review: &&review::Review| review.request.as_ref().is_some_and(|(at, ..)| *at == seq);
        state.reviews.values().find(of).map(|review| state.review_status(review))
    };
    let leader_seq = group.leader.facts.seq;
    if let Some(own) = reviews.remove(&leader_seq) {
        more.push_str(&format!(",{}", own.write(status(leader_seq))));
    }
    let reviews: Vec<_> = reviews.iter().map(|(seq, one)| one.write(status(*seq))).collect();
    if let Some((first, others)) = reviews.split_first() {
        more.push_str(&format!(",\"review\":{{{first}"));
        if !others.is_empty() {
            more.push_str(&format!(",\"more\":[{{{}}}]", others.join("},{")));
        }
        more.push('}');
    }
    if omitted > 0 {
        more.push_str(&format!(",\"folded_omitted\":{omitted}"));
    }
    splice(leader, &more)
}

/// An event as it was sent, with its `offset`, its `seq` if that was assigned, and where it is known who
/// sent it, `producer` and when it was `received`.
pub(crate) fn event(record: &Record<'_>) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Probe {
        seq: Option<u32>,
    }
    let line = std::str::from_utf8(record.json).map_err(|e| Error::Corrupt {
        path: format!("event {}", record.offset).into(),
        at: 0,
        what: e.to_string(),
    })?;
    let sent: Probe = serde_json::from_str(line).map_err(|e| altered(&e))?;
    let stamps = match record.producer {
        "" => String::new(),
        producer => format!(
            ",\"received\":\"{}\",\"producer\":{}",
            record.received,
            serde_json::to_string(producer).map_err(|e| altered(&e))?
        ),
    };
    if sent.seq.is_some() {
        return Ok(splice(line.to_owned(), &format!(",\"offset\":{}{stamps}", record.offset)));
    }
    let added = format!(",\"offset\":{},\"seq\":{}{stamps}", record.offset, record.seq);
    // `"seq": null` asks for a number too; a name must not stand twice in an object.
    let mut fields: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_str(line).map_err(|e| altered(&e))?;
    if fields.remove("seq").is_none() {
        return Ok(splice(line.to_owned(), &added));
    }
    let line = serde_json::to_string(&fields).map_err(|e| altered(&e))?;
    Ok(splice(line, &added))
}

/// Puts fields before the closing brace of an object that has some.
fn splice(mut object: String, more: &str) -> String {
    if let Some(end) = object.rfind('}') {
        object.truncate(end);
        object.push_str(more);
        object.push('}');
    }
    object
}
