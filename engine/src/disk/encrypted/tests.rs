#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::format::{CHUNK_LEN, HEADER_LEN, position};
use super::*;
use crate::disk::{FileWriter, RealDisk, read_exact_at, write_all_at};
use crate::error::Error;
use proptest::prelude::*;
use std::io::Write as _;

const OLD: &str = "3:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "7:q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=";
const OTHER: &str = "3:q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=";
const MARKER: &[u8] = b"the-marker-that-nobody-may-read ";

fn with(keys: &str) -> EncryptedDisk {
    let keys = if keys.is_empty() { Keyring::default() } else { Keyring::parse(keys).unwrap() };
    EncryptedDisk::new(Arc::new(RealDisk), Arc::new(keys), 1 << 20)
}

fn as_dyn(disk: &EncryptedDisk) -> &dyn Disk {
    disk
}

fn bytes(len: usize) -> Vec<u8> {
    MARKER.iter().copied().cycle().take(len).collect()
}

fn written(len: usize) -> (tempfile::TempDir, PathBuf, EncryptedDisk, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.bin");
    let disk = with(OLD);
    as_dyn(&disk).write_new(&path, &bytes(len)).unwrap();
    (dir, path, disk, bytes(len))
}

#[test]
fn what_was_written_is_read_and_not_seen_on_the_disk() {
    let sizes = [0, 1, CHUNK_LEN - 1, CHUNK_LEN, CHUNK_LEN + 1, 3 * CHUNK_LEN, 3 * CHUNK_LEN + 77];
    for len in sizes {
        let (_dir, path, disk, plain) = written(len);
        assert_eq!(as_dyn(&disk).read(&path).unwrap(), plain, "{len}");
        assert_eq!(&*disk.map(&path).unwrap(), &plain[..], "{len}");
        assert_eq!(disk.stat(&path).unwrap().unwrap().len, len as u64);
        assert_eq!(disk.key_of(&path).unwrap(), Some(3));
        let stored = std::fs::read(&path).unwrap();
        assert!(memchr::memmem::find(&stored, &MARKER[..16]).is_none(), "{len}");
        assert!(stored.len() >= HEADER_LEN + len + 16);
    }
}

#[test]
fn a_file_is_written_in_pieces_and_read_before_it_is_synced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.parquet");
    let disk = with(OLD);
    let plain = bytes(5 * CHUNK_LEN + 5);
    let mut writer = FileWriter::new(disk.open(&path, Open::CreateNew).unwrap());
    for piece in plain.chunks(70_001) {
        writer.write_all(piece).unwrap();
    }
    writer.flush().unwrap();
    assert_eq!(as_dyn(&disk).read(&path).unwrap(), plain);
    assert_eq!(&*disk.map(&path).unwrap(), &plain[..]);
    assert_eq!(disk.stat(&path).unwrap().unwrap().len, plain.len() as u64);
    // Whoever looks at the disk itself finds a file that is not whole.
    assert!(as_dyn(&with(OLD)).read(&path).is_err());
    let moved = dir.path().join("moved");
    std::fs::create_dir(&moved).unwrap();
    disk.rename(&path, &moved.join("events.parquet")).unwrap();
    disk.rename(&moved, &dir.path().join("again")).unwrap();
    let path = dir.path().join("again/events.parquet");
    assert_eq!(as_dyn(&disk).read(&path).unwrap(), plain);
    writer.finish().unwrap();
    assert_eq!(as_dyn(&with(OLD)).read(&path).unwrap(), plain);
}

#[test]
fn a_file_that_nobody_synced_is_whole_when_nobody_has_it_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text").join("x.idx");
    std::fs::create_dir(dir.path().join("text")).unwrap();
    let disk = with(OLD);
    let file = disk.open(&path, Open::Create).unwrap();
    write_all_at(&*file, b"abc", 0).unwrap();
    let reader = disk.open(&path, Open::Read).unwrap();
    drop(file);
    assert_eq!(std::fs::read(&path).unwrap(), b"");
    drop(reader);
    assert_eq!(as_dyn(&with(OLD)).read(&path).unwrap(), b"abc");
}

#[test]
fn a_chunk_is_sealed_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.bin");
    let disk = with(OLD);
    let file = disk.open(&path, Open::Create).unwrap();
    file.write_at(b"abc", 0).unwrap();
    assert_eq!(file.write_at(b"x", 1).unwrap_err().kind(), io::ErrorKind::Unsupported);
    assert_eq!(file.set_len(2).unwrap_err().kind(), io::ErrorKind::Unsupported);
    file.set_len(3).unwrap();
    file.sync().unwrap();
    file.sync().unwrap();
    assert_eq!(file.write_at(b"d", 3).unwrap_err().kind(), io::ErrorKind::Unsupported);
    let again = disk.open(&path, Open::Write).unwrap();
    assert_eq!(again.write_at(b"d", 3).unwrap_err().kind(), io::ErrorKind::Unsupported);
    again.sync().unwrap();
    assert_eq!(as_dyn(&disk).read(&path).unwrap(), b"abc");
    // The same bytes again are another file: another id, another key.
    let before = std::fs::read(&path).unwrap();
    as_dyn(&disk).replace(&path, b"abc").unwrap();
    assert_ne!(std::fs::read(&path).unwrap()[HEADER_LEN..], before[HEADER_LEN..]);
}

#[test]
fn any_flipped_bit_is_found() {
    let (_dir, path, disk, _) = written(100);
    let stored = std::fs::read(&path).unwrap();
    for at in 0..stored.len() {
        let mut bad = stored.clone();
        bad[at] ^= 1 << (at % 8);
        std::fs::write(&path, &bad).unwrap();
        let error = as_dyn(&disk).read(&path).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. } | Error::NoKey { .. }), "{at}: {error}");
    }
}

#[test]
fn chunks_that_are_moved_left_out_or_cut_off_are_found() {
    let (_dir, path, disk, plain) = written(4 * CHUNK_LEN);
    let stored = std::fs::read(&path).unwrap();
    let chunk = |n: u64| &stored[position(n) as usize..position(n + 1) as usize];
    let head = &stored[..HEADER_LEN];
    let swapped = [head, chunk(1), chunk(0), chunk(2), chunk(3)].concat();
    let without = [head, chunk(0), chunk(2), chunk(3)].concat();
    let twice = [head, chunk(0), chunk(1), chunk(2), chunk(3), chunk(3)].concat();
    for bad in [swapped, without, twice] {
        std::fs::write(&path, &bad).unwrap();
        assert!(matches!(as_dyn(&disk).read(&path), Err(Error::Corrupt { .. })));
    }
    // An end that is cut off is found before a byte is read.
    for len in [position(3), position(3) - 1, position(3) + 20, position(1), 70, 64, 63, 8] {
        std::fs::write(&path, &stored[..len as usize]).unwrap();
        assert!(matches!(as_dyn(&disk).open_read(&path), Err(Error::Corrupt { .. })), "{len}");
    }
    // A chunk of another file does not open, although it is under the same key and at its place.
    let (_other_dir, other_path, _, _) = written(4 * CHUNK_LEN);
    let other = std::fs::read(other_path).unwrap();
    let mut mixed = stored.clone();
    mixed[position(1) as usize..position(2) as usize]
        .copy_from_slice(&other[position(1) as usize..position(2) as usize]);
    std::fs::write(&path, &mixed).unwrap();
    let file = as_dyn(&disk).open_read(&path).unwrap();
    let mut one = [0; 10];
    read_exact_at(&*file, &mut one, 5).unwrap();
    assert_eq!(one, plain[5..15]);
    assert!(read_exact_at(&*file, &mut one, CHUNK_LEN as u64 - 5).is_err());
}

#[test]
fn a_file_without_encryption_is_read_as_it_is_and_encrypted_on_demand() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.bin");
    for plain in [&b""[..], b"DBIX", &bytes(200)] {
        std::fs::write(&path, plain).unwrap();
        let disk = with(NEW);
        assert_eq!(as_dyn(&disk).read(&path).unwrap(), plain);
        assert_eq!(&*disk.map(&path).unwrap(), plain);
        assert_eq!(disk.key_of(&path).unwrap(), None);
        assert!(reseal(&disk, &path).unwrap());
        assert_eq!(disk.key_of(&path).unwrap(), Some(7));
        assert_eq!(as_dyn(&disk).read(&path).unwrap(), plain);
        assert!(!reseal(&disk, &path).unwrap());
    }
}

#[test]
fn without_a_key_nothing_is_encrypted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.bin");
    as_dyn(&with("")).write_new(&path, b"plain").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"plain");
}

#[test]
fn a_key_that_is_not_there_is_named() {
    let (_dir, path, _, plain) = written(300);
    let name = path.display().to_string();
    for (keys, why) in [
        ("", "it is encrypted under key 3, and no encryption keys were given"),
        (NEW, "it is encrypted under key 3, which is not among the encryption keys: add its line"),
        (OTHER, "it is encrypted under another key 3 than the one among the encryption keys"),
    ] {
        let error = as_dyn(&with(keys)).read(&path).unwrap_err();
        assert_eq!(error.to_string(), format!("{name} can't be read: {why}"));
    }
    // A new key on top reads what the old one wrote, and takes its place.
    let both = with(&format!("{NEW}\n{OLD}"));
    assert_eq!(as_dyn(&both).read(&path).unwrap(), plain);
    let open = as_dyn(&both).open_read(&path).unwrap();
    assert!(reseal(&both, &path).unwrap());
    let mut before = vec![0; 300];
    read_exact_at(&*open, &mut before, 0).unwrap();
    assert_eq!(before, plain);
    assert_eq!(as_dyn(&with(NEW)).read(&path).unwrap(), plain);
}

#[test]
fn the_names_that_are_encrypted() {
    for (path, encrypted) in [
        ("d/segments/00000000000000000000/index.bin", true),
        ("d/segments/.tmp-00000000000000000000/leaves.bin", true),
        ("d/segments/00000000000000000000-2/events.parquet", true),
        ("d/segments/00000000000000000000/text/meta.json", true),
        ("d/segments/00000000000000000000/text/.managed.json.tmp", true),
        ("d/journal/00000000000000000000.text/0a1b.store", true),
        ("d/catalog/0a1b.idx", true),
        ("d/catalog/meta.json", true),
        ("d/segments/.tmp-text-00000000000000000000-1/meta.json", true),
        ("d/quarantine/catalog-1700000000000000/meta.json", true),
        ("d/quarantine/00000000000000000000-64-1700000000000000.tail", false),
        ("d/segments/00000000000000000000/events.blk", false),
        ("d/segments/00000000000000000000/segment.json", false),
        ("d/journal/00000000000000000000.journal", false),
        ("d/searches.json", true),
        ("d/alerts.json.tmp", true),
        ("d/tokens.json", false),
        ("d/DAYBOOK", false),
        ("d/merkle/leaves", false),
        ("d/keys/signing.key", false),
        ("catalog/retention.json.tmp", false),
        ("text/DAYBOOK", false),
        ("/", false),
    ] {
        assert_eq!(is_encrypted(Path::new(path)), encrypted, "{path}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_range_of_a_file_is_what_was_written(
        len in 0..200_000usize,
        at in 0..220_000usize,
        want in 0..150_000usize,
    ) {
        let (_dir, path, disk, plain) = written(len);
        let file = disk.open(&path, Open::Read).unwrap();
        let mut buffer = vec![0; want];
        let read = file.read_at(&mut buffer, at as u64).unwrap();
        let right = plain.get(at..).unwrap_or_default();
        let right = &right[..right.len().min(want)];
        prop_assert_eq!(&buffer[..read], right);
        prop_assert_eq!(file.read_at(&mut buffer, u64::MAX).unwrap(), 0);
    }

    #[test]
    fn a_flipped_bit_in_a_large_file_is_found(
        at in any::<prop::sample::Index>(),
        bit in 0..8u8,
    ) {
        let (_dir, path, disk, _) = written(150_000);
        let mut stored = std::fs::read(&path).unwrap();
        let at = at.index(stored.len());
        stored[at] ^= 1 << bit;
        std::fs::write(&path, &stored).unwrap();
        prop_assert!(as_dyn(&disk).read(&path).is_err());
        prop_assert!(disk.map(&path).is_err());
    }

    #[test]
    fn any_bytes_are_a_file_or_a_reason(
        magic in any::<bool>(),
        rest in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.bin");
        let start = if magic { &b"DAYBKENC"[..] } else { b"" };
        std::fs::write(&path, [start, &rest].concat()).unwrap();
        let disk = with(OLD);
        let read = as_dyn(&disk).read(&path);
        prop_assert_eq!(read.is_ok(), !magic);
        let _ = disk.stat(&path).unwrap();
    }
}
