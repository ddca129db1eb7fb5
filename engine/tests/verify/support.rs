//! A small data directory with everything in it, and changing it.

use daybook_engine::crypt::Keyring;
use daybook_engine::disk::{RealDisk, SharedDisk};
use daybook_engine::event::Seq;
use daybook_engine::segment::{Columnar, ColumnarEvent};
use daybook_engine::verify::{self, Report, verify};
use daybook_engine::view::Snapshot;
use daybook_engine::{Batch, Engine, Error, Options};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub fn disk() -> SharedDisk {
    Arc::new(RealDisk)
}

pub fn options() -> Options {
    Options { index_heap_bytes: 16 << 20, ..Options::default() }
}

pub fn line(session: &str, seq: u32) -> String {
    match seq {
        0 => format!(
            r#"{{"session":"{session}","seq":0,"time":"2026-03-01T10:00:00Z","kind":"session.start","user":"{session}@example.com","role":"prod","type":"database"}}"#
        ),
        _ => format!(
            r#"{{"session":"{session}","seq":{seq},"time":"2026-03-01T10:00:{:02}Z","kind":"command","input":"select {seq} from {session}"}}"#,
            seq % 60
        ),
    }
}

pub fn append(engine: &Engine, lines: impl IntoIterator<Item = String>) {
    let mut batch = Batch::new();
    for (number, line) in (1..).zip(lines) {
        batch.push(number, line.as_bytes()).unwrap();
    }
    let ack = engine.append_blocking(batch).unwrap();
    assert!(ack.rejected.is_empty(), "{:?}", ack.rejected);
}

/// A columnar copy that holds every line as it is.
pub struct Lines;

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

/// A kind of data directory.
pub struct Variety {
    pub name: &'static str,
    /// How it is opened.
    pub options: fn() -> Options,
    /// Is its segment merged from four?
    pub merged: bool,
}

impl Variety {
    pub fn at_rest(&self) -> Options {
        Options { read_only: true, ..(self.options)() }
    }

    pub fn small(&self, dir: &Path) {
        if !self.merged {
            return fill(dir, (self.options)(), 8);
        }
        fill(dir, (self.options)(), 4);
        let engine = Engine::open(dir, (self.options)()).unwrap();
        assert_eq!(engine.merge_now().unwrap(), 1);
        engine.close().unwrap();
    }

    pub fn check(&self, dir: &Path) -> Report {
        verify(&(self.options)().layered_disk(), dir, &verify::Options::default()).unwrap()
    }
}

/// The kinds of data directories that there are.
pub const VARIETIES: [Variety; 3] = [
    Variety { name: "plain", options, merged: false },
    Variety {
        name: "merged, with a columnar copy",
        options: || Options { columnar: Some(Arc::new(Lines)), merge: false, ..options() },
        merged: true,
    },
    Variety {
        name: "encrypted",
        options: || {
            let keys = "3:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
            let encryption = Some(Arc::new(Keyring::parse(keys).unwrap()));
            Options { columnar: Some(Arc::new(Lines)), encryption, ..options() }
        },
        merged: false,
    },
];

/// The sessions of the small directory; each has events in every part of it.
pub const SESSIONS: [&str; 4] = ["alpha", "bravo", "charlie", "delta"];
/// The events of each of them.
pub const EVENTS: u32 = 24;

/// Two segments and a journal, with everything that belongs to them.
pub fn small(dir: &Path) {
    fill(dir, options(), 8);
}

/// Writes the events of the first two thirds into segments of so many each per session, the rest into a
/// journal.
pub fn fill(dir: &Path, options: Options, sealed_at: u32) {
    let engine = Engine::open(dir, options).unwrap();
    for seq in (0..EVENTS).step_by(4) {
        let lines = (seq..seq + 4).flat_map(|seq| SESSIONS.map(|session| line(session, seq)));
        append(&engine, lines);
        if seq < EVENTS * 2 / 3 && (seq + 4) % sealed_at == 0 {
            engine.seal_now().unwrap();
        }
    }
    engine.close().unwrap();
}

pub fn check(dir: &Path) -> Report {
    check_with(dir, &verify::Options::default())
}

pub fn check_with(dir: &Path, options: &verify::Options<'_>) -> Report {
    verify(&disk(), dir, options).unwrap()
}

/// Every file below a directory, by its path in it.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => waiting.push(path),
                false => files.push(path.strip_prefix(dir).unwrap().to_owned()),
            }
        }
    }
    files.sort();
    files
}

pub fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        fs::create_dir_all(to.join(&file).parent().unwrap()).unwrap();
        fs::copy(from.join(&file), to.join(&file)).unwrap();
    }
}

/// Every event that can be read: (session, seq) to its line; and what could not be read.
pub fn stored(snapshot: &Snapshot) -> (BTreeMap<(String, Seq), String>, Vec<String>) {
    let (mut events, mut errors) = (BTreeMap::new(), Vec::new());
    for session in SESSIONS {
        for part in &snapshot.parts {
            let run = match part.session(session) {
                Ok(Some(run)) => run,
                Ok(None) => continue,
                Err(error) => {
                    errors.push(error.to_string());
                    continue;
                }
            };
            let read = part.read(&run.ordinals, None, &mut |_, record| {
                let line = String::from_utf8(record.json.to_vec()).unwrap();
                assert!(line.starts_with(&format!(r#"{{"session":"{session}""#)), "{line}");
                events.insert((session.to_owned(), record.seq), line);
                Ok(ControlFlow::Continue(()))
            });
            errors.extend(read.err().map(|error| error.to_string()));
        }
    }
    (events, errors)
}
