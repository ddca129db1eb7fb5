//! Checks of an open log against the model.

use super::model::{Model, Name};
use super::workload::WORDS;
use daybook_engine::disk::SharedDisk;
use daybook_engine::event::text::Texts;
use daybook_engine::event::wire::Event;
use daybook_engine::event::{Seq, SessionKey};
use daybook_engine::merkle::store::Store;
use daybook_engine::merkle::{Checkpoint, tree};
use daybook_engine::session::{Change, SessionState};
use daybook_engine::text::narrow::{Fields, Narrow, WordShape};
use daybook_engine::text::words::words;
use daybook_engine::verify::Problem;
use daybook_engine::view::{Ordinals, Part, Snapshot};
use daybook_engine::{Engine, verify};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;

/// The session of the events that daybook itself writes.
const OWN: &str = "daybook";

/// Reads everything, and checks that all parts and indexes of it agree.
pub fn whole(snapshot: &Snapshot) -> BTreeMap<Name, String> {
    let mut all: BTreeMap<Name, String> = BTreeMap::new();
    let mut offsets = Vec::new();
    let mut states: BTreeMap<String, (BTreeSet<SessionKey>, SessionState)> = BTreeMap::new();
    for part in &snapshot.parts {
        let mut holding: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
        let mut runs: BTreeMap<String, BTreeSet<(Seq, u32)>> = BTreeMap::new();
        part.read(&Ordinals::Range(0..part.len()), None, &mut |ordinal, record| {
            let facts = part.facts(ordinal).expect("an event has facts");
            assert_eq!(
                (facts.offset, facts.seq, facts.time, facts.kind, facts.verdict),
                (record.offset, record.seq, record.time, record.kind, record.verdict),
                "facts and record agree"
            );
            assert_eq!(part.ordinal_of(record.offset), Some(ordinal));
            offsets.push(record.offset.0);
            let event = record.event()?;
            for word in WORDS {
                if has_word(&event, word) {
                    holding.entry(word).or_default().insert(ordinal);
                }
            }
            let session = event.session.to_string();
            runs.entry(session.clone()).or_default().insert((record.seq, ordinal));
            let state = states.entry(session.clone()).or_default();
            state.0.insert(facts.session);
            state.1.apply(Change::of(event, record.seq, record.json.len() as u64));
            let line = String::from_utf8(record.json.to_vec()).unwrap();
            let name = (session, record.seq.0);
            assert!(!all.contains_key(&name), "event {name:?} is stored twice");
            all.insert(name, line);
            Ok(ControlFlow::Continue(()))
        })
        .expect("every event can be read");
        narrowings(&**part, &holding);
        sessions(&**part, &runs);
    }
    offsets.sort_unstable();
    assert!(offsets.windows(2).all(|pair| pair[0] < pair[1]), "an offset is given twice");
    let erased = states.contains_key(OWN);
    let dense = offsets.iter().copied().eq(0..offsets.len() as u64);
    assert!(dense || erased, "offsets have no gaps, but where retention says why");
    catalog(snapshot, &states);
    all.retain(|(session, _), _| session != OWN);
    all
}

fn has_word(event: &Event<'_>, word: &str) -> bool {
    let texts = Texts::of(event);
    texts.iter().any(|(_, text)| words(text).any(|at| text.get(at) == Some(word)))
}

/// A narrowing never loses an event that matches.
fn narrowings(part: &dyn Part, holding: &BTreeMap<&str, BTreeSet<u32>>) {
    for word in WORDS {
        let folded: String = word.chars().map(|c| c.to_ascii_lowercase()).collect();
        let narrow = Narrow::Word(Fields::Any, WordShape::Is(folded));
        let Some(found) = part.narrow(&narrow).expect("a narrowing is answered") else { continue };
        let found: BTreeSet<u32> = found.into_iter().collect();
        let wanted = holding.get(word).cloned().unwrap_or_default();
        assert!(wanted.is_subset(&found), "{word}: {wanted:?} are in {found:?}");
    }
}

/// A part finds exactly the events of each of its sessions, in their order.
fn sessions(part: &dyn Part, runs: &BTreeMap<String, BTreeSet<(Seq, u32)>>) {
    for (id, wanted) in runs {
        let run = part.session(id).unwrap().unwrap_or_else(|| panic!("session {id} is found"));
        let ordinals: Vec<u32> = run.ordinals.iter().collect();
        assert!(ordinals.iter().copied().eq(wanted.iter().map(|(_, at)| *at)), "session {id}");
        assert_eq!(part.session_by_key(run.key).unwrap().as_ref(), Some(&run));
    }
}

/// The catalog is the fold of the events that are there.
fn catalog(snapshot: &Snapshot, states: &BTreeMap<String, (BTreeSet<SessionKey>, SessionState)>) {
    assert_eq!(snapshot.sessions.count().unwrap(), states.len() as u64, "sessions");
    for (id, (keys, state)) in states {
        assert_eq!(keys.len(), 1, "session {id} has one number: {keys:?}");
        let session = snapshot.sessions.get(id).unwrap();
        let session = session.unwrap_or_else(|| panic!("session {id} is in the catalog"));
        assert!(keys.contains(&session.key), "session {id}: {keys:?}, {:?}", session.key);
        assert_eq!(&*session.state, state, "the state of session {id}");
    }
}

/// The log continues every checkpoint that was handed out.
pub fn checkpoints(model: &Model, engine: &Engine, disk: &SharedDisk, dir: &Path) {
    let newest = Checkpoint::peek(&engine.checkpoint().expect("a checkpoint is signed")).unwrap();
    let store = Store::open(disk, &dir.join("merkle"), false).unwrap();
    for (_, note) in &model.checkpoints {
        let old = Checkpoint::peek(note).unwrap();
        let path = tree::consistency(&store, old.size, newest.size)
            .unwrap_or_else(|error| panic!("{} leaves are left of {old:?}: {error}", newest.size));
        assert!(
            tree::is_consistent(old.size, old.root, newest.size, newest.root, &path),
            "{newest:?} continues {old:?}"
        );
    }
}

/// Every byte is what was written, and every hash is what was signed.
pub fn verified(disk: &SharedDisk, dir: &Path) {
    let report = verify::verify(disk, dir, &verify::Options::default()).expect("it verifies");
    // A crash leaves files that nobody needs.
    let wrong: Vec<_> =
        report.findings.iter().filter(|found| found.problem != Problem::Leftover).collect();
    assert!(wrong.is_empty(), "nothing is wrong: {wrong:?}");
}

/// What is there after a crash is what has to be, and nothing but what may be.
pub fn against(model: &Model, operation: u64, found: &BTreeMap<Name, String>) {
    let may = model.after(operation);
    for (name, line) in found {
        let Some((_, wanted)) = may.get(name) else {
            panic!("event {name:?} is there, but was not sent before the crash");
        };
        assert!(wanted.contains(&line.as_str()), "event {name:?} is as it was sent: {line}");
    }
    let lost: Vec<&&Name> = may
        .iter()
        .filter(|(name, (must, _))| *must && !found.contains_key(**name))
        .map(|(name, _)| name)
        .collect();
    let some = lost.get(..8).unwrap_or(&lost);
    assert!(lost.is_empty(), "{} acknowledged events are gone: {some:?} ...", lost.len());
}
