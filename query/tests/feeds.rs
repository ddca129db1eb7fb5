//! What feeds promise: whatever becomes of the log and of the files, a reader of the pull feed gets each row once, and
//! the table has what the log has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use daybook_engine::event::Micros;
use daybook_engine::retention::Policy;
use daybook_engine::verify::{Mend, Problem, Report};
use daybook_engine::view::{Ordinals, Snapshot};
use daybook_engine::{Batch, Engine, Options};
use daybook_query::columnar::outputs::Outputs;
use daybook_query::columnar::parquet::Codec;
use daybook_query::feed::mirror::Mirror;
use daybook_query::feed::store::{DiskStore, Store};
use daybook_query::feed::table::Table;
use daybook_query::feed::{Columns, Error, Feed, Partition, Spec, pull};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// A store that fails when it is told to: before it does something, or after it did.
#[derive(Debug)]
struct Failing {
    inner: DiskStore,
    /// The call that fails, counted down; 0 for none.
    fails_at: Arc<AtomicU32>,
    after: Arc<AtomicU32>,
}

impl Failing {
    fn run<T>(&self, call: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let failed = || Error::Store("the network was cut".to_owned());
        let left = self.fails_at.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        if left != Ok(1) {
            return call();
        }
        if self.after.load(SeqCst) == 1 {
            call()?;
        }
        Err(failed())
    }
}

impl Store for Failing {
    fn put_new(&self, path: &str, bytes: &[u8]) -> Result<bool, Error> {
        self.run(|| self.inner.put_new(path, bytes))
    }
    fn put(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        self.run(|| self.inner.put(path, bytes))
    }
    fn put_file(&self, path: &str, file: &Path) -> Result<(), Error> {
        self.run(|| self.inner.put_file(path, file))
    }
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        self.run(|| self.inner.get(path))
    }
    fn read(&self, path: &str, range: Range<u64>) -> Result<Vec<u8>, Error> {
        self.inner.read(path, range)
    }
    fn exists(&self, path: &str) -> Result<bool, Error> {
        self.run(|| self.inner.exists(path))
    }
    fn list(&self, dir: &str, after: &str) -> Result<Vec<String>, Error> {
        self.run(|| self.inner.list(dir, after))
    }
    fn files(&self) -> Result<Vec<String>, Error> {
        self.run(|| self.inner.files())
    }
    fn delete(&self, path: &str) -> Result<(), Error> {
        self.run(|| self.inner.delete(path))
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Events of sessions that stay, and of one that may be erased.
    Append(u8),
    Seal,
    MergeSegments,
    Ship,
    MergeUnits,
    Erase,
    Sweep,
    /// The process is killed; what it had noted down of its place is as old as the disk makes it.
    Restart(u8),
    /// One of the next calls of the store fails; if true, after it did what it was asked.
    Fail(u8, bool),
    /// A reader asks for what is new.
    Pull(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..6u8).prop_map(Step::Append),
        8 => Just(Step::Seal),
        8 => Just(Step::Ship),
        2 => Just(Step::MergeSegments),
        2 => Just(Step::MergeUnits),
        1 => Just(Step::Erase),
        1 => Just(Step::Sweep),
        2 => any::<u8>().prop_map(Step::Restart),
        2 => (1..12u8, any::<bool>()).prop_map(|(at, after)| Step::Fail(at, after)),
        5 => (0..READERS).prop_map(Step::Pull),
    ];
    prop::collection::vec(step, 1..60)
}

const READERS: usize = 3;

/// Somebody who pulls.
#[derive(Default)]
struct Reader {
    cursor: Option<String>,
    files: HashSet<String>,
    /// Which rows came with which file.
    rows: BTreeMap<u64, String>,
    /// Files that it keeps, with their rows, and deletes when that is due.
    mirror: Mirror,
    kept: BTreeMap<String, Vec<u64>>,
}

struct Run {
    dir: tempfile::TempDir,
    engine: Arc<Engine>,
    spec: Spec,
    feed: Feed,
    /// Where the feed was when that was noted down.
    places: Vec<u64>,
    readers: Vec<Reader>,
    next_session: u32,
    fails_at: Arc<AtomicU32>,
    after: Arc<AtomicU32>,
}

impl Run {
    fn new(replaced_kept_ms: i64, by_day: bool) -> Run {
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
        let partition = if by_day { Partition::Day } else { Partition::None };
        let spec = Spec { replaced_kept_ms, partition, merge_fewest: 2, ..Spec::native() };
        let (fails_at, after) = (Arc::default(), Arc::default());
        let feed = open(&dir, &engine, &spec, &fails_at, &after).unwrap();
        let readers = (0..READERS).map(|_| Reader::default()).collect();
        let places = vec![0];
        Run { dir, engine, spec, feed, places, readers, next_session: 0, fails_at, after }
    }

    fn append(&mut self, count: u8) {
        let mut lines = Vec::new();
        for _ in 0..count {
            let session = self.next_session;
            self.next_session += 1;
            let kind = if session.is_multiple_of(4) { "ssh" } else { "database" };
            // Days are out of order.
            let day = 1 + session * 7 % 5;
            for seq in 0..3 {
                let head = format!(
                    r#""session":"s-{session}","seq":{seq},"time":"2026-03-0{day}T10:00:0{seq}Z""#
                );
                lines.push(match seq {
                    0 => format!(r#"{{{head},"kind":"session.start","user":"u@example.com","role":"r","type":"{kind}"}}"#),
                    1 => format!(r#"{{{head},"kind":"command","input":"do {session}","verdict":"passed"}}"#),
                    _ => format!(r#"{{{head},"kind":"session.end","status":"done"}}"#),
                });
            }
        }
        // Sessions come mixed.
        lines.sort_by_key(|line| line.len() % 7);
        let mut batch = Batch::new();
        for (at, line) in lines.iter().enumerate() {
            batch.push(at as u64 + 1, line.as_bytes()).unwrap();
        }
        self.engine.append_blocking(batch).unwrap();
    }

    fn step(&mut self, step: &Step) -> Result<(), Error> {
        match step {
            Step::Append(count) => self.append(*count),
            Step::Seal => self.engine.seal_now()?,
            Step::MergeSegments => drop(self.engine.merge_now()?),
            Step::Ship => {
                let (snapshot, closed) = (self.engine.snapshot(), self.engine.closed_through().0);
                let from = *self.places.last().unwrap();
                if let Some(shipped) = self.feed.ship(&snapshot, from, closed)? {
                    self.places.push(shipped.through);
                }
            }
            Step::MergeUnits => drop(self.feed.merge(&self.engine.snapshot())?),
            Step::Erase => {
                let later = Micros(Micros::now().0 + 2 * 86_400_000_000);
                self.engine.retain(later, "eve@example.com")?;
                self.feed.follow_erasures(&self.engine.snapshot())?;
            }
            Step::Sweep => {
                self.feed.sweep()?;
                self.feed.sweep_unnamed(0)?;
            }
            Step::Restart(back) => {
                self.fails_at.store(0, SeqCst);
                let keep = self.places.len() - usize::from(*back) % self.places.len().min(3);
                self.places.truncate(keep.max(1));
                let Run { dir, engine, spec, fails_at, after, .. } = self;
                self.feed = open(dir, engine, spec, fails_at, after)?;
            }
            Step::Fail(at, after) => {
                self.after.store(u32::from(*after), SeqCst);
                self.fails_at.store(u32::from(*at), SeqCst);
            }
            Step::Pull(reader) => drop(self.pull(*reader)?),
        }
        Ok(())
    }

    fn table(&self) -> &Table {
        &self.feed.tables()[0].1
    }

    /// A page for a reader; is there more?
    fn pull(&mut self, reader: usize) -> Result<bool, Error> {
        let (spec, node) = (self.feed.spec(), self.feed.node());
        let cursor = self.readers[reader].cursor.clone();
        let page = pull::page(self.table(), node, spec.replaced_kept_ms, cursor.as_deref(), 2)?;
        let page = page.expect("a cursor that was given");
        let mut new = Vec::new();
        for entry in &page.entries {
            let path = &entry.file.path;
            let rows = offsets(&self.read(path));
            assert_eq!(rows.len() as u64, entry.file.rows);
            new.extend(
                rows.into_iter()
                    .filter(|row| *row >= entry.skip_before)
                    .map(|row| (row, path.clone())),
            );
        }
        self.mirror(reader, &page);
        let reader = &mut self.readers[reader];
        for entry in page.entries {
            assert!(reader.files.insert(entry.file.path.clone()), "{} came twice", entry.file.path);
        }
        for (row, path) in new {
            let before = reader.rows.insert(row, path.clone());
            assert_eq!(before, None, "row {row} came again with {path}");
        }
        reader.cursor = Some(page.next);
        Ok(page.more)
    }

    /// A reader that keeps files does what a page says.
    fn mirror(&mut self, reader: usize, page: &pull::Page) {
        for went in &page.went {
            for path in self.readers[reader].mirror.erased_by(&went.file.path) {
                self.readers[reader].mirror.delete(&path);
                self.readers[reader].kept.remove(&path);
            }
        }
        let new = page.remaining.iter().chain(&page.entries).map(|entry| &entry.file.path);
        for path in new.clone() {
            if self.readers[reader].mirror.wants(path) {
                let rows = offsets(&self.read(path));
                assert!(self.readers[reader].mirror.put(path));
                self.readers[reader].kept.insert(path.clone(), rows);
            }
        }
        for path in new {
            for path in self.readers[reader].mirror.replaced_by(path) {
                self.readers[reader].mirror.delete(&path);
                self.readers[reader].kept.remove(&path);
            }
        }
    }

    fn read(&self, path: &str) -> Bytes {
        std::fs::read(self.dir.path().join("feed/events").join(path)).unwrap().into()
    }

    /// Everything is written, and what the readers and the table have is what the log has.
    fn settle(&mut self) {
        self.fails_at.store(0, SeqCst);
        self.engine.seal_now().unwrap();
        loop {
            let before = self.places.len();
            self.step(&Step::Ship).unwrap();
            if self.places.len() == before {
                break;
            }
        }
        self.feed.follow_erasures(&self.engine.snapshot()).unwrap();
        let closed = self.engine.closed_through().0;
        assert_eq!(*self.places.last().unwrap(), closed);
        let log: BTreeSet<u64> = of_log(&self.engine.snapshot()).range(..closed).copied().collect();
        let mut table = Vec::new();
        for path in self.table().state().live.keys() {
            table.extend(offsets(&self.read(path)));
        }
        table.sort_unstable();
        assert_eq!(
            table,
            log.iter().copied().collect::<Vec<_>>(),
            "the table has what the log has"
        );
        self.feed.sweep().unwrap();
        for path in self.table().state().gone.keys() {
            if self.dir.path().join("feed/events").join(path).exists() {
                let rows: BTreeSet<u64> = offsets(&self.read(path)).into_iter().collect();
                assert!(rows.is_subset(&log), "{path} is kept, and has what was erased");
            }
        }
        // What another reader of the log makes of it is the same.
        let store =
            DiskStore::open(&self.engine.options().disk, &self.dir.path().join("feed/events"));
        let store: Arc<dyn Store> = Arc::new(store.unwrap());
        let shape = daybook_query::feed::shape::Shape {
            name: "native.events".to_owned(),
            description: String::new(),
            schema: self.spec.columns.schema(None),
            partition_columns: self.spec.partition.columns(),
        };
        let again = Table::open(store, &shape).unwrap().state();
        let paths = |state: &daybook_query::feed::state::State| {
            state.live.keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(paths(&again), paths(&self.table().state()));
        for reader in 0..READERS {
            while self.pull(reader).unwrap() {}
            let had: BTreeSet<u64> = self.readers[reader].rows.keys().copied().collect();
            let missing: Vec<&u64> = log.difference(&had).collect();
            assert!(missing.is_empty(), "reader {reader} never got {missing:?}");
            let mut kept: Vec<u64> =
                self.readers[reader].kept.values().flatten().copied().collect();
            kept.sort_unstable();
            assert_eq!(kept, table, "what reader {reader} keeps is what the log has");
        }
    }
}

fn open(
    dir: &tempfile::TempDir,
    engine: &Engine,
    spec: &Spec,
    fails_at: &Arc<AtomicU32>,
    after: &Arc<AtomicU32>,
) -> Result<Feed, Error> {
    let disk = &engine.options().disk;
    let root = dir.path().join("feed");
    let inner = DiskStore::open(disk, &root.join("events"))?;
    let store = Failing { inner, fails_at: Arc::clone(fails_at), after: Arc::clone(after) };
    Feed::open(spec.clone(), "5f0c7b1e", disk, &root.join(".tmp"), vec![Arc::new(store)])
}

fn of_log(snapshot: &Snapshot) -> BTreeSet<u64> {
    let mut offsets = BTreeSet::new();
    for part in &snapshot.parts {
        part.read(&Ordinals::Range(0..part.len()), None, &mut |_, record| {
            offsets.insert(record.offset.0);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    }
    offsets
}

fn batches(file: &Bytes) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

fn offsets(file: &Bytes) -> Vec<u64> {
    let batches = batches(file);
    let column = |batch: &RecordBatch| {
        let column = batch.column_by_name("offset").unwrap().as_primitive::<Int64Type>().clone();
        column.values().iter().map(|value| *value as u64).collect::<Vec<_>>()
    };
    batches.iter().flat_map(column).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn each_row_comes_once_whatever_becomes_of_the_files(
        steps in steps(),
        kept in prop_oneof![Just(0i64), Just(86_400_000)],
        by_day: bool,
    ) {
        let mut run = Run::new(kept, by_day);
        for step in &steps {
            // What fails is tried again, by the next step or at the end.
            if let Err(error) = run.step(step) {
                prop_assert!(matches!(error, Error::Store(_)), "{step:?}: {error}");
            }
        }
        run.settle();
    }
}

/// What outputs show, which no file may have.
const SECRET: &str = "kQ7wZr2MxVb9LpTn";

/// Where `what` is in `bytes`, if it is.
fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[test]
fn a_feed_without_outputs_has_no_byte_of_one_in_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { text_index: false, merge: false, ..Options::default() };
    let engine = Engine::open(&dir.path().join("data"), options).unwrap();
    let base64 = |bytes: &[u8]| STANDARD.encode(bytes);
    // Not UTF-8: in files with texts, such bytes are in `details`, too.
    let torn = [b"\xff\xfe!".as_slice(), SECRET.as_bytes()].concat();
    let bodies = [
        json!({"kind": "command", "input": "select 1", "output": SECRET}),
        json!({"kind": "output", "command": 0, "text": SECRET, "truncated": true}),
        json!({"kind": "output", "command": 0, "data": base64(SECRET.as_bytes())}),
        json!({"kind": "output", "command": 0, "data": base64(&torn)}),
        json!({"kind": "terminal.output", "text": SECRET}),
        json!({"kind": "terminal.output", "data": base64(&torn)}),
    ];
    let mut batch = Batch::new();
    for (seq, mut body) in bodies.into_iter().enumerate() {
        body["session"] = json!("s");
        body["seq"] = json!(seq);
        body["time"] = json!("2026-03-01T10:00:00Z");
        batch.push(seq as u64 + 1, body.to_string().as_bytes()).unwrap();
    }
    engine.append_blocking(batch).unwrap();
    engine.seal_now().unwrap();
    for outputs in Outputs::ALL {
        // The whole event is in no column then, also if it is asked for. In snappy's pages texts can be seen.
        let columns = Columns::Native { event_data: true, outputs };
        let name = outputs.name().to_owned();
        let spec = Spec { columns, codec: Codec::Snappy, name: name.clone(), ..Spec::native() };
        let disk = &engine.options().disk;
        let root = dir.path().join(&name);
        let store = Arc::new(DiskStore::open(disk, &root).unwrap());
        let feed =
            Feed::open(spec, "5f0c7b1e", disk, &dir.path().join("tmp"), vec![store]).unwrap();
        let closed = engine.closed_through().0;
        let shipped = feed.ship(&engine.snapshot(), 0, closed).unwrap().unwrap();
        assert!(shipped.rows >= 6);
        let file = std::fs::read(root.join(feed.tables()[0].1.state().live.keys().next().unwrap()));
        let file = Bytes::from(file.unwrap());
        let cells = format!("{:?}", batches(&file));
        let has = |what: &str| {
            find(&file, what.as_bytes()).is_some()
                || find(cells.as_bytes(), what.as_bytes()).is_some()
        };
        let texts = matches!(outputs, Outputs::Text | Outputs::Rendered);
        for what in [SECRET, &base64(SECRET.as_bytes()), &base64(&torn)] {
            assert_eq!(has(what), texts, "{name}: {what}");
        }
        assert_eq!(has("sha256"), outputs == Outputs::Hash);
    }
}

#[test]
fn a_check_finds_every_file_that_is_not_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let engine = Engine::open(&data, Options { text_index: false, ..Options::default() }).unwrap();
    let mut batch = Batch::new();
    let line =
        json!({"session": "s", "time": "2026-03-01T10:00:00Z", "kind": "command", "input": "ls"});
    batch.push(1, line.to_string().as_bytes()).unwrap();
    engine.append_blocking(batch).unwrap();
    engine.seal_now().unwrap();
    let disk = &engine.options().disk;
    let root = data.join("feeds/native/events");
    let store = Arc::new(DiskStore::open(disk, &root).unwrap());
    let spec = Spec::native();
    let feed = Feed::open(spec, "5f0c7b1e", disk, &dir.path().join("tmp"), vec![store]).unwrap();
    feed.ship(&engine.snapshot(), 0, engine.closed_through().0).unwrap().unwrap();
    let name = feed.tables()[0].1.state().live.keys().next().unwrap().clone();
    let file = root.join(&name);
    let check = || {
        let mut report = Report::default();
        daybook_query::feed::check(disk, &data, &mut report).unwrap();
        report
    };
    let report = check();
    assert!(report.is_well() && report.files == 1, "{:?}", report.findings);
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(report.bytes, bytes.len() as u64);
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    let long = [bytes.as_slice(), b"x"].concat();
    for wrong in [flipped.as_slice(), &bytes[..bytes.len() - 1], &[], &long] {
        std::fs::write(&file, wrong).unwrap();
        let report = check();
        let [found] = report.findings.as_slice() else { unreachable!("{:?}", report.findings) };
        assert_eq!((found.problem, found.mend), (Problem::Damaged, Mend::Rewrite));
        assert_eq!(found.file, Path::new("feeds/native/events").join(&name));
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(check().findings[0].problem, Problem::Missing);
    std::fs::write(root.join("_delta_log/00000000000000000001.json"), "{").unwrap();
    let report = check();
    assert_eq!(report.findings[0].problem, Problem::Damaged);
    assert!(report.findings[0].what.contains("00000000000000000001.json"), "{:?}", report.findings);
}

#[test]
fn a_feed_of_rendered_outputs_has_terminals_as_a_person_saw_them() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { text_index: false, merge: false, ..Options::default() };
    let engine = Engine::open(&dir.path().join("data"), options).unwrap();
    // The first two journals end in the middle of a line.
    let journals = [
        vec![("command", "", "select 1"), ("terminal.output", "\u{1b}[31mpass", "")],
        vec![("terminal.output", "wrd\u{8}\u{8}ord:\u{1b}[0m ok\r\nnext\r", "")],
        vec![("terminal.output", "\u{1b}[Klast\r\n$ ", ""), ("terminal.output", "ls", "")],
    ];
    let mut seq = 0;
    for events in journals {
        let mut batch = Batch::new();
        for (kind, text, input) in events {
            let time = format!("2026-03-01T10:00:0{seq}Z");
            let mut event = json!({"session": "s", "seq": seq, "time": time, "kind": kind});
            match kind {
                "command" => {
                    event["input"] = json!(input);
                    event["output"] = json!("\u{1b}[1mas it came");
                }
                _ => event["text"] = json!(text),
            }
            seq += 1;
            batch.push(seq, event.to_string().as_bytes()).unwrap();
        }
        assert!(engine.append_blocking(batch).unwrap().rejected.is_empty());
        engine.seal_now().unwrap();
    }
    let columns = Columns::Native { event_data: false, outputs: Outputs::Rendered };
    let spec = Spec { columns, name: "seen".to_owned(), ..Spec::native() };
    let disk = &engine.options().disk;
    let root = dir.path().join("seen");
    let store = Arc::new(DiskStore::open(disk, &root).unwrap());
    let feed = Feed::open(spec, "5f0c7b1e", disk, &dir.path().join("tmp"), vec![store]).unwrap();
    let closed = engine.closed_through().0;
    let mut through = 0;
    while let Some(shipped) = feed.ship(&engine.snapshot(), through, closed).unwrap() {
        through = shipped.through;
    }
    let mut seen = Vec::new();
    for path in feed.tables()[0].1.state().live.keys() {
        for batch in batches(&Bytes::from(std::fs::read(root.join(path)).unwrap())) {
            let outputs = batch.column_by_name("output").unwrap().as_string::<i32>();
            seen.extend(outputs.iter().flatten().map(str::to_owned));
        }
    }
    assert_eq!(seen, ["\u{1b}[1mas it came", "password: ok", "last"]);
}

/// Small files are kept after a large one has replaced them, and were kept with what was erased from the large one where
/// the store failed in the middle of that, or where they became large before the feed had followed the erasure.
#[test]
fn no_file_that_is_kept_has_what_was_erased_wherever_the_store_fails() {
    let two = [Step::Append(1), Step::Seal, Step::Ship, Step::Append(4), Step::Seal, Step::Ship];
    for (at, after) in (1..12).flat_map(|at| [(at, false), (at, true)]) {
        for last in [[Step::MergeUnits, Step::Erase], [Step::Erase, Step::MergeUnits]] {
            let mut run = Run::new(86_400_000, false);
            two.iter().for_each(|step| run.step(step).unwrap());
            let [first, second] = last;
            let begins = matches!(first, Step::Erase);
            if begins {
                run.step(&Step::Fail(at, after)).unwrap();
            }
            // What fails is tried again when it settles.
            let _ = run.step(&first);
            if !begins {
                run.step(&Step::Fail(at, after)).unwrap();
            }
            let _ = run.step(&second);
            run.settle();
        }
    }
}

/// A unit that a reader is in the middle of, whose parts are not kept any longer, though those that it became a part of
/// with them are.
#[test]
fn a_reader_in_the_middle_of_what_became_large_twice_gets_its_rows() {
    let mut run = Run::new(1000, false);
    let add = [Step::Append(1), Step::Seal, Step::Ship];
    let all = |run: &mut Run, steps: &[Step]| steps.iter().for_each(|s| run.step(s).unwrap());
    all(&mut run, &add);
    all(&mut run, &[Step::Pull(0)]);
    all(&mut run, &add);
    all(&mut run, &[Step::MergeUnits]);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    all(&mut run, &add);
    all(&mut run, &[Step::MergeUnits, Step::Pull(0)]);
    run.settle();
}

#[test]
fn who_has_small_files_is_told_what_was_erased_of_the_large_one() {
    let mut run = Run::new(86_400_000, false);
    let add = [Step::Append(4), Step::Seal, Step::Ship, Step::Pull(0)];
    for step in add.iter().chain(&add).chain(&[Step::MergeUnits, Step::Erase]) {
        run.step(step).unwrap();
    }
    let reader = &run.readers[0];
    let kept_ms = run.spec.replaced_kept_ms;
    let page = pull::page(run.table(), run.feed.node(), kept_ms, reader.cursor.as_deref(), 9);
    let page = page.unwrap().unwrap();
    let told: HashSet<String> = page.went.iter().map(|went| went.file.path.clone()).collect();
    assert_eq!(reader.files.len(), 2);
    assert!(reader.files.is_subset(&told), "{:?} are not in {told:?}", reader.files);
    run.settle();
}

/// A reader that was told of what went until a moment is told of everything that goes after it was asked.
#[test]
fn nothing_goes_at_the_time_of_what_went_before() {
    let mut run = Run::new(86_400_000, false);
    let add = [Step::Append(4), Step::Seal, Step::Ship];
    for step in add.iter().cycle().take(9).chain(&[Step::Erase]) {
        run.step(step).unwrap();
    }
    let state = run.table().state();
    let times: BTreeSet<i64> =
        state.gone.values().filter_map(|gone| gone.remove.deletion_timestamp).collect();
    assert_eq!((state.gone.len(), times.len()), (3, 3));
}
