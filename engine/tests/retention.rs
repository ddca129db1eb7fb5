//! What retention promises: what is past its age goes, what is held stays, and the log, the catalog and
//! the record of what was deleted agree.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use daybook_engine::catalog::filter::{NumberFact, SessionFilter};
use daybook_engine::catalog::sort::{Sort, SortFact};
use daybook_engine::event::wire::{Body, Retention};
use daybook_engine::event::{Micros, Offset, RetentionAction, SessionKey};
use daybook_engine::retention::{HoldQueries, Names, NewHold, Policy, Scope};
use daybook_engine::session::{Change, SessionState};
use daybook_engine::view::{ListRequest, Ordinals, SessionSet, Snapshot};
use daybook_engine::{Ack, Batch, Engine, Error, OWN_SESSION, Options};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

const DAY: i64 = 86_400 * 1_000_000;

/// Without merging: the tests count segments.
fn options() -> Options {
    Options {
        index_heap_bytes: 16 << 20,
        retention_interval: None,
        merge: false,
        ..Options::default()
    }
}

fn open(dir: &Path) -> Arc<Engine> {
    Engine::open(dir, options()).unwrap()
}

fn append(engine: &Engine, lines: &[String]) -> Ack {
    let mut batch = Batch::new();
    for (i, line) in lines.iter().enumerate() {
        batch.push(i as u64 + 1, line.as_bytes()).unwrap();
    }
    engine.append_blocking(batch).unwrap()
}

fn start(session: &str, user: &str, role: &str, kind: &str) -> String {
    format!(
        r#"{{"session":"{session}","seq":0,"time":"2026-03-01T10:00:00Z","kind":"session.start","user":"{user}","role":"{role}","type":"{kind}"}}"#
    )
}

fn command(session: &str, seq: u32) -> String {
    format!(
        r#"{{"session":"{session}","seq":{seq},"time":"2026-03-01T10:00:01Z","kind":"command","input":"run {session} {seq}","verdict":"passed"}}"#
    )
}

/// A session with two events.
fn session(id: &str, user: &str, role: &str, kind: &str) -> Vec<String> {
    vec![start(id, user, role, kind), command(id, 1)]
}

/// Appends and seals: a segment.
fn segment(engine: &Engine, sessions: &[Vec<String>]) {
    append(engine, &sessions.concat());
    engine.seal_now().unwrap();
}

fn policy(rules: &[&str], default: &str) -> Policy {
    Policy {
        rules: rules.iter().map(|rule| rule.parse().unwrap()).collect(),
        default: default.parse().unwrap(),
        bytes_max: None,
    }
}

fn hold(scope: Scope) -> NewHold {
    NewHold {
        scope,
        case: "2026-17".into(),
        reason: "subpoena".into(),
        by: "eve@example.com".into(),
    }
}

fn in_days(days: i64) -> Micros {
    Micros(Micros::now().0 + days * DAY)
}

type Folded = BTreeMap<String, (SessionKey, SessionState)>;

/// The fold of every event of a snapshot.
fn fold(snapshot: &Snapshot) -> Folded {
    let mut all = Folded::new();
    for part in &snapshot.parts {
        part.read(&Ordinals::Range(0..part.len()), None, &mut |ordinal, record| {
            let key = part.facts(ordinal).unwrap().session;
            let event = record.event().unwrap();
            let id = event.session.clone().into_owned();
            let (known, state) = all.entry(id).or_insert((key, SessionState::default()));
            assert_eq!(*known, key);
            state.apply(Change::of(event, record.seq, record.json.len() as u64));
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    }
    all
}

fn catalog(snapshot: &Snapshot) -> Folded {
    let request = ListRequest {
        filter: SessionFilter::All,
        sort: Sort { by: SortFact::Number(NumberFact::Started), descending: true },
        after: None,
        limit: 100_000,
    };
    let page = snapshot.sessions.list(&request).unwrap();
    assert_eq!(page.count, page.items.len() as u64);
    assert_eq!(snapshot.sessions.count().unwrap(), page.count);
    let sessions = page.items.into_iter();
    sessions
        .map(|session| {
            let (by_id, by_key) =
                (snapshot.sessions.get(&session.id), snapshot.sessions.by_key(session.key));
            assert_eq!(by_id.unwrap().unwrap(), session);
            assert_eq!(by_key.unwrap().unwrap(), session);
            (session.id.to_string(), (session.key, SessionState::clone(&session.state)))
        })
        .collect()
}

/// The catalog is the fold of the log.
fn check(engine: &Engine) -> Folded {
    let snapshot = engine.snapshot();
    let folded = fold(&snapshot);
    assert_eq!(catalog(&snapshot), folded);
    folded
}

/// The same after a restart, and with a catalog that is built anew.
fn check_again(engine: Arc<Engine>, dir: &Path) -> Arc<Engine> {
    let before = check(&engine);
    engine.close().unwrap();
    drop(engine);
    let engine = open(dir);
    assert_eq!(check(&engine), before);
    engine.close().unwrap();
    drop(engine);
    std::fs::remove_dir_all(dir.join("catalog")).unwrap();
    let engine = open(dir);
    // The number of a session whose first events are gone and whose others are in journals may differ.
    let states = |folded: Folded| -> Vec<(String, SessionState)> {
        folded.into_iter().map(|(id, (_, state))| (id, state)).collect()
    };
    assert_eq!(states(check(&engine)), states(before));
    engine
}

fn ids(engine: &Engine) -> Vec<String> {
    check(engine).into_keys().filter(|id| id != OWN_SESSION).collect()
}

/// What daybook told of itself, in order.
fn told(engine: &Engine) -> Vec<Retention> {
    let mut all = BTreeMap::new();
    for part in engine.snapshot().parts {
        let Some(run) = part.session(OWN_SESSION).unwrap() else { continue };
        part.read(&run.ordinals, None, &mut |_, record| {
            if let Body::Retention(told) = record.event().unwrap().body {
                assert!(all.insert(record.seq, *told).is_none());
            }
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    }
    all.into_values().collect()
}

fn deletions(engine: &Engine) -> Vec<String> {
    let told = told(engine).into_iter().filter(|told| told.action == RetentionAction::Delete);
    told.map(|told| told.target.unwrap().into()).collect()
}

fn segments(dir: &Path) -> usize {
    let names = std::fs::read_dir(dir.join("segments")).unwrap();
    names
        .map(|e| e.unwrap().file_name())
        .inspect(|n| assert_ne!(n.as_encoded_bytes()[0], b'.'))
        .count()
}

#[test]
fn whole_segments_go_by_the_rules_for_their_roles_and_types_and_each_deletion_is_an_event() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    segment(
        &engine,
        &[session("lab", "ann", "lab-1", "ssh"), session("lab2", "bob", "lab-2", "ssh")],
    );
    segment(&engine, &[session("ssh", "ann", "prod", "ssh")]);
    segment(&engine, &[session("db", "ann", "prod", "database")]);
    append(&engine, &session("fresh", "ann", "lab-1", "ssh"));
    let rules = policy(&["type:ssh role:lab-* 1d", "type:ssh 30d"], "7y");
    engine.set_policy(rules.clone(), "eve@example.com").unwrap();
    assert_eq!(engine.policy(), rules);
    let plan = engine.retention_plan(in_days(2)).unwrap();
    assert_eq!((plan.gone.len(), plan.gone[0].sessions, plan.gone[0].events), (1, 2, 4));
    assert_eq!(ids(&engine), ["db", "fresh", "lab", "lab2", "ssh"]);

    assert_eq!(engine.retain(Micros::now(), "eve@example.com").unwrap().gone, []);
    let report = engine.retain(in_days(2), "eve@example.com").unwrap();
    assert_eq!((report.gone, report.failed), (plan.gone, Vec::new()));
    assert_eq!(ids(&engine), ["db", "fresh", "ssh"]);
    assert_eq!(segments(dir.path()), 2);
    let engine = check_again(engine, dir.path());
    let report = engine.retain(in_days(40), "eve@example.com").unwrap();
    assert_eq!(report.gone[0].rules, ["type:ssh 30d"]);
    assert_eq!(ids(&engine), ["db", "fresh"]);
    let told = told(&engine);
    assert_eq!(told.len(), 3);
    assert_eq!((told[0].action, &*told[0].by), (RetentionAction::Policy, "eve@example.com"));
    let deleted = &told[1];
    assert_eq!(deleted.action, RetentionAction::Delete);
    assert_eq!(deleted.target.as_deref(), Some("00000000000000000000"));
    let says = |name: &str| &*deleted.metadata[name];
    assert_eq!((says("first_offset"), says("last_offset")), ("0", "3"));
    assert_eq!((says("sessions"), says("events")), ("2", "4"));
    assert_eq!(says("rule"), "role:lab-* type:ssh 1d");
    check_again(engine, dir.path());
}

#[test]
fn holds_of_each_sort_keep_what_they_cover_until_they_are_released() {
    let scopes = [
        Scope { sessions: vec!["s1".into()], ..Scope::default() },
        Scope { users: vec![Names::new("ann@*")], ..Scope::default() },
        Scope { roles: vec![Names::new("prod-*")], ..Scope::default() },
        Scope { query: Some("s1".into()), ..Scope::default() },
    ];
    for scope in scopes {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { hold_queries: Some(Arc::new(ById)), ..options() };
        let engine = Engine::open(dir.path(), options.clone()).unwrap();
        segment(&engine, &[session("s1", "ann@example.com", "prod-1", "ssh")]);
        segment(&engine, &[session("s2", "bob@example.com", "lab", "ssh")]);
        engine.set_policy(policy(&[], "1d"), "eve@example.com").unwrap();
        let placed = engine.hold(hold(scope.clone())).unwrap();
        engine.retain(in_days(9), "eve@example.com").unwrap();
        assert_eq!(ids(&engine), ["s1"], "{scope:?}");
        engine.close().unwrap();
        drop(engine);
        let engine = Engine::open(dir.path(), options).unwrap();
        assert_eq!(engine.holds(), std::slice::from_ref(&placed));
        assert!(engine.retain(in_days(9), "eve@example.com").unwrap().gone.is_empty());
        assert!(matches!(engine.release(&placed.id, "bob", " "), Err(Error::Refused { .. })));
        assert_eq!(engine.release("hold-0", "bob@example.com", "closed").unwrap(), None);
        assert_eq!(engine.release(&placed.id, "bob@example.com", "closed").unwrap(), Some(placed));
        engine.retain(in_days(9), "eve@example.com").unwrap();
        assert!(ids(&engine).is_empty());
        let told = told(&engine);
        let actions: Vec<&str> = told.iter().map(|told| told.action.name()).collect();
        assert_eq!(actions, ["policy", "hold", "delete", "release", "delete"], "{actions:?}");
    }
}

/// Takes the text of a query for a session's id.
struct ById;

impl HoldQueries for ById {
    fn check(&self, query: &str) -> Result<(), String> {
        if query.contains('(') { Err("no".to_owned()) } else { Ok(()) }
    }

    fn sessions(&self, log: &Snapshot, query: &str) -> Result<Arc<SessionSet>, Error> {
        let keys: SessionSet =
            log.sessions.get(query)?.map(|session| session.key).into_iter().collect();
        Ok(Arc::new(keys))
    }
}

#[test]
fn a_hold_on_a_query_also_covers_what_matches_later_and_without_an_evaluator_nothing_goes() {
    let dir = tempfile::tempdir().unwrap();
    let with = Options { hold_queries: Some(Arc::new(ById)), ..options() };
    let engine = Engine::open(dir.path(), with).unwrap();
    engine.set_policy(policy(&[], "1d"), "eve@example.com").unwrap();
    let scope = |query: &str| Scope { query: Some(query.into()), ..Scope::default() };
    assert!(matches!(engine.hold(hold(scope("("))), Err(Error::Refused { .. })));
    engine.hold(hold(scope("late"))).unwrap();
    segment(&engine, &[session("late", "ann", "r", "ssh")]);
    segment(&engine, &[session("other", "ann", "r", "ssh")]);
    engine.close().unwrap();
    drop(engine);
    let without = open(dir.path());
    assert!(matches!(without.retain(in_days(9), "eve"), Err(Error::Refused { .. })));
    assert!(matches!(without.hold(hold(scope("x"))), Err(Error::Refused { .. })));
    assert_eq!(ids(&without), ["late", "other"]);
    without.close().unwrap();
    drop(without);
    let with = Options { hold_queries: Some(Arc::new(ById)), ..options() };
    let engine = Engine::open(dir.path(), with).unwrap();
    engine.retain(in_days(9), "eve").unwrap();
    assert_eq!(ids(&engine), ["late"]);
}

#[test]
fn past_the_bound_on_bytes_the_oldest_go_first_but_nothing_that_is_held() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    for n in 0..6 {
        segment(&engine, &[session(&format!("s{n}"), "ann", "r", "ssh")]);
    }
    let one = engine.retention_plan(Micros::now()).unwrap();
    assert!(one.gone.is_empty());
    let bytes: u64 = std::fs::read_dir(dir.path().join("segments"))
        .unwrap()
        .map(|entry| {
            let json = std::fs::read(entry.unwrap().path().join("segment.json")).unwrap();
            let manifest: serde_json::Value = serde_json::from_slice(&json).unwrap();
            let files = manifest["files"].as_object().unwrap();
            files.values().map(|file| file["bytes"].as_u64().unwrap()).sum::<u64>()
        })
        .sum();
    engine.hold(hold(Scope { sessions: vec!["s1".into()], ..Scope::default() })).unwrap();
    let bound = Policy { bytes_max: Some(bytes / 2 + 10), ..Policy::default() };
    engine.set_policy(bound, "eve@example.com").unwrap();
    let report = engine.retain(Micros::now(), "eve@example.com").unwrap();
    assert_eq!(ids(&engine), ["s1", "s4", "s5"]);
    assert!(report.gone.iter().all(|gone| gone.rules[0].starts_with("bytes_max ")));
    assert!(engine.retain(Micros::now(), "eve@example.com").unwrap().gone.is_empty());
    check_again(engine, dir.path());
}

#[test]
fn a_session_that_keeps_some_events_is_folded_from_them_and_its_rule_goes_on_to_fit() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    segment(&engine, &[session("long", "ann", "lab", "ssh")]);
    segment(&engine, &[vec![command("long", 2), command("long", 3)]]);
    append(&engine, &[command("long", 4)]);
    engine.set_policy(policy(&["type:ssh 1d"], "forever"), "eve@example.com").unwrap();
    // Only the first segment is past its age: it was sealed a moment before.
    let first = engine.retention_plan(in_days(2)).unwrap();
    assert_eq!(first.gone.len(), 2);
    let manifest = dir.path().join("segments/00000000000000000002/segment.json");
    let text: serde_json::Value =
        serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap();
    let between = Micros(text["created"].as_i64().unwrap() + DAY - 1);
    engine.retain(between, "eve@example.com").unwrap();
    let state = check(&engine).remove("long").unwrap().1;
    assert_eq!((state.commands, state.events, state.start), (3, 3, None));
    let engine = check_again(engine, dir.path());
    // Its type is not in the log any more, but the rule that named it still counts.
    engine.retain(in_days(2), "eve@example.com").unwrap();
    assert_eq!(check(&engine)["long"].1.commands, 1);
    append(&engine, &[command("long", 5)]);
    check_again(engine, dir.path());
}

#[test]
fn a_segment_that_mixes_what_is_held_and_what_is_past_its_age_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let mixed = [
        session("a", "ann", "lab", "ssh"),
        session("b", "bob", "prod", "database"),
        session("c", "cat", "lab", "ssh"),
        session("d", "dan", "lab", "ssh"),
    ];
    segment(&engine, &mixed);
    append(&engine, &[command("a", 2)]);
    engine.set_policy(policy(&["type:ssh 1d"], "forever"), "eve@example.com").unwrap();
    let users = Scope { users: vec![Names::new("cat")], ..Scope::default() };
    let placed = engine.hold(hold(users)).unwrap();
    let report = engine.retain(in_days(2), "eve@example.com").unwrap();
    assert_eq!(report.failed, []);
    let gone = &report.gone[0];
    assert_eq!((gone.whole, gone.sessions, gone.events, gone.kept_events), (false, 2, 4, 4));
    assert_eq!(ids(&engine), ["a", "b", "c"]);
    let engine = check_again(engine, dir.path());
    assert!(engine.retain(in_days(2), "eve@example.com").unwrap().gone.is_empty());
    assert_eq!(find(&engine, "run"), ["a 2", "b 1", "c 1"]);
    assert_eq!(append(&engine, &mixed.concat()).duplicates, 4);
    engine.release(&placed.id, "eve@example.com", "closed").unwrap();
    let report = engine.retain(in_days(2), "eve@example.com").unwrap();
    assert_eq!(report.gone[0].segment, "00000000000000000000-1");
    let engine = check_again(engine, dir.path());
    let told: Vec<_> =
        told(&engine).into_iter().filter_map(|t| t.metadata.get("events").cloned()).collect();
    assert_eq!(told, ["4".into(), "2".into()]);
    assert_eq!(segments(dir.path()), 1);
    // daybook's own session outlives every age.
    engine.seal_now().unwrap();
    engine.set_policy(policy(&[], "1d"), "eve@example.com").unwrap();
    engine.retain(in_days(2), "eve@example.com").unwrap();
    assert!(ids(&engine).is_empty());
    assert!(engine.snapshot().sessions.get(OWN_SESSION).unwrap().is_some());
    check_again(engine, dir.path());
}

/// The commands with a word, by the text index where there is one.
fn find(engine: &Engine, word: &str) -> Vec<String> {
    use daybook_engine::text::narrow::{Fields, Narrow, WordShape};
    let narrow = Narrow::Word(Fields::Any, WordShape::Is(word.to_owned()));
    let mut found = Vec::new();
    for part in engine.snapshot().parts {
        let ordinals = part.narrow(&narrow).unwrap();
        let ordinals = ordinals.map_or(Ordinals::Range(0..part.len()), Ordinals::List);
        part.read(&ordinals, None, &mut |_, record| {
            if let Body::Command(command) = record.event().unwrap().body {
                found.push(command.input.trim_start_matches("run ").to_owned());
            }
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    }
    found.sort();
    found
}

#[test]
fn an_erased_event_that_is_sent_again_is_taken_again_as_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    segment(&engine, &[session("s", "ann", "lab", "ssh"), session("t", "ann", "lab", "ssh")]);
    append(&engine, &[command("t", 2)]);
    // Both are remembered by the writer.
    assert_eq!(append(&engine, &session("s", "ann", "lab", "ssh")).duplicates, 2);
    engine.set_policy(policy(&[], "1d"), "eve@example.com").unwrap();
    engine.retain(in_days(2), "eve@example.com").unwrap();
    let again = append(&engine, &session("s", "ann", "lab", "ssh"));
    assert_eq!((again.accepted, again.duplicates), (2, 0));
    assert_eq!(check(&engine)["s"].0, SessionKey(again.first_offset.unwrap().0));
    let rest = append(&engine, &[command("t", 1), command("t", 2)]);
    assert_eq!((rest.accepted, rest.duplicates), (1, 1));
    check_again(engine, dir.path());
}

#[test]
fn a_deletion_that_was_interrupted_is_finished_or_was_none_and_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    segment(&engine, &[session("a", "ann", "lab", "ssh")]);
    segment(&engine, &[session("b", "ann", "lab", "ssh"), vec![command("a", 2)]]);
    append(&engine, &session("c", "ann", "lab", "ssh"));
    engine.set_policy(policy(&[], "1d"), "eve@example.com").unwrap();
    engine.close().unwrap();
    drop(engine);
    // The note of a deletion, as a process that stopped at any step would leave it.
    let segments_dir = dir.path().join("segments");
    let copy = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), copy.path());
    let engine = open(copy.path());
    let note = copy.path().join("erasing.json");
    let watched = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut last = Vec::new();
            while last.is_empty() || note.exists() {
                if let Ok(bytes) = std::fs::read(&note) {
                    last = bytes;
                }
            }
            last
        });
        engine.retain(in_days(2), "eve@example.com").unwrap();
        watch.join().unwrap()
    });
    assert_eq!(deletions(&engine).len(), 2);
    drop(engine);

    for renamed in 0..=2 {
        for stale_catalog in [false, true] {
            let case = tempfile::tempdir().unwrap();
            copy_dir(dir.path(), case.path());
            std::fs::write(case.path().join("erasing.json"), &watched).unwrap();
            for name in ["00000000000000000000", "00000000000000000002"].iter().take(renamed) {
                let from = case.path().join("segments").join(name);
                std::fs::rename(&from, case.path().join(format!("segments/.gone-{name}"))).unwrap();
            }
            if !stale_catalog {
                let engine = open(case.path());
                engine.close().unwrap();
                drop(engine);
                std::fs::write(case.path().join("erasing.json"), &watched).unwrap();
            }
            let engine = open(case.path());
            assert_eq!(deletions(&engine).len(), renamed, "told if and only if it happened");
            assert!(!case.path().join("erasing.json").exists());
            let left: &[&str] = [&["a", "b", "c"][..], &["a", "b", "c"], &["c"]][renamed];
            assert_eq!(ids(&engine), left, "{renamed} renamed");
            engine.retain(in_days(2), "eve@example.com").unwrap();
            assert_eq!(ids(&engine), ["c"]);
            let mut names = deletions(&engine);
            names.dedup();
            assert_eq!(names.len(), 2, "each once");
            check_again(engine, case.path());
        }
    }
    assert!(segments_dir.exists());
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_state_that_was_altered_lets_read_and_one_that_is_missing_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    engine.hold(hold(Scope { sessions: vec!["s".into()], ..Scope::default() })).unwrap();
    drop(engine);
    let path = dir.path().join("retention.json");
    let bytes = std::fs::read(&path).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap().replace("subpoena", "subpoema");
    std::fs::write(&path, text).unwrap();
    let engine = open(dir.path());
    let reason = engine.read_only_reason().unwrap();
    assert!(reason.contains("retention.json") && reason.contains("altered"), "{reason}");
    assert!(engine.retain(Micros::now(), "a@example.com").is_err(), "holds are not known");
    drop(engine);
    std::fs::remove_file(&path).unwrap();
    let error = Engine::open(dir.path(), options()).unwrap_err().to_string();
    assert!(error.contains("legal holds"), "{error}");
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(open(dir.path()).holds().len(), 1);
}

#[test]
fn events_go_on_arriving_while_retention_works() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    for n in 0..4 {
        let lines: Vec<String> = (0..50).map(|s| command(&format!("s{s}"), n)).collect();
        segment(&engine, &[lines]);
    }
    engine.set_policy(policy(&[], "1d"), "eve@example.com").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 4..60 {
                let lines: Vec<String> = (0..50).map(|s| command(&format!("s{s}"), n)).collect();
                assert_eq!(append(&engine, &lines).accepted, 50);
            }
        });
        engine.retain(in_days(2), "eve@example.com").unwrap();
    });
    let folded = check(&engine);
    assert_eq!(folded.values().filter(|(_, state)| state.events == 56).count(), 50);
    let snapshot = engine.snapshot();
    assert!(snapshot.find(Offset(0)).is_none());
    assert!(snapshot.find(Offset(4 * 50)).is_some());
    check_again(engine, dir.path());
}
