//! Faults while the engine runs: no acknowledgement that does not hold, and no wrong answer.

use super::check;
use super::model::{Model, Name, batch};
use super::workload::{DIR, line, options};
use daybook_engine::disk::sim::{Fault, Kind, Random, Rule, SimDisk};
use daybook_engine::view::Ordinals;
use daybook_engine::{Ack, Engine, Error};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn open(disk: &SimDisk) -> Arc<Engine> {
    Engine::open(Path::new(DIR), options(disk)).unwrap()
}

/// Sends the next events of a session, and takes down when they were acknowledged.
fn append(
    engine: &Engine,
    disk: &SimDisk,
    model: &mut Model,
    seqs: std::ops::Range<u32>,
) -> Result<Ack, Error> {
    let name = |seq| (format!("s{}", seq % 5), seq);
    let events: Vec<(Name, String)> = seqs.map(|seq| (name(seq), line(&name(seq), 0))).collect();
    model.send(&events, disk.operations());
    let ack = engine.append_blocking(batch(events.iter().map(|(_, line)| line.as_str())))?;
    assert_eq!(ack.accepted + ack.duplicates, events.len() as u64);
    model.acked(&events, disk.operations());
    Ok(ack)
}

/// What an engine finds after the power failed now, for some seeds, and that it goes on.
fn check_crashes(disk: &SimDisk, model: &Model) {
    for seed in 0..6 {
        let after = disk.crash(disk.operations(), seed);
        let engine = open(&after);
        check::against(&model.crashed(disk.operations()), 1, &check::whole(&engine.snapshot()));
        assert_eq!(engine.read_only_reason(), None);
        append(&engine, &after, &mut Model::default(), 0..40).unwrap();
        engine.kill();
    }
}

/// A write or a sync of the journal that fails is final: the system may have dropped what it could not
/// write, and a sync that succeeds afterwards says nothing about it.
#[test]
fn a_failed_write_or_sync_acknowledges_nothing_and_the_log_is_read_only() {
    for (kind, after) in [(Kind::Write, 0), (Kind::Write, 3), (Kind::Sync, 0), (Kind::Sync, 3)] {
        let disk = SimDisk::new();
        let mut model = Model::default();
        let engine = open(&disk);
        append(&engine, &disk, &mut model, 0..10).unwrap();
        disk.inject(Rule::new(Fault::Io).on(&[kind]).at(".journal").once_after(after));
        let mut next = 10;
        let refused = loop {
            match append(&engine, &disk, &mut model, next..next + 10) {
                Ok(_) => next += 10,
                Err(error) => break error,
            }
        };
        assert_eq!(next, 10 + 10 * after as u32);
        let Error::ReadOnly { reason } = &refused else { panic!("{refused}") };
        assert!(reason.contains(".journal"), "{reason}");
        // It stays so although the disk is well again, and reads go on.
        let again = append(&engine, &disk, &mut model.clone(), 0..10).unwrap_err();
        assert!(matches!(again, Error::ReadOnly { .. }), "{again}");
        assert_eq!(engine.read_only_reason().as_ref(), Some(reason));
        let found = check::whole(&engine.snapshot());
        assert_eq!(found.len(), next as usize);
        check_crashes(&disk, &model);
        engine.kill();
        drop(engine);
        let engine = open(&disk);
        let found = check::whole(&engine.snapshot());
        check::against(&model, disk.operations(), &found);
    }
}

/// Sealing and committing meet errors at any operation; nothing acknowledged is lost, whatever stops.
#[test]
fn errors_behind_acknowledgements_lose_nothing() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let disk = SimDisk::new();
        let mut model = Model::default();
        let engine = open(&disk);
        append(&engine, &disk, &mut model, 0..30).unwrap();
        let kinds = [Kind::Create, Kind::Write, Kind::Sync, Kind::SyncDir, Kind::Rename];
        let place = *random.pick(&["catalog", "segments", ".text", "merkle"]).unwrap();
        let kind = *random.pick(&kinds).unwrap();
        disk.inject(Rule::new(Fault::Io).on(&[kind]).at(place).once_after(random.below(6)));
        // Whether it fails or not: what was acknowledged is there, and more is taken.
        let _ = engine.seal_now();
        append(&engine, &disk, &mut model, 30..60).unwrap();
        check::against(&model, disk.operations(), &check::whole(&engine.snapshot()));
        check_crashes(&disk, &model);
        disk.heal();
        let sealed = (0..40).any(|_| {
            engine.seal_now().inspect_err(|_| std::thread::sleep(Duration::from_millis(50))).is_ok()
        });
        assert!(sealed, "{seed}: sealing works once {kind:?} in {place} does");
        check::against(&model, disk.operations(), &check::whole(&engine.snapshot()));
        engine.close().unwrap();
        check_crashes(&disk, &model);
    }
}

/// A read that fails is an error, or another way to the same answer.
#[test]
fn a_read_that_fails_is_no_wrong_answer() {
    let disk = SimDisk::new();
    let mut model = Model::default();
    let engine = open(&disk);
    append(&engine, &disk, &mut model, 0..60).unwrap();
    engine.seal_now().unwrap();
    append(&engine, &disk, &mut model, 60..120).unwrap();
    engine.kill();
    drop(engine);
    let well = disk.crash(disk.operations(), 0);
    for seed in 0..60 {
        let disk = well.crash(0, 0);
        let kinds = if seed % 2 == 0 { [Kind::Read, Kind::Map] } else { [Kind::Open, Kind::Look] };
        disk.inject(Rule::new(Fault::Io).on(&kinds).one_in(4 + seed % 32, seed));
        let Ok(engine) = Engine::open(Path::new(DIR), options(&disk)) else { continue };
        for part in &engine.snapshot().parts {
            let _ = part.read(&Ordinals::Range(0..part.len()), None, &mut |_, record| {
                let event = record.event()?;
                let name = (event.session.to_string(), record.seq.0);
                assert_eq!(model.events[&name].line.as_bytes(), record.json);
                Ok(ControlFlow::Continue(()))
            });
        }
        // An event that can't be looked up is refused: never stored twice.
        if engine.read_only_reason().is_none() {
            let _ = engine.append_blocking(batch(model.events.values().map(|e| e.line.as_str())));
        }
        engine.kill();
        drop(engine);
        disk.heal();
        let engine = open(&disk);
        let found = check::whole(&engine.snapshot());
        assert_eq!(found.len(), model.events.len(), "{seed}");
        engine.kill();
    }
}

#[test]
fn short_writes_and_reads_and_a_slow_disk_change_nothing_but_the_time() {
    let disk = SimDisk::new();
    disk.inject(Rule::new(Fault::Short).on(&[Kind::Read, Kind::Write]).one_in(2, 1));
    disk.inject(Rule::new(Fault::Slow(Duration::from_millis(2))).on(&[Kind::Sync]).one_in(4, 2));
    let mut model = Model::default();
    for round in 0..4 {
        let engine = open(&disk);
        append(&engine, &disk, &mut model, round * 50..round * 50 + 50).unwrap();
        engine.seal_now().unwrap();
        append(&engine, &disk, &mut model, round * 50 + 25..round * 50 + 50).unwrap();
        check::against(&model, disk.operations(), &check::whole(&engine.snapshot()));
        engine.close().unwrap();
    }
    assert!(disk.faults() > 50);
    check_crashes(&disk, &model);
}

/// The device goes away in the middle of anything.
#[test]
fn a_device_that_goes_away_takes_nothing_with_it() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let disk = SimDisk::new();
        let mut model = Model::default();
        let engine = open(&disk);
        append(&engine, &disk, &mut model, 0..20).unwrap();
        let kinds = [Kind::Write, Kind::Sync, Kind::Create, Kind::Rename, Kind::SyncDir];
        disk.inject(Rule::new(Fault::Gone).on(&kinds).after(random.below(60)));
        for round in 1..6 {
            if append(&engine, &disk, &mut model, round * 20..round * 20 + 20).is_err() {
                break;
            }
            let _ = engine.seal_now();
        }
        engine.kill();
        drop(engine);
        disk.heal();
        check_crashes(&disk, &model);
    }
}
