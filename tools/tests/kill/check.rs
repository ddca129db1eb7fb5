//! Is what is stored what the producers and the client know?

use crate::common::{Server, run};
use crate::producer::{HELD, Kept, Key, Producer};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Compares an export with what was sent, and the timelines with the export.
pub fn stored(server: &Server, producers: &[Producer], out: &Path) {
    run(0, &["export", "--server", &server.address, "-o", out.to_str().unwrap()]);
    let found = read(out);
    for producer in producers {
        if producer.kept == Kept::Briefly {
            let gone = producer.acked.iter().filter(|key| !found.contains_key(key)).count();
            eprintln!("{gone} of {} events that may go are gone", producer.acked.len());
            assert!(gone > 0, "retention erased nothing: the test tests less than it says");
            continue;
        }
        for key in &producer.acked {
            assert!(found.contains_key(key), "acked event {key:?} is lost");
        }
    }
    let sent = |key| producers.iter().find_map(|producer| producer.sent.get(key));
    let mut seqs: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (key, event) in &found {
        let sent = sent(key).map(|line| serde_json::from_str::<Value>(line).unwrap());
        assert_eq!(Some(event), sent.as_ref(), "event {key:?} is not what was sent");
        seqs.entry(&key.0).or_default().push(key.1);
    }
    let holds = producers.iter().any(|producer| producer.kept == Kept::Held);
    assert_eq!(seqs.contains_key(HELD), holds);
    for (session, seqs) in seqs {
        let shown = run(0, &["show", "--json", "--server", &server.address, session]);
        let shown: Vec<u64> = shown
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap())
            .collect();
        assert_eq!(shown, seqs, "the timeline of {session} is not what the export has");
    }
}

/// The events of an export, but for those that daybook wrote of itself.
fn read(path: &Path) -> BTreeMap<Key, Value> {
    let (mut found, mut offsets) = (BTreeMap::new(), BTreeSet::new());
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let mut event: Value = serde_json::from_str(line).unwrap();
        let offset = event.as_object_mut().unwrap().remove("offset").unwrap();
        assert!(offsets.insert(offset.as_u64().unwrap()), "offset {offset} twice");
        if event["session"] == "daybook" || event["kind"] == "access" {
            continue;
        }
        let key = (event["session"].as_str().unwrap().to_owned(), event["seq"].as_u64().unwrap());
        let before = found.insert(key.clone(), event);
        assert!(before.is_none(), "event {key:?} is there twice");
    }
    found
}

/// The log continues each of the checkpoints, and everything in it is whole.
pub fn checkpoints(data: &Path, notes: &[String], keys: &[&str]) {
    let file = data.with_file_name("checkpoint");
    for (at, note) in notes.iter().enumerate() {
        std::fs::write(&file, note).unwrap();
        let (data, file) = (data.to_str().unwrap(), file.to_str().unwrap());
        let mut args = vec!["verify", data, "--checkpoint", file];
        // What does not depend on the checkpoint once.
        if at > 0 {
            args.push("--skip-catalog");
        }
        run(0, &[&args, keys].concat());
    }
}
