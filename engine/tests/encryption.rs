//! Encryption at rest: nothing of what was said stands on the disk, and what the log promises holds all
//! the same.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use daybook_engine::crypt::{Keyring, NoKey};
use daybook_engine::disk::{EncryptedDisk, RealDisk, SharedDisk};
use daybook_engine::segment::{Columnar, ColumnarEvent};
use daybook_engine::text::narrow::{Fields, Narrow, WordShape};
use daybook_engine::view::Ordinals;
use daybook_engine::{Batch, Beside, Engine, Error, Options, verify};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const OLD: &str = "3:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "7:q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=";
const MARKER: &str = "zanzibarquux";

/// A columnar copy that holds every line as it is.
struct Lines;

impl Columnar for Lines {
    fn write(
        &self,
        events: &mut dyn Iterator<Item = ColumnarEvent<'_>>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Error> {
        for event in events {
            out.write_all(event.record.json).map_err(Error::io("write", Path::new("lines")))?;
        }
        Ok(())
    }
}

fn options(keys: &str) -> Options {
    let keys = (!keys.is_empty()).then(|| Arc::new(Keyring::parse(keys).unwrap()));
    Options { encryption: keys, columnar: Some(Arc::new(Lines)), ..Options::default() }
}

fn open(dir: &Path, keys: &str) -> Result<Arc<Engine>, Error> {
    Engine::open(dir, options(keys))
}

fn line(session: &str, seq: u32) -> String {
    format!(
        r#"{{"session": "{session}", "seq": {seq}, "time": "2026-03-01T10:00:00Z", "kind": "command", "input": "cat {MARKER} {seq}"}}"#
    )
}

fn append(engine: &Engine, session: &str, seqs: std::ops::Range<u32>) -> u64 {
    let mut batch = Batch::new();
    let start = format!(
        r#"{{"session": "{session}", "seq": 900000, "time": "2026-03-01T10:00:00Z", "kind": "session.start", "user": "{MARKER}@example.com", "role": "{MARKER}"}}"#
    );
    batch.push(1, start.as_bytes()).unwrap();
    for seq in seqs {
        batch.push(u64::from(seq) + 2, line(session, seq).as_bytes()).unwrap();
    }
    engine.append_blocking(batch).unwrap().accepted
}

fn count(engine: &Engine) -> usize {
    let mut all = BTreeMap::new();
    for part in &engine.snapshot().parts {
        part.read(&Ordinals::Range(0..part.len()), None, &mut |_, record| {
            let session = record.event().unwrap().session.into_owned();
            assert!(all.insert((session, record.seq), ()).is_none(), "stored twice");
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    }
    all.len()
}

/// How many events the text indexes find a word in; `None` where one could not answer.
fn found(engine: &Engine, word: &str) -> Option<usize> {
    let narrow = Narrow::Word(Fields::Any, WordShape::Is(word.to_owned()));
    let snapshot = engine.snapshot();
    let answers = snapshot.parts.iter().map(|part| part.narrow(&narrow).unwrap());
    answers.map(|ordinals| ordinals.map(|ordinals| ordinals.len())).sum()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

fn named(dir: &Path, name: &str) -> PathBuf {
    let all = files(dir);
    all.iter().find(|path| path.ends_with(name)).unwrap_or_else(|| panic!("{all:?}")).clone()
}

/// The files that hold the marker as it is, or in letters of another case.
fn leaks(dir: &Path) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap().to_ascii_lowercase();
        bytes.windows(MARKER.len()).any(|window| window == MARKER.as_bytes())
    };
    files(dir).into_iter().filter(holds).collect()
}

fn verified(dir: &Path, keys: &str) -> Result<verify::Report, Error> {
    let keys = if keys.is_empty() { Keyring::default() } else { Keyring::parse(keys).unwrap() };
    let disk: SharedDisk =
        Arc::new(EncryptedDisk::new(Arc::new(RealDisk), Arc::new(keys), 1 << 20));
    verify::verify(&disk, dir, &verify::Options::default())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path, target).unwrap();
    }
}

#[test]
fn nothing_that_was_said_stands_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path(), OLD).unwrap();
    append(&engine, &format!("s-{MARKER}"), 0..2_000);
    assert_eq!(leaks(dir.path()), Vec::<PathBuf>::new());
    engine.seal_now().unwrap();
    append(&engine, "t", 0..50);
    engine.close().unwrap();
    assert_eq!(leaks(dir.path()), Vec::<PathBuf>::new());
    drop(engine);
    // What stands there is all that is needed to read it again, indexes and all.
    let engine = open(dir.path(), OLD).unwrap();
    assert_eq!(count(&engine), 2_052);
    assert_eq!(found(&engine, "17"), Some(2));
    assert_eq!(engine.stats().unwrap().sessions, 2);
    assert_eq!(append(&engine, "t", 0..51), 1);
    let keys = engine.stats().unwrap().encryption_keys;
    assert_eq!(keys.keys().copied().collect::<Vec<_>>(), [3]);
    drop(engine);
    // The whole of it is what was written, and verifying it takes the key.
    let report = verified(dir.path(), OLD).unwrap();
    assert_eq!(report.findings, []);
    assert!(matches!(verified(dir.path(), ""), Err(Error::NoKey { .. })));
    // The same without encryption holds it in many places: the test sees what it looks for.
    let plain = tempfile::tempdir().unwrap();
    let engine = open(plain.path(), "").unwrap();
    append(&engine, &format!("s-{MARKER}"), 0..2_000);
    engine.seal_now().unwrap();
    engine.close().unwrap();
    assert!(leaks(plain.path()).len() >= 3, "{:?}", leaks(plain.path()));
}

#[test]
fn without_its_key_a_directory_is_refused_and_nothing_in_it_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path(), OLD).unwrap();
    append(&engine, "s", 0..20);
    engine.close().unwrap();
    drop(engine);
    for sealed in [false, true] {
        if sealed {
            let engine = open(dir.path(), OLD).unwrap();
            engine.seal_now().unwrap();
            engine.close().unwrap();
        }
        let before: Vec<_> = files(dir.path()).iter().map(|path| fs::read(path).unwrap()).collect();
        let other = format!("3:{}", &NEW[2..]);
        for (keys, expected) in
            [("", NoKey::NoKeys(3)), (NEW, NoKey::Missing(3)), (other.as_str(), NoKey::Another(3))]
        {
            match open(dir.path(), keys) {
                Err(Error::NoKey { why, .. }) => assert_eq!(why, expected),
                other => panic!("{other:?}"),
            }
        }
        let after: Vec<_> = files(dir.path()).iter().map(|path| fs::read(path).unwrap()).collect();
        assert!(before == after, "something was changed");
    }
    let engine = open(dir.path(), OLD).unwrap();
    assert_eq!(count(&engine), 21);
}

#[test]
fn encryption_is_turned_on_later_and_keys_are_rotated() {
    let dir = tempfile::tempdir().unwrap();
    let mut total = 0;
    for (n, keys) in ["", OLD, &format!("{NEW}\n{OLD}")].iter().enumerate() {
        // A journal goes on under the key that it began with; the next one is under the first.
        let engine = open(dir.path(), keys).unwrap();
        assert_eq!(engine.read_only_reason(), None);
        total += append(&engine, &format!("a{n}"), 0..100);
        engine.seal_now().unwrap();
        total += append(&engine, &format!("b{n}"), 0..100);
        engine.close().unwrap();
        drop(engine);
        let engine = open(dir.path(), keys).unwrap();
        assert_eq!(count(&engine) as u64, total);
        assert_eq!(engine.stats().unwrap().sessions, 2 * (n as u64 + 1));
    }
    assert!(matches!(open(dir.path(), NEW), Err(Error::NoKey { why: NoKey::Missing(3), .. })));
    // Then all of it is put under the first key, while it is open.
    let engine = open(dir.path(), &format!("{NEW}\n{OLD}")).unwrap();
    let keys = engine.stats().unwrap().encryption_keys;
    assert!(keys[&0] > 0 && keys[&3] > 0 && keys[&7] > 0, "{keys:?}");
    let rekeyed = engine.rekey().unwrap();
    assert_eq!(rekeyed.key, 7);
    assert!(rekeyed.segments > 0, "{rekeyed:?}");
    let keys = engine.stats().unwrap().encryption_keys;
    assert_eq!(keys.keys().copied().collect::<Vec<_>>(), [7]);
    assert_eq!(engine.rekey().unwrap().segments, 0);
    assert_eq!(count(&engine) as u64, total);
    assert_eq!(found(&engine, "17"), Some(6));
    engine.close().unwrap();
    drop(engine);
    assert_eq!(leaks(dir.path()), Vec::<PathBuf>::new());
    // The old key is not asked for any more, and without one a key is asked for.
    let engine = open(dir.path(), NEW).unwrap();
    assert_eq!(engine.read_only_reason(), None);
    assert_eq!(count(&engine) as u64, total);
    assert_eq!(engine.stats().unwrap().sessions, 6);
    engine.close().unwrap();
    drop(engine);
    assert_eq!(verified(dir.path(), NEW).unwrap().findings, []);
    assert!(matches!(open(dir.path(), ""), Err(Error::NoKey { why: NoKey::NoKeys(7), .. })));
    let plain = tempfile::tempdir().unwrap();
    assert!(matches!(open(plain.path(), "").unwrap().rekey(), Err(Error::Unusable { .. })));
}

#[test]
fn a_torn_tail_is_cut_off_and_what_is_whole_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    // No checkpoint is to say that these tails were whole once.
    let open = |dir: &Path| Engine::open(dir, Options { merkle: false, ..options(OLD) });
    let engine = open(dir.path()).unwrap();
    for n in 0..4 {
        append(&engine, &format!("s{n}"), 0..10);
    }
    engine.close().unwrap();
    drop(engine);
    // As a crash leaves it: what the catalog knows was acknowledged.
    fs::remove_dir_all(dir.path().join("catalog")).unwrap();
    let journal = named(dir.path(), "00000000000000000000.journal");
    let len = fs::metadata(&journal).unwrap().len();
    for cut in [1, 17, 64, 100] {
        let copied = tempfile::tempdir().unwrap();
        copy(dir.path(), copied.path());
        let journal = copied.path().join(journal.strip_prefix(dir.path()).unwrap());
        fs::OpenOptions::new().write(true).open(&journal).unwrap().set_len(len - cut).unwrap();
        let engine = open(copied.path()).unwrap();
        assert_eq!(engine.read_only_reason(), None);
        assert_eq!(engine.stats().unwrap().findings.len(), 1);
        assert_eq!(count(&engine), 33);
        assert_eq!(append(&engine, "s3", 0..10), 11);
        engine.seal_now().unwrap();
        assert_eq!(count(&engine), 44);
        assert_eq!(leaks(copied.path()), Vec::<PathBuf>::new());
    }
}

type Change = dyn Fn(&mut Vec<u8>);

/// Recomputes the checksums of the one block of a journal.
fn mend(bytes: &mut [u8]) {
    let salt: [u8; 4] = bytes[12..16].try_into().unwrap();
    let crc = |parts: &[u8]| crc32fast::hash(&[&salt[..], parts].concat()).to_le_bytes();
    let payload = crc(&bytes[128..]);
    bytes[64 + 48..64 + 52].copy_from_slice(&payload);
    let header = crc(&bytes[72..128]);
    bytes[68..72].copy_from_slice(&header);
}

#[test]
fn a_block_that_was_altered_with_its_checksums_is_found_and_never_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path(), OLD).unwrap();
    append(&engine, "s", 0..10);
    engine.close().unwrap();
    drop(engine);
    let journal = named(dir.path(), "00000000000000000000.journal");
    let whole = fs::read(&journal).unwrap();
    // In the payload; in the times; in the nonce; the flag that says it is encrypted (which leaves the
    // nonce in reserved bytes); the same with zeros there.
    let changes: [&Change; 5] = [
        &|bytes| bytes[140] ^= 1,
        &|bytes| bytes[64 + 32] ^= 1,
        &|bytes| bytes[64 + 52] ^= 1,
        &|bytes| bytes[64 + 10] ^= 2,
        &|bytes| {
            bytes[64 + 10] ^= 2;
            bytes[64 + 52..128].fill(0);
        },
    ];
    for (n, change) in changes.iter().enumerate() {
        let mut bytes = whole.clone();
        change(&mut bytes);
        mend(&mut bytes);
        fs::write(&journal, &bytes).unwrap();
        let engine = open(dir.path(), OLD).unwrap();
        if n != 3 {
            let reason = engine.read_only_reason().unwrap();
            assert!(reason.contains("altered"), "{reason}");
            assert_eq!(fs::read(&journal).unwrap(), bytes);
        }
        assert_eq!(count(&engine), 0);
        drop(engine);
        fs::write(&journal, &whole).unwrap();
    }
}

#[test]
fn an_altered_file_of_a_segment_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path(), OLD).unwrap();
    append(&engine, "s", 0..2_000);
    engine.seal_now().unwrap();
    engine.close().unwrap();
    drop(engine);
    let index = named(dir.path(), "index.bin");
    let mut bytes = fs::read(&index).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&index, &bytes).unwrap();
    // It is made again from the events.
    let engine = open(dir.path(), OLD).unwrap();
    let findings = engine.stats().unwrap().findings;
    assert!(findings.iter().any(|found| found.path.ends_with("index.bin")), "{findings:?}");
    assert_eq!(count(&engine), 2_001);
}

/// What stands beside the log holds secrets: only its owner can read it, and it is under the keys, too.
#[test]
fn what_stands_beside_the_log_is_private_encrypted_checked_and_put_under_another_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("searches.json");
    let kept = BTreeMap::from([("query".to_owned(), MARKER.to_owned())]);
    let read = |engine: &Engine| engine.beside::<BTreeMap<String, String>>(Beside::Searches);
    let engine = open(dir.path(), "").unwrap();
    assert_eq!(read(&engine).unwrap(), None);
    engine.keep_beside(Beside::Searches, &kept).unwrap();
    assert_eq!(read(&engine).unwrap().unwrap()["query"], MARKER);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(leaks(dir.path()), [path.as_path()]);
    drop(engine);
    // What was plain is encrypted by a rekey, and goes from key to key.
    for keys in [OLD.to_owned(), format!("{NEW}\n{OLD}")] {
        let engine = open(dir.path(), &keys).unwrap();
        append(&engine, "s", 0..1);
        engine.rekey().unwrap();
        assert_eq!(read(&engine).unwrap().unwrap()["query"], MARKER);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(engine.stats().unwrap().encryption_keys.len(), 1);
        engine.close().unwrap();
    }
    assert_eq!(leaks(dir.path()), Vec::<PathBuf>::new());
    assert!(matches!(open(dir.path(), OLD), Err(Error::NoKey { why: NoKey::Missing(7), .. })));
    assert_eq!(verified(dir.path(), NEW).unwrap().findings, []);
    // A backup has it, and what is restored is private.
    let place = tempfile::tempdir().unwrap();
    let (copied, restored) = (place.path().join("copied"), place.path().join("restored"));
    let engine = open(dir.path(), NEW).unwrap();
    engine.backup(&copied).unwrap();
    drop(engine);
    Engine::restore(&copied, &restored, options(NEW)).unwrap();
    let mode = fs::metadata(restored.join("searches.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(read(&open(&restored, NEW).unwrap()).unwrap().is_some());
    // A byte that was altered is found by whoever reads it.
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    let report = verified(dir.path(), NEW).unwrap();
    assert_eq!(report.findings.len(), 1, "{:#?}", report.findings);
    assert_eq!(report.findings[0].file, Path::new("searches.json"));
    assert!(matches!(read(&open(dir.path(), NEW).unwrap()), Err(Error::Corrupt { .. })));
}
