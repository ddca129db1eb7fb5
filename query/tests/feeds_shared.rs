//! What feeds promise where two nodes write the same table, in a store that fails, throttles, and lets one in between
//! whatever the other one does: each node's rows are in the table once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use daybook_engine::disk::{Open, SharedDisk, read_exact_at};
use daybook_engine::event::Micros;
use daybook_engine::retention::Policy;
use daybook_engine::view::Ordinals;
use daybook_engine::{Batch, Engine, Options};
use daybook_query::feed::shape::Shape;
use daybook_query::feed::state::State;
use daybook_query::feed::store::Store;
use daybook_query::feed::table::Table;
use daybook_query::feed::units::{self, Found};
use daybook_query::feed::{Error, Feed, Spec, pull};
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;

const NAMES: [&str; 2] = ["aaaa0001", "bbbb0002"];

/// Objects, of which the bucket has each whole or not at all.
type Bucket = Arc<Mutex<BTreeMap<String, Bytes>>>;

/// What befalls a call.
enum Fault {
    Before,
    After,
    /// Something else happens first.
    First(Box<dyn FnOnce() + Send>),
}

/// A node's way to the bucket.
struct Wire {
    bucket: Bucket,
    disk: SharedDisk,
    /// What befalls the call after so many others.
    fault: Arc<Mutex<Option<(u8, Fault)>>>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    fn run<T>(&self, call: impl FnOnce(&mut BTreeMap<String, Bytes>) -> T) -> Result<T, Error> {
        let fault = {
            let mut fault = self.fault.lock();
            match &mut *fault {
                Some((0, _)) => fault.take().map(|(_, fault)| fault),
                Some((left, _)) => {
                    *left -= 1;
                    None
                }
                None => None,
            }
        };
        let cut = || Error::Store("slow down".to_owned());
        match fault {
            None => Ok(call(&mut self.bucket.lock())),
            Some(Fault::Before) => Err(cut()),
            Some(Fault::After) => {
                call(&mut self.bucket.lock());
                Err(cut())
            }
            Some(Fault::First(other)) => {
                other();
                Ok(call(&mut self.bucket.lock()))
            }
        }
    }
}

impl Store for Wire {
    fn put_new(&self, path: &str, bytes: &[u8]) -> Result<bool, Error> {
        self.run(|bucket| {
            let new = !bucket.contains_key(path);
            if new {
                bucket.insert(path.to_owned(), Bytes::copy_from_slice(bytes));
            }
            new
        })
    }
    fn put(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        self.run(|bucket| drop(bucket.insert(path.to_owned(), Bytes::copy_from_slice(bytes))))
    }
    fn put_file(&self, path: &str, file: &Path) -> Result<(), Error> {
        let opened = self.disk.open(file, Open::Read).unwrap();
        let mut bytes = vec![0; usize::try_from(opened.len().unwrap()).unwrap()];
        read_exact_at(&*opened, &mut bytes, 0).unwrap();
        self.run(|bucket| drop(bucket.insert(path.to_owned(), bytes.into())))?;
        self.disk.remove_file(file).unwrap();
        Ok(())
    }
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        self.run(|bucket| bucket.get(path).map(|bytes| bytes.to_vec()))
    }
    fn read(&self, path: &str, range: Range<u64>) -> Result<Vec<u8>, Error> {
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        self.run(|bucket| bucket[path].slice(range).to_vec())
    }
    fn exists(&self, path: &str) -> Result<bool, Error> {
        self.run(|bucket| bucket.contains_key(path))
    }
    fn list(&self, dir: &str, after: &str) -> Result<Vec<String>, Error> {
        self.run(|bucket| {
            let names = bucket.keys().filter_map(|path| path.strip_prefix(dir)?.strip_prefix('/'));
            names.filter(|name| *name > after && !name.contains('/')).map(str::to_owned).collect()
        })
    }
    fn files(&self) -> Result<Vec<String>, Error> {
        let is_file = |path: &&String| path.ends_with(".parquet") && !path.starts_with('_');
        self.run(|bucket| bucket.keys().filter(is_file).cloned().collect())
    }
    fn delete(&self, path: &str) -> Result<(), Error> {
        self.run(|bucket| drop(bucket.remove(path)))
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Events of sessions that stay, and of some that may be erased, in a part of the log of their own.
    Append(u8),
    Ship,
    Merge,
    MergeSegments,
    Erase,
    Sweep,
    SweepUnnamed,
    Refresh,
    /// The process is killed, and is told an older place.
    Restart(u8),
    /// A page for the node's reader.
    Pull,
    /// One of the next calls fails; if true, after it did what it was asked.
    Fail(u8, bool),
    /// Within one of the next calls, the other node does something.
    Between(u8, Box<Step>),
}

fn step() -> impl Strategy<Value = Step> {
    let plain = prop_oneof![
        6 => (1..4u8).prop_map(Step::Append),
        9 => Just(Step::Ship),
        3 => Just(Step::Merge),
        1 => Just(Step::MergeSegments),
        1 => Just(Step::Erase),
        1 => Just(Step::Sweep),
        1 => Just(Step::SweepUnnamed),
        2 => Just(Step::Refresh),
        2 => any::<u8>().prop_map(Step::Restart),
        3 => Just(Step::Pull),
    ];
    let inner = plain.clone();
    prop_oneof![
        28 => plain,
        4 => (0..12u8, any::<bool>()).prop_map(|(at, after)| Step::Fail(at, after)),
        8 => (0..12u8, inner).prop_map(|(at, step)| Step::Between(at, Box::new(step))),
    ]
}

/// A node at work.
struct Node {
    name: &'static str,
    dir: tempfile::TempDir,
    engine: Arc<Engine>,
    spec: Spec,
    bucket: Bucket,
    fault: Arc<Mutex<Option<(u8, Fault)>>>,
    feed: Feed,
    /// Where the feed was when that was noted down.
    places: Vec<u64>,
    sessions: u32,
    cursor: Option<String>,
    pulled: HashSet<u64>,
}

type Shared = Arc<Mutex<Node>>;

impl Node {
    fn new(name: &'static str, bucket: &Bucket, kept: i64) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            text_index: false,
            merge: false,
            retention_interval: None,
            ..Options::default()
        };
        let engine = Engine::open(&dir.path().join("data"), options).unwrap();
        let rules = vec!["type:ssh 1d".parse().unwrap()];
        let policy = Policy { rules, default: "forever".parse().unwrap(), bytes_max: None };
        engine.set_policy(policy, "eve@example.com").unwrap();
        let spec = Spec { replaced_kept_ms: kept, merge_fewest: 2, ..Spec::native() };
        let (fault, bucket) = (Arc::default(), Arc::clone(bucket));
        let feed = open(&dir, &engine, &spec, name, &bucket, &fault).unwrap();
        let (places, sessions, cursor) = (vec![0], 0, None);
        let pulled = HashSet::new();
        Node { name, dir, engine, spec, bucket, fault, feed, places, sessions, cursor, pulled }
    }

    fn append(&mut self, count: u8) {
        let mut batch = Batch::new();
        let mut line = 0;
        for _ in 0..count {
            let session = self.sessions;
            self.sessions += 1;
            let kind = if session.is_multiple_of(4) { "ssh" } else { "database" };
            let head =
                format!(r#""session":"{}-{session}","time":"2026-03-01T10:00:00Z""#, self.name);
            for event in [
                format!(
                    r#"{{{head},"seq":0,"kind":"session.start","user":"u","role":"r","type":"{kind}"}}"#
                ),
                format!(r#"{{{head},"seq":1,"kind":"session.end","status":"done"}}"#),
            ] {
                line += 1;
                batch.push(line, event.as_bytes()).unwrap();
            }
        }
        self.engine.append_blocking(batch).unwrap();
        self.engine.seal_now().unwrap();
    }

    fn step(&mut self, step: &Step, other: Option<&Shared>) -> Result<(), Error> {
        match step {
            Step::Append(count) => self.append(*count),
            Step::Ship => drop(self.ship()?),
            Step::Merge => drop(self.feed.merge(&self.engine.snapshot())?),
            Step::MergeSegments => drop(self.engine.merge_now()?),
            Step::Erase => {
                let later = Micros(Micros::now().0 + 2 * 86_400_000_000);
                self.engine.retain(later, "eve@example.com")?;
                self.feed.follow_erasures(&self.engine.snapshot())?;
            }
            Step::Sweep => self.feed.sweep()?,
            Step::SweepUnnamed => drop(self.feed.sweep_unnamed(0)?),
            Step::Refresh => self.feed.refresh()?,
            Step::Restart(back) => {
                *self.fault.lock() = None;
                let keep = self.places.len() - usize::from(*back) % self.places.len().min(3);
                self.places.truncate(keep.max(1));
                let Node { dir, engine, spec, name, bucket, fault, .. } = &*self;
                self.feed = open(dir, engine, spec, name, bucket, fault)?;
            }
            Step::Pull => drop(self.pull()?),
            Step::Fail(at, after) => {
                let fault = if *after { Fault::After } else { Fault::Before };
                *self.fault.lock() = Some((*at, fault));
            }
            Step::Between(at, step) => {
                let Some(other) = other.map(Arc::clone) else { return Ok(()) };
                let step = step.clone();
                let first = move || {
                    // Not where this is within something of the other's itself.
                    if let Some(mut other) = other.try_lock() {
                        other.dare(&step, None);
                    }
                };
                *self.fault.lock() = Some((*at, Fault::First(Box::new(first))));
            }
        }
        Ok(())
    }

    /// What fails is tried again, by a later step or at the end.
    fn dare(&mut self, step: &Step, other: Option<&Shared>) {
        if let Err(error) = self.step(step, other) {
            assert!(matches!(error, Error::Store(_)), "{step:?}: {error}");
        }
    }

    fn ship(&mut self) -> Result<bool, Error> {
        let (snapshot, closed) = (self.engine.snapshot(), self.engine.closed_through().0);
        let from = *self.places.last().unwrap();
        let Some(shipped) = self.feed.ship(&snapshot, from, closed)? else { return Ok(false) };
        self.places.push(shipped.through);
        Ok(true)
    }

    fn table(&self) -> &Table {
        &self.feed.tables()[0].1
    }

    fn pull(&mut self) -> Result<bool, Error> {
        let (kept, cursor) = (self.spec.replaced_kept_ms, self.cursor.clone());
        let page = pull::page(self.table(), self.name, kept, cursor.as_deref(), 2)?.unwrap();
        for entry in &page.entries {
            for row in offsets(&self.bucket.lock()[&entry.file.path]) {
                let new = row < entry.skip_before || self.pulled.insert(row);
                assert!(new, "{}: row {row} came again", self.name);
            }
        }
        self.cursor = Some(page.next);
        Ok(page.more)
    }

    /// Its rows, by what the log has.
    fn log(&self) -> Vec<(String, u64)> {
        let mut rows = Vec::new();
        for part in &self.engine.snapshot().parts {
            part.read(&Ordinals::Range(0..part.len()), None, &mut |_, record| {
                rows.push((self.name.to_owned(), record.offset.0));
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        }
        rows
    }

    fn settle(&mut self) {
        *self.fault.lock() = None;
        self.engine.seal_now().unwrap();
        while self.ship().unwrap() {}
        self.feed.follow_erasures(&self.engine.snapshot()).unwrap();
        self.feed.sweep().unwrap();
        while self.feed.sweep_unnamed(0).unwrap() > 0 {}
        let closed = self.engine.closed_through().0;
        while self.pull().unwrap() {}
        for (_, row) in self.log().into_iter().filter(|(_, row)| *row < closed) {
            assert!(self.pulled.contains(&row), "{}: row {row} never came", self.name);
        }
    }
}

fn open(
    dir: &tempfile::TempDir,
    engine: &Engine,
    spec: &Spec,
    name: &str,
    bucket: &Bucket,
    fault: &Arc<Mutex<Option<(u8, Fault)>>>,
) -> Result<Feed, Error> {
    let disk = &engine.options().disk;
    let (bucket, fault) = (Arc::clone(bucket), Arc::clone(fault));
    let wire = Wire { bucket, disk: SharedDisk::clone(disk), fault };
    Feed::open(spec.clone(), name, disk, &dir.path().join("scratch"), vec![Arc::new(wire)])
}

fn offsets(file: &Bytes) -> Vec<u64> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap().build().unwrap();
    let mut offsets = Vec::new();
    for batch in reader.map(Result::unwrap) {
        let column = batch.column_by_name("offset").unwrap().as_primitive::<Int64Type>().clone();
        offsets.extend(column.values().iter().map(|value| u64::try_from(*value).unwrap()));
    }
    offsets
}

/// What somebody who has never seen the table makes of it.
fn state(bucket: &Bucket, node: &Node) -> Arc<State> {
    let disk = SharedDisk::clone(&node.engine.options().disk);
    let wire = Wire { bucket: Arc::clone(bucket), disk, fault: Arc::default() };
    let shape = Shape {
        name: "native.events".to_owned(),
        description: String::new(),
        schema: node.spec.columns.schema(None),
        partition_columns: node.spec.partition.columns(),
    };
    Table::open(Arc::new(wire), &shape).unwrap().state()
}

/// The rows of a table, with whose they are.
fn rows(bucket: &Bucket, state: &State) -> Vec<(String, u64)> {
    let mut rows = Vec::new();
    for (path, live) in &state.live {
        let node = live.add.tags.as_ref().unwrap()["daybook.node"].clone();
        let file = bucket.lock().get(path).cloned();
        let file = file.unwrap_or_else(|| panic!("{path} is in the table, and not in the store"));
        assert_eq!(file.len(), usize::try_from(live.add.size).unwrap(), "{path}");
        assert!(matches!(units::find(state, path, 0), Some(Found::There(_))));
        rows.extend(offsets(&file).into_iter().map(|offset| (node.clone(), offset)));
    }
    rows.sort_unstable();
    rows
}

/// Everything is written: the table has what both logs have, and each knows it as it is.
fn settle(bucket: &Bucket, nodes: &[Shared; 2]) {
    let mut logs = Vec::new();
    for node in nodes {
        let mut node = node.lock();
        node.settle();
        let closed = node.engine.closed_through().0;
        logs.extend(node.log().into_iter().filter(|(_, row)| *row < closed));
    }
    logs.sort_unstable();
    let state = state(bucket, &nodes[0].lock());
    assert_eq!(rows(bucket, &state), logs, "the table has what the logs have");
    for path in bucket.lock().keys().filter(|path| path.ends_with(".parquet")) {
        let named = state.live.contains_key(path) || state.gone.contains_key(path);
        assert!(named || path.starts_with('_'), "no commit names {path}");
    }
    for node in nodes {
        let node = node.lock();
        let known = node.table().refresh().unwrap();
        assert_eq!(known.version, state.version);
        assert_eq!(known.live.keys().collect::<Vec<_>>(), state.live.keys().collect::<Vec<_>>());
    }
}

fn two(kept: i64) -> (Bucket, [Shared; 2]) {
    let bucket = Bucket::default();
    let nodes = NAMES.map(|name| Arc::new(Mutex::new(Node::new(name, &bucket, kept))));
    (bucket, nodes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_rows_of_two_nodes_are_in_one_table_once(
        steps in prop::collection::vec((0..2usize, step()), 1..60),
        kept in prop_oneof![Just(0i64), Just(86_400_000)],
    ) {
        let (bucket, nodes) = two(kept);
        for (at, step) in &steps {
            nodes[*at].lock().dare(step, Some(&nodes[1 - at]));
        }
        settle(&bucket, &nodes);
    }
}

#[test]
fn checkpoints_are_made_whoever_comes_by() {
    let (bucket, nodes) = two(86_400_000);
    for turn in 0..70 {
        let at = turn % 2;
        // Each commit of the one is followed by one of the other before it has looked again.
        let step = Step::Between(3, Box::new(Step::Ship));
        nodes[at].lock().append(1);
        nodes[1 - at].lock().append(1);
        nodes[at].lock().dare(&step, Some(&nodes[1 - at]));
        nodes[at].lock().dare(&Step::Ship, None);
    }
    settle(&bucket, &nodes);
    let last = bucket.lock()["_delta_log/_last_checkpoint"].clone();
    let last: serde_json::Value = serde_json::from_slice(&last).unwrap();
    let (last, now) = (last["version"].as_i64().unwrap(), state(&bucket, &nodes[0].lock()).version);
    assert!(now >= 120 && now - last < 22, "{last} of {now}");
}

#[test]
fn who_slept_while_the_log_was_cut_short_does_not_write_into_its_past() {
    let (bucket, nodes) = two(86_400_000);
    nodes[0].lock().append(1);
    nodes[0].lock().ship().unwrap();
    for _ in 0..25 {
        nodes[1].lock().append(1);
        nodes[1].lock().ship().unwrap();
    }
    // A month later, as the other one leaves it.
    let old: Vec<String> = {
        let bucket = bucket.lock();
        let commits = bucket.keys().filter(|path| path.ends_with(".json")).cloned();
        commits.filter(|path| path.as_str() < "_delta_log/00000000000000000020").collect()
    };
    assert_eq!(old.len(), 20);
    old.iter().for_each(|path| drop(bucket.lock().remove(path)));
    nodes[0].lock().append(1);
    nodes[0].lock().ship().unwrap();
    assert!(old.iter().all(|path| !bucket.lock().contains_key(path)));
    settle(&bucket, &nodes);
    // The note of where the checkpoint is was lost, too.
    bucket.lock().remove("_delta_log/_last_checkpoint");
    nodes[0].lock().dare(&Step::Restart(0), None);
    settle(&bucket, &nodes);
}

#[test]
fn a_note_of_an_older_checkpoint_leaves_nothing_out() {
    let (bucket, nodes) = two(86_400_000);
    let last = || bucket.lock()["_delta_log/_last_checkpoint"].clone();
    let mut older = None;
    for _ in 0..46 {
        nodes[1].lock().append(1);
        nodes[1].lock().ship().unwrap();
        if nodes[1].lock().table().state().version == 25 {
            older = Some(last());
        }
    }
    let older = older.unwrap();
    assert_ne!(older, last());
    let table = || nodes[1].lock().table().state();
    let version = table().version;
    // Versions are in the order of their times, and each can be found by its own.
    for version in 0..=version {
        let node = nodes[1].lock();
        let (_, at) = node.table().commit_at(version).unwrap().unwrap();
        assert_eq!(node.table().version_from(at).unwrap(), Some(version));
        let then = node.table().at(version).unwrap().unwrap();
        assert_eq!((then.version, then.live.len()), (version, usize::try_from(version).unwrap()));
    }
    // A slow writer's note comes after that of the later checkpoint, which others have cut the log short behind.
    bucket.lock().insert("_delta_log/_last_checkpoint".to_owned(), older);
    bucket.lock().retain(|path, _| {
        !path.ends_with(".json") || path.as_str() >= "_delta_log/00000000000000000040"
    });
    // Where a commit is missing, what is before it is not taken for the table.
    let missing = "_delta_log/00000000000000000042.json";
    let commit = bucket.lock().remove(missing).unwrap();
    let error = nodes[0].lock().step(&Step::Restart(0), None).unwrap_err().to_string();
    assert!(error.contains(missing), "{error}");
    bucket.lock().insert(missing.to_owned(), commit);
    nodes[0].lock().dare(&Step::Restart(0), None);
    assert_eq!(nodes[0].lock().table().state().version, version);
    assert!(nodes[0].lock().table().at(30).unwrap().is_none());
    assert!(nodes[0].lock().table().at(42).unwrap().is_some());
    settle(&bucket, &nodes);
}

#[test]
fn a_table_that_is_gone_is_an_error_and_not_a_new_beginning() {
    let (bucket, nodes) = two(86_400_000);
    let mut node = nodes[0].lock();
    node.append(1);
    node.ship().unwrap();
    bucket.lock().clear();
    node.append(1);
    let error = node.ship().unwrap_err().to_string();
    assert!(error.contains("its log is gone"), "{error}");
    assert!(bucket.lock().keys().all(|path| !path.starts_with("_delta_log")));
}
