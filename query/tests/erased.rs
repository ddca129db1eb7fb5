//! What retention erases after an export of it has begun.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use daybook_engine::event::Micros;
use daybook_engine::retention::Policy;
use daybook_engine::{Batch, Engine, Options};
use daybook_query::export::{ExportRequest, Format, export};

#[test]
fn an_export_goes_on_when_a_session_of_its_snapshot_is_erased() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { retention_interval: None, merge: false, ..Options::default() };
    let engine = Engine::open(dir.path(), options).unwrap();
    let rules = vec!["type:ssh 1d".parse().unwrap()];
    let policy = Policy { rules, default: "forever".parse().unwrap(), bytes_max: None };
    engine.set_policy(policy, "eve@example.com").unwrap();
    for (session, kind) in [("a", "database"), ("b", "ssh"), ("c", "database")] {
        let mut batch = Batch::new();
        let lines = [
            format!(
                r#"{{"session":"{session}","seq":0,"time":"2026-03-01T10:00:00Z","kind":"session.start","user":"u@example.com","role":"r","type":"{kind}"}}"#
            ),
            format!(
                r#"{{"session":"{session}","seq":1,"time":"2026-03-01T10:00:01Z","kind":"session.end","status":"done"}}"#
            ),
        ];
        for (line, json) in (1..).zip(&lines) {
            batch.push(line, json.as_bytes()).unwrap();
        }
        assert!(engine.append_blocking(batch).unwrap().rejected.is_empty());
        engine.seal_now().unwrap();
    }
    let snapshot = engine.snapshot();
    let later = Micros(Micros::now().0 + 2 * 86_400_000_000);
    engine.retain(later, "eve@example.com").unwrap();
    assert_eq!(engine.snapshot().sessions.get("b").unwrap(), None);
    let mut text = Vec::new();
    export(&snapshot, &ExportRequest::new(None, Format::Ndjson), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let of = |session: &str| text.matches(&format!(r#""session":"{session}""#)).count();
    assert_eq!((of("a"), of("b"), of("c")), (2, 0, 2), "{text}");
}
