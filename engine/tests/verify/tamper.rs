//! Somebody who can write to the disk, and makes every checksum fit.

use super::support::{append, check, check_with, copy, disk, line, options, small};
use daybook_engine::block::{
    BlockBuilder, BlockFile, FILE_HEADER_LEN, FileKind, Record, Records, Retry,
};
use daybook_engine::event::{Kind, Micros, Offset, Seq, Verdict};
use daybook_engine::merkle::{Checkpoint, Signer};
use daybook_engine::segment::{FileEntry, Manifest};
use daybook_engine::verify::{Options, Problem, Report};
use daybook_engine::{Engine, segment};
use std::fs;
use std::path::{Path, PathBuf};

/// A record of its own.
#[derive(Clone)]
struct Event {
    offset: Offset,
    previous: Option<Offset>,
    seq: Seq,
    time: Micros,
    kind: Kind,
    verdict: Option<Verdict>,
    received: Micros,
    producer: String,
    retry: Option<Retry>,
    json: Vec<u8>,
}

/// Rewrites a file of blocks with other events; every checksum of the file is right afterwards.
fn rewrite(path: &Path, kind: FileKind, change: &dyn Fn(&mut Vec<Vec<Event>>)) {
    let disk = disk();
    let file = BlockFile::open(&*disk, path, kind).unwrap();
    let mut blocks = Vec::new();
    let mut at = FILE_HEADER_LEN as u64;
    while at < file.file_len().unwrap() {
        let (header, payload) = file.read(at).unwrap();
        let events = Records::new(&payload).map(|record| {
            let Record {
                offset,
                previous,
                seq,
                time,
                kind,
                verdict,
                received,
                producer,
                retry,
                json,
            } = record.unwrap();
            let producer = producer.to_owned();
            let json = json.to_vec();
            Event { offset, previous, seq, time, kind, verdict, received, producer, retry, json }
        });
        blocks.push(events.collect());
        at += header.len_in_file();
    }
    change(&mut blocks);
    let mut out = fs::read(path).unwrap();
    out.truncate(FILE_HEADER_LEN);
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    let mut ordinal = 0;
    for events in blocks {
        let mut builder = BlockBuilder::default();
        for event in &events {
            let Event {
                offset,
                previous,
                seq,
                time,
                kind,
                verdict,
                received,
                producer,
                retry,
                json,
            } = event.clone();
            let (producer, json) = (producer.as_str(), json.as_slice());
            let record = Record {
                offset,
                previous,
                seq,
                time,
                kind,
                verdict,
                received,
                producer,
                retry,
                json,
            };
            builder.push(&record, true);
        }
        let base = match kind {
            FileKind::Journal => events[0].offset.0,
            FileKind::Segment => ordinal,
        };
        ordinal += events.len() as u64;
        builder.finish(base, file.header().salt, None, &mut compressor, &mut out).unwrap();
    }
    drop(file);
    fs::write(path, out).unwrap();
}

/// Makes a segment's manifest fit its files again.
fn seal_again(dir: &Path) {
    let disk = disk();
    let mut manifest = Manifest::read(&*disk, dir).unwrap();
    for (name, entry) in &mut manifest.files {
        *entry = FileEntry::of(&*disk, &dir.join(name)).unwrap();
    }
    let path = dir.join("segment.json");
    fs::write(&path, manifest.encode(&path).unwrap()).unwrap();
}

fn journal(dir: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = fs::read_dir(dir.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "journal"))
        .collect();
    files.sort();
    files.pop().unwrap()
}

fn newest_segment(dir: &Path) -> PathBuf {
    segment::list(&*disk(), &dir.join("segments")).unwrap().pop().unwrap()
}

/// One byte of the text of an event.
fn one_byte(event: &mut Event) {
    let at = event.json.windows(6).position(|text| text == b"select").unwrap();
    event.json[at] = b'S';
}

fn change_in_journal(dir: &Path) {
    rewrite(&journal(dir), FileKind::Journal, &|blocks| one_byte(&mut blocks[0][1]));
}

/// Changes an event in a segment's file of events.
pub fn one_byte_of(events: &Path) {
    rewrite(events, FileKind::Segment, &|blocks| one_byte(&mut blocks[0][1]));
}

fn change_in_segment(dir: &Path) {
    let segment = newest_segment(dir);
    one_byte_of(&segment.join("events.blk"));
    seal_again(&segment);
}

fn drop_event(dir: &Path) {
    rewrite(&journal(dir), FileKind::Journal, &|blocks| {
        blocks[0].remove(1);
        // The offsets behind it move up, so that there is no gap.
        let mut next = blocks[0][0].offset;
        for event in blocks.iter_mut().flatten() {
            event.offset = next;
            next.0 += 1;
        }
    });
    let _ = fs::remove_dir_all(dir.join("catalog"));
}

fn swap_events(dir: &Path) {
    rewrite(&journal(dir), FileKind::Journal, &|blocks| {
        let (a, b) = (blocks[0][1].clone(), blocks[0][2].clone());
        blocks[0][1] = Event { offset: a.offset, ..b.clone() };
        blocks[0][2] = Event { offset: b.offset, ..a };
    });
}

fn cut_segment(dir: &Path) {
    fs::remove_dir_all(newest_segment(dir)).unwrap();
    let _ = fs::remove_dir_all(dir.join("catalog"));
}

fn replace_key(dir: &Path) {
    let path = dir.join("merkle/checkpoint");
    let checkpoint = Checkpoint::peek(&fs::read_to_string(&path).unwrap()).unwrap();
    let signer = Signer::from_seed(&checkpoint.origin, &[7; 32]).unwrap();
    fs::write(dir.join("keys/signing.key"), signer.to_private_text() + "\n").unwrap();
    fs::write(dir.join("keys/verifier.key"), format!("{}\n", signer.verifier())).unwrap();
    fs::write(path, checkpoint.sign(&signer)).unwrap();
}

type Tampering = (&'static str, fn(&Path), bool, Problem);

#[test]
fn every_tampering_is_found_and_named() {
    const CASES: [Tampering; 6] = [
        ("one byte of an event in a journal", change_in_journal, false, Problem::Altered),
        ("one byte of an event in a segment", change_in_segment, false, Problem::Altered),
        ("an event dropped", drop_event, false, Problem::Altered),
        ("two events swapped", swap_events, false, Problem::Altered),
        ("the newest segment cut off", cut_segment, false, Problem::Gone),
        ("the key replaced, all signed again", replace_key, true, Problem::Unsigned),
    ];
    let whole = tempfile::tempdir().unwrap();
    small(whole.path());
    let older = tempfile::tempdir().unwrap();
    copy(whole.path(), older.path());
    let engine = Engine::open(whole.path(), options()).unwrap();
    append(&engine, [line("echo", 0), line("echo", 1)]);
    engine.close().unwrap();
    drop(engine);
    let checkpoint = fs::read(whole.path().join("merkle/checkpoint")).unwrap();
    assert!(check(whole.path()).is_well());
    let mut table = Vec::new();
    let mut found = |name: &str, report: &Report, needs: bool, problem: Problem| {
        let what = report.findings.iter().find(|found| found.problem == problem);
        let what = what.unwrap_or_else(|| panic!("{name}: {:#?}", report.findings));
        assert!(!report.is_well());
        let by = if needs { "an older checkpoint" } else { "the directory alone" };
        table.push(format!("{name:<36} | {by:<19} | {}: {}", what.file.display(), what.what));
    };
    for (name, tamper, needs, problem) in CASES {
        let dir = tempfile::tempdir().unwrap();
        copy(whole.path(), dir.path());
        tamper(dir.path());
        let with = Options { checkpoint: Some(&checkpoint), ..Options::default() };
        if needs {
            assert!(check(dir.path()).is_well(), "{name}: {:#?}", check(dir.path()).findings);
            found(name, &check_with(dir.path(), &with), needs, problem);
        } else {
            found(name, &check(dir.path()), needs, problem);
        }
    }
    // The older copy is whole in itself: only who kept a newer checkpoint can tell.
    assert!(check(older.path()).is_well());
    let with = Options { checkpoint: Some(&checkpoint), ..Options::default() };
    let report = check_with(older.path(), &with);
    found("the directory rolled back", &report, true, Problem::RolledBack);
    eprintln!("{}", table.join("\n"));
}
