//! A feed on a disk that is full in the middle of a file, or whose machine loses its power at any moment: no file that is
//! not whole is ever in a table, and afterwards the table has every row of the log once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use daybook_engine::disk::SharedDisk;
use daybook_engine::disk::sim::SimDisk;
use daybook_engine::{Batch, Engine, Options};
use daybook_query::feed::store::{DiskStore, Store};
use daybook_query::feed::{Error, Feed, Spec};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::sync::{Arc, LazyLock};

const ROOT: &str = "/feed";

/// A log of some segments, which is there once for all cases.
struct Log {
    engine: Arc<Engine>,
    events: u64,
    _dir: tempfile::TempDir,
}

static LOG: LazyLock<Log> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { text_index: false, merge: false, ..Options::default() };
    let engine = Engine::open(dir.path(), options).unwrap();
    let mut events = 0;
    for segment in 0..6 {
        let mut batch = Batch::new();
        for seq in 0..40 {
            let line = format!(
                r#"{{"session":"s-{segment}","seq":{seq},"time":"2026-03-01T10:{segment:02}:{seq:02}Z","kind":"command","input":"select {segment} {seq} {}"}}"#,
                "x".repeat(segment * 37)
            );
            batch.push(1 + seq, line.as_bytes()).unwrap();
            events += 1;
        }
        engine.append_blocking(batch).unwrap();
        engine.seal_now().unwrap();
    }
    Log { engine, events, _dir: dir }
});

fn open(disk: &SharedDisk) -> Result<Feed, Error> {
    let root = Path::new(ROOT);
    let store: Arc<dyn Store> = Arc::new(DiskStore::open(disk, &root.join("events"))?);
    let spec = Spec { merge_fewest: 2, replaced_kept_ms: 0, ..Spec::native() };
    Feed::open(spec, "5f0c7b1e", disk, &root.join(".tmp"), vec![store])
}

/// Writes what is missing from `place` on, and merges after every other unit; answers how far it came.
fn work(feed: &Feed, place: &mut u64) -> Result<(), Error> {
    let log = &LOG.engine;
    let (snapshot, closed) = (log.snapshot(), log.closed_through().0);
    let mut round = 0;
    while let Some(shipped) = feed.ship(&snapshot, *place, closed)? {
        *place = shipped.through;
        round += 1;
        if round % 2 == 0 {
            feed.merge(&snapshot)?;
            feed.sweep()?;
        }
    }
    Ok(())
}

/// The offsets of the table's rows, ascending; each of its files is whole.
fn rows(disk: &SharedDisk, feed: &Feed) -> Vec<u64> {
    let mut rows = Vec::new();
    for (path, live) in &feed.tables()[0].1.state().live {
        let bytes = disk.read(&Path::new(ROOT).join("events").join(path)).unwrap();
        let hash = Sha256::digest(&bytes)
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        assert_eq!(live.add.tags.as_ref().unwrap()["daybook.sha256"], hash, "{path} is whole");
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let offsets = batch.column_by_name("offset").unwrap().as_primitive::<Int64Type>();
            rows.extend(offsets.values().iter().map(|offset| *offset as u64));
        }
    }
    rows.sort_unstable();
    rows
}

fn all() -> Vec<u64> {
    (0..LOG.events).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn after_a_crash_at_any_moment_every_row_is_there_once(
        moment in any::<prop::sample::Index>(),
        seed: u64,
        // How much older what is known of the place may be.
        back in 0..3u64,
    ) {
        let sim = SimDisk::new();
        let disk = sim.shared();
        let feed = open(&disk).unwrap();
        work(&feed, &mut 0).unwrap();
        prop_assert_eq!(rows(&disk, &feed), all());
        let after = moment.index(sim.operations() as usize + 1) as u64;
        let disk = sim.crash(after, seed).shared();
        let feed = open(&disk).unwrap();
        let there = rows(&disk, &feed);
        let mut place = there.last().map_or(0, |last| last + 1).saturating_sub(back * 40);
        work(&feed, &mut place).unwrap();
        prop_assert_eq!(rows(&disk, &feed), all());
    }

    #[test]
    fn a_full_disk_leaves_no_half_file_and_no_gap(room in 0..60_000u64, later in 0..20_000u64) {
        let sim = SimDisk::new();
        let disk = sim.shared();
        let mut place = 0;
        let mut feed = open(&disk).unwrap();
        for room in [room, later] {
            sim.set_capacity(Some(sim.used_bytes() + room));
            let _ = work(&feed, &mut place);
            let seen = rows(&disk, &feed);
            prop_assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "no row is there twice");
            // Another process sees the same.
            sim.set_capacity(None);
            feed = open(&disk).unwrap();
            prop_assert_eq!(rows(&disk, &feed), seen);
        }
        work(&feed, &mut place).unwrap();
        prop_assert_eq!(rows(&disk, &feed), all());
    }
}
