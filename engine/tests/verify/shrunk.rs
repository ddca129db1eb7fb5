//! Files that shrink while an engine has them mapped.

use super::support::{EVENTS, SESSIONS, append, files, line, options, small, stored};
use daybook_engine::text::narrow::{Fields, Narrow, WordShape};
use daybook_engine::{Batch, Engine};
use std::fs::OpenOptions;
use std::path::Path;
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

#[test]
fn a_catalog_that_shrinks_is_an_error_and_ends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let engine = Engine::open(dir.path(), options()).unwrap();
    let sessions = engine.snapshot().sessions;
    assert!(sessions.get("alpha").unwrap().is_some());
    for file in files(dir.path()).into_iter().filter(|file| file.starts_with("catalog")) {
        cut(&dir.path().join(file), 0);
    }
    assert!(sessions.get("alpha").is_err());
    let (all, errors) = stored(&engine.snapshot());
    assert!(errors.is_empty() && all.len() == EVENTS as usize * SESSIONS.len());
}
