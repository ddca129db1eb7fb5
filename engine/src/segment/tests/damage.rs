//! Damage is reported, whatever it is; it never ends the process.

use super::super::index::Index;
use super::super::{EVENTS_FILE, INDEX_FILE, MANIFEST_FILE, seal};
use super::{Journal, disk, id, open, small, small_sparse};
use crate::block::FILE_HEADER_LEN;
use crate::disk::RealDisk;
use crate::event::{Offset, SessionKey};
use crate::view::{Ordinals, Part};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

/// Asks everything that can be asked of an index.
fn exercise(index: &Index) {
    let _ = (index.base(), index.times(), index.sessions());
    for ordinal in (0..45).chain([u32::MAX - 1, u32::MAX]) {
        let _ = (index.facts(ordinal), index.offset(ordinal), index.block_of(ordinal));
        if let Ok(row) = index.session_at(ordinal) {
            assert!(row.ordinals.end <= index.events());
            let _ = index.seqs(&row);
        }
    }
    for offset in (995..1075).chain([0, u64::MAX]) {
        if let Some(ordinal) = index.ordinal_of(Offset(offset)) {
            assert!(ordinal < index.events());
        }
        let _ = index.session_by_key(SessionKey(offset));
    }
    for session in 0..6 {
        if let Ok(Some(row)) = index.session(&id(session)) {
            let _ = index.seqs(&row);
        }
    }
}

#[test]
fn any_flipped_bit_of_an_index_is_found_and_no_lookup_minds_it() {
    flip_every_byte(&small());
}

#[test]
fn any_flipped_bit_of_an_index_with_holes_is_found_too() {
    flip_every_byte(&small_sparse());
}

fn flip_every_byte(journal: &Journal) {
    let dir = tempfile::tempdir().unwrap();
    let path = seal(&disk(), dir.path(), &journal.input(), None).unwrap().path.join(INDEX_FILE);
    let good = fs::read(&path).unwrap();
    Index::open(&RealDisk, &path).unwrap().verify().unwrap();
    for at in 0..good.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= mask;
            // A new file each time: the one before may still be mapped.
            fs::remove_file(&path).unwrap();
            fs::write(&path, &bad).unwrap();
            if let Ok(index) = Index::open(&RealDisk, &path) {
                exercise(&index);
                assert!(index.verify().is_err(), "byte {at} ^ {mask:#x}");
            }
        }
    }
}

#[test]
fn an_index_with_nonsense_in_every_section_and_right_checksums_still_ends() {
    for journal in [small(), small_sparse()] {
        let dir = tempfile::tempdir().unwrap();
        let path = seal(&disk(), dir.path(), &journal.input(), None).unwrap().path.join(INDEX_FILE);
        let good = fs::read(&path).unwrap();
        // The header and the table of contents stay; the checksums of sections matter to verify only.
        for fill in [0x00, 0x01, 0x28, 0x7f, 0xff] {
            let mut bad = good.clone();
            bad[64 + 320..].fill(fill);
            fs::remove_file(&path).unwrap();
            fs::write(&path, &bad).unwrap();
            exercise(&Index::open(&RealDisk, &path).unwrap());
        }
    }
}

#[test]
fn an_index_or_events_cut_at_any_length_are_refused_at_open() {
    let dir = tempfile::tempdir().unwrap();
    let segment = seal(&disk(), dir.path(), &small().input(), None).unwrap().path;
    for name in [INDEX_FILE, EVENTS_FILE] {
        let path = segment.join(name);
        let good = fs::read(&path).unwrap();
        for len in 0..good.len() {
            fs::remove_file(&path).unwrap();
            fs::write(&path, &good[..len]).unwrap();
            assert!(open(&segment).is_err(), "{name} cut at {len}");
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, [good.as_slice(), b"x"].concat()).unwrap();
        assert!(open(&segment).is_err(), "{name} with a byte more");
        fs::remove_file(&path).unwrap();
        fs::write(&path, &good).unwrap();
        open(&segment).unwrap();
    }
}

/// Reads all of a segment; answers whether each event came out as it went in.
fn reads_right(segment: &Path) -> bool {
    let Ok(segment) = open(segment) else { return false };
    let mut right = 0;
    let result = segment.read(&Ordinals::Range(0..40), None, &mut |_, record| {
        let n = record.offset.0 - 1000;
        assert_eq!(record.json, format!("{{\"n\":{n}}}").as_bytes());
        right += 1;
        Ok(ControlFlow::Continue(()))
    });
    result.is_ok() && right == 40
}

#[test]
fn any_flipped_byte_of_the_events_is_put_right_or_an_error_and_never_another_event() {
    let dir = tempfile::tempdir().unwrap();
    let segment = seal(&disk(), dir.path(), &small().input(), None).unwrap().path;
    assert!(reads_right(&segment));
    let path = segment.join(EVENTS_FILE);
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&path, &bad).unwrap();
        // One byte of the file's header is mended.
        let right = reads_right(&segment);
        assert!(at < FILE_HEADER_LEN || !right, "byte {at}");
    }
}

#[test]
fn a_missing_or_foreign_file_is_refused_at_open() {
    let dir = tempfile::tempdir().unwrap();
    let segment = seal(&disk(), dir.path(), &small().input(), None).unwrap().path;
    let mut other = small();
    other.made.truncate(20);
    let other = Journal::new(5000, other.made, 5);
    let other = seal(&disk(), dir.path(), &other.input(), None).unwrap().path;
    for name in [INDEX_FILE, EVENTS_FILE, MANIFEST_FILE] {
        let good = fs::read(segment.join(name)).unwrap();
        fs::remove_file(segment.join(name)).unwrap();
        assert!(open(&segment).is_err(), "without {name}");
        fs::copy(other.join(name), segment.join(name)).unwrap();
        assert!(open(&segment).is_err(), "with another's {name}");
        fs::remove_file(segment.join(name)).unwrap();
        fs::write(segment.join(name), good).unwrap();
    }
    open(&segment).unwrap().verify().unwrap();
}
