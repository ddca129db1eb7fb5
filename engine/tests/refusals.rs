//! A data directory that can't be used is refused at the start, with what to do; nothing in it changes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

use daybook_engine::{Batch, Engine, FORMAT_VERSION, Options};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn options() -> Options {
    Options { index_heap_bytes: 16 << 20, ..Options::default() }
}

/// A log with a segment and a journal.
fn log(dir: &Path) {
    let engine = Engine::open(dir, options()).unwrap();
    for seq in 0..2 {
        let mut batch = Batch::new();
        let line = format!(
            r#"{{"session":"s","seq":{seq},"time":"2026-03-01T10:00:00Z","kind":"terminal.output","text":"x"}}"#
        );
        batch.push(1, line.as_bytes()).unwrap();
        engine.append_blocking(batch).unwrap();
        if seq == 0 {
            engine.seal_now().unwrap();
        }
    }
    engine.close().unwrap();
}

fn refused(dir: &Path, read_only: bool) -> String {
    Engine::open(dir, Options { read_only, ..options() }).unwrap_err().to_string()
}

fn segment(dir: &Path) -> PathBuf {
    fs::read_dir(dir.join("segments")).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn a_file_system_that_is_read_only_is_named_and_can_still_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let mount = |options: &str| {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(dir.path())
            .output();
        mounted.is_ok_and(|output| output.status.success())
    };
    if !mount("size=32m") {
        eprintln!("skipped: this process may not mount a file system of its own");
        return;
    }
    let data = dir.path().join("data");
    log(&data);
    assert!(mount("remount,ro,size=32m"));
    let said = refused(&data, false);
    let rest = Engine::open(&data, Options { read_only: true, ..options() }).unwrap();
    let events = rest.snapshot().events();
    drop(rest);
    let fresh = refused(&dir.path().join("new"), false);
    assert!(Command::new("umount").arg("-l").arg(dir.path()).status().unwrap().success());
    assert!(said.contains("its file system is read-only") && said.contains("--data"), "{said}");
    assert!(fresh.contains("its file system is read-only"), "{fresh}");
    assert_eq!(events, 2);
}

#[test]
fn a_directory_that_another_process_has_open_is_refused_with_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), options()).unwrap();
    let said = refused(dir.path(), false);
    assert!(said.contains("another daybook") && said.contains("has it open"), "{said}");
    // Where the system lists its locks, and this process is seen by the number that it knows.
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let number = std::process::id().to_string();
    if locks.lines().any(|line| line.split_whitespace().any(|word| word == number)) {
        assert!(said.contains(&format!("(process {number})")), "{said}");
    }
    assert!(refused(dir.path(), true).contains("has it open"));
    drop(engine);
    Engine::open(dir.path(), options()).unwrap();
}

#[test]
fn a_directory_of_another_version_is_refused_with_the_version_to_use() {
    let dir = tempfile::tempdir().unwrap();
    log(dir.path());
    for (version, part) in
        [(FORMAT_VERSION + 1, "a newer version"), (FORMAT_VERSION - 1, "an older version")]
    {
        fs::write(dir.path().join("DAYBOOK"), format!("{{\"daybook\":{version}}}")).unwrap();
        for read_only in [false, true] {
            let said = refused(dir.path(), read_only);
            assert!(said.contains(part) && said.contains("that version"), "{said}");
        }
    }
    fs::write(dir.path().join("DAYBOOK"), "?").unwrap();
    assert!(refused(dir.path(), false).contains("DAYBOOK is damaged"));
}

#[test]
fn a_directory_that_misses_a_part_is_refused_and_stays_refused() {
    for (part, said) in
        [("DAYBOOK", "its file DAYBOOK is missing"), ("journal", "`journal` is missing")]
    {
        let dir = tempfile::tempdir().unwrap();
        log(dir.path());
        let (there, aside) = (dir.path().join(part), dir.path().join("aside"));
        fs::rename(&there, &aside).unwrap();
        for _ in 0..2 {
            let error = refused(dir.path(), false);
            assert!(error.contains(said), "{error}");
            // At rest, what is no data directory is not told from one that misses its marker.
            assert!(refused(dir.path(), true).contains(part));
        }
        fs::rename(&aside, &there).unwrap();
        assert_eq!(Engine::open(dir.path(), options()).unwrap().snapshot().events(), 2);
    }
}

#[test]
fn a_segment_that_misses_a_file_is_never_opened_as_whole() {
    for file in ["segment.json", "index.bin", "events.blk"] {
        let dir = tempfile::tempdir().unwrap();
        log(dir.path());
        fs::remove_file(segment(dir.path()).join(file)).unwrap();
        match Engine::open(dir.path(), options()) {
            Err(error) => assert!(error.to_string().contains(file), "{error}"),
            Ok(engine) => {
                let said = format!(
                    "{:?} {:?}",
                    engine.read_only_reason(),
                    engine.stats().unwrap().findings
                );
                assert!(said.contains(file), "{said}");
            }
        }
    }
}

#[test]
fn a_catalog_that_is_missing_is_made_again_from_the_log() {
    let dir = tempfile::tempdir().unwrap();
    log(dir.path());
    fs::remove_dir_all(dir.path().join("catalog")).unwrap();
    for read_only in [true, false] {
        let engine = Engine::open(dir.path(), Options { read_only, ..options() }).unwrap();
        let session = engine.snapshot().sessions.get("s").unwrap().unwrap();
        assert_eq!((session.state.events, engine.snapshot().events()), (2, 2));
    }
}
