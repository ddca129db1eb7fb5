//! The files on a disk that crashes: what was signed is never unsaid.

use super::super::checkpoint::Checkpoint;
use super::super::hash::Hash;
use super::super::leaf::Leaf;
use super::super::log::{self, MerkleLog, Signed};
use super::super::note::Verifier;
use super::super::tree;
use crate::disk::sim::SimDisk;
use crate::event::{Micros, Offset};
use proptest::prelude::*;
use std::path::Path;

const ORIGIN: &str = "log.example.com/a";

fn data() -> &'static Path {
    Path::new("/data")
}

/// The leaf of the block that begins at an offset: always the same one.
fn leaf(base: u64) -> Leaf {
    Leaf {
        base: Offset(base),
        count: 3,
        min_time: Micros(1),
        max_time: Micros(2),
        root: Hash::leaf(&base.to_le_bytes()),
    }
}

fn grow(log: &mut MerkleLog, leaves: u64) {
    for _ in 0..leaves {
        log.append(&leaf(log.end().0)).unwrap();
    }
}

fn plain_root(size: u64) -> Hash {
    super::plain_root(&(0..size).map(|n| leaf(n * 3).hash()).collect::<Vec<_>>())
}

/// Grows and signs a log step by step; answers after which operation each note was handed out.
fn history(disk: &SimDisk, steps: &[u64]) -> Vec<(u64, String)> {
    disk.shared().create_dir(data()).unwrap();
    disk.shared().sync_dir(Path::new("/")).unwrap();
    let (mut log, _) = MerkleLog::open(&disk.shared(), data(), ORIGIN).unwrap();
    let mut notes = Vec::new();
    for leaves in steps {
        grow(&mut log, *leaves);
        log.write().unwrap();
        if leaves % 3 != 0 {
            let note = log.checkpoint().unwrap();
            notes.push((disk.operations(), note));
        }
    }
    notes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_crash_takes_back_nothing_that_was_signed(
        steps in prop::collection::vec(0u64..120, 1..6),
        crashes in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 25),
    ) {
        let disk = SimDisk::new();
        let notes = history(&disk, &steps);
        let total: u64 = steps.iter().sum();
        for (at, seed) in crashes {
            let after = at.index(disk.operations() as usize + 1) as u64;
            let crashed = disk.crash(after, seed);
            crashed.shared().create_dir(data()).unwrap();
            let (mut log, note) = MerkleLog::open(&crashed.shared(), data(), ORIGIN).unwrap();
            let signed = *log.signed();
            prop_assert_eq!(signed.root, plain_root(signed.size));
            prop_assert_eq!((log.size(), log.end()), (signed.size, signed.end));
            let key = log.verifier().clone();
            for (_, note) in notes.iter().filter(|(handed_out, _)| *handed_out <= after) {
                let old = Checkpoint::open(note, &key).unwrap();
                prop_assert!(old.size <= signed.size);
            }
            if let Some(note) = note {
                prop_assert!(Checkpoint::open(&note, &key).unwrap().size <= signed.size);
            }
            // What is not signed is made again, and the tree is the same one.
            while log.size() < total {
                grow(&mut log, 1);
            }
            let again = Checkpoint::open(&log.checkpoint().unwrap(), &key).unwrap();
            prop_assert_eq!((again.size, again.root), (total, plain_root(total)));
            let store = log.store();
            for (_, note) in notes.iter().filter(|(handed_out, _)| *handed_out <= after) {
                let old = Checkpoint::open(note, &key).unwrap();
                let path = tree::consistency(&**store, old.size, total).unwrap();
                prop_assert!(tree::is_consistent(old.size, old.root, total, again.root, &path));
            }
        }
    }

    #[test]
    fn a_signed_state_is_its_text_and_no_other(size in any::<u64>(), root in any::<[u8; 32]>(), end in any::<u64>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let signed = Signed { size, root: Hash(root), end: Offset(end) };
        let mut text = signed.encode().into_bytes();
        prop_assert_eq!(Signed::decode(&text), Ok(signed));
        let at = at.index(text.len());
        let before = std::mem::replace(&mut text[at], byte);
        prop_assert!(before == byte || Signed::decode(&text).is_err());
    }
}

#[test]
fn a_smaller_tree_and_another_one_of_the_same_size_are_not_signed() {
    let disk = SimDisk::new();
    history(&disk, &[5]);
    let (mut log, _) = MerkleLog::open(&disk.shared(), data(), ORIGIN).unwrap();
    assert!(log.append(&leaf(0)).is_err(), "it does not follow");
    // Somebody puts back a shorter tree.
    let signed = Signed { size: 6, root: Hash([1; 32]), end: Offset(18) };
    let path = log::dir(data()).join("signed");
    disk.shared().replace(&path, signed.encode().as_bytes()).unwrap();
    assert!(log.reset().is_err());
    assert!(log.checkpoint().is_err());
    grow(&mut log, 1);
    assert!(log.checkpoint().is_err(), "of the size that was signed, with another root");
    assert!(MerkleLog::open(&disk.shared(), data(), ORIGIN).is_err());
}

#[test]
fn at_rest_nothing_is_written() {
    let disk = SimDisk::new();
    assert!(log::read(&disk.shared(), data(), false).unwrap().is_none());
    let notes = history(&disk, &[5, 7]);
    let before = disk.operations();
    let found = log::read(&disk.shared(), data(), false).unwrap().unwrap();
    assert_eq!(disk.operations(), before);
    assert_eq!(found.note.as_ref(), notes.last().map(|(_, note)| note));
    assert_eq!(found.signed.size, 12);
    let key: Verifier = found.verifier.unwrap();
    assert_eq!(Checkpoint::open(&found.note.unwrap(), &key).unwrap().size, 12);
}
