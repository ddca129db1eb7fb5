#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use super::filter::{NumberFact, Pattern, SessionFilter, TextFact};
use super::sort::{Sort, SortFact, SortValue};
use super::{Catalog, Update};
use crate::disk::{RealDisk, SharedDisk};
use crate::event::wire::Event;
use crate::event::{Offset, Seq, SessionKey};
use crate::session::{Change, SessionState};
use crate::view::{ListPlace, ListRequest, Session, SessionCounts, SessionSet, Sessions, Weights};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

fn disk() -> SharedDisk {
    Arc::new(RealDisk)
}

const USERS: [&str; 4] = ["ann@example.com", "bob@example.com", "bo", "c*"];
const TAGS: [&str; 3] = ["prod", "production", "eu"];

/// An event of a session, as a line.
#[derive(Clone, Debug)]
struct Line {
    session: usize,
    json: String,
}

fn line() -> impl Strategy<Value = Line> {
    let body = prop_oneof![
        (0..4usize, 0..4usize, prop::collection::vec(0..3usize, 0..4)).prop_map(|(user, kind, tags)| {
            let tags: Vec<&str> = tags.into_iter().map(|tag| TAGS[tag]).collect();
            let agent = if kind == 0 { r#","agent":"helper""# } else { "" };
            format!(
                r#""kind":"session.start","user":"{}","role":"role-{kind}","type":"{}","tags":{}{agent}"#,
                USERS[user],
                ["database", "ssh"][kind % 2],
                serde_json::to_string(&tags).unwrap(),
            )
        }),
        (0..5usize).prop_map(|verdict| format!(
            r#""kind":"command","input":"ls","verdict":"{}""#,
            ["passed", "blocked", "pending", "approved", "rejected"][verdict]
        )),
        Just(r#""kind":"session.end","status":"failed""#.to_owned()),
        Just(r#""kind":"session.end","status":"done""#.to_owned()),
    ];
    (0..12usize, 0..30u32, body).prop_map(|(session, second, body)| Line {
        session,
        json: format!(
            r#"{{"session":"s{session}","time":"2026-03-01T00:00:{second:02}Z",{body}}}"#
        ),
    })
}

#[derive(Clone, Debug)]
enum Step {
    Apply(Vec<Line>),
    Commit,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => prop::collection::vec(line(), 1..8).prop_map(Step::Apply),
        3 => Just(Step::Commit),
        1 => Just(Step::Reopen),
    ]
}

fn filter() -> impl Strategy<Value = SessionFilter> {
    let pattern = prop_oneof![
        prop::sample::select(vec![
            "ann@example.com",
            "bo",
            "c*",
            "prod",
            "eu",
            "ssh",
            "open",
            "done",
            "s1"
        ])
        .prop_map(Pattern::exact),
        prop::sample::select(vec![
            "*",
            "b*",
            "*@example.com",
            "*o*",
            "prod*",
            "role-*",
            "s1*",
            "*e*e*",
            "c**"
        ])
        .prop_map(Pattern::wildcard),
    ];
    let bound = |at: i64| {
        prop_oneof![Just(Bound::Unbounded), Just(Bound::Included(at)), Just(Bound::Excluded(at))]
    };
    let number = (prop::sample::select(NumberFact::ALL.to_vec()), -1..40i64, -1..40i64)
        .prop_flat_map(move |(fact, low, high)| {
            let scale = |n: i64| match fact {
                NumberFact::Started | NumberFact::Ended | NumberFact::LastEvent => {
                    1_772_323_200_000_000 + n * 1_000_000
                }
                NumberFact::Duration => n * 1000,
                NumberFact::Bytes => n * 100,
                _ => n / 4,
            };
            (Just(fact), bound(scale(low)), bound(scale(high)))
        })
        .prop_map(|(fact, low, high)| SessionFilter::Number(fact, low, high));
    let leaf = prop_oneof![
        2 => Just(SessionFilter::All),
        1 => Just(SessionFilter::None),
        6 => (prop::sample::select(TextFact::ALL.to_vec()), pattern)
            .prop_map(|(fact, pattern)| SessionFilter::Text(fact, pattern)),
        6 => number,
        1 => prop::collection::hash_set((0..40u64).prop_map(SessionKey), 0..20)
            .prop_map(|keys| SessionFilter::Keys(Arc::new(keys.into_iter().collect()))),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(SessionFilter::And),
            prop::collection::vec(inner.clone(), 0..3).prop_map(SessionFilter::Or),
            inner.prop_map(|filter| SessionFilter::Not(Box::new(filter))),
        ]
    })
}

/// The plain catalog: the log and its fold.
#[derive(Default)]
struct Model {
    log: Vec<Line>,
    sessions: HashMap<SessionKey, (String, SessionState)>,
    keys: HashMap<usize, SessionKey>,
}

impl Model {
    fn change(&self, offset: usize) -> Change {
        let line = &self.log[offset];
        Change::of(
            Event::decode(line.json.as_bytes()).unwrap(),
            Seq(offset as u32),
            line.json.len() as u64,
        )
    }

    fn update(&self, offset: usize) -> Update {
        let line = &self.log[offset];
        let key = self.keys[&line.session];
        Update {
            id: format!("s{}", line.session).into(),
            key,
            new: key.0 == offset as u64,
            change: self.change(offset),
        }
    }

    fn apply(&mut self, line: Line) -> Update {
        let offset = self.log.len();
        let key = *self.keys.entry(line.session).or_insert(SessionKey(offset as u64));
        let id = format!("s{}", line.session);
        self.log.push(line);
        let change = self.change(offset);
        self.sessions.entry(key).or_insert((id, SessionState::default())).1.apply(change);
        self.update(offset)
    }

    fn list(&self, filter: &SessionFilter, sort: Sort) -> Vec<(Option<SortValue>, SessionKey)> {
        let mut list: Vec<_> = self
            .sessions
            .iter()
            .filter(|(key, (id, state))| filter.matches(id, **key, state))
            .map(|(key, (id, state))| (sort.by.of(id, state), *key))
            .collect();
        list.sort_by(|(a, k), (b, l)| {
            let none = a.is_none().cmp(&b.is_none());
            let turn =
                |order: std::cmp::Ordering| if sort.descending { order.reverse() } else { order };
            none.then(turn(a.cmp(b))).then(turn(k.cmp(l)))
        });
        list
    }

    fn check(&self, catalog: &Catalog, filter: &SessionFilter, sort: Sort, limit: usize) {
        let wanted = self.list(filter, sort);
        let (mut found, mut after): (Vec<Session>, Option<ListPlace>) = (Vec::new(), None);
        loop {
            let request = ListRequest { filter: filter.clone(), sort, after, limit };
            let page = catalog.list(&request).unwrap();
            assert_eq!(page.count, wanted.len() as u64, "{filter:?}");
            assert!(page.next.is_none() || page.items.len() == limit);
            found.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let places: Vec<_> = found.iter().map(|s| (sort.by.of(&s.id, &s.state), s.key)).collect();
        assert_eq!(places, wanted, "{filter:?} {sort:?}");
        for session in &found {
            let (id, state) = &self.sessions[&session.key];
            assert_eq!((&*session.id, &*session.state), (id.as_str(), state));
        }
        let keys: SessionSet = wanted.iter().map(|(_, key)| *key).collect();
        let facets = catalog.facets(filter, Weights::One, &TextFact::ALL, usize::MAX).unwrap();
        for (fact, facet) in facets {
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            for key in keys.iter() {
                let (id, state) = &self.sessions[&key];
                let values = std::cell::RefCell::new(BTreeSet::new());
                fact.any(id, state, |value| {
                    values.borrow_mut().insert(value.to_owned());
                    false
                });
                for value in values.into_inner() {
                    *counts.entry(value).or_default() += 1;
                }
            }
            assert!(facet.is_sorted_by(|(_, a), (_, b)| a >= b));
            assert_eq!(facet.into_iter().collect::<BTreeMap<_, _>>(), counts, "{fact:?}");
        }
        assert_eq!(*catalog.keys(filter).unwrap(), keys);
        let mut numbers: Vec<Vec<Option<i64>>> = Vec::new();
        let mut visit = |of_one: &[Option<i64>]| numbers.push(of_one.to_vec());
        catalog.each_numbers(filter, &NumberFact::ALL, &mut visit).unwrap();
        let of = |key| NumberFact::ALL.map(|fact| fact.of(&self.sessions[&key].1)).to_vec();
        let mut expected: Vec<_> = keys.iter().map(of).collect();
        numbers.sort_unstable();
        expected.sort_unstable();
        assert_eq!(numbers, expected, "{filter:?}");
    }

    /// The sets of filters that were asked for before, and may be kept.
    fn check_keys(&self, catalog: &Catalog, filters: &[SessionFilter]) {
        for filter in filters {
            let all = self.sessions.iter();
            let matching = all.filter(|(key, (id, state))| filter.matches(id, **key, state));
            let keys: SessionSet = matching.map(|(key, _)| *key).collect();
            assert_eq!(*catalog.keys(filter).unwrap(), keys, "{filter:?}");
        }
    }

    fn check_each(&self, catalog: &Catalog) {
        assert_eq!(catalog.count().unwrap(), self.sessions.len() as u64);
        for (key, (id, state)) in &self.sessions {
            let by_id = catalog.get(id).unwrap().unwrap();
            assert_eq!((by_id.key, &*by_id.state), (*key, state));
            assert_eq!(catalog.by_key(*key).unwrap().unwrap(), by_id);
        }
        let asked: Vec<_> = self.sessions.keys().copied().chain([SessionKey(u64::MAX)]).collect();
        for some in [&asked[..], &asked[..asked.len() / 2]] {
            let states = catalog.states(some.iter().copied()).unwrap();
            let wanted = some.iter().filter_map(|key| Some((*key, &self.sessions.get(key)?.1)));
            let found = states.iter().map(|(key, state)| (*key, &**state));
            assert_eq!(found.collect::<HashMap<_, _>>(), wanted.collect());
            let (some, view) =
                (some.iter().copied().collect(), Arc::clone(&catalog.whole().unwrap().view));
            assert_eq!(
                view.places_by_terms(&some).unwrap(),
                view.places_by_columns(&some).unwrap()
            );
        }
        assert_eq!(catalog.get("nobody").unwrap(), None);
        assert_eq!(catalog.by_key(SessionKey(u64::MAX)).unwrap(), None);
    }

    /// Opens the catalog and applies the log from where it is covered.
    fn open(&self, dir: &Path) -> Catalog {
        let (catalog, Offset(covered)) = Catalog::open(&disk(), dir, false).unwrap();
        assert!(covered <= self.log.len() as u64);
        let updates = (covered as usize..self.log.len()).map(|at| self.update(at)).collect();
        catalog.apply(updates, Offset(self.log.len() as u64));
        catalog
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn lists_are_exact_after_any_changes_commits_and_crashes(
        steps in prop::collection::vec((step(), filter(), any::<bool>(), 0..17usize, 1..6usize), 1..24),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut model = Model::default();
        let mut catalog = model.open(dir.path());
        let mut asked = Vec::new();
        for (step, filter, descending, by, limit) in steps {
            match step {
                Step::Apply(lines) => {
                    let updates = lines.into_iter().map(|line| model.apply(line)).collect();
                    catalog.apply(updates, Offset(model.log.len() as u64));
                }
                Step::Commit => {
                    prop_assert_eq!(catalog.commit().unwrap(), Offset(model.log.len() as u64));
                }
                Step::Reopen => {
                    drop(catalog);
                    catalog = model.open(dir.path());
                }
            }
            model.check_each(&catalog);
            model.check(&catalog, &filter, Sort { by: SortFact::all().nth(by).unwrap(), descending }, limit);
            asked.push(filter);
            model.check_keys(&catalog, &asked);
        }
    }
}

/// So many that a segment has many zones: they start one after the other, but for some that are late, and a part has ended.
#[test]
fn pages_of_many_sessions_are_exact() {
    const SESSIONS: usize = 1500;
    let dir = tempfile::tempdir().unwrap();
    let (catalog, _) = Catalog::open(&disk(), dir.path(), false).unwrap();
    let mut model = Model::default();
    let mut line = |session: usize, kind: &str, second: usize| {
        let time =
            format!("2026-03-01T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60);
        let user = USERS[session * 7 % 4];
        let json = match kind {
            "session.start" => format!(
                r#"{{"session":"s{session}","time":"{time}","kind":"session.start","user":"{user}"}}"#
            ),
            _ => format!(
                r#"{{"session":"s{session}","time":"{time}","kind":"{kind}","status":"done"}}"#
            ),
        };
        let update = model.apply(Line { session, json });
        catalog.apply(vec![update], Offset(model.log.len() as u64));
    };
    for session in 0..SESSIONS {
        let late = if session.is_multiple_of(97) { session / 2 } else { session };
        line(session, "session.start", 10 + late * 3);
        if session % 3 > 0 {
            line(session, "session.end", 10 + late * 3 + session % 50);
        }
        if [700, 1300, 1400].contains(&session) {
            catalog.commit().unwrap();
        }
        // It changes one that was committed: the view hides it, and the next commit deletes it.
        if session > 800 && session.is_multiple_of(40) {
            line(session - 800, "session.end", session * 4);
        }
    }
    let user = SessionFilter::Text(TextFact::User, Pattern::exact(USERS[2]));
    for fact in [NumberFact::Started, NumberFact::Ended, NumberFact::Duration, NumberFact::Blocked]
    {
        for descending in [true, false] {
            let sort = Sort { by: SortFact::Number(fact), descending };
            model.check(&catalog, &SessionFilter::All, sort, 101);
            model.check(&catalog, &user, sort, 10);
        }
    }
}

#[test]
fn values_of_many_sessions_are_counted_in_pieces() {
    const SESSIONS: u64 = 70_000;
    let dir = tempfile::tempdir().unwrap();
    let (catalog, _) = Catalog::open(&disk(), dir.path(), false).unwrap();
    let update = |key: u64| {
        let json = format!(
            r#"{{"session":"s{key}","time":"2026-03-01T00:00:00Z","kind":"session.start","user":"u{}","tags":["t{}","all"]}}"#,
            key % 7,
            key % 3
        );
        let event = Event::decode(json.as_bytes()).unwrap();
        let change = Change::of(event, Seq(0), json.len() as u64);
        Update { id: format!("s{key}").into(), key: SessionKey(key), new: true, change }
    };
    // Three segments, and some that are not committed.
    for to in [69_000, 69_400, 69_900, SESSIONS] {
        let from = catalog.count().unwrap();
        catalog.apply((from..to).map(update).collect(), Offset(to));
        if to < SESSIONS {
            catalog.commit().unwrap();
        }
    }
    let facts = [TextFact::User, TextFact::Tag, TextFact::Agent];
    let of = |weights| catalog.facets(&SessionFilter::All, weights, &facts, 10).unwrap();
    let expected = |weight: &dyn Fn(u64) -> u64, value: &dyn Fn(u64) -> String| {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for key in 0..SESSIONS {
            *counts.entry(value(key)).or_default() += weight(key);
        }
        counts.retain(|_, count| *count > 0);
        counts
    };
    let heavy = |key: u64| if key.is_multiple_of(5) { key % 4 } else { 0 };
    let weights: SessionCounts = (0..SESSIONS).map(|key| (SessionKey(key), heavy(key))).collect();
    for (weights, weight) in
        [(Weights::One, &(|_| 1u64) as &dyn Fn(u64) -> u64), (Weights::Of(&weights), &heavy)]
    {
        let mut tags = expected(weight, &|key| format!("t{}", key % 3));
        tags.extend(expected(weight, &|_| "all".to_owned()));
        let wanted = [expected(weight, &|key| format!("u{}", key % 7)), tags, BTreeMap::new()];
        for ((fact, found), wanted) in of(weights).into_iter().zip(wanted) {
            assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), wanted, "{fact:?}");
        }
    }
}

#[test]
fn changes_and_lists_go_on_during_commits() {
    let dir = tempfile::tempdir().unwrap();
    let mut model = Model::default();
    let catalog = model.open(dir.path());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                catalog.commit().unwrap();
            }
        });
        for at in 0..600usize {
            let session = at * 7 % 40;
            let json = format!(
                r#"{{"session":"s{session}","time":"2026-03-01T00:00:00Z","kind":"command","input":"ls","verdict":"blocked"}}"#
            );
            let update = model.apply(Line { session, json });
            catalog.apply(vec![update], Offset(at as u64 + 1));
            let filter = SessionFilter::Number(
                NumberFact::Blocked,
                Bound::Included(1 + at as i64 / 80),
                Bound::Unbounded,
            );
            let by = SortFact::Number(NumberFact::Blocked);
            model.check(&catalog, &filter, Sort { by, descending: true }, 50);
            model.check_each(&catalog);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    drop(catalog);
    model.check_each(&model.open(dir.path()));
}

#[test]
fn a_read_only_catalog_changes_nothing_and_a_damaged_one_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let none = dir.path().join("none");
    let (catalog, covered) = Catalog::open(&disk(), &none, true).unwrap();
    assert_eq!((covered, catalog.count().unwrap()), (Offset(0), 0));
    assert!(!none.exists());

    let mut model = Model::default();
    let whole = dir.path().join("whole");
    let catalog = model.open(&whole);
    let json = r#"{"session":"s1","time":"2026-03-01T00:00:00Z","kind":"command","input":"ls","verdict":"passed"}"#;
    let update = model.apply(Line { session: 1, json: json.to_owned() });
    catalog.apply(vec![update], Offset(1));
    catalog.commit().unwrap();
    let list = || {
        let mut names: Vec<_> =
            std::fs::read_dir(&whole).unwrap().map(|e| e.unwrap().path()).collect();
        names.sort();
        names
    };
    let before = list();
    let (reader, covered) = Catalog::open(&disk(), &whole, true).unwrap();
    assert_eq!(covered, Offset(1));
    model.check_each(&reader);
    assert_eq!(list(), before);
    drop((catalog, reader));

    for file in before {
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        // Whatever the answer is, it is one.
        if let Ok((catalog, _)) = Catalog::open(&disk(), &whole, true) {
            let _ = catalog.get("s1");
            let _ = catalog.facets(&SessionFilter::All, Weights::One, &TextFact::ALL, 10);
        }
        std::fs::write(&file, &bytes).unwrap();
    }
    std::fs::write(whole.join("meta.json"), "{").unwrap();
    assert!(Catalog::open(&disk(), &whole, false).is_err());
}
