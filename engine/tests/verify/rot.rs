//! Any byte of any file may rot: it is named, the rest can be read, and what is derived is mended.

use super::support::{
    EVENTS, SESSIONS, VARIETIES, Variety, check, copy, files, fill, options, small, stored,
};
use daybook_engine::event::{Offset, Seq};
use daybook_engine::repair::repair;
use daybook_engine::verify::Problem;
use daybook_engine::{Engine, Options};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Bytes of a file that are tried: all of a small file, some of a larger one.
fn sample(len: usize, seed: &mut u64) -> Vec<usize> {
    const ALL: usize = 96;
    if len <= ALL {
        return (0..len).collect();
    }
    // Its ends, where headers and footers are, and a seeded choice between.
    let mut places: Vec<usize> = (0..24).chain(len - 24..len).collect();
    for _ in 0..32 {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        places.push((*seed >> 33) as usize % len);
    }
    places.sort_unstable();
    places.dedup();
    places
}

#[test]
fn a_byte_that_rotted_is_named_with_its_file_and_range() {
    for variety in VARIETIES {
        let dir = tempfile::tempdir().unwrap();
        variety.small(dir.path());
        assert!(variety.check(dir.path()).is_well());
        let (mut seed, mut tried) = (7, 0);
        let mut unseen = Vec::new();
        for file in files(dir.path()) {
            let path = dir.path().join(&file);
            let good = fs::read(&path).unwrap();
            for at in sample(good.len(), &mut seed) {
                let mut bad = good.clone();
                bad[at] ^= 1 << (at % 8);
                fs::write(&path, &bad).unwrap();
                let report = variety.check(dir.path());
                let named = report.findings.iter().any(|finding| {
                    finding.file == file && (finding.from..finding.to).contains(&(at as u64))
                });
                tried += 1;
                if !named {
                    unseen.push(format!("{} byte {at}: {:?}", file.display(), report.findings));
                }
            }
            fs::write(&path, &good).unwrap();
        }
        eprintln!("{}: {tried} bytes were tried", variety.name);
        assert!(
            unseen.is_empty(),
            "{}: {} of {tried}:\n{}",
            variety.name,
            unseen.len(),
            unseen[..unseen.len().min(20)].join("\n")
        );
    }
}

/// For a byte of each part of each file: what can be read after it rotted, and after the repair.
#[test]
fn other_sessions_can_be_read_and_what_is_derived_is_mended() {
    for variety in VARIETIES {
        let whole = tempfile::tempdir().unwrap();
        variety.small(whole.path());
        let engine = Engine::open(whole.path(), variety.at_rest()).unwrap();
        let (all, errors) = stored(&engine.snapshot());
        assert!(errors.is_empty() && all.len() == EVENTS as usize * SESSIONS.len(), "{errors:?}");
        drop(engine);
        let mut seed = 11;
        for file in files(whole.path()) {
            let len = fs::metadata(whole.path().join(&file)).unwrap().len() as usize;
            let places: Vec<usize> = sample(len, &mut seed);
            for at in places.iter().copied().step_by(places.len().div_ceil(3).max(1)) {
                let shown = format!("{}: {} byte {at}", variety.name, file.display());
                one_that_rots(&variety, whole.path(), &file, at, &all, &shown);
            }
        }
    }
}

fn one_that_rots(
    variety: &Variety,
    whole: &Path,
    file: &Path,
    at: usize,
    all: &BTreeMap<(String, Seq), String>,
    shown: &str,
) {
    let dir = tempfile::tempdir().unwrap();
    copy(whole, dir.path());
    let mut bytes = fs::read(dir.path().join(file)).unwrap();
    bytes[at] ^= 0x10;
    fs::write(dir.path().join(file), &bytes).unwrap();

    let report = variety.check(dir.path());
    let lost: u64 = report.lost().map(|lost| lost.count()).sum();
    // Only the marker says what the rest is: without it nothing is opened before the repair.
    if !file.ends_with("DAYBOOK") {
        let engine =
            Engine::open(dir.path(), variety.at_rest()).unwrap_or_else(|e| panic!("{shown}: {e}"));
        let (read, errors) = stored(&engine.snapshot());
        assert!(read.iter().all(|(key, line)| all[key] == *line), "{shown}");
        assert!(
            read.len() as u64 + lost >= all.len() as u64 || !errors.is_empty(),
            "{shown}: {errors:?} {report:#?}"
        );
    }
    let (repaired, after) =
        repair(dir.path(), (variety.options)()).unwrap_or_else(|e| panic!("{shown}: {e}"));
    if file.ends_with("signing.key") || file.ends_with("retention.json") {
        // Nothing else on this disk knows the secret, or what is held.
        assert!(!after.is_well(), "{shown}");
    } else if lost == 0 {
        let torn = report.findings.iter().any(|found| found.problem == Problem::Torn);
        assert!(after.is_well(), "{shown}: {repaired:?} {:#?}", after.findings);
        let engine = Engine::open(dir.path(), variety.at_rest()).unwrap();
        let (read, errors) = stored(&engine.snapshot());
        assert!(errors.is_empty(), "{shown}: {errors:?}");
        assert!(read == *all || torn, "{shown}: {} of {}", read.len(), all.len());
    } else {
        assert!(!after.is_well(), "{shown}: the loss went by unseen");
    }
}

/// Where the log itself is hurt, the catalog may be the last to know of what is lost.
#[test]
fn events_that_are_lost_are_named_without_an_index_and_the_catalog_that_knows_them_stays() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let segment = dir.path().join("segments/00000000000000000000");
    for (name, from_end) in [("events.blk", 20), ("index.bin", 400)] {
        let path = segment.join(name);
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.len() - from_end;
        bytes[at] ^= 0x10;
        fs::write(&path, bytes).unwrap();
    }
    let report = check(dir.path());
    let lost: Vec<_> = report.lost().collect();
    assert_eq!(lost.len(), 1, "{:#?}", report.findings);
    assert_eq!((lost[0].first, lost[0].last), (Offset(0), Offset(31)));
    assert_eq!(lost[0].sessions, SESSIONS);
    assert!(report.findings.iter().all(|found| found.problem != Problem::Differs));
    let catalog = |dir: &Path| {
        let files = files(dir).into_iter().filter(|file| file.starts_with("catalog"));
        files.map(|file| fs::read(dir.join(file)).unwrap()).collect::<Vec<_>>()
    };
    let before = catalog(dir.path());
    let (repaired, after) = repair(dir.path(), options()).unwrap();
    assert!(!after.is_well() && !repaired.left.is_empty(), "{repaired:?}");
    assert_eq!(catalog(dir.path()), before);
}

/// A repair must not make what was altered look as if it had been sealed so.
#[test]
fn events_that_were_altered_are_not_sealed_again() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let segment = dir.path().join("segments/00000000000000000000");
    super::tamper::one_byte_of(&segment.join("events.blk"));
    let (repaired, after) = repair(dir.path(), options()).unwrap();
    assert_eq!(repaired.mended, Vec::<std::path::PathBuf>::new());
    assert!(repaired.left[0].why.contains("not the ones that were sealed"), "{repaired:?}");
    assert!(after.findings.iter().any(|found| found.problem == Problem::Altered));
}

/// Nor must merging.
#[test]
fn events_that_were_altered_are_not_merged() {
    let dir = tempfile::tempdir().unwrap();
    let by_hand = || Options { merge: false, ..options() };
    fill(dir.path(), by_hand(), 4);
    let segment = dir.path().join("segments/00000000000000000000");
    super::tamper::one_byte_of(&segment.join("events.blk"));
    let engine = Engine::open(dir.path(), by_hand()).unwrap();
    // The three others are.
    assert_eq!(engine.merge_now().unwrap(), 1);
    assert!(segment.is_dir());
    engine.close().unwrap();
    drop(engine);
    let report = check(dir.path());
    assert!(report.findings.iter().any(|found| found.problem == Problem::Altered));
}
