//! Excerpts: what of a session somebody is shown.
//!
//! What an excerpt leaves out is taken away below timelines, replays and downloads: for them, the session has no such
//! events ([`crate::timeline`] is made of what is left), so no page, cursor or screen can tell of them.
//!
//! | part | events |
//! |---|---|
//! | whole | all |
//! | a command | it; what came of it up to its end; reviews, decisions and notes that name it |
//! | a time | those that happened in it |
//!
//! With outputs hidden there are no `output`, `terminal.output` and `terminal.input` events, and `output` and `error`
//! are taken from the lines that carry them.

use crate::error::QueryError;
use crate::timeline::runs::{Entry, Runs};
use daybook_engine::Error;
use daybook_engine::block::Record;
use daybook_engine::event::wire::Body;
use daybook_engine::event::{Kind, Micros, Seq};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Which events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Part {
    /// All of them.
    #[default]
    Whole,
    /// A command with what came of it.
    Command(Seq),
    /// Those from a moment on, before another one.
    Time(Micros, Micros),
}

/// What of a session is shown. [`Excerpt::default`] is all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Excerpt {
    /// Which events.
    pub part: Part,
    /// Are outputs left out?
    pub hides_outputs: bool,
}

/// A query decides on whole events and whole sessions: its answers could tell of what is hidden.
pub(crate) const NO_QUERY: &str =
    "a part of a session, or one whose outputs are hidden, can't be searched";

impl Excerpt {
    /// Is it the session as it is?
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Excerpt::default()
    }

    /// Leaves of a session's events those that it shows.
    pub(crate) fn narrow(&self, runs: &mut Runs<'_>) -> Result<(), QueryError> {
        let of_command = match self.part {
            Part::Command(command) => Some(of_command(runs, command)?),
            _ => None,
        };
        runs.retain(|facts| {
            let shown = match (self.part, &of_command) {
                (Part::Time(from, to), _) => (from..to).contains(&facts.time),
                (_, Some(seqs)) => seqs.contains(&facts.seq),
                (_, None) => true,
            };
            shown && !(self.hides_outputs && is_output(facts.kind))
        });
        runs.hides_outputs = self.hides_outputs;
        Ok(())
    }
}

fn is_output(kind: Kind) -> bool {
    matches!(kind, Kind::Output | Kind::TerminalOutput | Kind::TerminalInput)
}

/// How many events are read in one go.
const READ_MAX: usize = 256;

/// The numbers of a command and of what came of it.
fn of_command(runs: &Runs<'_>, command: Seq) -> Result<BTreeSet<Seq>, QueryError> {
    let mut seqs = BTreeSet::new();
    match runs.find(command.0) {
        Some(entry) if entry.facts.kind == Kind::Command => seqs.insert(command),
        _ => return Ok(seqs),
    };
    let mut reviews: BTreeSet<Box<str>> = BTreeSet::new();
    let mut ended = false;
    let mut entries = runs.forwards(u64::from(command.0) + 1);
    loop {
        let asks = |entry: &Entry| match entry.facts.kind {
            Kind::Output => !ended,
            Kind::CommandEnd | Kind::ReviewRequest | Kind::ReviewDecision | Kind::Note => true,
            _ => false,
        };
        let some: Vec<Entry> = entries.by_ref().filter(asks).take(READ_MAX).collect();
        if some.is_empty() {
            return Ok(seqs);
        }
        // They are read in whatever order is quick, and looked at in theirs.
        let mut named = vec![None; some.len()];
        runs.read(&some, |place, record| {
            let event = record.event()?;
            if let Some(named) = named.get_mut(place) {
                let review = match &event.body {
                    Body::ReviewRequest { review, .. } | Body::ReviewDecision { review, .. } => {
                        Some(review.clone())
                    }
                    _ => None,
                };
                *named = Some((event.body.command(), review));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for (entry, (about, review)) in
            some.iter().zip(named).filter_map(|(entry, named)| Some((entry, named?)))
        {
            let mine = about == Some(command);
            match (entry.facts.kind, review) {
                (Kind::ReviewDecision, Some(review)) if reviews.contains(&review) => {}
                (Kind::ReviewRequest, Some(review)) if mine => _ = reviews.insert(review),
                (Kind::Output, _) if mine && !ended => {}
                (Kind::CommandEnd, _) if mine => ended = true,
                (Kind::Note, _) if mine => {}
                _ => continue,
            }
            seqs.insert(entry.facts.seq);
        }
    }
}

/// The fields that carry what came back.
const HIDDEN: [&str; 2] = ["output", "error"];

/// The line of an event without what came back; `None` if it has nothing of it.
///
/// # Errors
/// A stored line that can't be read.
pub(crate) fn redacted(record: &Record<'_>) -> Result<Option<Vec<u8>>, Error> {
    if !matches!(record.kind, Kind::Command | Kind::CommandEnd) {
        return Ok(None);
    }
    let bad = |error: serde_json::Error| Error::Corrupt {
        path: format!("event {}", record.offset).into(),
        at: 0,
        what: error.to_string(),
    };
    let mut fields: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_slice(record.json).map_err(bad)?;
    let all = fields.len();
    fields.retain(|name, _| !HIDDEN.contains(&&**name));
    if fields.len() == all {
        return Ok(None);
    }
    serde_json::to_vec(&fields).map(Some).map_err(bad)
}

/// As it is written in links and in requests: `whole`, `command:SEQ`, or `FROM..TO`.
impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Part::Whole => f.write_str("whole"),
            Part::Command(seq) => write!(f, "command:{seq}"),
            Part::Time(from, to) => write!(f, "{from}..{to}"),
        }
    }
}

impl std::str::FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Part, String> {
        let time = |text: &str| Micros::parse(text).map_err(|error| error.to_string());
        if text == "whole" {
            return Ok(Part::Whole);
        }
        if let Some(seq) = text.strip_prefix("command:") {
            let seq =
                seq.parse().map_err(|_| format!("`{}` is no number of a command", cut(seq)))?;
            return Ok(Part::Command(Seq(seq)));
        }
        let (from, to) = text.split_once("..").ok_or_else(|| {
            format!(
                "`{}` is no part: there are whole, command:SEQ and FROM..TO, two times",
                cut(text)
            )
        })?;
        let (from, to) = (time(from)?, time(to)?);
        if from >= to {
            return Err("the time ends before it begins".to_owned());
        }
        Ok(Part::Time(from, to))
    }
}

fn cut(text: &str) -> String {
    daybook_engine::event::time::excerpt(text)
}

impl Serialize for Part {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Part, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
