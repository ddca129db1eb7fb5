//! Files that shrink while an engine has them mapped.

use super::support::{EVENTS, SESSIONS, append, files, line, options, small, stored};
use daybook_engine::text::narrow::{Fields, Narrow, WordShape};
use daybook_engine::{Batch, Engine, Repaired};
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn cut(path: &Path, len: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

fn word(word: &str) -> Narrow {
    Narrow::Word(Fields::Any, WordShape::Is(word.to_owned()))
}

#[test]
fn an_index_that_shrinks_is_an_error_for_its_readers_and_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let engine = Engine::open(dir.path(), options()).unwrap();
    let snapshot = engine.snapshot();
    let (all, errors) = stored(&snapshot);
    assert!(errors.is_empty() && all.len() == EVENTS as usize * SESSIONS.len());
    cut(&dir.path().join("segments/00000000000000000000/index.bin"), 0);
    let (rest, errors) = stored(&snapshot);
    // The first segment's events can't be read; those of the other parts can.
    assert_eq!((rest.len(), errors.len()), (all.len() * 2 / 3, SESSIONS.len()), "{errors:?}");
    assert!(errors.iter().all(|error| error.contains("shrank under its reader")), "{errors:?}");
    assert!(snapshot.parts[0].facts(0).is_none() && snapshot.parts[0].check().is_err());
    // Whether a session is new can't be said without it; what is known goes on.
    let mut batch = Batch::new();
    batch.push(1, line("echo", 0).as_bytes()).unwrap();
    let ack = engine.append_blocking(batch).unwrap();
    assert!(ack.rejected.iter().all(|refused| refused.error.contains("can't be checked")));
    append(&engine, [line("alpha", 20)]);
    // The engine notices and makes it again, and then all is as it was.
    let started = Instant::now();
    while stored(&engine.snapshot()) != (all.clone(), Vec::new()) {
        assert!(started.elapsed() < Duration::from_secs(20), "it was not mended");
        std::thread::sleep(Duration::from_millis(50));
    }
    engine.close().unwrap();
    drop(engine);
    let report = super::support::check(dir.path());
    assert!(report.is_well(), "{:#?}", report.findings);
}

#[test]
fn a_text_index_that_shrinks_narrows_nothing_and_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let engine = Engine::open(dir.path(), options()).unwrap();
    let snapshot = engine.snapshot();
    let found = snapshot.parts[0].narrow(&word("alpha")).unwrap().unwrap();
    assert!(!found.is_empty());
    let text = Path::new("segments/00000000000000000000/text");
    for file in files(dir.path()).into_iter().filter(|file| file.starts_with(text)) {
        cut(&dir.path().join(file), 0);
    }
    // It can't help any more, so every event may match.
    assert_eq!(snapshot.parts[0].narrow(&word("alpha")).unwrap(), None);
    let started = Instant::now();
    while engine.snapshot().parts[0].narrow(&word("alpha")).unwrap().as_ref() != Some(&found) {
        assert!(started.elapsed() < Duration::from_secs(20), "it was not mended");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_catalog_that_shrinks_is_an_error_for_its_readers_and_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let engine = Engine::open(dir.path(), options()).unwrap();
    let sessions = engine.snapshot().sessions;
    let known = SESSIONS.map(|id| sessions.get(id).unwrap());
    assert!(known.iter().all(Option::is_some));
    for file in files(dir.path()).into_iter().filter(|file| file.starts_with("catalog")) {
        cut(&dir.path().join(file), 0);
    }
    assert!(sessions.get("bravo").is_err());
    // The log goes on, and what it takes meanwhile is in the new catalog, too.
    append(&engine, [line("alpha", EVENTS), line("echo", 0)]);
    let (all, errors) = stored(&engine.snapshot());
    assert!(errors.is_empty() && all.len() == EVENTS as usize * SESSIONS.len() + 1);
    until("it was not mended", || sessions.get("bravo").is_ok());
    let alpha = sessions.get("alpha").unwrap().unwrap();
    assert_eq!(alpha.state.events, u64::from(EVENTS) + 1);
    assert_eq!(sessions.get("bravo").unwrap(), known[1]);
    assert_eq!(sessions.count().unwrap(), SESSIONS.len() as u64 + 1);
    append(&engine, [line("echo", 1)]);
    engine.seal_now().unwrap();
    engine.close().unwrap();
    drop((sessions, engine));
    let report = super::support::check(dir.path());
    assert!(report.is_well(), "{:#?}", report.findings);
}

/// What no reader stumbles over, a repair finds: by the checksums of the files.
#[test]
fn an_engine_that_runs_repairs_what_rotted_unseen() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let engine = Engine::open(dir.path(), options()).unwrap();
    assert_eq!(engine.repair().unwrap(), Repaired::default());
    let all = files(dir.path());
    let text = Path::new("segments/00000000000000000000/text");
    let journal = dir.path().join("journal").join(format!("{:020}.text", 64));
    let journal = journal.strip_prefix(dir.path()).unwrap();
    for place in [Path::new("catalog"), text, journal] {
        let is_store = |file: &&PathBuf| {
            file.starts_with(place) && file.extension().is_some_and(|ending| ending == "store")
        };
        let path = dir.path().join(all.iter().find(is_store).unwrap());
        let mut bytes = fs::read(&path).unwrap();
        bytes[2] ^= 0x10;
        fs::write(path, bytes).unwrap();
    }
    let repaired = engine.repair().unwrap();
    assert_eq!(repaired.left, []);
    let mended = |place: &Path| repaired.mended.contains(&dir.path().join(place));
    assert!(mended(Path::new("catalog")) && mended(text.parent().unwrap()), "{repaired:?}");
    assert!(mended(journal), "{repaired:?}");
    append(&engine, [line("echo", 0)]);
    engine.seal_now().unwrap();
    engine.close().unwrap();
    drop(engine);
    let report = super::support::check(dir.path());
    assert!(report.is_well(), "{:#?}", report.findings);
}
