//! Rewriting keeps what is asked for and nothing else, at any stop.

use super::super::leaves::{Leaves, Run, RunEvents};
use super::super::rewrite::{Rewrite, rewrite, rewrite_in_steps};
use super::super::{Live, MANIFEST_FILE, Manifest, Segment, delete, seal};
use super::{Journal, Made, disk, id, open};
use crate::disk::RealDisk;
use crate::error::Error;
use crate::event::{Kind, Offset};
use crate::merkle::leaf::event_hash;
use crate::merkle::{Hash, Secret};
use crate::session::SessionState;
use crate::view::{Ordinals, Part as _};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// Journals that follow each other; sessions go on from one to the next.
fn journals(sizes: &[usize]) -> Vec<Journal> {
    let (mut base, mut keys) = (100, BTreeMap::new());
    let mut journals = Vec::new();
    for (n, size) in sizes.iter().enumerate() {
        let made = (0..*size)
            .map(|i| Made {
                session: (i * 7 + n) % 5,
                seq: (n * 1000 + i) as u32,
                time: 1_772_000_000_000_000 + i as i64,
                kind: Kind::Command,
                verdict: None,
                json: format!("{{\"journal\":{n},\"i\":{i}}}").into_bytes(),
            })
            .collect();
        let mut journal = Journal::new(base, made, 4);
        // A session keeps the number that it got first.
        for (number, session) in journal.sessions.iter_mut().enumerate() {
            if journal.made.iter().any(|event| event.session == number) {
                session.key = *keys.entry(Arc::clone(&session.id)).or_insert(session.key);
            }
        }
        journals.push(journal);
        base += *size as u64;
    }
    journals
}

/// Every event: offset to line.
fn events(segments: &[Arc<Segment>]) -> BTreeMap<u64, Vec<u8>> {
    let mut all = BTreeMap::new();
    for segment in segments {
        segment
            .read(&Ordinals::Range(0..segment.len()), None, &mut |ordinal, record| {
                assert_eq!(segment.ordinal_of(record.offset), Some(ordinal));
                assert!(all.insert(record.offset.0, record.json.to_vec()).is_none());
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
    }
    all
}

/// The hash of every event of a segment's blocks, erased or not.
fn hashes(segment: &Segment) -> BTreeMap<u64, Hash> {
    let mut records = BTreeMap::new();
    segment
        .read(&Ordinals::Range(0..segment.len()), None, &mut |_, record| {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            records.insert(record.offset, bytes);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    let mut all = BTreeMap::new();
    for run in segment.leaves().unwrap().runs {
        for offset in run.base.0..run.end().0 {
            let record = records.get(&Offset(offset)).map(Vec::as_slice);
            all.insert(offset, run.hash(Offset(offset), record).unwrap());
        }
    }
    all
}

fn asked<'a>(
    dir: &'a Path,
    disk: &'a crate::disk::SharedDisk,
    sources: &'a [Arc<Segment>],
    keep: &'a dyn Fn(&super::super::SessionRow<'_>) -> bool,
) -> Rewrite<'a> {
    Rewrite {
        disk,
        segments_dir: dir,
        sources,
        keep,
        state: &|_| Ok(Arc::new(SessionState::default())),
        columnar: None,
        text_heap_bytes: None,
        index_again: false,
    }
}

fn sealed(dir: &Path, journals: &[Journal]) -> Vec<Arc<Segment>> {
    let seal = |journal: &Journal| seal(&disk(), dir, &journal.input(), None).unwrap().path;
    journals.iter().map(|journal| Arc::new(open(&seal(journal)).unwrap())).collect()
}

/// What counts in a directory, as an open finds it.
fn found(dir: &Path) -> Vec<Arc<Segment>> {
    let live = Live::of(&RealDisk, dir).unwrap();
    live.segments.iter().map(|(path, _)| Arc::new(open(path).unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_kept_reads_as_before_and_every_block_still_has_its_hashes(
        sizes in vec(1usize..40, 1..4), drop in vec(0usize..5, 0..5), again in vec(0usize..5, 0..3),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let sources = sealed(dir.path(), &journals(&sizes));
        let (before, proofs): (_, Vec<_>) = (events(&sources), sources.iter().map(|s| hashes(s)).collect());
        let proofs: BTreeMap<u64, Hash> = proofs.into_iter().flatten().collect();
        let dropped = |drop: &[usize], id_: &str| drop.iter().any(|s| id(*s) == id_);
        let shared = disk();
        let mut segments = sources;
        for drop in [drop, again] {
            let lines = events(&segments);
            let keep = |row: &super::super::SessionRow<'_>| !dropped(&drop, row.id);
            let kept: BTreeMap<u64, Vec<u8>> = lines
                .into_iter()
                .filter(|(offset, _)| {
                    segments.iter().any(|s| {
                        s.ordinal_of(Offset(*offset)).and_then(|o| s.facts(o)).is_some_and(|facts| {
                            let run = s.index().session_by_key(facts.session).unwrap().unwrap();
                            !dropped(&drop, run.id)
                        })
                    })
                })
                .collect();
            let report = rewrite(&asked(dir.path(), &shared, &segments, &keep)).unwrap();
            let Some(report) = report else {
                prop_assert!(kept.is_empty());
                return Ok(());
            };
            segments = vec![Arc::new(open(&report.path).unwrap())];
            segments[0].verify().unwrap();
            prop_assert_eq!(&events(&segments), &kept);
            prop_assert!(kept.iter().all(|(offset, line)| before.get(offset) == Some(line)));
            for (offset, hash) in hashes(&segments[0]) {
                prop_assert_eq!(Some(&hash), proofs.get(&offset));
            }
            for offset in kept.keys() {
                let leaves = segments[0].leaves().unwrap();
                prop_assert!(leaves.run_of(Offset(*offset)).is_some());
            }
        }
    }

    #[test]
    fn leaves_come_back_as_they_were_written_and_no_bytes_make_them_panic(
        counts in vec(1u32..9, 1..5), secret in any::<[u8; 16]>(), flip in any::<(prop::sample::Index, u8)>(),
    ) {
        let events = RunEvents::Whole(Secret(secret));
        let leaves = Leaves { runs: vec![Run { first_leaf: 3, base: Offset(50), counts, events }] };
        let mut bytes = leaves.encode();
        prop_assert_eq!(Leaves::decode(&bytes), Ok(leaves));
        let at = flip.0.index(bytes.len());
        bytes[at] ^= flip.1;
        prop_assert!(flip.1 == 0 || Leaves::decode(&bytes).is_err());
        let _ = Leaves::decode(&bytes[..at]);
    }
}

#[test]
fn a_stop_after_any_step_leaves_the_sources_or_the_result() {
    let made = journals(&[9, 14, 5]);
    let names = {
        let dir = tempfile::tempdir().unwrap();
        let mut names = Vec::new();
        let sources = sealed(dir.path(), &made);
        rewrite_in_steps(&asked(dir.path(), &disk(), &sources, &|_| true), &mut |name| {
            names.push(name);
            Ok(())
        })
        .unwrap();
        names
    };
    for (stop, name) in names.iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let sources = sealed(dir.path(), &made);
        let before = events(&sources);
        let mut done = 0;
        let stopped =
            rewrite_in_steps(&asked(dir.path(), &disk(), &sources, &|_| true), &mut |_| {
                done += 1;
                if done > stop { Err(Error::Closed) } else { Ok(()) }
            });
        assert!(matches!(stopped, Err(Error::Closed)));
        let renamed = matches!(*name, "rename" | "done");
        let segments = found(dir.path());
        assert_eq!(segments.len(), if renamed { 1 } else { 3 }, "after {name}");
        assert_eq!(events(&segments), before, "after {name}");
    }
}

#[test]
fn a_segment_that_replaces_others_stands_for_them_until_they_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let sources = sealed(dir.path(), &journals(&[6, 6]));
    let before = events(&sources);
    let first = rewrite(&asked(dir.path(), &disk(), &sources, &|_| true)).unwrap().unwrap().path;
    // The sources were not deleted in time, and the result is itself rewritten.
    let again = [Arc::new(open(&first).unwrap())];
    rewrite(&asked(dir.path(), &disk(), &again, &|_| true)).unwrap().unwrap();
    delete(&RealDisk, dir.path(), &again[0].name()).unwrap();
    let segments = found(dir.path());
    assert_eq!(segments.len(), 1);
    assert_eq!(events(&segments), before);
    assert_eq!(segments[0].manifest().generation, 2);
}

#[test]
fn any_flipped_byte_of_a_manifest_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let segment = sealed(dir.path(), &journals(&[8])).remove(0);
    let path = segment.path().join(MANIFEST_FILE);
    let good = std::fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        assert!(Manifest::read(&RealDisk, segment.path()).is_err(), "byte {at}");
    }
}

#[test]
fn what_was_erased_leaves_its_hash_and_takes_the_secret_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let sources = sealed(dir.path(), &journals(&[10]));
    let record = |offset: u64| {
        let mut bytes = Vec::new();
        let ordinal = sources[0].ordinal_of(Offset(offset)).unwrap();
        sources[0]
            .read(&Ordinals::Range(ordinal..ordinal + 1), None, &mut |_, record| {
                record.encode(&mut bytes);
                Ok(ControlFlow::Break(()))
            })
            .unwrap();
        bytes
    };
    let gone = record(100);
    let keep = |row: &super::super::SessionRow<'_>| row.id != id(0);
    let path = rewrite(&asked(dir.path(), &disk(), &sources, &keep)).unwrap().unwrap().path;
    let bytes = std::fs::read(path.join(super::super::LEAVES_FILE)).unwrap();
    assert!(memchr::memmem::find(&bytes, &[9; 16]).is_none(), "the secret is still there");
    let leaves = Leaves::decode(&bytes).unwrap();
    let hash = leaves.run_of(Offset(100)).unwrap().hash(Offset(100), None).unwrap();
    assert_eq!(hash, event_hash(Secret([9; 16]).salt(Offset(100)), &gone));
    assert_eq!(leaves.run_of(Offset(100)).unwrap().salt(Offset(100)), None);
}
