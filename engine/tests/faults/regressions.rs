//! Crashes that once lost something or stopped something.

use super::check;
use super::model::batch;
use super::workload::{DIR, line, options};
use daybook_engine::Engine;
use daybook_engine::disk::sim::{Kind, SimDisk};
use std::path::Path;

fn append(engine: &Engine, seqs: std::ops::Range<u32>) {
    let lines: Vec<String> = seqs.map(|seq| line(&("s".to_owned(), seq), 0)).collect();
    engine.append_blocking(batch(lines.iter().map(String::as_str))).unwrap();
}

/// The directory itself was made, but the name that its parent gives it was not made durable.
#[test]
fn a_new_data_directory_does_not_lose_its_name() {
    let disk = SimDisk::new();
    let dir = Path::new("/var/lib/daybook");
    let engine = Engine::open(dir, options(&disk)).unwrap();
    append(&engine, 0..10);
    for seed in 0..64 {
        let after = disk.crash(disk.operations(), seed);
        let engine = Engine::open(dir, options(&after)).unwrap();
        assert_eq!(check::whole(&engine.snapshot()).len(), 10);
    }
}

/// A journal was created, its length was on the disk and its header was not: the log did not open.
#[test]
fn a_journal_whose_creation_was_cut_short_is_no_damage() {
    let disk = SimDisk::new();
    let engine = Engine::open(Path::new(DIR), options(&disk)).unwrap();
    append(&engine, 0..10);
    engine.seal_now().unwrap();
    let writes: Vec<u64> = (1..=disk.operations())
        .filter(|number| {
            let (kind, path) = disk.operation(*number).unwrap();
            let journal = path.extension().is_some_and(|ending| ending == "journal");
            journal && matches!(kind, Kind::Create | Kind::Write)
        })
        .collect();
    for number in writes {
        for seed in 0..32 {
            let after = disk.crash(number, seed);
            let engine = Engine::open(Path::new(DIR), options(&after)).unwrap();
            assert_eq!(engine.read_only_reason(), None);
            append(&engine, 0..10);
            assert_eq!(check::whole(&engine.snapshot()).len(), 10);
        }
    }
}
