//! A directory in which nothing is wrong.

use super::support::{EVENTS, SESSIONS, check, line, options, small};
use daybook_engine::Engine;

#[test]
fn a_directory_as_it_was_written_is_well() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let report = check(dir.path());
    assert!(report.is_well() && report.findings.is_empty(), "{report:#?}");
    assert_eq!((report.segments, report.journals), (2, 1));
    assert_eq!(report.events, u64::from(EVENTS) * SESSIONS.len() as u64);
    assert_eq!(report.sessions, Some(SESSIONS.len() as u64));
}

#[test]
fn a_directory_under_a_running_engine_is_well() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let engine = Engine::open(dir.path(), options()).unwrap();
    let writer = std::thread::spawn({
        let engine = std::sync::Arc::clone(&engine);
        move || {
            for seq in 0..200 {
                super::support::append(&engine, [line("echo", seq)]);
                if seq % 50 == 49 {
                    engine.seal_now().unwrap();
                }
            }
        }
    });
    while !writer.is_finished() {
        let report = check(dir.path());
        assert!(report.is_well(), "{:#?}", report.findings);
        assert!(report.running);
    }
    writer.join().unwrap();
}
