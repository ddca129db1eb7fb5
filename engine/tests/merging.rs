//! Merging: many small segments become few, and nobody can tell from the answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use daybook_engine::event::{Offset, Seq, SessionKey};
use daybook_engine::text::narrow::{Fields, Narrow, WordShape};
use daybook_engine::view::{Ordinals, Part, Snapshot};
use daybook_engine::{Ack, Batch, Engine, Options};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

const WORDS: [&str; 4] = ["alpha", "beta", "gamma", "delta"];

fn line(session: usize, seq: usize) -> String {
    let word = WORDS[(session + seq) % WORDS.len()];
    format!(
        r#"{{"session": "s{session}", "seq": {seq}, "time": "2026-03-01T10:{:02}:00.000000Z", "kind": "terminal.output", "text": "{word} {seq}"}}"#,
        seq % 60
    )
}

fn append(engine: &Engine, lines: &[String]) -> Ack {
    let mut batch = Batch::new();
    for (number, line) in lines.iter().enumerate() {
        batch.push(number as u64 + 1, line.as_bytes()).unwrap();
    }
    engine.append_blocking(batch).unwrap()
}

/// No thread merges: the test says when.
fn by_hand() -> Options {
    Options { merge: false, ..Options::default() }
}

/// One event: where it is in its session, and its line.
type Event = (SessionKey, Seq, String);

/// All that a snapshot answers: every event, by session too, and what each word finds.
fn answers(snapshot: &Snapshot) -> (BTreeMap<Offset, Event>, Vec<Vec<Offset>>) {
    let mut events = BTreeMap::new();
    let mut found = vec![Vec::new(); WORDS.len()];
    for part in &snapshot.parts {
        let mut seen = 0;
        part.read(&Ordinals::Range(0..part.len()), None, &mut |ordinal, record| {
            let facts = part.facts(ordinal).unwrap();
            assert_eq!((facts.offset, facts.seq), (record.offset, record.seq));
            assert_eq!(part.ordinal_of(record.offset), Some(ordinal));
            assert!(part.base() <= record.offset && record.offset < part.end());
            let line = String::from_utf8(record.json.to_vec()).unwrap();
            assert!(events.insert(record.offset, (facts.session, record.seq, line)).is_none());
            seen += 1;
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
        assert_eq!(seen, part.len());
        for (word, found) in WORDS.iter().zip(&mut found) {
            let narrow = Narrow::Word(Fields::Any, WordShape::Is((*word).to_owned()));
            let ordinals = part.narrow(&narrow).unwrap().unwrap_or((0..part.len()).collect());
            read_matching(&**part, ordinals, word, found);
        }
    }
    found.iter_mut().for_each(|offsets| offsets.sort_unstable());
    (events, found)
}

fn read_matching(part: &dyn Part, ordinals: Vec<u32>, word: &str, found: &mut Vec<Offset>) {
    part.read(&Ordinals::List(ordinals), None, &mut |_, record| {
        if String::from_utf8_lossy(record.json).contains(word) {
            found.push(record.offset);
        }
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
}

fn directories(dir: &Path) -> usize {
    fs::read_dir(dir.join("segments")).unwrap().count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_answer_is_as_before_and_events_come_exactly_once(
        journals in prop::collection::vec(prop::collection::vec(0usize..6, 1..25), 4..9),
        extra in 0usize..3,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(dir.path(), by_hand()).unwrap();
        let mut next = [0; 6];
        let mut lines = Vec::new();
        for (n, journal) in journals.iter().enumerate() {
            let batch: Vec<String> = journal
                .iter()
                .map(|session| {
                    next[*session] += 1;
                    line(*session, next[*session])
                })
                .collect();
            append(&engine, &batch);
            lines.extend(batch);
            if n + extra < journals.len() {
                engine.seal_now().unwrap();
            }
        }
        let before = answers(&engine.snapshot());
        let held = engine.snapshot();
        let segments = engine.stats().unwrap().segments;
        let merges = engine.merge_now().unwrap();
        let stats = engine.stats().unwrap();
        prop_assert_eq!(stats.merges, merges);
        prop_assert!(merges == 0 || stats.segments < segments);
        prop_assert_eq!(stats.events, lines.len() as u64);
        prop_assert_eq!(&answers(&engine.snapshot()), &before);
        // A snapshot from before reads on, its text indexes included.
        prop_assert_eq!(&answers(&held), &before);

        // What is sent again is known.
        let ack = append(&engine, &lines);
        prop_assert_eq!((ack.accepted, ack.duplicates), (0, lines.len() as u64));
        let other = line(9, 1).replace("s9", "s0").replace("delta", "other");
        let ack = append(&engine, &[other]);
        prop_assert_eq!(ack.accepted, u64::from(next[0] == 0));
        prop_assert_eq!(ack.rejected.len(), usize::from(next[0] > 0));
        engine.close().unwrap();
        drop((held, engine));

        let engine = Engine::open(dir.path(), by_hand()).unwrap();
        let mut after = answers(&engine.snapshot());
        after.0.retain(|offset, _| before.0.contains_key(offset));
        prop_assert_eq!(&after.0, &before.0);
        let ack = append(&engine, &lines);
        prop_assert_eq!((ack.accepted, ack.duplicates), (0, lines.len() as u64));
        prop_assert_eq!(directories(dir.path()) as u64, engine.stats().unwrap().segments);
    }
}

/// A journal's file may outlast its sealing, and the segments that it became; so may segments the one
/// that they were merged into.
#[test]
fn what_should_have_been_deleted_is_not_read_a_second_time() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), by_hand()).unwrap();
    let (left, segments) = (tempfile::tempdir().unwrap(), dir.path().join("segments"));
    for seq in 0..3 {
        append(&engine, &(0..4).map(|session| line(session, seq)).collect::<Vec<_>>());
        let journal = dir.path().join("journal").join(format!("{:020}.journal", seq * 4));
        fs::copy(&journal, left.path().join(journal.file_name().unwrap())).unwrap();
        engine.seal_now().unwrap();
    }
    let second = format!("{:020}", 4);
    copy(&segments.join(&second), &left.path().join(&second));
    let before = answers(&engine.snapshot());
    assert_eq!(engine.merge_now().unwrap(), 1);
    engine.close().unwrap();
    drop(engine);
    copy(&left.path().join(&second), &segments.join(&second));
    fs::create_dir(segments.join(".tmp-00000000000000000000-2")).unwrap();
    for seq in [1, 2] {
        let journal = format!("{:020}.journal", seq * 4);
        fs::copy(left.path().join(&journal), dir.path().join("journal").join(&journal)).unwrap();
    }
    for read_only in [true, false] {
        let options = Options { read_only, ..by_hand() };
        let engine = Engine::open(dir.path(), options).unwrap();
        assert_eq!(answers(&engine.snapshot()), before, "read only: {read_only}");
        assert_eq!(engine.stats().unwrap().next_offset, Offset(12));
    }
    assert_eq!(directories(dir.path()), 1);
    assert_eq!(fs::read_dir(dir.path().join("journal")).unwrap().count(), 1);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

#[test]
fn the_background_merges_by_itself_and_deletes_what_nobody_reads() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), Options::default()).unwrap();
    let mut held = None;
    for seq in 0..16 {
        append(&engine, &(0..4).map(|session| line(session, seq)).collect::<Vec<_>>());
        engine.seal_now().unwrap();
        held.get_or_insert_with(|| engine.snapshot());
    }
    let until = Instant::now() + Duration::from_secs(60);
    while engine.stats().unwrap().segments > 3 {
        assert!(Instant::now() < until, "{:?}", engine.stats().unwrap());
        std::thread::sleep(Duration::from_millis(20));
    }
    let stats = engine.stats().unwrap();
    assert!(stats.merges >= 4);
    assert_eq!(stats.events, 64);
    let oldest = held.take().unwrap();
    assert_eq!(answers(&oldest).0.len(), 4);
    drop(oldest);
    let until = Instant::now() + Duration::from_secs(60);
    while directories(dir.path()) > 3 {
        assert!(Instant::now() < until, "{} directories", directories(dir.path()));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_damaged_text_index_is_made_again_and_damaged_events_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), by_hand()).unwrap();
    for seq in 0..8 {
        append(&engine, &(0..4).map(|session| line(session, seq)).collect::<Vec<_>>());
        engine.seal_now().unwrap();
    }
    let before = answers(&engine.snapshot());
    engine.close().unwrap();
    drop(engine);
    let segments = {
        let mut paths: Vec<_> = fs::read_dir(dir.path().join("segments"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths
    };
    for entry in fs::read_dir(segments[1].join("text")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        fs::write(&path, bytes).unwrap();
    }
    fs::remove_dir_all(segments[2].join("text")).unwrap();
    let engine = Engine::open(dir.path(), by_hand()).unwrap();
    assert!(engine.merge_now().unwrap() > 0);
    assert_eq!(engine.stats().unwrap().segments, 1);
    assert_eq!(answers(&engine.snapshot()), before);

    // Now the events of one: the others are merged without it.
    let seal = |seqs: std::ops::Range<usize>| {
        for seq in seqs {
            append(&engine, &(0..4).map(|session| line(session, seq)).collect::<Vec<_>>());
            engine.seal_now().unwrap();
        }
    };
    seal(10..13);
    let damaged = dir.path().join("segments").join(format!("{:020}", 36)).join("events.blk");
    let mut bytes = fs::read(&damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&damaged, bytes).unwrap();
    engine.merge_now().unwrap();
    assert_eq!(engine.stats().unwrap().segments, 4);
    seal(13..16);
    engine.merge_now().unwrap();
    let lens: Vec<u32> = engine.snapshot().parts.iter().map(|part| part.len()).collect();
    assert_eq!(lens, [32, 4, 4, 16]);
}
