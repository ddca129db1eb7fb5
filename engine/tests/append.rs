//! What an acknowledgement promises: once, in order, as it was sent, across restarts and damage.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use daybook_engine::catalog::filter::{NumberFact, SessionFilter};
use daybook_engine::catalog::sort::{Sort, SortFact};
use daybook_engine::event::{Micros, Offset, Seq};
use daybook_engine::text::narrow::{Fields, Narrow, WordShape};
use daybook_engine::view::{ListRequest, Ordinals, Session, Snapshot};
use daybook_engine::{Ack, Batch, Engine, Error, Options, Sender};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

fn line(session: &str, seq: u32, text: &str) -> String {
    format!(
        r#"{{"session": "{session}", "seq": {seq}, "time": "2026-03-01T10:00:{:02}.000000Z", "kind": "terminal.output", "text": "{text}"}}"#,
        seq % 60
    )
}

fn batch<'a>(lines: impl IntoIterator<Item = &'a String>) -> Batch {
    let mut batch = Batch::new();
    for (i, line) in lines.into_iter().enumerate() {
        batch.push(i as u64 + 1, line.as_bytes()).unwrap();
    }
    batch
}

fn append(engine: &Engine, lines: &[String]) -> Ack {
    engine.append_blocking(batch(lines)).unwrap()
}

/// Every event of a snapshot: (session, seq) to its line, and a check that none is there twice.
fn stored(snapshot: &Snapshot) -> BTreeMap<(String, u32), String> {
    let mut all = BTreeMap::new();
    for part in &snapshot.parts {
        part.read(&Ordinals::Range(0..part.len()), None, &mut |ordinal, record| {
            let facts = part.facts(ordinal).unwrap();
            assert_eq!(
                (facts.offset, facts.seq, facts.time),
                (record.offset, record.seq, record.time)
            );
            let session = record.event().unwrap().session.into_owned();
            let text = String::from_utf8(record.json.to_vec()).unwrap();
            assert!(all.insert((session, record.seq.0), text).is_none(), "stored twice");
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    }
    all
}

fn newest_journal(dir: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = fs::read_dir(dir.join("journal"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "journal"))
        .collect();
    files.sort();
    files.pop().unwrap()
}

#[test]
fn what_was_sent_comes_back_byte_for_byte_and_a_repetition_is_a_duplicate() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), Options::default()).unwrap();
    let lines = vec![line("s1", 0, "a"), line("s2", 5, "b"), line("s1", 1, "\\u0041 ü \\n")];
    let ack = append(&engine, &lines);
    assert_eq!(
        (ack.accepted, ack.first_offset, ack.last_offset),
        (3, Some(Offset(0)), Some(Offset(2)))
    );
    let again = append(&engine, &lines);
    assert_eq!((again.accepted, again.duplicates, again.first_offset), (0, 3, None));
    let found = stored(&engine.snapshot());
    assert_eq!(found.values().collect::<Vec<_>>(), [&lines[0], &lines[2], &lines[1]]);
    // The same content in other words (key order, spaces) is the same event.
    let other = r#"{"kind":"terminal.output","time":"2026-03-01T11:00:00+01:00","text":"a","seq":0,"session":"s1"}"#;
    assert_eq!(append(&engine, &[other.to_owned()]).duplicates, 1);
    let conflict = append(&engine, &[line("s1", 0, "other"), line("s1", 2, "new")]);
    assert_eq!((conflict.accepted, conflict.rejected.len(), conflict.rejected[0].line), (1, 1, 1));
    assert!(conflict.rejected[0].error.starts_with("conflict: event 0 of session `s1`"));
}

#[test]
fn an_event_twice_in_one_batch_is_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), Options::default()).unwrap();
    let ack = append(&engine, &[line("s", 0, "a"), line("s", 0, "a"), line("s", 0, "b")]);
    assert_eq!((ack.accepted, ack.duplicates, ack.rejected.len()), (1, 1, 1));
}

#[test]
fn an_event_without_a_number_gets_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), Options::default()).unwrap();
    let bare = r#"{"session":"s","time":"2026-03-01T10:00:00Z","kind":"note","by":"a@example.com","text":"x"}"#;
    append(&engine, &[line("s", 7, "a"), bare.to_owned(), bare.to_owned()]);
    let found = stored(&engine.snapshot());
    assert_eq!(found.keys().map(|k| k.1).collect::<Vec<_>>(), [7, 8, 9]);
    assert_eq!(found[&("s".to_owned(), 9)], bare);
}

#[test]
fn a_second_process_is_refused_and_reading_at_rest_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), Options::default()).unwrap();
    append(&engine, &[line("s", 0, "a")]);
    assert!(matches!(Engine::open(dir.path(), Options::default()), Err(Error::Unusable { .. })));
    engine.close().unwrap();
    drop(engine);
    // A torn tail: at rest it is reported and left alone.
    let journal = newest_journal(dir.path());
    let mut bytes = fs::read(&journal).unwrap();
    bytes.extend_from_slice(b"torn");
    fs::write(&journal, &bytes).unwrap();
    let rest = Engine::open(dir.path(), Options { read_only: true, ..Options::default() }).unwrap();
    assert_eq!(stored(&rest.snapshot()).len(), 1);
    assert!(matches!(
        rest.append_blocking(batch(&[line("s", 1, "b")])),
        Err(Error::ReadOnly { .. })
    ));
    assert_eq!(fs::read(&journal).unwrap(), bytes);
}

#[test]
fn a_directory_that_is_not_a_data_directory_or_is_newer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let rest = Options { read_only: true, ..Options::default() };
    assert!(matches!(Engine::open(dir.path(), rest), Err(Error::Unusable { .. })));
    fs::write(dir.path().join("DAYBOOK"), r#"{"daybook":99}"#).unwrap();
    let error = Engine::open(dir.path(), Options::default()).unwrap_err();
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[test]
fn a_busy_log_says_so_and_stores_nothing_of_the_batch() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { queue_bytes_max: 1, ..Options::default() };
    let engine = Engine::open(dir.path(), options).unwrap();
    let many: Vec<String> = (0..20_000).map(|i| line("s", i, "x")).collect();
    let threads: Vec<_> = (0..8)
        .map(|t| {
            let (engine, many) = (engine.clone(), many.clone());
            std::thread::spawn(move || {
                let lines: Vec<String> =
                    many.iter().map(|l| l.replace("\"s\"", &format!("\"s{t}\""))).collect();
                let mut busy = 0u64;
                loop {
                    match engine.append_blocking(batch(&lines)) {
                        Ok(ack) => break (busy, ack.accepted),
                        Err(Error::Busy { .. }) => {
                            busy += 1;
                            std::thread::yield_now();
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    let answers: Vec<(u64, u64)> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    assert!(answers.iter().all(|(_, accepted)| *accepted == 20_000));
    assert!(answers.iter().any(|(busy, _)| *busy > 0), "nobody was ever told to wait");
    assert_eq!(stored(&engine.snapshot()).len(), 160_000);
}

/// Cuts the journal at every length: what is whole stays, the rest is reported, and the log goes on.
/// Without the Merkle log, which knows that these tails were whole once.
#[test]
fn a_journal_cut_short_anywhere_keeps_its_whole_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let mut ends = Vec::new();
    {
        let engine = Engine::open(
            dir.path(),
            Options { text_index: false, merkle: false, ..Options::default() },
        )
        .unwrap();
        for i in 0..3 {
            append(&engine, &[line("s", i, "a"), line("t", i, "b")]);
            ends.push(fs::metadata(newest_journal(dir.path())).unwrap().len());
        }
    }
    let journal = newest_journal(dir.path());
    let whole = fs::read(&journal).unwrap();
    // Around each end of a block every length, in between some.
    let near = |len: &usize| {
        *len < 68
            || ends.iter().any(|end| (*end as usize).abs_diff(*len) < 3)
            || len.is_multiple_of(17)
    };
    for len in (0..=whole.len()).rev().filter(near) {
        fs::write(&journal, &whole[..len]).unwrap();
        let options = Options { text_index: false, merkle: false, ..Options::default() };
        let engine = Engine::open(dir.path(), options).unwrap();
        let blocks = ends.iter().filter(|end| **end as usize <= len).count();
        assert_eq!(stored(&engine.snapshot()).len(), blocks * 2, "cut at {len}");
        let torn = len >= 64 && !ends.contains(&(len as u64)) && len != 64;
        assert_eq!(engine.stats().unwrap().findings.len(), usize::from(torn), "cut at {len}");
        assert_eq!(append(&engine, &[line("u", 0, "c")]).accepted, 1);
        drop(engine);
        let journal = newest_journal(dir.path());
        fs::remove_file(journal).unwrap();
        let _ = fs::remove_dir_all(dir.path().join("catalog"));
    }
}

/// Flips a bit in every byte: the log is never wrong in silence.
#[test]
fn a_flipped_bit_in_the_journal_is_reported_and_what_is_whole_stays_readable() {
    let dir = tempfile::tempdir().unwrap();
    {
        let engine =
            Engine::open(dir.path(), Options { text_index: false, ..Options::default() }).unwrap();
        for i in 0..3 {
            append(&engine, &[line("s", i, "a")]);
        }
    }
    let journal = newest_journal(dir.path());
    let whole = fs::read(&journal).unwrap();
    let good: Vec<String> = (0..3).map(|i| line("s", i, "a")).collect();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&journal, &bytes).unwrap();
        let _ = fs::remove_dir_all(dir.path().join("catalog"));
        let rest = Options { read_only: true, text_index: false, ..Options::default() };
        let engine = Engine::open(dir.path(), rest).unwrap();
        let found = stored(&engine.snapshot());
        // A byte of the file's header is put right by its checksum; a block is lost as a whole.
        assert_eq!(found.len(), if at < 64 { 3 } else { 2 }, "flip at {at}");
        assert!(found.values().all(|line| good.contains(line)));
        assert_eq!(engine.stats().unwrap().findings.len(), 1, "flip at {at}");
    }
    // In the middle it is damage: the directory opens, but takes nothing more until it is mended.
    let mut bytes = whole.clone();
    bytes[64 + 70] ^= 1;
    fs::write(&journal, &bytes).unwrap();
    let engine =
        Engine::open(dir.path(), Options { text_index: false, ..Options::default() }).unwrap();
    assert!(engine.read_only_reason().unwrap().contains("is damaged from byte 64"));
    assert_eq!(fs::read(&journal).unwrap(), bytes);
}

/// Every index can be made again from the log, so damage to one loses nothing and stops nothing.
#[test]
fn damaged_indexes_are_made_again_or_done_without() {
    let dir = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..50).map(|i| line("s", i, "word")).collect();
    {
        let engine = Engine::open(dir.path(), Options::default()).unwrap();
        append(&engine, &lines[..30]);
        engine.seal_now().unwrap();
        append(&engine, &lines[30..]);
        engine.close().unwrap();
    }
    fn spoil(dir: &Path) -> usize {
        let mut spoilt = 0;
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                spoilt += spoil(&path);
            } else if path.ends_with("meta.json") {
                fs::write(&path, b"nonsense").unwrap();
                spoilt += 1;
            }
        }
        spoilt
    }
    assert_eq!(spoil(dir.path()), 3, "the catalog, the segment's and the journal's text index");
    let word = Narrow::Word(Fields::Any, WordShape::Is("word".to_owned()));
    for _ in 0..2 {
        let engine = Engine::open(dir.path(), Options::default()).unwrap();
        let snapshot = engine.snapshot();
        assert_eq!(stored(&snapshot).len(), 50);
        assert_eq!(snapshot.sessions.get("s").unwrap().unwrap().state.events, 50);
        for part in &snapshot.parts {
            // Nothing is ruled out that may match.
            assert!(part.narrow(&word).unwrap().is_none_or(|o| o.len() == part.len() as usize));
        }
        assert_eq!(append(&engine, &lines).duplicates, 50);
        engine.seal_now().unwrap();
        engine.close().unwrap();
    }
}

#[test]
fn many_new_sessions_are_committed_before_anything_is_sealed() {
    let options = || Options { fresh_sessions_max: 100, ..Options::default() };
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), options()).unwrap();
    let lines: Vec<String> = (0..250).map(|n| line(&format!("s{n}"), 0, "a")).collect();
    let list = |engine: &Engine| {
        let request = ListRequest {
            filter: SessionFilter::All,
            sort: Sort { by: SortFact::Number(NumberFact::Started), descending: true },
            after: None,
            limit: 1_000,
        };
        let page = engine.snapshot().sessions.list(&request).unwrap();
        let events = |session: &Session| (session.id.to_string(), session.state.events);
        (page.count, page.items.iter().map(events).collect::<BTreeMap<_, _>>())
    };
    let covered = || -> u64 {
        let meta = fs::read(dir.path().join("catalog/meta.json")).unwrap();
        // A checksum follows.
        let mut values = serde_json::Deserializer::from_slice(&meta).into_iter();
        let meta: serde_json::Value = values.next().unwrap().unwrap();
        meta["payload"].as_str().map_or(0, |payload| payload.parse().unwrap())
    };
    append(&engine, &lines[..99]);
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(covered(), 0, "fewer wait for a seal");
    append(&engine, &lines[99..]);
    while covered() < 250 {
        std::thread::sleep(Duration::from_millis(10));
    }
    // Some change again, and are only in memory then.
    append(&engine, &[line("s7", 1, "b"), line("new", 0, "c")]);
    let before = list(&engine);
    assert_eq!((before.0, before.1.len()), (251, 251));
    assert_eq!((before.1["s7"], before.1["s8"], before.1["new"]), (2, 1, 1));
    engine.kill();
    drop(engine);
    assert_eq!(fs::read_dir(dir.path().join("segments")).unwrap().count(), 0, "nothing is sealed");
    assert_eq!(list(&Engine::open(dir.path(), options()).unwrap()), before);
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<(u8, u8, u8)>),
    Seal,
    Reopen,
    LoseCatalog,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let event = (0u8..6, 0u8..40, 0u8..2);
    let step = prop_oneof![
        6 => prop::collection::vec(event, 1..30).prop_map(Step::Append),
        2 => Just(Step::Seal),
        2 => Just(Step::Reopen),
        1 => Just(Step::LoseCatalog),
    ];
    prop::collection::vec(step, 1..14)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a map: the first content of a `(session, seq)` stays, whatever is sealed or restarted.
    #[test]
    fn the_log_is_a_map_that_only_grows(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { index_heap_bytes: 16 << 20, ..Options::default() };
        let mut engine = Engine::open(dir.path(), options.clone()).unwrap();
        let mut model: BTreeMap<(String, u32), String> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Append(events) => {
                    let lines: Vec<String> = events
                        .iter()
                        .map(|(s, seq, text)| line(&format!("s{s}"), u32::from(*seq), &format!("t{text}")))
                        .collect();
                    let (mut accepted, mut duplicates, mut conflicts) = (0, 0, 0);
                    for ((s, seq, _), line) in events.iter().zip(&lines) {
                        match model.get(&(format!("s{s}"), u32::from(*seq))) {
                            None => {
                                model.insert((format!("s{s}"), u32::from(*seq)), line.clone());
                                accepted += 1;
                            }
                            Some(old) if old == line => duplicates += 1,
                            Some(_) => conflicts += 1,
                        }
                    }
                    let ack = append(&engine, &lines);
                    prop_assert_eq!((ack.accepted, ack.duplicates, ack.rejected.len()), (accepted, duplicates, conflicts));
                }
                Step::Seal => engine.seal_now().unwrap(),
                Step::Reopen | Step::LoseCatalog => {
                    engine.close().unwrap();
                    drop(engine);
                    if matches!(step, Step::LoseCatalog) {
                        // It may not be there: it is written when a journal is sealed.
                        let _ = fs::remove_dir_all(dir.path().join("catalog"));
                    }
                    engine = Engine::open(dir.path(), options.clone()).unwrap();
                }
            }
            let snapshot = engine.snapshot();
            prop_assert_eq!(&stored(&snapshot), &model);
            prop_assert_eq!(snapshot.events(), model.len() as u64);
            for s in 0..6 {
                let id = format!("s{s}");
                let expected: Vec<u32> = model.keys().filter(|k| k.0 == id).map(|k| k.1).collect();
                let session = snapshot.sessions.get(&id).unwrap();
                prop_assert_eq!(session.as_ref().map_or(0, |s| s.state.events), expected.len() as u64);
                let mut found = Vec::new();
                for part in &snapshot.parts {
                    let Some(run) = part.session(&id).unwrap() else { continue };
                    prop_assert_eq!(Some(run.key), session.as_ref().map(|s| s.key));
                    let seqs: Vec<Seq> = run.ordinals.iter().map(|o| part.facts(o).unwrap().seq).collect();
                    prop_assert!(seqs.is_sorted());
                    found.extend(seqs.into_iter().map(|s| s.0));
                }
                found.sort_unstable();
                prop_assert_eq!(found, expected);
            }
        }
    }
}

/// Who sent what stands beside each event, and nobody goes on in another's session.
#[test]
fn a_session_is_its_producers_and_each_event_says_who_sent_it_and_when() {
    let sender = |producer: &str, any_session| {
        let producer = producer.into();
        Some(Arc::new(Sender { producer, any_session, ..Sender::default() }))
    };
    let send = |engine: &Engine, sender: Option<Arc<Sender>>, session: &str, seq: u32| {
        let mut batch = Batch::of(sender);
        let line = format!(
            r#"{{"session":"{session}","seq":{seq},"time":"2026-03-01T10:00:00Z","kind":"command","input":"ls"}}"#
        );
        batch.push(1, line.as_bytes()).unwrap();
        let ack = engine.append_blocking(batch).unwrap();
        ack.rejected.first().map_or(Ok(ack.accepted), |refused| Err(refused.error.clone()))
    };
    let dir = tempfile::tempdir().unwrap();
    let began = Micros::now();
    for round in 0..3 {
        // In one journal, from a segment, and after a restart.
        let engine = Engine::open(dir.path(), Options::default()).unwrap();
        let seq = round * 10;
        assert_eq!(send(&engine, sender("east", false), "s", seq), Ok(1));
        let refused = send(&engine, sender("west", false), "s", seq + 1).unwrap_err();
        assert!(refused.contains("begun by another producer"), "{refused}");
        assert_eq!(send(&engine, sender("west", true), "s", seq + 2), Ok(1));
        assert_eq!(send(&engine, None, "s", seq + 3), Ok(1));
        // What nobody is known to have begun is anybody's.
        assert_eq!(send(&engine, None, "free", seq), Ok(1));
        assert_eq!(send(&engine, sender("west", false), "free", seq + 1), Ok(1));
        if round == 0 {
            engine.seal_now().unwrap();
            assert!(send(&engine, sender("west", false), "s", 9).is_err());
        }
        engine.close().unwrap();
    }
    let engine = Engine::open(dir.path(), Options::default()).unwrap();
    let mut seen = Vec::new();
    for part in &engine.snapshot().parts {
        part.read(&Ordinals::Range(0..part.len()), None, &mut |_, record| {
            assert!(record.received >= began && record.received <= Micros::now());
            seen.push((record.event().unwrap().session.into_owned(), record.producer.to_owned()));
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    }
    let count = |session: &str, producer: &str| {
        seen.iter().filter(|(s, p)| s == session && p == producer).count()
    };
    assert_eq!(
        [count("s", "east"), count("s", "west"), count("s", ""), count("free", "west")],
        [3; 4]
    );
}

#[test]
fn a_producer_forges_neither_reviews_nor_accesses() {
    let lines = [
        r#"{"session":"s","seq":0,"time":"2026-03-01T10:00:00Z","kind":"review.decision","review":"r","decision":"approved","by":"eve@example.com"}"#,
        r#"{"session":"s","seq":1,"time":"2026-03-01T10:00:00Z","kind":"access","by":"eve@example.com","action":"read","target":"s"}"#,
    ];
    let pushed = |sender: Option<Sender>| {
        let mut batch = Batch::of(sender.map(Arc::new));
        lines.map(|line| batch.push(1, line.as_bytes()).is_ok())
    };
    assert_eq!(pushed(None), [true, true]);
    assert_eq!(pushed(Some(Sender::default())), [false, false]);
    assert_eq!(pushed(Some(Sender { decides: true, ..Sender::default() })), [true, false]);
    assert_eq!(pushed(Some(Sender { audits: true, ..Sender::default() })), [false, true]);
}

/// A producer that numbers its events can't know that a reviewer decided meanwhile: its next number has to be free.
#[test]
fn what_daybook_writes_into_a_session_takes_no_number_of_its_producer() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Engine::open(dir.path(), Options { merge: false, ..Options::default() }).unwrap();
    let decide = |engine: &Engine| {
        let line = r#"{"session":"s","time":"2026-03-01T10:00:00Z","kind":"review.decision","review":"r","decision":"approved"}"#;
        let mut batch = Batch::apart();
        batch.push(1, line.as_bytes()).unwrap();
        let ack = engine.append_blocking(batch).unwrap();
        assert_eq!((ack.accepted, ack.rejected.len()), (1, 0));
    };
    let unnumbered =
        r#"{"session":"s","time":"2026-03-01T10:00:00Z","kind":"terminal.output","text":"x"}"#;
    let mut engine = open();
    for at in [0, 2] {
        assert_eq!(append(&engine, &[line("s", at, "a")]).accepted, 1);
        decide(&engine);
        assert_eq!(append(&engine, &[unnumbered.to_owned()]).accepted, 1);
        engine.seal_now().unwrap();
        drop(engine);
        engine = open();
    }
    let numbers: Vec<u32> = stored(&engine.snapshot()).into_keys().map(|(_, seq)| seq).collect();
    let Seq(apart) = daybook_engine::OWN_SEQ_MIN;
    assert_eq!(numbers, [0, 1, 2, 3, apart, apart + 1]);
}

/// A batch of events without numbers is safe to send again with its key: after a cut answer, a seal, a
/// merge, a crash.
#[test]
fn a_batch_with_a_key_is_stored_once_however_often_it_is_sent() {
    let lines = |from: u32| {
        (from..from + 20).map(|i| {
            format!(
                r#"{{"session":"s","time":"2026-03-01T10:00:00Z","kind":"command","input":"ls {i}"}}"#
            )
        })
    };
    let sender = |name: &str| {
        Some(Arc::new(Sender { producer: name.into(), any_session: true, ..Sender::default() }))
    };
    let send = |engine: &Engine, name: &str, key: Option<&str>, lines: Vec<String>| {
        let mut batch = Batch::of(sender(name)).keyed(key.map(Arc::from));
        for (number, line) in (1..).zip(lines) {
            batch.push(number, line.as_bytes()).unwrap();
        }
        let ack = engine.append_blocking(batch).unwrap();
        assert_eq!(ack.rejected, []);
        (ack.accepted, ack.duplicates)
    };
    let dir = tempfile::tempdir().unwrap();
    let options = || Options { merge: false, ..Options::default() };
    let mut engine = Engine::open(dir.path(), options()).unwrap();
    // The first half came through before the connection broke.
    let half: Vec<String> = lines(0).take(10).collect();
    assert_eq!(send(&engine, "a", Some("k1"), half), (10, 0));
    for step in 0..5 {
        let again = send(&engine, "a", Some("k1"), lines(0).collect());
        assert_eq!(again, if step == 0 { (10, 10) } else { (0, 20) });
        match step {
            0 => engine.seal_now().unwrap(),
            1 => {
                engine.kill();
                drop(engine);
                engine = Engine::open(dir.path(), options()).unwrap();
            }
            2 => {
                for batch in 0..3 {
                    assert_eq!(
                        send(&engine, "a", Some(&format!("m{batch}")), lines(0).collect()).0,
                        20
                    );
                    engine.seal_now().unwrap();
                }
                assert!(engine.merge_now().unwrap() > 0);
            }
            3 => {
                engine.close().unwrap();
                drop(engine);
                engine = Engine::open(dir.path(), options()).unwrap();
            }
            _ => {}
        }
    }
    // Another key, another producer, another line, and none at all are other events.
    assert_eq!(send(&engine, "a", Some("k2"), lines(0).collect()), (20, 0));
    assert_eq!(send(&engine, "b", Some("k1"), lines(0).collect()), (20, 0));
    assert_eq!(send(&engine, "a", Some("k1"), lines(100).collect()), (20, 0));
    assert_eq!(send(&engine, "a", None, lines(0).collect()), (20, 0));
    assert_eq!(send(&engine, "a", None, lines(0).collect()), (20, 0));
    engine.close().unwrap();
    drop(engine);
    let disk: daybook_engine::disk::SharedDisk = Arc::new(daybook_engine::disk::RealDisk);
    let report = daybook_engine::verify::verify(&disk, dir.path(), &Default::default()).unwrap();
    assert!(report.is_well(), "{:#?}", report.findings);
}
