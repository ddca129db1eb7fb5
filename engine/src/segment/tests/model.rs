//! A sealed segment says what the journal held.

use super::super::{Columnar, ColumnarEvent, seal};
use super::{Journal, Made, disk, id, open, small};
use crate::error::Error;
use crate::event::{Kind, Micros, Offset, Seq, SessionKey, Verdict};
use crate::text::narrow::{Fields, Narrow, WordShape};
use crate::text::{TextSource, TextWriter};
use crate::view::{EventFacts, Ordinals, Part};
use parking_lot::Mutex;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

/// Events of up to nine sessions: each session's seqs are its own, in any order, with gaps.
fn events() -> impl Strategy<Value = Vec<Made>> {
    let text = prop_oneof![
        8 => "[a-z ]{0,40}".prop_map(|s| format!("{{\"input\":\"{s}\"}}")),
        1 => Just("{\"data\":\"bmVlZGxl\"}".to_owned()),
        1 => Just("{\"input\":\"need\\u006ce\"}".to_owned()),
        1 => Just("{\"input\":\"a needle here\"}".to_owned()),
        1 => (30_000usize..90_000).prop_map(|n| format!("{{\"output\":\"{}\"}}", "xy".repeat(n))),
    ];
    let event = (0usize..9, 0u32..3, any::<u32>(), 0i64..1_000_000, 0usize..13, 0usize..9, text);
    (vec(event, 1..120), any::<bool>()).prop_map(|(drawn, far)| {
        let mut next = BTreeMap::new();
        let mut made: Vec<(u32, Made)> = drawn
            .into_iter()
            .map(|(session, gap, order, time, kind, verdict, json)| {
                let seq: &mut u32 =
                    next.entry(session).or_insert(if far { 4_000_000_000 } else { 0 });
                *seq += gap;
                let event = Made {
                    session,
                    seq: *seq,
                    time: if far { time * 7_000_000_000 } else { time },
                    kind: Kind::ALL[kind],
                    verdict: Verdict::ALL.get(verdict).copied(),
                    json: json.into_bytes(),
                };
                *seq += 1;
                (order, event)
            })
            .collect();
        made.sort_by_key(|(order, _)| *order);
        made.into_iter().map(|(_, event)| event).collect()
    })
}

/// The journal's events as (ordinal, offset), from the definition: by session id, then seq.
fn ordered(journal: &Journal) -> Vec<(u64, &Made)> {
    let mut order: Vec<(u64, &Made)> = journal.offsets.iter().copied().zip(&journal.made).collect();
    order.sort_by_key(|(_, e)| (id(e.session), e.seq));
    order
}

fn read_all(part: &dyn Part, ordinals: &Ordinals) -> Vec<(u32, u64, Vec<u8>)> {
    let mut out = Vec::new();
    part.read(ordinals, None, &mut |ordinal, record| {
        out.push((ordinal, record.offset.0, record.json.to_vec()));
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_segment_answers_as_the_journal_that_it_was_made_from(
        made in events(), base in prop_oneof![Just(0u64), 1u64..1 << 40], per_block in 1usize..30,
        asked in vec(any::<prop::sample::Index>(), 0..60),
        holes in prop_oneof![Just(Vec::new()), vec((any::<prop::sample::Index>(), 1u64..9000), 1..9)],
    ) {
        let mut offsets: Vec<u64> = (base..base + made.len() as u64).collect();
        let mut span = base..base + made.len() as u64;
        for (at, len) in &holes {
            // Behind the last event, too.
            let at = at.index(offsets.len() + 1);
            offsets[at..].iter_mut().for_each(|offset| *offset += len);
            span.end += len;
        }
        let journal = Journal::sparse(span.clone(), made, offsets.clone(), per_block);
        let dir = tempfile::tempdir().unwrap();
        let report = seal(&disk(), dir.path(), &journal.input(), None).unwrap();
        let segment = open(&report.path).unwrap();
        segment.verify().unwrap();
        let order = ordered(&journal);

        prop_assert_eq!(segment.len() as usize, order.len());
        prop_assert_eq!(segment.base()..segment.end(), Offset(span.start)..Offset(span.end));
        let times = order.iter().map(|(_, e)| e.time);
        prop_assert_eq!(
            segment.time_range(),
            times.clone().min().map(Micros).zip(times.max().map(Micros))
        );
        for (ordinal, (offset, event)) in order.iter().enumerate() {
            let ordinal = ordinal as u32;
            prop_assert_eq!(segment.facts(ordinal), Some(EventFacts {
                offset: Offset(*offset),
                seq: Seq(event.seq),
                time: Micros(event.time),
                kind: event.kind,
                verdict: event.verdict,
                session: journal.key(event.session),
            }));
            prop_assert_eq!(segment.ordinal_of(Offset(*offset)), Some(ordinal));
        }
        let end = order.len() as u32;
        let of_even = |session: SessionKey| session.0.is_multiple_of(2);
        let narrowed = segment.narrow_to_sessions(&of_even).unwrap().all();
        let mut wanted: Vec<u64> = (0..end)
            .map(|ordinal| segment.facts(ordinal).unwrap())
            .filter(|facts| of_even(facts.session))
            .map(|facts| facts.offset.0)
            .collect();
        wanted.sort_unstable();
        prop_assert_eq!(narrowed, wanted);
        prop_assert_eq!(segment.facts(end), None);
        let around = offsets.iter().flat_map(|offset| [offset.saturating_sub(1), offset + 1]);
        for offset in around.chain([span.start, span.end - 1, span.end, u64::MAX]) {
            let there = offsets.contains(&offset);
            prop_assert_eq!(segment.ordinal_of(Offset(offset)).is_some(), there);
        }
        if base > 0 {
            prop_assert_eq!(segment.ordinal_of(Offset(base - 1)), None);
        }

        for session in 0..12 {
            let of: Vec<u32> = (0..end).filter(|o| order[*o as usize].1.session == session).collect();
            let run = segment.session(&id(session)).unwrap();
            let seqs = segment.seqs(&id(session)).unwrap();
            if of.is_empty() {
                prop_assert!(run.is_none() && seqs.is_none());
                continue;
            }
            let run = run.unwrap();
            prop_assert_eq!(run.key, journal.key(session));
            prop_assert_eq!(run.ordinals.iter().collect::<Vec<_>>(), of.clone());
            prop_assert_eq!(segment.session_by_key(run.key).unwrap(), Some(run));
            let (key, ranges) = seqs.unwrap();
            prop_assert_eq!(key, journal.key(session));
            prop_assert!(ranges.windows(2).all(|pair| *pair[0].end() + 1 < *pair[1].start()));
            let listed: Vec<u32> = ranges.into_iter().flatten().collect();
            prop_assert_eq!(listed, of.iter().map(|o| order[*o as usize].1.seq).collect::<Vec<_>>());
        }
        prop_assert_eq!(segment.session("").unwrap(), None);
        prop_assert_eq!(segment.session_by_key(SessionKey(u64::MAX)).unwrap(), None);

        let expected: Vec<_> = order.iter().enumerate()
            .map(|(o, (offset, e))| (o as u32, *offset, e.json.clone())).collect();
        prop_assert_eq!(&read_all(&segment, &Ordinals::Range(0..end)), &expected);
        let list: Vec<u32> = asked.iter().map(|index| index.index(order.len()) as u32).collect();
        let some: Vec<_> = list.iter().map(|o| expected[*o as usize].clone()).collect();
        prop_assert_eq!(&read_all(&segment, &Ordinals::List(list)), &some);

        // A prefilter may only lose lines that can't match.
        let mut seen = Vec::new();
        let has_needle = |bytes: &[u8]| memchr::memmem::find(bytes, b"needle").is_some();
        segment.read(&Ordinals::Range(0..end), Some(&has_needle), &mut |ordinal, record| {
            seen.push((ordinal, record.json.to_vec()));
            Ok(ControlFlow::Continue(()))
        }).unwrap();
        for (ordinal, _, json) in &expected {
            let passed = seen.iter().any(|(o, j)| o == ordinal && j == json);
            prop_assert!(passed || crate::block::is_plain(json) && !has_needle(json));
        }
        let plain = expected.iter().all(|(_, _, json)| crate::block::is_plain(json));
        prop_assert!(!plain || seen.iter().all(|(_, json)| has_needle(json)));
    }
}

#[test]
fn a_read_stops_where_its_visitor_says() {
    let dir = tempfile::tempdir().unwrap();
    let segment = open(&seal(&disk(), dir.path(), &small().input(), None).unwrap().path).unwrap();
    let mut seen = 0;
    segment
        .read(&Ordinals::Range(0..40), None, &mut |_, _| {
            seen += 1;
            Ok(if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .unwrap();
    assert_eq!(seen, 3);
    let beyond =
        segment.read(&Ordinals::Range(39..41), None, &mut |_, _| Ok(ControlFlow::Continue(())));
    assert!(beyond.is_err());
}

/// Remembers what it was given.
#[derive(Default)]
struct Recorder(Mutex<Vec<(i64, u64, String)>>);

impl Columnar for Recorder {
    fn write(
        &self,
        events: &mut dyn Iterator<Item = ColumnarEvent<'_>>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Error> {
        for event in events {
            let record = event.record;
            self.0.lock().push((record.time.0, record.offset.0, event.session.to_owned()));
        }
        out.write_all(b"PAR1").map_err(Error::io("write", Path::new("events.parquet")))
    }
}

#[test]
fn the_columnar_copy_gets_every_event_in_the_order_of_time() {
    let journal = small();
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::default();
    let report = seal(&disk(), dir.path(), &journal.input(), Some(&recorder)).unwrap();
    let mut expected: Vec<_> =
        (1000..).zip(&journal.made).map(|(offset, e)| (e.time, offset, id(e.session))).collect();
    expected.sort();
    assert_eq!(*recorder.0.lock(), expected);
    let segment = open(&report.path).unwrap();
    assert_eq!(segment.manifest().files["events.parquet"].bytes, 4);
    // Events, index, leaves twice, and the copy.
    assert_eq!(segment.manifest().files.len(), 5);
}

#[test]
fn an_input_that_contradicts_itself_is_refused_and_leaves_nothing() {
    let journal = small();
    let dir = tempfile::tempdir().unwrap();
    let mut input = journal.input();
    input.base = Offset(1001);
    assert!(seal(&disk(), dir.path(), &input, None).is_err());
    let mut input = journal.input();
    input.session_of = &input.session_of[..39];
    assert!(seal(&disk(), dir.path(), &input, None).is_err());
    let mut input = journal.input();
    input.sessions = &input.sessions[..3];
    assert!(seal(&disk(), dir.path(), &input, None).is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn the_text_index_of_the_journal_answers_with_the_ordinals_of_the_segment() {
    let mut made = small().made;
    for (n, event) in made.iter_mut().enumerate() {
        event.kind = Kind::Command;
        let (word, seq) = (if n % 5 == 3 { "needle" } else { "hay" }, event.seq);
        event.json = format!(
            "{{\"session\":\"s\",\"seq\":{seq},\"time\":\"2026-03-01T00:00:00Z\",\
             \"kind\":\"command\",\"input\":\"a {word}\"}}"
        )
        .into_bytes();
    }
    let journal = Journal::new(1000, made, 7);
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text");
    std::fs::create_dir(&text).unwrap();
    let (mut writer, _) = TextWriter::open(&disk(), &text, 20 << 20).unwrap();
    for (offset, event) in (1000..).zip(&journal.made) {
        let record = event.record(offset);
        writer
            .add(
                record.offset,
                event.kind,
                event.verdict,
                crate::event::number::Numbers::of(&record.event().unwrap()),
                &crate::event::text::Texts::of(&record.event().unwrap()),
                &crate::screen::Glimpse::default(),
            )
            .unwrap();
    }
    writer.commit(Offset(1040)).unwrap();
    drop(writer);
    let mut input = journal.input();
    let source = [TextSource { dir: &text, keep: None }];
    input.texts = &source;
    let report = seal(&disk(), &dir.path().join("segments"), &input, None).unwrap();
    let segment = open(&report.path).unwrap();
    segment.verify().unwrap();
    assert!(segment.manifest().files.keys().any(|name| name.starts_with("text/")));

    let word = Narrow::Word(Fields::Any, WordShape::Is("needle".to_owned()));
    let expected: Vec<u32> = (0u32..)
        .zip(ordered(&journal))
        .filter(|(_, (_, event))| memchr::memmem::find(&event.json, b"needle").is_some())
        .map(|(ordinal, _)| ordinal)
        .collect();
    assert_eq!(expected.len(), 8);
    assert_eq!(segment.narrow(&word).unwrap(), Some(expected));
    // Without a text index nothing can be narrowed.
    let bare = seal(&disk(), &dir.path().join("bare"), &journal.input(), None).unwrap();
    assert_eq!(open(&bare.path).unwrap().narrow(&word).unwrap(), None);
}
