//! A load that does not end, and a sealer that does not keep up: what is not sealed stays bounded, and what
//! was acknowledged is there.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use daybook_engine::segment::{Columnar, ColumnarEvent};
use daybook_engine::{Batch, Engine, Error, Options};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A columnar copy that is not written as long as it is held up.
#[derive(Default)]
struct HeldUp(AtomicBool);

impl Columnar for HeldUp {
    fn write(
        &self,
        events: &mut dyn Iterator<Item = ColumnarEvent<'_>>,
        _: &mut (dyn Write + Send),
    ) -> Result<(), Error> {
        events.for_each(drop);
        while self.0.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

#[test]
fn a_log_that_is_not_sealed_takes_no_more_than_it_may_and_goes_on_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Arc::new(HeldUp(AtomicBool::new(true)));
    let options = Options {
        journal_bytes_max: 64 << 10,
        unsealed_bytes_max: 1 << 20,
        merge: false,
        columnar: Some(Arc::clone(&gate) as Arc<dyn Columnar>),
        ..Options::default()
    };
    let engine = Engine::open(dir.path(), options).unwrap();
    let (_, bound) = engine.unsealed_bytes();
    assert_eq!(bound, 1 << 20);
    let mut acked = 0;
    let mut append = || {
        let mut batch = Batch::new();
        for seq in acked..acked + 100 {
            let line = format!(
                r#"{{"session":"s","seq":{seq},"time":"2026-03-01T10:00:00Z","kind":"command","input":"{}"}}"#,
                "x".repeat(400)
            );
            batch.push(1, line.as_bytes()).unwrap();
        }
        engine.append_blocking(batch).map(|ack| acked += ack.accepted)
    };
    let told = (0..1_000).find_map(|_| append().err()).unwrap();
    assert!(matches!(told, Error::Busy { what: "sealed", .. }), "{told}");
    // No more than the batch that went over it.
    let (unsealed, _) = engine.unsealed_bytes();
    assert!((bound..bound + (64 << 10)).contains(&unsealed), "{unsealed}");
    gate.0.store(false, Ordering::Release);
    let goes_on = (0..1_000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        append().is_ok()
    });
    assert!(goes_on, "events are taken again once some are sealed");
    assert_eq!(engine.snapshot().events(), acked);
    engine.seal_now().unwrap();
    assert_eq!(engine.unsealed_bytes().0, 0);
    assert_eq!(engine.snapshot().events(), acked);
}
