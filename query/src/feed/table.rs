//! A Delta Lake table: its log, and what the log amounts to.
//!
//! ```text
//! TABLE/
//!   _delta_log/00000000000000000007.json              a commit: put only where none is, so that of two writers one goes on
//!   _delta_log/00000000000000000020.checkpoint.parquet   what the commits up to it amount to
//!   _delta_log/_last_checkpoint                       which one is the latest
//!   …parquet                                          the files
//! ```
//!
//! **Invariant: a file is in the table whole or not at all.** It is put first, and committed then; a crash in between
//! leaves a file that nobody knows of, and the next attempt has the same name. A commit that went wrong in a way that
//! leaves open whether it is there is looked for before another one is tried: the writer's `txn` in it says so.

use super::Error;
use super::checkpoint;
use super::delta::{self, Action, Add, Format, Metadata, Protocol, Remove, Txn};
use super::store::Store;
use arrow::datatypes::Schema;
use daybook_engine::event::Micros;
use parking_lot::RwLock;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The directory of a table's log.
pub const LOG_DIR: &str = "_delta_log";
const LAST_CHECKPOINT: &str = "_delta_log/_last_checkpoint";
/// A checkpoint is written after so many commits.
const CHECKPOINT_EVERY: i64 = 20;
/// How long commits that a checkpoint has are kept, in milliseconds: 30 days.
const LOG_KEPT_MS: i64 = 30 * 86_400_000;
/// How long it is known what was removed, in milliseconds: 90 days.
const GONE_KEPT_MS: i64 = 90 * 86_400_000;
/// How often a commit is tried again that another writer was before at.
const ATTEMPTS: usize = 100;

/// What a table is made with.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Its columns.
    pub schema: Arc<Schema>,
    /// Those that are in the files' paths, with the types of their values.
    pub partition_columns: Vec<&'static str>,
}

/// What a table's log amounts to.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The version of the last commit; -1 before the first.
    pub version: i64,
    /// What the table is.
    pub metadata: Option<Metadata>,
    /// The files that belong to it, by path, with the version that brought them.
    pub live: BTreeMap<String, Live>,
    /// Those that do not any more, by path.
    pub gone: BTreeMap<String, Gone>,
    /// How far each writer is.
    pub txns: BTreeMap<String, i64>,
}

/// A file that belongs to a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// The file.
    pub add: Add,
    /// The version that brought it; that of the checkpoint, where no more is known.
    pub version: i64,
}

/// A file that went.
#[derive(Clone, Debug, PartialEq)]
pub struct Gone {
    /// That it went.
    pub remove: Remove,
    /// What it was, where that is known.
    pub add: Option<Add>,
    /// The version that took it away.
    pub version: i64,
}

/// A Delta Lake table.
#[derive(Debug)]
pub struct Table {
    store: Arc<dyn Store>,
    state: RwLock<Arc<State>>,
}

impl Table {
    /// Opens a table; makes it, or gives it new columns, where it is not there or has not.
    ///
    /// # Errors
    /// The store's, or a log that can't be read.
    pub fn open(store: Arc<dyn Store>, shape: &Shape) -> Result<Table, Error> {
        let state = load(&*store)?;
        let table = Table { store, state: RwLock::new(Arc::new(state)) };
        for _ in 0..ATTEMPTS {
            let state = table.state();
            let Some(metadata) = wanted(shape, &state)? else { return Ok(table) };
            let mut actions = vec![info("SET TBLPROPERTIES")];
            if state.version < 0 {
                actions = vec![info("CREATE TABLE"), Action::Protocol(Protocol::OURS)];
            }
            actions.push(Action::MetaData(metadata));
            table.try_commit(&actions)?;
        }
        Err(Error::Table("other writers change its columns all the time".to_owned()))
    }

    /// Where its files are.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// What its log amounts to, as far as it was read.
    #[must_use]
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read())
    }

    /// Reads what other writers committed since.
    ///
    /// # Errors
    /// The store's, or a commit that can't be read.
    pub fn refresh(&self) -> Result<Arc<State>, Error> {
        let mut state = State::clone(&self.state());
        while let Some(bytes) = self.store.get(&commit_path(state.version + 1))? {
            state.apply(&bytes)?;
        }
        let state = Arc::new(state);
        *self.state.write() = Arc::clone(&state);
        Ok(state)
    }

    /// What its log amounted to at a version; `None` if the table has no such version, or it is not known any more how
    /// it came to be.
    ///
    /// # Errors
    /// The store's, or a commit that can't be read.
    pub fn at(&self, version: i64) -> Result<Option<Arc<State>>, Error> {
        let now = self.state();
        if version == now.version {
            return Ok(Some(now));
        }
        let mut state = State { version: -1, ..State::default() };
        while state.version < version.min(now.version) {
            match self.store.get(&commit_path(state.version + 1))? {
                Some(bytes) => state.apply(&bytes)?,
                None => return Ok(None),
            }
        }
        Ok((state.version == version).then(|| Arc::new(state)))
    }

    /// What a version did, and when, in milliseconds since 1970; `None` if that is not known any more.
    ///
    /// # Errors
    /// The store's, or a commit that can't be read.
    pub fn commit_at(&self, version: i64) -> Result<Option<(Vec<Action>, i64)>, Error> {
        let path = commit_path(version);
        let Some(bytes) = self.store.get(&path)? else { return Ok(None) };
        let actions =
            delta::decode(&bytes).map_err(|what| Error::Table(format!("{path}: {what}")))?;
        Ok(Some((actions, committed_at(&bytes))))
    }

    /// Commits what `actions` says of the table's state, until no other writer is before; `None` commits nothing.
    ///
    /// # Errors
    /// The store's: then the commit may be there or not, and [`Table::refresh`] knows.
    pub fn commit(
        &self,
        operation: &str,
        actions: impl Fn(&State) -> Option<Vec<Action>>,
    ) -> Result<Arc<State>, Error> {
        for _ in 0..ATTEMPTS {
            let state = self.state();
            let Some(wanted) = actions(&state) else { return Ok(state) };
            let mut all = vec![info(operation)];
            all.extend(wanted);
            if self.try_commit(&all)? {
                self.maintain();
                return Ok(self.state());
            }
        }
        Err(Error::Table("other writers commit all the time".to_owned()))
    }

    /// Commits, if nobody else committed the next version; otherwise reads what was.
    fn try_commit(&self, actions: &[Action]) -> Result<bool, Error> {
        let version = self.state().version + 1;
        let bytes = delta::encode(actions).map_err(|error| Error::Table(error.to_string()))?;
        let committed = self.store.put_new(&commit_path(version), &bytes)?;
        self.refresh()?;
        Ok(committed)
    }

    /// Checkpoints, and deletes what they make superfluous. What fails is tried again with a later version.
    fn maintain(&self) {
        let state = self.state();
        if state.version > 0
            && state.version % CHECKPOINT_EVERY == 0
            && let Err(error) = self.checkpoint(&state)
        {
            tracing::warn!(%error, "a table's log could not be cut short; it is tried again");
        }
    }

    fn checkpoint(&self, state: &State) -> Result<(), Error> {
        let actions = state.actions();
        let bytes = checkpoint::encode(&actions)?;
        let path = format!("{LOG_DIR}/{:020}.checkpoint.parquet", state.version);
        self.store.put(&path, &bytes)?;
        let last = json!({"version": state.version, "size": actions.len()});
        self.store.put(LAST_CHECKPOINT, last.to_string().as_bytes())?;
        let old = now_ms() - LOG_KEPT_MS;
        for name in self.store.list(LOG_DIR, "")? {
            let Some(version) = version_of(&name).filter(|version| *version < state.version) else {
                continue;
            };
            let path = format!("{LOG_DIR}/{name}");
            let when = if name.ends_with(".json") {
                committed_at(&self.store.get(&path)?.unwrap_or_default())
            } else {
                // A checkpoint is as old as its commit.
                self.store.get(&commit_path(version))?.map_or(0, |bytes| committed_at(&bytes))
            };
            if when < old {
                self.store.delete(&path)?;
            } else if name.ends_with(".json") {
                // Later ones are younger.
                break;
            }
        }
        Ok(())
    }
}

impl State {
    /// Takes in a commit.
    fn apply(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let version = self.version + 1;
        let actions = delta::decode(bytes)
            .map_err(|what| Error::Table(format!("{}: {what}", commit_path(version))))?;
        self.version = version;
        // In a commit a file may go and come back: what comes counts.
        let (comes, others): (Vec<Action>, Vec<Action>) =
            actions.into_iter().partition(|action| matches!(action, Action::Add(_)));
        for action in others.into_iter().chain(comes) {
            self.take(action);
        }
        let old = now_ms() - GONE_KEPT_MS;
        self.gone.retain(|_, gone| gone.remove.deletion_timestamp.is_none_or(|at| at > old));
        Ok(())
    }

    fn take(&mut self, action: Action) {
        let version = self.version;
        match action {
            Action::MetaData(metadata) => self.metadata = Some(metadata),
            Action::Txn(Txn { app_id, version, .. }) => {
                self.txns.insert(app_id, version);
            }
            Action::Add(add) => {
                self.gone.remove(&add.path);
                self.live.insert(add.path.clone(), Live { add, version });
            }
            Action::Remove(remove) => {
                let add = self.live.remove(&remove.path).map(|live| live.add);
                self.gone.insert(remove.path.clone(), Gone { remove, add, version });
            }
            Action::CommitInfo(_) | Action::Protocol(_) => {}
        }
    }

    /// What amounts to it.
    fn actions(&self) -> Vec<Action> {
        let txns = self.txns.iter().map(|(app_id, version)| {
            Action::Txn(Txn { app_id: app_id.clone(), version: *version, last_updated: None })
        });
        let mut actions = vec![Action::Protocol(Protocol::OURS)];
        actions.extend(self.metadata.clone().map(Action::MetaData));
        actions.extend(txns);
        actions.extend(self.gone.values().map(|gone| Action::Remove(gone.remove.clone())));
        actions.extend(
            self.live
                .values()
                .map(|live| Action::Add(Add { data_change: false, ..live.add.clone() })),
        );
        actions
    }
}

/// The table's description, if it is not what it should be.
fn wanted(shape: &Shape, state: &State) -> Result<Option<Metadata>, Error> {
    let schema_string = delta::schema_string(&shape.schema);
    let partition_columns: Vec<String> =
        shape.partition_columns.iter().map(|name| (*name).to_owned()).collect();
    let Some(metadata) = &state.metadata else {
        return Ok(Some(Metadata {
            id: new_id()?,
            name: Some(shape.name.clone()),
            description: Some(shape.description.clone()),
            format: Format::default(),
            schema_string,
            partition_columns,
            configuration: BTreeMap::new(),
            created_time: Some(now_ms()),
        }));
    };
    if metadata.partition_columns != partition_columns {
        let by = |columns: &[String]| match columns {
            [] => "in no directories".to_owned(),
            columns => format!("in directories by {}", columns.join(", ")),
        };
        return Err(Error::Table(format!(
            "its files are {}, and would be {}: set the feed's `partition` back, or give the feed another name",
            by(&metadata.partition_columns),
            by(&partition_columns)
        )));
    }
    let columns = |text: &str| {
        serde_json::from_str::<Value>(text)
            .map_err(|error| Error::Table(format!("its columns can't be read: {error}")))
    };
    if let Some(column) = lost(&columns(&metadata.schema_string)?, &columns(&schema_string)?) {
        return Err(Error::Table(format!(
            "its column `{column}` would go, or be of another type: set the feed's `version` back, or give the feed another name"
        )));
    }
    Ok((metadata.schema_string != schema_string)
        .then(|| Metadata { schema_string, ..metadata.clone() }))
}

/// The first column of a schema that another one has not, or has with another type: files that are there can't be read
/// by such a one.
fn lost(old: &Value, new: &Value) -> Option<String> {
    let fields = |schema: &Value| schema.get("fields").and_then(Value::as_array).cloned();
    let (Some(old), Some(new)) = (fields(old), fields(new)) else {
        return match (old.get("elementType"), new.get("elementType")) {
            (Some(old), Some(new)) => lost(old, new),
            _ => (old != new).then(String::new),
        };
    };
    old.iter().find_map(|field| {
        let name = field.get("name")?.as_str()?;
        let same = new.iter().find(|other| other.get("name") == field.get("name"));
        let inner = match same {
            None => String::new(),
            Some(same) => lost(field.get("type")?, same.get("type")?)?,
        };
        Some(if inner.is_empty() { name.to_owned() } else { format!("{name}.{inner}") })
    })
}

/// A random id in the form of a UUID (version 4).
fn new_id() -> Result<String, Error> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::Table(error.to_string()))?;
    let number = u128::from_be_bytes(bytes);
    let number = number & !(0xf << 76) | 4 << 76;
    let number = number & !(0b11 << 62) | 0b10 << 62;
    let digits = format!("{number:032x}");
    let (a, rest) = digits.split_at(8);
    let (b, rest) = rest.split_at(4);
    let (c, rest) = rest.split_at(4);
    let (d, e) = rest.split_at(4);
    Ok(format!("{a}-{b}-{c}-{d}-{e}"))
}

/// Reads a table's log.
fn load(store: &dyn Store) -> Result<State, Error> {
    let mut state = State { version: -1, ..State::default() };
    if let Some(bytes) = store.get(LAST_CHECKPOINT)?
        && let Ok(last) = serde_json::from_slice::<Value>(&bytes)
        && let Some(version) = last.get("version").and_then(Value::as_i64)
    {
        let path = format!("{LOG_DIR}/{version:020}.checkpoint.parquet");
        // Without it the commits have everything, if none was deleted.
        match store.get(&path)?.map(checkpoint::decode) {
            Some(Ok(actions)) => {
                state.version = version;
                for action in actions {
                    state.take(action);
                }
            }
            Some(Err(error)) if store.exists(&commit_path(0))? => {
                tracing::warn!(%error, path, "a checkpoint is damaged; all commits are read instead");
            }
            Some(Err(error)) => return Err(Error::Table(format!("{path}: {error}"))),
            None => {}
        }
    }
    while let Some(bytes) = store.get(&commit_path(state.version + 1))? {
        state.apply(&bytes)?;
    }
    if state.version < 0 && !store.list(LOG_DIR, "")?.is_empty() {
        return Err(Error::Table(format!(
            "{LOG_DIR} has neither its first commit nor a checkpoint that is whole"
        )));
    }
    Ok(state)
}

fn commit_path(version: i64) -> String {
    format!("{LOG_DIR}/{version:020}.json")
}

/// The version that a name in the log is of.
fn version_of(name: &str) -> Option<i64> {
    name.split_once('.')?.0.parse().ok()
}

/// When a commit was made, in milliseconds since 1970; 0 if it does not say.
fn committed_at(bytes: &[u8]) -> i64 {
    let actions = delta::decode(bytes).unwrap_or_default();
    let infos = actions.iter().filter_map(|action| match action {
        Action::CommitInfo(info) => info.get("timestamp").and_then(Value::as_i64),
        _ => None,
    });
    infos.max().unwrap_or(0)
}

fn info(operation: &str) -> Action {
    Action::CommitInfo(json!({
        "timestamp": now_ms(),
        "operation": operation,
        "operationParameters": {},
        "engineInfo": concat!("daybook/", env!("CARGO_PKG_VERSION")),
    }))
}

/// The time, in milliseconds since 1970.
#[must_use]
pub fn now_ms() -> i64 {
    Micros::now().0.div_euclid(1000)
}
