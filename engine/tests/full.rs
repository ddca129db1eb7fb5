//! A disk that is full: nothing that was acknowledged is lost, reads go on, and events are taken again
//! by themselves once there is room.
//!
//! On a real file system of a few MiB, where this process may mount one; otherwise the tests say so and
//! pass.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

use daybook_engine::disk::sim::SimDisk;
use daybook_engine::view::Ordinals;
use daybook_engine::{Ack, Batch, Engine, Error, Options};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A file system in memory that is mounted as long as it lives.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount(mib: u32) -> Option<Tmpfs> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"])
            .arg(dir.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: this process may not mount a file system of its own");
            return None;
        }
        Some(Tmpfs(dir))
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// Takes room until this many KiB are left.
    fn fill(&self, left_kib: u64) -> PathBuf {
        let path = self.0.path().join("ballast");
        let mut file = File::options().create(true).append(true).open(&path).unwrap();
        let free = |path: &Path| {
            let stat = rustix::fs::statvfs(path).unwrap();
            stat.f_bavail * stat.f_frsize
        };
        while free(self.0.path()) >= (left_kib + 4) << 10 {
            file.write_all(&[7; 4096]).unwrap();
        }
        path
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn options() -> Options {
    Options {
        journal_bytes_max: 2 << 20,
        index_heap_bytes: 16 << 20,
        index_bytes_max: 256 << 10,
        free_bytes_min: 0,
        ..Options::default()
    }
}

/// Words that compress badly, so that a few batches fill the disk.
fn line(session: u32, seq: u32) -> String {
    let mut x = u64::from(session) << 32 | u64::from(seq) | 1;
    let mut text = String::new();
    for _ in 0..60 {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("{:x} ", x >> 16));
    }
    format!(
        r#"{{"session":"s{session}","seq":{seq},"time":"2026-03-01T10:00:00Z","kind":"terminal.output","text":"{text}"}}"#
    )
}

fn send(engine: &Engine, session: u32, seqs: std::ops::Range<u32>) -> Result<Ack, Error> {
    let mut batch = Batch::new();
    for seq in seqs {
        batch.push(1, line(session, seq).as_bytes()).unwrap();
    }
    engine.append_blocking(batch)
}

/// The events that are stored, each once.
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

fn within(limit: Duration, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "it did not recover");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Appends until the disk is full; answers what was acknowledged and the next batch's number.
fn fill_by_appending(engine: &Engine, acked: &mut BTreeSet<(String, u32)>, from: u32) -> u32 {
    for batch in from.. {
        let (session, first) = (batch % 7, batch / 7 * 50);
        match send(engine, session, first..first + 50) {
            Ok(ack) => {
                assert!(ack.rejected.is_empty(), "{:?}", ack.rejected);
                acked.extend((first..first + 50).map(|seq| (format!("s{session}"), seq)));
            }
            Err(Error::Full { what }) => {
                assert!(what.contains("free") || what.contains("space"), "{what}");
                return batch;
            }
            Err(Error::Busy { .. }) => panic!("one batch waits at a time"),
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!()
}

#[test]
fn a_write_that_finds_no_room_is_taken_back_and_goes_through_once_there_is_room() {
    for text_index in [false, true] {
        let Some(disk) = Tmpfs::mount(24) else { return };
        let options = Options { text_index, ..options() };
        let engine = Engine::open(&disk.data(), options.clone()).unwrap();
        let mut acked = BTreeSet::new();
        send(&engine, 0, 0..50).unwrap();
        acked.extend((0..50).map(|seq| ("s0".to_owned(), seq)));
        let mut batch = 7;
        for round in 0..4 {
            // At other places within a page each time.
            let ballast = disk.fill(300 + 37 * round);
            batch = fill_by_appending(&engine, &mut acked, batch);
            assert!(engine.full_reason().is_some() && engine.read_only_reason().is_none());
            // Reads go on, and what was refused is not there.
            assert_eq!(stored(&engine), acked);
            assert!(engine.snapshot().sessions.count().unwrap() > 0);
            fs::remove_file(ballast).unwrap();
            within(Duration::from_secs(20), || engine.full_reason().is_none());
            // The very batch that was refused.
            let (session, first) = (batch % 7, batch / 7 * 50);
            let ack = send(&engine, session, first..first + 50).unwrap();
            assert_eq!((ack.accepted, ack.duplicates, ack.rejected.len()), (50, 0, 0));
            acked.extend((first..first + 50).map(|seq| (format!("s{session}"), seq)));
            batch += 1;
        }
        assert_eq!(stored(&engine), acked);
        within(Duration::from_secs(30), || engine.seal_now().is_ok());
        assert_eq!(stored(&engine), acked);
        engine.close().unwrap();
        drop(engine);
        let engine = Engine::open(&disk.data(), options).unwrap();
        assert!(engine.stats().unwrap().findings.is_empty());
        assert_eq!(stored(&engine), acked);
    }
}

#[test]
fn what_waits_in_the_background_recovers_by_itself_too() {
    let Some(disk) = Tmpfs::mount(48) else { return };
    let engine = Engine::open(&disk.data(), options()).unwrap();
    let mut acked = BTreeSet::new();
    for batch in 0..40 {
        send(&engine, batch, 0..50).unwrap();
        acked.extend((0..50).map(|seq| (format!("s{batch}"), seq)));
    }
    let ballast = disk.fill(8);
    assert!(engine.seal_now().is_err(), "there was no room to seal in");
    assert_eq!(stored(&engine), acked);
    fs::remove_file(ballast).unwrap();
    within(Duration::from_secs(30), || engine.seal_now().is_ok());
    let stats = engine.stats().unwrap();
    assert!(stats.segments > 0 && stats.read_only.is_none());
    assert_eq!(stats.indexed_through, stats.next_offset);
    assert_eq!(stored(&engine), acked);
}

#[test]
fn events_stop_at_the_floor_and_sealing_goes_on_below_it() {
    let Some(disk) = Tmpfs::mount(64) else { return };
    // A twentieth of the disk: 3.2 MiB.
    let options = Options { free_bytes_min: 256 << 20, ..options() };
    let engine = Engine::open(&disk.data(), options).unwrap();
    send(&engine, 0, 0..50).unwrap();
    let ballast = disk.fill(3_000);
    let refused = send(&engine, 0, 50..60).unwrap_err();
    assert!(matches!(&refused, Error::Full { .. }), "{refused}");
    assert!(refused.to_string().contains("are kept free"), "{refused}");
    // Sealing may use the rest.
    engine.seal_now().unwrap();
    assert_eq!(stored(&engine).len(), 50);
    fs::remove_file(ballast).unwrap();
    within(Duration::from_secs(5), || send(&engine, 0, 50..60).is_ok());
    assert_eq!(stored(&engine).len(), 60);
}

#[test]
fn many_who_wait_all_hear_it() {
    let Some(disk) = Tmpfs::mount(16) else { return };
    let engine = Engine::open(&disk.data(), Options { text_index: false, ..options() }).unwrap();
    send(&engine, 99, 0..10).unwrap();
    let ballast = disk.fill(200);
    let threads: Vec<_> = (0..8)
        .map(|session| {
            let engine = Arc::clone(&engine);
            std::thread::spawn(move || {
                let mut acked = 0;
                for seq in 0.. {
                    match send(&engine, session, seq * 10..seq * 10 + 10) {
                        Ok(ack) => acked += ack.accepted,
                        Err(Error::Full { .. }) => return acked,
                        Err(error) => panic!("{error}"),
                    }
                }
                acked
            })
        })
        .collect();
    let acked: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(stored(&engine).len() as u64, acked + 10);
    fs::remove_file(ballast).unwrap();
    within(Duration::from_secs(10), || send(&engine, 99, 10..20).is_ok());
}

/// On a disk in memory, whose every operation is known: the write that finds no room stops at any
/// byte, and the power may go at any moment after.
#[test]
fn a_crash_after_a_write_that_found_no_room_loses_nothing_that_was_acked() {
    for seed in 0..12_u64 {
        let disk = SimDisk::new();
        let options = || Options {
            disk: disk.shared(),
            text_index: seed % 2 == 0,
            merkle: seed % 3 == 0,
            ..options()
        };
        let engine = Engine::open(Path::new("/data"), options()).unwrap();
        let mut acked = BTreeSet::new();
        send(&engine, 0, 0..50).unwrap();
        acked.extend((0..50).map(|seq| ("s0".to_owned(), seq)));
        disk.set_capacity(Some(disk.used_bytes() + 20_000 + seed * 1_337));
        let batch = fill_by_appending(&engine, &mut acked, 7);
        assert_eq!(stored(&engine), acked);
        let crashed = disk.crash(disk.operations(), seed);
        disk.set_capacity(None);
        within(Duration::from_secs(10), || engine.full_reason().is_none());
        let (session, first) = (batch % 7, batch / 7 * 50);
        send(&engine, session, first..first + 50).unwrap();
        assert_eq!(stored(&engine).len(), acked.len() + 50);
        let after = disk.crash(disk.operations(), seed);
        drop(engine);
        for (crashed, more) in [(crashed, 0), (after, 50)] {
            let options = Options { disk: crashed.shared(), ..options() };
            let engine = Engine::open(Path::new("/data"), options).unwrap();
            assert_eq!(engine.read_only_reason(), None, "seed {seed}");
            let found = stored(&engine);
            assert!(found.is_superset(&acked), "seed {seed}");
            assert!(found.len() <= acked.len() + 50 && found.len() >= acked.len() + more);
        }
    }
}
