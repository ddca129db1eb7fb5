//! Feeds: the log as Parquet files, made as it is sealed, and the doors to them.
//!
//! ```text
//! log ─► a thread for each feed ─► feeds/NAME/TABLE/ (a Delta Lake table) ─┬─► GET /v1/parquet: what is new
//!               │                  or s3://BUCKET/PREFIX/TABLE/            ├─► GET /v1/parquet/NAME/TABLE/FILE
//!               └─► feeds.json: how far it is                              └─► Delta Sharing
//! ```
//!
//! What a feed is, and why nothing is there twice or missing, says [`daybook_query::feed`]. A feed that fails (the disk
//! is full, say) waits and tries again; it holds up nobody but its readers.
//!
//! | module | what is there |
//! |---|---|
//! | `place` | how far each feed is, what the log is called in tables, and the secret that signs links |
//! | `run` | a feed's thread |
//! | `remote` | tables in object stores |
//! | `pull` | the list of feeds, and the files behind a cursor |
//! | `file` | a file, by a signed link or with a token |
//! | `sign` | links |
//! | `sharing` | Delta Sharing |

mod file;
mod place;
mod pull;
mod remote;
mod run;
pub(crate) mod sharing;
mod sign;

pub(crate) use file::is_signed;
pub use file::{__path_get_file, get_file};
pub use pull::{__path_list_feeds, __path_pull, list_feeds, pull};

use crate::problem::Problem;
use daybook_engine::{Engine, Error};
use daybook_query::feed::location::Location;
use daybook_query::feed::store::{DiskStore, Store};
use daybook_query::feed::table::{LOG_DIR, Table};
use daybook_query::feed::{self, Columns, Feed, Spec, table_name};
use daybook_query::ocsf::Class;
use parking_lot::Mutex;
use place::Places;
use remote::{Around, Bucket};
use run::Live;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;

/// The directory of feeds, in the data directory.
pub const DIR: &str = "feeds";

/// The feeds of a server.
#[derive(Debug)]
pub struct Feeds {
    engine: Arc<Engine>,
    places: Arc<Places>,
    feeds: Vec<Arc<Running>>,
    stopping: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// A feed, and how it is doing.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) spec: Spec,
    /// Once it could be opened.
    feed: Mutex<Option<Arc<Feed>>>,
    live: Mutex<Live>,
}

/// How a feed is doing, in numbers.
#[derive(Debug)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Since the start: rows, files, their bytes, CPU time in microseconds.
    pub rows: u64,
    /// Files that were written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// CPU time of its thread.
    pub cpu_us: u64,
    /// Events that are closed and not in it yet.
    pub behind: u64,
    /// Events that it left out, because their sessions had not said who they are.
    pub unknown: u64,
    /// Does it not succeed?
    pub failing: bool,
}

impl Running {
    /// The feed, if it could be opened.
    pub(crate) fn feed(&self) -> Option<Arc<Feed>> {
        self.feed.lock().clone()
    }

    /// How it is doing.
    fn live(&self) -> Live {
        self.live.lock().clone()
    }
}

impl Feeds {
    /// Those of a configuration; none runs yet.
    ///
    /// # Errors
    /// Places that can't be read.
    pub fn open(engine: &Arc<Engine>, specs: &[Spec]) -> Result<Feeds, Error> {
        let running = |spec: &Spec| {
            Arc::new(Running { spec: spec.clone(), feed: Mutex::default(), live: Mutex::default() })
        };
        let places = Places::open(engine)?;
        let names: Vec<String> = specs.iter().map(place_name).collect();
        if !names.is_empty() {
            // Not the end of its parts: the last ones may be erased.
            let end = engine.follow().borrow().0;
            places.keep_to_compare(&names, end)?;
        }
        Ok(Feeds {
            engine: Arc::clone(engine),
            places: Arc::new(places),
            feeds: specs.iter().map(running).collect(),
            stopping: Arc::default(),
            threads: Mutex::default(),
        })
    }

    /// Has them run, until [`Feeds::stop`]; what they ask of others than the disk runs on the runtime that this is
    /// called on.
    pub fn start(&self) {
        let mut threads = self.threads.lock();
        for running in &self.feeds {
            let worker = run::Worker {
                runtime: tokio::runtime::Handle::current(),
                engine: Arc::clone(&self.engine),
                places: Arc::clone(&self.places),
                running: Arc::clone(running),
                stopping: Arc::clone(&self.stopping),
            };
            let name = format!("feed {}", running.spec.name);
            match std::thread::Builder::new().name(name).spawn(move || worker.run()) {
                Ok(handle) => threads.push(handle),
                Err(error) => tracing::error!(%error, "a feed's thread could not be started"),
            }
        }
    }

    /// Has them stop soon.
    pub fn stop(&self) {
        self.stopping.store(true, Relaxed);
    }

    /// Waits until they have stopped: what they are at is a file at most.
    pub async fn ended(&self) {
        self.stop();
        let threads = std::mem::take(&mut *self.threads.lock());
        let joined = tokio::task::spawn_blocking(|| {
            for thread in threads {
                // A panic in it is in the log.
                let _ = thread.join();
            }
        });
        let _ = joined.await;
    }

    /// The feeds.
    pub(crate) fn all(&self) -> &[Arc<Running>] {
        &self.feeds
    }

    /// How they are doing.
    pub fn statuses(&self) -> impl Iterator<Item = Status> + '_ {
        let closed = self.engine.closed_through().0;
        self.feeds.iter().map(move |running| {
            let place = self.places.of(&place_name(&running.spec));
            let live = running.live();
            Status {
                name: running.spec.name.clone(),
                rows: live.rows,
                files: live.files,
                bytes: live.bytes,
                cpu_us: live.cpu_us,
                behind: closed.saturating_sub(place.through),
                unknown: place.unknown,
                failing: live.failing_since.is_some(),
            }
        })
    }

    /// A feed that has begun.
    pub(crate) fn feed(&self, name: &str) -> Result<Arc<Feed>, Problem> {
        let running = self.feeds.iter().find(|running| running.spec.name == name);
        let Some(running) = running else {
            let known: Vec<&str> = self.feeds.iter().map(|running| &*running.spec.name).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let what = format!("there is no feed `{name}`; there are: {known}");
            return Err(Problem::not_found(what));
        };
        running.feed().ok_or_else(|| {
            let why = running.live().last_error;
            let why = why.unwrap_or_else(|| "it has not begun yet".to_owned());
            Problem::busy(format!("the feed `{name}` can't be read: {why}"))
        })
    }

    /// Signs links, and knows those that it signed.
    pub(crate) fn signer(&self) -> sign::Signer {
        sign::Signer::new(self.places.secret())
    }
}

/// A table of a feed; `name` may be left out where there is one only.
pub(crate) fn table<'a>(feed: &'a Feed, name: Option<&str>) -> Result<&'a Table, Problem> {
    let known = || {
        let names = feed.tables().iter().map(|(class, _)| table_name(*class));
        names.collect::<Vec<_>>().join(", ")
    };
    match (name, feed.tables()) {
        (Some(name), _) => feed.table(name).ok_or_else(|| {
            Problem::not_found(format!("this feed has no table `{name}`; it has: {}", known()))
        }),
        (None, [(_, table)]) => Ok(table),
        (None, _) => {
            let what = format!("this feed has several tables, name one: {}", known());
            Err(Problem::parameter("table", what))
        }
    }
}

/// Opens a feed where its tables are.
fn open(engine: &Engine, spec: &Spec, node: &str, around: &Around) -> Result<Feed, feed::Error> {
    let disk = &engine.options().disk;
    let root = engine.dir().join(DIR).join(&spec.name);
    let mut stores: Vec<Arc<dyn Store>> = Vec::new();
    match &spec.location {
        Location::Data => {
            keeps_its_schema(spec, |table| Ok(root.join(table).join(LOG_DIR).is_dir()))?;
            for class in spec.columns.tables() {
                stores.push(Arc::new(DiskStore::open(disk, &root.join(table_name(class)))?));
            }
        }
        Location::Remote(remote) => {
            let bucket = Bucket::open(remote, around)?;
            keeps_its_schema(spec, |table| Table::is_at(&bucket.table(table)))?;
            for class in spec.columns.tables() {
                let store = bucket.table(table_name(class));
                store.prove()?;
                stores.push(Arc::new(store));
            }
        }
    }
    Feed::open(spec.clone(), node, disk, &scratch(&root), stores)
}

/// What a feed's place goes by: one whose location is changed begins again there, as nothing of it is there yet.
fn place_name(spec: &Spec) -> String {
    match &spec.location {
        Location::Data => spec.name.clone(),
        Location::Remote(remote) => format!("{} {remote}", spec.name),
    }
}

/// A feed that has tables in one schema can't go on in another: the new ones would begin in the middle of the log.
fn keeps_its_schema(
    spec: &Spec,
    is_there: impl Fn(&str) -> Result<bool, feed::Error>,
) -> Result<(), feed::Error> {
    let tables = Class::ALL.into_iter().map(Some).chain([None]);
    let (ours, other) = match spec.columns {
        Columns::Native { .. } => ("native", "ocsf"),
        Columns::Ocsf(_) => ("ocsf", "native"),
    };
    let of_other = |class: &Option<Class>| class.is_some() == (other == "ocsf");
    for class in tables.filter(of_other) {
        let name = table_name(class);
        if is_there(name)? {
            return Err(feed::Error::Table(format!(
                "the feed has the table `{name}` of the schema {other}, and would be in {ours}: set its `schema` back, or give the feed another name"
            )));
        }
    }
    Ok(())
}

/// Where files are until they are whole.
fn scratch(root: &Path) -> PathBuf {
    root.join(".tmp")
}
