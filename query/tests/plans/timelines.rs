//! Timelines, page by page in both directions, are the session's events.

use super::lines::model;
use super::model::{Model, Stored};
use daybook_engine::OWN_SEQ_MIN;
use daybook_engine::event::wire::Body;
use daybook_engine::event::{Kind, Micros, Seq};
use daybook_query::lang::parse;
use daybook_query::timeline::{TimelinePage, TimelineRequest, timeline};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

/// The item that each event of a session belongs to, by the rule.
fn leaders(model: &Model, id: &str) -> BTreeMap<Seq, Seq> {
    let events = model.of(id);
    let (_, state) = &model.sessions.0[id];
    let near = |leader: Seq, of: Seq| leader < of && of.0 - leader.0 < 1000;
    let kind = |seq: Seq| events.iter().find(|e| e.facts.seq == seq).map(|e| e.facts.kind);
    let leads = |command: Option<Seq>, of: Seq| {
        command.filter(|c| near(*c, of) && kind(*c) == Some(Kind::Command))
    };
    let leader = |stored: &Stored| {
        let seq = stored.facts.seq;
        match stored.event().body {
            Body::ReviewDecision { review, .. } => {
                let (request, _, asked) = state.reviews.get(&review)?.request.as_ref()?;
                let leader = leads(asked.command, *request).unwrap_or(*request);
                ((near(leader, seq) || seq >= OWN_SEQ_MIN) && *request < seq).then_some(leader)
            }
            body => leads(body.command(), seq),
        }
    };
    events.iter().map(|e| (e.facts.seq, leader(e).unwrap_or(e.facts.seq))).collect()
}

/// The offsets in an item: its own and those folded under it.
fn offsets(item: &Value) -> Vec<u64> {
    let mut all = Vec::new();
    match item {
        Value::Object(fields) => {
            all.extend(fields.get("offset").and_then(Value::as_u64));
            all.extend(fields.values().flat_map(offsets));
        }
        Value::Array(items) => all.extend(items.iter().flat_map(offsets)),
        _ => {}
    }
    all
}

fn items(page: &TimelinePage) -> Vec<(Seq, Value)> {
    let item = |json: &str| {
        let value: Value = serde_json::from_str(json).unwrap();
        (Seq(value["seq"].as_u64().unwrap() as u32), value)
    };
    page.items.iter().map(|raw| item(raw.get())).collect()
}

/// All pages in a direction, in the order of `seq`.
fn walk(model: &Model, id: &str, request: TimelineRequest<'_>) -> Vec<(Seq, Value)> {
    let mut all: Vec<(Seq, Value)> = Vec::new();
    let mut cursor = None::<String>;
    for page in 0.. {
        assert!(page < 500, "the pages do not end");
        let request = TimelineRequest { cursor: cursor.as_deref(), ..request };
        let page = timeline(&model.snapshot, id, &request).unwrap().unwrap();
        assert_eq!(page.count, model.of(id).len() as u64);
        let found = items(&page);
        assert!(found.len() <= request.limit);
        cursor = if request.backwards {
            all.splice(0..0, found);
            page.prev_cursor
        } else {
            all.extend(found);
            page.next_cursor
        };
        if cursor.is_none() {
            break;
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn pages_in_both_directions_have_each_event_once_under_its_item(
        model in model(150),
        limit in 1..9usize,
        fold in any::<bool>(),
        backwards in any::<bool>(),
        filtered in any::<bool>(),
    ) {
        let query = parse("gamma OR kind:review.request", Micros(0)).unwrap();
        let query = filtered.then_some(&query);
        for session in model.sessions.all() {
            let events = model.of(&session.id);
            let leaders = if fold {
                leaders(&model, &session.id)
            } else {
                events.iter().map(|e| (e.facts.seq, e.facts.seq)).collect()
            };
            let mut wanted: BTreeMap<Seq, Vec<&Stored>> = BTreeMap::new();
            for event in &events {
                wanted.entry(leaders[&event.facts.seq]).or_default().push(event);
            }
            wanted.retain(|_, group| {
                !filtered || group.iter().any(|e| {
                    e.facts.kind == Kind::ReviewRequest
                        || e.texts().iter().any(|t| t.contains("gamma"))
                })
            });
            let request = TimelineRequest { query, limit, fold, backwards, ..TimelineRequest::default() };
            let found = walk(&model, &session.id, request);
            let seqs: Vec<Seq> = found.iter().map(|(seq, _)| *seq).collect();
            prop_assert_eq!(seqs, wanted.keys().copied().collect::<Vec<_>>());
            for ((_, item), group) in found.iter().zip(wanted.values()) {
                let mut has = offsets(item);
                has.sort_unstable();
                let mut should: Vec<u64> = group.iter().map(|e| e.facts.offset.0).collect();
                should.sort_unstable();
                prop_assert_eq!(has, should);
            }
            if !fold {
                for ((_, item), group) in found.iter().zip(wanted.values()) {
                    let mut sent: Value = serde_json::from_str(&group[0].line).unwrap();
                    sent["offset"] = group[0].facts.offset.0.into();
                    sent["seq"] = group[0].facts.seq.0.into();
                    prop_assert_eq!(item, &sent);
                }
            }
        }
    }

    #[test]
    fn a_page_leads_back_to_the_one_before_and_time_leads_to_its_item(
        model in model(100),
        limit in 1..6usize,
        fold in any::<bool>(),
        at in 0..40i64,
    ) {
        for session in model.sessions.all() {
            let first = TimelineRequest { limit, fold, ..TimelineRequest::default() };
            let page = timeline(&model.snapshot, &session.id, &first).unwrap().unwrap();
            prop_assert!(page.prev_cursor.is_none());
            if let Some(next) = &page.next_cursor {
                let next = TimelineRequest { cursor: Some(next), ..first };
                let next = timeline(&model.snapshot, &session.id, &next).unwrap().unwrap();
                let back = TimelineRequest { cursor: next.prev_cursor.as_deref(), ..first };
                let back = timeline(&model.snapshot, &session.id, &back).unwrap().unwrap();
                prop_assert_eq!(items(&back), items(&page));
                prop_assert_eq!(back.next_cursor, page.next_cursor.clone());
                prop_assert_eq!(back.prev_cursor, None);
            }
            let at = Micros((1_767_225_600 + at * 1_000) * 1_000_000);
            let request = TimelineRequest { at: Some(at), ..first };
            let page = timeline(&model.snapshot, &session.id, &request).unwrap().unwrap();
            let hit = model.of(&session.id).into_iter().find(|e| e.facts.time >= at);
            match (hit, items(&page).first()) {
                (None, None) => {}
                (Some(hit), Some((_, item))) => {
                    prop_assert!(offsets(item).contains(&hit.facts.offset.0));
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}

#[test]
fn values_keep_the_bytes_that_were_sent() {
    let sent = r#"{"session":"s","time":"2026-01-01T00:00:00.123456789Z", "kind":"command","input":"a\u00e9\/b",  "duration_ms":1 }"#;
    let null = r#"{"session":"s","seq":null,"time":"2026-01-01T00:00:00Z","kind":"note","by":"x","text":"seq"}"#;
    let model = Model::new(vec![sent.to_owned(), null.to_owned()], &[]);
    let page = timeline(&model.snapshot, "s", &TimelineRequest::default()).unwrap().unwrap();
    assert_eq!(
        page.items[0].get(),
        r#"{"session":"s","time":"2026-01-01T00:00:00.123456789Z", "kind":"command","input":"a\u00e9\/b",  "duration_ms":1 ,"offset":0,"seq":0}"#
    );
    assert_eq!(page.items[1].get().matches("\"seq\":").count(), 1);
    assert!(timeline(&model.snapshot, "none", &TimelineRequest::default()).unwrap().is_none());
}

#[test]
fn a_page_ends_before_it_is_too_long_but_one_long_item_is_whole() {
    let line = |seq: u32, kind: &str, length: usize| {
        let text = "x".repeat(length);
        format!(
            r#"{{"session":"s","seq":{seq},"time":"2026-01-01T00:00:00Z","kind":{kind}"{text}"}}"#
        )
    };
    let mut lines = vec![line(0, r#""command","input":"#, 10)];
    // Three long outputs of the first command, then three long commands.
    lines.extend((1..4).map(|seq| line(seq, r#""output","command":0,"text":"#, 3 << 20)));
    lines.extend((4..7).map(|seq| line(seq, r#""command","input":"#, 3 << 20)));
    let model = Model::new(lines, &[5]);
    for backwards in [false, true] {
        let request = TimelineRequest { backwards, ..TimelineRequest::default() };
        let page = timeline(&model.snapshot, "s", &request).unwrap().unwrap();
        assert_eq!(page.items.len(), if backwards { 2 } else { 1 });
        let all = walk(&model, "s", request);
        let outputs = all[0].1["outputs"].as_array().map(Vec::len);
        assert_eq!((all.len(), outputs), (4, Some(3)));
    }
}
