//! Crashes at operations of a workload, and what is found after them.

use super::check;
use super::model::{Model, Name, batch};
use super::workload::{DIR, Run, line, options};
use daybook_engine::disk::RealDisk;
use daybook_engine::disk::sim::{Kind, Random, SimDisk};
use daybook_engine::{Engine, Options};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Crash points of one workload.
const POINTS: u64 = 125;

/// Opens a log that a crash has left, compares it to the model, and goes on with it; `depth` says how
/// often it crashes once more meanwhile.
fn recover(disk: &SimDisk, model: &Model, operation: u64, random: &mut Random, depth: u32) {
    let mut model = model.crashed(operation);
    // Most of a recovery's time is tantivy's: every other one does without.
    let options =
        || Options { text_index: depth > 0 || operation.is_multiple_of(2), ..options(disk) };
    let engine = Engine::open(Path::new(DIR), options()).expect("a log opens after a crash");
    assert_eq!(engine.read_only_reason(), None, "a crash is no damage");
    let found = check::whole(&engine.snapshot());
    check::against(&model, 1, &found);
    check::checkpoints(&model, &engine, &disk.shared(), Path::new(DIR));
    // Whoever has read an event finds it again, whatever comes.
    found.iter().for_each(|(name, line)| model.found(name, line));
    let seen: Vec<(Name, String)> = found.clone().into_iter().collect();
    model.acked(&seen, disk.operations());

    // Producers send again what they have no answer to. Everything is sent, and something else.
    let again: Vec<(Name, String)> =
        model.events.iter().map(|(name, event)| (name.clone(), event.line.clone())).collect();
    let ack = engine.append_blocking(batch(again.iter().map(|(_, line)| line.as_str()))).unwrap();
    assert_eq!(ack.rejected, []);
    assert_eq!(ack.duplicates, found.len() as u64, "what is there is known to be");
    model.acked(&again, disk.operations());
    let new: Vec<(Name, String)> = (0..3)
        .map(|seq| (("after".to_owned(), seq), line(&("after".to_owned(), seq), 0)))
        .collect();
    model.send(&new, disk.operations());
    if let Some((name, first)) = again.first() {
        let other = line(name, u64::from(*first == line(name, 0)));
        let lines = new.iter().map(|(_, line)| line.as_str()).chain([other.as_str()]);
        let ack = engine.append_blocking(batch(lines)).unwrap();
        assert_eq!((ack.accepted + ack.duplicates, ack.rejected.len()), (3, 1), "{ack:?}");
        model.acked(&new, disk.operations());
    }
    if random.one_in(4) {
        engine.seal_now().expect("sealing works after a crash");
        let found = check::whole(&engine.snapshot());
        check::against(&model, disk.operations(), &found);
    }
    if random.one_in(8) {
        engine.close().expect("it closes after a crash");
        drop(engine);
        let engine = Engine::open(Path::new(DIR), options()).expect("it opens once more");
        check::against(&model, disk.operations(), &check::whole(&engine.snapshot()));
        engine.close().expect("it closes again");
        drop(engine);
        // Without a text index, what is left of one is nobody's.
        if options().text_index {
            check::verified(&disk.shared(), Path::new(DIR));
        }
    } else {
        engine.kill();
    }
    if depth > 0 {
        let operation = random.below(disk.operations() + 1);
        let after = disk.crash(operation, random.next());
        recover(&after, &model, operation, random, depth - 1);
    }
}

/// One crash of a workload. What fails is told so that it can be done again.
fn crash(run: &Run, seed: u64, operation: u64) {
    let mut random = Random::new(seed ^ operation << 20);
    let disk = run.disk.crash(operation, random.next());
    let image = disk.crash(0, 0);
    let depth = u32::from(random.one_in(4));
    let tried = catch_unwind(AssertUnwindSafe(|| {
        recover(&disk, &run.model, operation, &mut random, depth);
    }));
    if let Err(panic) = tried {
        let left = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{seed}-{operation}"));
        let _ = std::fs::remove_dir_all(&left);
        let _ = image.copy_to(&RealDisk, &left);
        println!(
            "DAYBOOK_SEED={seed} DAYBOOK_CRASH_AT={operation} does it again (threads permitting); \
             it crashed after {:?}; the disk as it was is in {}",
            run.disk.operation(operation),
            left.display()
        );
        resume_unwind(panic);
    }
}

/// Crash points of a run: half of them any operation, half of them any kind of operation.
fn points(run: &Run, seed: u64) -> Vec<u64> {
    let mut random = Random::new(seed);
    let mut by_kind: BTreeMap<Kind, Vec<u64>> = BTreeMap::new();
    for number in 1..=run.disk.operations() {
        let (kind, _) = run.disk.operation(number).unwrap();
        by_kind.entry(kind).or_default().push(number);
    }
    let kinds: Vec<Vec<u64>> = by_kind.into_values().collect();
    (0..POINTS)
        .map(|at| match at % 2 {
            0 => random.below(run.disk.operations() + 1),
            _ => *random.pick(random.clone().pick(&kinds).unwrap()).unwrap(),
        })
        .collect()
}

/// Runs workloads and their crashes, and prints how many there were.
fn crashes(seeds: impl Iterator<Item = u64>) {
    let fixed = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let (seed, at) = (fixed("DAYBOOK_SEED"), fixed("DAYBOOK_CRASH_AT"));
    let mut counts: BTreeMap<Option<Kind>, u64> = BTreeMap::new();
    let (mut running, mut crashing) = (Duration::ZERO, Duration::ZERO);
    let seeds: Vec<u64> = match seed {
        Some(seed) => vec![seed],
        None => seeds.collect(),
    };
    for seed in seeds {
        let start = Instant::now();
        let run = Run::of(seed);
        running += start.elapsed();
        let start = Instant::now();
        let points = at.map_or_else(|| points(&run, seed), |at| vec![at]);
        for operation in points {
            crash(&run, seed, operation);
            let kind = run.disk.operation(operation).map(|(kind, _)| kind);
            *counts.entry(kind).or_default() += 1;
        }
        crashing += start.elapsed();
    }
    let all: u64 = counts.values().sum();
    println!(
        "{all} crash points, {running:.1?} of workloads, {crashing:.1?} of crashes: {counts:?}"
    );
}

macro_rules! crash_tests {
    ($($name:ident $range:expr;)*) => {$(
        #[test]
        fn $name() {
            crashes($range);
        }
    )*};
}

crash_tests! {
    acknowledged_events_outlive_crashes_1 0..10;
    acknowledged_events_outlive_crashes_2 10..20;
    acknowledged_events_outlive_crashes_3 20..30;
    acknowledged_events_outlive_crashes_4 30..40;
    acknowledged_events_outlive_crashes_5 40..50;
    acknowledged_events_outlive_crashes_6 50..60;
    acknowledged_events_outlive_crashes_7 60..70;
    acknowledged_events_outlive_crashes_8 70..80;
}

/// Nothing, unless `DAYBOOK_SOAK_SECONDS` says how long.
#[test]
fn acknowledged_events_outlive_crashes_for_as_long_as_asked() {
    let Ok(seconds) = std::env::var("DAYBOOK_SOAK_SECONDS") else { return };
    let until = Instant::now() + Duration::from_secs(seconds.parse().unwrap());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut seed = now.as_secs() << 16;
    while Instant::now() < until {
        crashes(std::iter::once(seed));
        seed += 1;
    }
}
