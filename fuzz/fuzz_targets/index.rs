//! An index of any bytes, and a sound index with any bytes changed: refused or read, never a panic
//! and never an endless loop.
#![no_main]

use daybook_engine::block::Record;
use daybook_engine::disk::{RealDisk, SharedDisk};
use daybook_engine::event::{Kind, Micros, Offset, Seq, SessionKey, Verdict};
use daybook_engine::segment::{INDEX_FILE, Index, Leaves, SealInput, seal};
use daybook_engine::session::SessionState;
use daybook_engine::view::Session;
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

const BASE: u64 = 1000;
const EVENTS: u32 = 60;
const SESSIONS: u32 = 5;
const HEADER_LEN: usize = 64;
const TOC_LEN: usize = 10 * 32;

static DIR: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::tempdir_in(dir).expect("a directory")
});
static FILE: LazyLock<PathBuf> = LazyLock::new(|| DIR.path().join("fuzzed.bin"));
static SOUND: LazyLock<Vec<u8>> = LazyLock::new(sound);

fuzz_target!(|input: &[u8]| {
    read(input);
    let _ = daybook_engine::text::is_word_list(input);
    with_sound_ends(input);
    let mut patched = SOUND.clone();
    for patch in input.chunks_exact(3) {
        let [low, high, byte] = patch else { continue };
        let len = patched.len();
        patched[usize::from(u16::from_le_bytes([*low, *high])) % len] = *byte;
    }
    // As damage is found: the checksums hold the start of the file together.
    read(&patched);
    // Behind the checksums.
    if let Some((header, rest)) = patched.split_first_chunk_mut::<HEADER_LEN>() {
        header[56..60].copy_from_slice(&crc32fast::hash(&rest[..TOC_LEN]).to_le_bytes());
        let crc = crc32fast::hash(&header[..60]);
        header[60..].copy_from_slice(&crc.to_le_bytes());
    }
    read(&patched);
});

/// Asks everything that can be asked of an index of these bytes, if it can be opened.
fn read(bytes: &[u8]) {
    fs::write(&*FILE, bytes).expect("room for a file");
    let Ok(index) = Index::open(&RealDisk, &FILE) else { return };
    assert_eq!(index.file_len(), bytes.len() as u64);
    let _ = (index.verify(), index.times());
    let (base, events, sessions) = (index.base().0, index.events(), index.sessions());
    for ordinal in (0..events.min(200)).chain(around(events)) {
        let facts = index.facts(ordinal);
        if let Some(offset) = index.offset(ordinal) {
            // Where events were erased there are fewer of them than offsets.
            assert!(ordinal < events && offset.0 >= base);
            let _ = index.ordinal_of(offset);
        }
        if let Some(facts) = facts {
            assert_eq!(index.offset(ordinal), Some(facts.offset));
            let _ = index.session_by_key(facts.session);
        }
        if let Ok(block) = index.block_of(ordinal) {
            assert!(block.ordinals.contains(&ordinal) && block.ordinals.end <= events);
        }
    }
    let offsets = (0..events.min(200)).map(|n| base.saturating_add(u64::from(n)));
    let edges = [0, BASE, base.wrapping_sub(1), base.wrapping_add(u64::from(events)), u64::MAX];
    for offset in offsets.chain(edges) {
        assert!(index.ordinal_of(Offset(offset)).is_none_or(|ordinal| ordinal < events));
        if let Ok(Some(row)) = index.session_by_key(SessionKey(offset)) {
            assert_eq!(row.key, SessionKey(offset));
        }
    }
    for place in (0..sessions.min(200)).chain(around(sessions)) {
        let Ok(row) = index.session_at(place) else { continue };
        assert!(!row.ordinals.is_empty() && row.ordinals.end <= events);
        if let Ok(seqs) = index.seqs(&row) {
            let count: u64 = seqs.iter().map(|s| u64::from(s.end() - s.start()) + 1).sum();
            assert_eq!(count, row.ordinals.len() as u64);
        }
        if let Ok(Some(same)) = index.session(row.id) {
            assert_eq!(same.id, row.id);
        }
    }
    for n in 0..=SESSIONS {
        let _ = index.session(&id(n));
    }
    let _ = (index.session(""), index.session("\u{10ffff}"));
}

fn around(end: u32) -> [u32; 5] {
    [end.wrapping_sub(1), end, end.wrapping_add(1), u32::MAX - 1, u32::MAX]
}

fn id(n: u32) -> String {
    format!("{}-{n}", ["b", "a", "ab", "é", "a-"][n as usize % 5])
}

/// The index of a small segment: a few sessions, interleaved, one of them older than the segment.
fn sound() -> Vec<u8> {
    let payloads: Vec<_> = (0..EVENTS)
        .collect::<Vec<_>>()
        .chunks(7)
        .map(|ordinals| {
            let mut payload = Vec::new();
            for n in ordinals {
                Record {
                    offset: Offset(BASE + u64::from(*n)),
                    previous: None,
                    seq: Seq((n * 7) % EVENTS),
                    time: Micros(1_772_000_000_000_000 + i64::from((n * 13) % 40) * 1_000_000),
                    kind: Kind::ALL[*n as usize % Kind::ALL.len()],
                    verdict: Verdict::ALL.get(*n as usize % 7).copied(),
                    received: Micros(1_772_000_000_000_000),
                    producer: "proxy-1",
                    retry: None,
                    json: format!("{{\"n\":{n}}}").as_bytes(),
                }
                .encode(&mut payload);
            }
            Arc::new(payload.into())
        })
        .collect();
    let sessions: Vec<Session> = (0..SESSIONS)
        .map(|n| Session {
            id: id(n).into(),
            key: SessionKey(if n == 0 { 10 } else { BASE + u64::from(n) }),
            state: Arc::new(SessionState::default()),
        })
        .collect();
    let session_of: Vec<u32> = (0..EVENTS).map(|n| n % SESSIONS).collect();
    let input = SealInput {
        base: Offset(BASE),
        end: Offset(BASE + u64::from(EVENTS)),
        payloads: &payloads,
        plain: &vec![true; payloads.len()],
        session_of: &session_of,
        sessions: &sessions,
        texts: &[],
        leaves: &Leaves::default(),
        created: Micros(1),
        generation: 0,
        replaces: &[],
    };
    let disk: SharedDisk = Arc::new(RealDisk);
    let segment = seal(&disk, DIR.path(), &input, None).expect("a segment").path;
    let bytes = fs::read(segment.join(INDEX_FILE)).expect("its index");
    fs::remove_dir_all(segment).expect("the segment is gone");
    bytes
}

/// A list of words of which only the start and the checksum are sound.
fn with_sound_ends(input: &[u8]) {
    let mut bytes = b"DAYBKWRD".to_vec();
    bytes.extend_from_slice(input);
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    let _ = daybook_engine::text::is_word_list(&bytes);
}
