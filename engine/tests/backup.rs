//! A backup holds what was acknowledged before it began, and nothing broken; what is broken is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use daybook_engine::view::Ordinals;
use daybook_engine::{Batch, Engine, Error, Options};
use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn options() -> Options {
    Options {
        journal_bytes_max: 64 << 10,
        index_bytes_max: 64 << 10,
        index_heap_bytes: 16 << 20,
        ..Options::default()
    }
}

fn send(engine: &Engine, session: u32, seqs: std::ops::Range<u32>) {
    let mut batch = Batch::new();
    for seq in seqs {
        let line = format!(
            r#"{{"session":"s{session}","seq":{seq},"time":"2026-03-01T10:00:00Z","kind":"terminal.output","text":"line {seq} of session {session}"}}"#
        );
        batch.push(1, line.as_bytes()).unwrap();
    }
    let accepted = batch.len() as u64;
    assert_eq!(engine.append_blocking(batch).unwrap().accepted, accepted);
}

fn stored(engine: &Engine) -> BTreeSet<(String, u32)> {
    let mut all = BTreeSet::new();
    for part in &engine.snapshot().parts {
        part.read(&Ordinals::Range(0..part.len()), None, &mut |_, record| {
            let event = (record.event()?.session.into_owned(), record.seq.0);
            assert!(all.insert(event.clone()), "{event:?} twice");
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    }
    all
}

/// Every file below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

#[test]
fn a_backup_under_load_has_every_event_that_was_acked_before_and_goes_on_as_a_log() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let engine = Engine::open(&at("data"), options()).unwrap();
    let stop = AtomicBool::new(false);
    let rounds = std::thread::scope(|scope| {
        for session in 0..3 {
            let (engine, stop) = (&engine, &stop);
            scope.spawn(move || {
                for round in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    send(engine, session, round * 40..round * 40 + 40);
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
        }
        let mut rounds = Vec::new();
        for round in 0..3 {
            std::thread::sleep(Duration::from_millis(150));
            let acked = stored(&engine);
            let report = engine.backup(&at(&format!("backup-{round}"))).unwrap();
            assert!(report.events >= acked.len() as u64);
            rounds.push((acked, report));
        }
        stop.store(true, Ordering::Relaxed);
        rounds
    });
    let all = stored(&engine);
    let mut sealed = 0;
    for (round, (acked, report)) in rounds.into_iter().enumerate() {
        let target = at(&format!("restored-{round}"));
        let restored = Engine::restore(&report.path, &target, options()).unwrap();
        assert_eq!(
            (restored.events, restored.files, &restored.created),
            (report.events, report.files, &report.created)
        );
        // It is a log like any other: it takes events, seals and finds.
        let log = Engine::open(&target, options()).unwrap();
        assert_eq!(log.read_only_reason(), None);
        assert!(log.stats().unwrap().findings.is_empty());
        let found = stored(&log);
        assert!(found.is_superset(&acked) && found.is_subset(&all));
        assert_eq!(found.len() as u64, report.events);
        assert_eq!(log.stats().unwrap().sessions, 3);
        send(&log, 77, 0..5);
        log.seal_now().unwrap();
        assert_eq!(stored(&log).len(), found.len() + 5);
        sealed += log.stats().unwrap().segments;
    }
    assert!(sealed > 3, "the backups held no segments: the test tests too little");
    // The log that was backed up has lost nothing.
    engine.seal_now().unwrap();
    assert_eq!(stored(&engine), all);
}

#[test]
fn a_log_at_rest_is_backed_up_and_its_backup_is_not_touched_by_what_is_restored() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let engine = Engine::open(&at("data"), options()).unwrap();
    send(&engine, 0, 0..100);
    engine.seal_now().unwrap();
    send(&engine, 0, 100..110);
    engine.close().unwrap();
    drop(engine);
    let rest = Engine::open(&at("data"), Options { read_only: true, ..options() }).unwrap();
    let report = rest.backup(&at("backup")).unwrap();
    assert_eq!(report.events, 110);
    let before: Vec<Vec<u8>> =
        files(&at("backup")).iter().map(|file| fs::read(file).unwrap()).collect();
    Engine::restore(&at("backup"), &at("restored"), options()).unwrap();
    let log = Engine::open(&at("restored"), options()).unwrap();
    send(&log, 0, 110..200);
    log.seal_now().unwrap();
    let after: Vec<Vec<u8>> =
        files(&at("backup")).iter().map(|file| fs::read(file).unwrap()).collect();
    assert_eq!(before, after);
}

#[test]
fn a_backup_of_which_any_file_was_changed_or_is_missing_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let engine = Engine::open(&at("data"), options()).unwrap();
    send(&engine, 0, 0..100);
    engine.seal_now().unwrap();
    send(&engine, 1, 0..10);
    engine.backup(&at("backup")).unwrap();
    engine.close().unwrap();
    for file in files(&at("backup")) {
        if file.ends_with("backup.json") {
            continue;
        }
        // The file may be one with the log's: it is put back by another name, as an archive would.
        let bytes = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        let missing = Engine::restore(&at("backup"), &at("restored"), options()).unwrap_err();
        let mut bad = bytes.clone();
        if let Some(byte) = bad.last_mut() {
            *byte ^= 1;
            fs::write(&file, &bad).unwrap();
            let changed = Engine::restore(&at("backup"), &at("restored"), options()).unwrap_err();
            assert!(matches!(&changed, Error::Corrupt { path, .. } if *path == file), "{changed}");
        }
        fs::write(&file, [bytes.as_slice(), b"x"].concat()).unwrap();
        let longer = Engine::restore(&at("backup"), &at("restored"), options()).unwrap_err();
        for error in [missing, longer] {
            assert!(matches!(&error, Error::Corrupt { path, .. } if *path == file), "{error}");
        }
        assert!(fs::read_dir(at("restored")).unwrap().next().is_none(), "something was left");
        fs::write(&file, &bytes).unwrap();
    }
    Engine::restore(&at("backup"), &at("restored"), options()).unwrap();
    // A path that leads out of the backup.
    let manifest = at("backup").join("backup.json");
    let text = fs::read_to_string(&manifest).unwrap().replace("\"catalog/", "\"../catalog/");
    fs::write(&manifest, text).unwrap();
    let error = Engine::restore(&at("backup"), &at("other"), options()).unwrap_err();
    assert!(error.to_string().contains("is no file of a backup"), "{error}");
    // Not finished.
    fs::remove_file(&manifest).unwrap();
    let error = Engine::restore(&at("backup"), &at("other"), options()).unwrap_err();
    assert!(error.to_string().contains("not a finished backup"), "{error}");
}

#[test]
fn a_place_that_is_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let engine = Engine::open(&at("data"), options()).unwrap();
    send(&engine, 0, 0..10);
    let refused = |to: &Path| engine.backup(to).unwrap_err().to_string();
    assert!(refused(&at("data").join("backup")).contains("in the data directory"));
    assert!(refused(&at("data")).contains("in the data directory"));
    fs::create_dir(at("full")).unwrap();
    fs::write(at("full").join("mine"), "x").unwrap();
    assert!(refused(&at("full")).contains("is not empty"));
    assert!(refused(&at("full").join("mine")).contains("is a file"));
    let to = at("backup");
    engine.backup(&to).unwrap();
    let error = Engine::restore(&to, &at("full"), options()).unwrap_err();
    assert!(error.to_string().contains("is not empty"), "{error}");
    assert_eq!(fs::read_to_string(at("full").join("mine")).unwrap(), "x");
    let error = Engine::restore(&to, &to.join("in"), options()).unwrap_err();
    assert!(error.to_string().contains("in the backup"), "{error}");
}
