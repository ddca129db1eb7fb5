//! The Merkle log: checkpoints, tiles and proofs for outsiders; what was altered shows at the start.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use daybook_engine::block::{
    BLOCK_HEADER_LEN, BlockBuilder, BlockFile, FILE_HEADER_LEN, FileKind, Record, Records,
};
use daybook_engine::disk::RealDisk;
use daybook_engine::event::Offset;
use daybook_engine::merkle::tile::Tile;
use daybook_engine::merkle::{Checkpoint, Verifier};
use daybook_engine::{Batch, Engine, Options};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tlog_tiles::{Hash as TheirHash, TileHashReader, TileReader};

fn line(session: &str, seq: u32) -> String {
    format!(
        r#"{{"session":"{session}","seq":{seq},"time":"2026-03-01T10:00:{:02}Z","kind":"terminal.output","text":"{session} {seq}"}}"#,
        seq % 60
    )
}

/// Appends an event to each of these sessions, in one block.
fn append(engine: &Engine, seq: u32, sessions: &[&str]) {
    let mut batch = Batch::new();
    for (at, session) in sessions.iter().enumerate() {
        batch.push(at as u64 + 1, line(session, seq).as_bytes()).unwrap();
    }
    assert_eq!(engine.append_blocking(batch).unwrap().accepted, sessions.len() as u64);
}

fn open(dir: &Path) -> Arc<Engine> {
    Engine::open(dir, Options { text_index: false, ..Options::default() }).unwrap()
}

fn key(engine: &Engine) -> Verifier {
    Verifier::parse(&engine.verifier_key().unwrap()).unwrap()
}

fn checkpoint(engine: &Engine) -> Checkpoint {
    Checkpoint::open(&engine.checkpoint().unwrap(), &key(engine)).unwrap()
}

fn journals(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("journal")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "journal"));
    files.sort();
    files
}

/// Another author's reader of tiles, over what the engine hands out.
struct Tiles<'a>(&'a Engine);

impl TileReader for Tiles<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile: &tlog_tiles::Tile| {
            let path = tile.path();
            let tile = Tile::parse(path.strip_prefix("tile/8/").unwrap()).unwrap();
            self.0.tile(&tile).unwrap().expect("a tile of the tree")
        };
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

/// Is the one tree the start of the other, as another author's implementation finds?
fn check_consistent(engine: &Engine, old: &Checkpoint, new: &Checkpoint) {
    if old.size == 0 {
        return;
    }
    let (old_root, new_root) = (TheirHash(old.root.0), TheirHash(new.root.0));
    let tiles = Tiles(engine);
    let reader = TileHashReader::new(new.size, new_root, &tiles);
    let proof = tlog_tiles::prove_tree(new.size, old.size, &reader).unwrap();
    tlog_tiles::check_tree(&proof, new.size, new_root, old.size, old_root).unwrap();
}

#[test]
fn each_checkpoint_is_the_start_of_the_next_across_seals_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = Vec::new();
    let mut seq = 0;
    let mut name = None;
    for round in 0..4 {
        let engine = open(dir.path());
        for _ in 0..150 {
            append(&engine, seq, &["a", "b"]);
            seq += 1;
        }
        let new = checkpoint(&engine);
        assert_eq!(new.size, u64::from(seq), "a leaf for each block");
        assert_eq!(engine.coverage().unwrap().through, Offset(u64::from(seq) * 2));
        assert_eq!(*name.get_or_insert_with(|| engine.verifier_key()), engine.verifier_key());
        before.push(new.clone());
        before.iter().for_each(|old| check_consistent(&engine, old, &new));
        if round % 2 == 1 {
            engine.seal_now().unwrap();
        }
        if round == 2 {
            engine.close().unwrap();
        }
    }
}

#[test]
fn closing_signs_what_was_written_last() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    append(&engine, 0, &["a"]);
    engine.close().unwrap();
    drop(engine);
    let engine =
        Engine::open(dir.path(), Options { read_only: true, ..Options::default() }).unwrap();
    assert_eq!(checkpoint(&engine).size, 1);
    assert_eq!(engine.coverage().unwrap().through, Offset(1));
}

#[test]
fn an_empty_log_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let checkpoint = checkpoint(&engine);
    assert_eq!((checkpoint.size, checkpoint.origin.as_str()), (0, "localhost/daybook"));
    assert_eq!(engine.tile(&Tile { level: Some(0), index: 0, width: 1 }).unwrap(), None);
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_the_signing_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let meta = fs::metadata(dir.path().join("keys/signing.key")).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    let public = fs::read_to_string(dir.path().join("keys/verifier.key")).unwrap();
    assert_eq!(public.trim(), engine.verifier_key().unwrap());
}

#[test]
fn without_the_option_there_is_no_merkle_log() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { merkle: false, text_index: false, ..Options::default() };
    let engine = Engine::open(dir.path(), options).unwrap();
    append(&engine, 0, &["a"]);
    assert!(engine.checkpoint().is_err() && engine.proof("a").is_err());
    assert!(engine.coverage().is_none() && engine.last_checkpoint().is_none());
    engine.seal_now().unwrap();
    assert!(!dir.path().join("merkle").exists() && !dir.path().join("keys").exists());
}

#[test]
fn a_session_in_journals_is_proved_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    {
        let engine = open(dir.path());
        (0..20).for_each(|seq| append(&engine, seq, &["a", "b", "c"]));
    }
    let engine = open(dir.path());
    (20..30).for_each(|seq| append(&engine, seq * 2, &["b", "a"]));
    let bundle = engine.proof("a").unwrap().unwrap();
    let proved = bundle.check(Some(&key(&engine))).unwrap();
    assert_eq!((proved.events, proved.first, proved.before), (30, Offset(0), None));
    assert_eq!(proved.last, Offset(79));
    assert_eq!(proved.unused_seqs.len(), 10);
    assert_eq!(bundle.blocks.len(), 30);
    assert!(engine.proof("none").unwrap().is_none());
    let mut cut = bundle;
    cut.blocks.remove(15);
    assert!(cut.check(None).unwrap_err().contains("missing"));
}

#[test]
fn a_session_is_proved_across_seals_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let mut seq = 0;
    for _ in 0..3 {
        for _ in 0..30 {
            append(&engine, seq, &["a", "b", "c"]);
            seq += 1;
        }
        engine.seal_now().unwrap();
        let proved = engine.proof("b").unwrap().unwrap().check(Some(&key(&engine))).unwrap();
        assert_eq!((proved.events, proved.before), (u64::from(seq), None));
    }
    append(&engine, seq, &["c", "b"]);
    drop(engine);
    let engine = open(dir.path());
    append(&engine, seq + 1, &["b"]);
    let proved = engine.proof("b").unwrap().unwrap().check(Some(&key(&engine))).unwrap();
    assert_eq!((proved.events, proved.before), (92, None));
    assert_eq!((proved.first, proved.last), (Offset(1), Offset(272)));
    assert_eq!(proved.unused_seqs, []);
}

/// Puts other events into a journal: everything that only guards against accidents is made to fit.
fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let file = BlockFile::open(&RealDisk, path, FileKind::Journal).unwrap();
    let mut blocks = Vec::new();
    let mut at = FILE_HEADER_LEN as u64;
    while at < file.file_len().unwrap() {
        let (header, payload) = file.read(at).unwrap();
        at += header.len_in_file();
        blocks.push(payload);
    }
    change(&mut blocks);
    let mut out = file.header().encode().to_vec();
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    for payload in blocks {
        let mut builder = BlockBuilder::default();
        let records: Vec<Record<'_>> = Records::new(&payload).map(Result::unwrap).collect();
        records.iter().for_each(|record| builder.push(record, false));
        let (base, salt) = (records[0].offset.0, file.header().salt);
        let mut block = Vec::new();
        builder.finish(base, salt, None, &mut compressor, &mut block).unwrap();
        assert!(block.len() > BLOCK_HEADER_LEN);
        out.extend(block);
    }
    fs::write(path, out).unwrap();
}

/// The second record of a block begins here.
fn second(payload: &[u8]) -> usize {
    let first = Records::new(payload).next().unwrap().unwrap();
    first.encoded_len().min(payload.len())
}

#[test]
fn what_was_altered_shows_at_the_start() {
    type Alter = fn(&Path);
    let table: [(&str, &str, Alter); 8] = [
        ("a byte of an event is changed", "the events 4 to 5", |dir| {
            rewrite(&journals(dir)[0], |blocks| {
                let at = blocks[2].len() - 3;
                blocks[2][at] ^= 1;
            });
        }),
        ("two events of a block are swapped", "the events 4 to 5", |dir| {
            rewrite(&journals(dir)[0], |blocks| {
                let middle = second(&blocks[2]);
                let (a, b) = blocks[2].split_at(middle);
                let mut swapped = [b, a].concat();
                // With the offsets in order again.
                for (at, offset) in [(8, 4u64), (second(&swapped) + 8, 5)] {
                    swapped[at..at + 8].copy_from_slice(&offset.to_le_bytes());
                }
                blocks[2] = swapped;
            });
        }),
        ("the newest events are dropped", "2 events are gone", |dir| {
            rewrite(&journals(dir)[0], |blocks| blocks.truncate(blocks.len() - 1));
        }),
        ("an event in a block is dropped", "the events 4 to 4", |dir| {
            rewrite(&journals(dir)[0], |blocks| {
                let middle = second(&blocks[2]);
                blocks[2].truncate(middle);
                blocks.truncate(3);
                // The log is as long as it was: something else takes the place of what went.
                let mut rest = blocks[1].clone();
                for (at, offset) in [(8, 5u64), (second(&rest) + 8, 6)] {
                    rest[at..at + 8].copy_from_slice(&offset.to_le_bytes());
                }
                blocks.push(rest);
                let mut rest = blocks[1].clone();
                for (at, offset) in [(8, 7u64), (second(&rest) + 8, 8)] {
                    rest[at..at + 8].copy_from_slice(&offset.to_le_bytes());
                }
                blocks.push(rest);
            });
        }),
        ("the key is replaced", "signed by the key", |dir| {
            let other = tempfile::tempdir().unwrap();
            drop(open(other.path()));
            for name in ["keys/signing.key", "keys/verifier.key"] {
                fs::copy(other.path().join(name), dir.join(name)).unwrap();
            }
        }),
        ("the key is gone", "key that signed this log is missing", |dir| {
            fs::remove_file(dir.join("keys/signing.key")).unwrap();
        }),
        ("a leaf is changed", "do not lead to the root", |dir| {
            let path = dir.join("merkle/leaves");
            let mut bytes = fs::read(&path).unwrap();
            bytes[100] ^= 1;
            fs::write(path, bytes).unwrap();
            fs::remove_file(dir.join("merkle/level-0")).unwrap();
        }),
        ("the checkpoint is changed", "Merkle log is damaged", |dir| {
            let path = dir.join("merkle/signed");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text.replacen("1\n4\n", "1\n3\n", 1)).unwrap();
        }),
    ];
    for (name, says, alter) in table {
        let dir = tempfile::tempdir().unwrap();
        {
            let engine = open(dir.path());
            (0..4).for_each(|seq| append(&engine, seq, &["a", "b"]));
        }
        alter(dir.path());
        let engine = open(dir.path());
        let reason = engine.read_only_reason().unwrap_or_else(|| panic!("{name}: is not found"));
        assert!(reason.contains(says), "{name}: {reason}");
        assert!(engine.stats().unwrap().findings.iter().any(|f| f.what.contains(says)), "{name}");
        // Reads go on.
        assert!(engine.snapshot().events() > 0);
    }
}

#[test]
fn a_tail_that_a_checkpoint_covers_is_not_taken_for_a_torn_one() {
    let dir = tempfile::tempdir().unwrap();
    {
        let engine = open(dir.path());
        (0..4).for_each(|seq| append(&engine, seq, &["a", "b"]));
    }
    let journal = journals(dir.path()).remove(0);
    let whole = fs::read(&journal).unwrap();
    fs::write(&journal, &whole[..whole.len() - 1]).unwrap();
    let engine = open(dir.path());
    assert!(engine.read_only_reason().unwrap().contains("first event 6"));
    assert_eq!(engine.snapshot().events(), 6);
    assert_eq!(engine.stats().unwrap().findings.len(), 1);
    assert_eq!(fs::read(&journal).unwrap().len(), whole.len() - 1, "nothing is cut off");
    drop(engine);
    fs::write(&journal, &whole).unwrap();
    assert!(open(dir.path()).read_only_reason().is_none());
}

#[test]
fn damaged_levels_are_made_again_from_the_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let level = dir.path().join("merkle/level-0");
    {
        let engine = open(dir.path());
        (0..300).for_each(|seq| append(&engine, seq, &["a"]));
    }
    let good = fs::read(&level).unwrap();
    let mut bad = good.clone();
    bad[33] ^= 1;
    bad[299 * 32] ^= 1;
    fs::write(&level, bad).unwrap();
    fs::remove_file(dir.path().join("merkle/level-1")).unwrap();
    let engine = open(dir.path());
    assert!(engine.read_only_reason().is_none());
    assert_eq!(fs::read(&level).unwrap(), good);
    assert!(engine.proof("a").unwrap().unwrap().check(Some(&key(&engine))).is_ok());
}
