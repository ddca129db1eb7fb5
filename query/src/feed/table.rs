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
//!
//! **Several writers.** Each reads what the others committed before it decides anything, and again when one of them was
//! before it. What it may change are its own files (they say whose they are). Commits are deleted, the oldest first, when
//! a checkpoint has them and they are old; so as long as the last one that a writer knows is there, what it finds behind
//! that is all that there is. If it is not, the writer slept too long, and reads the table anew: it must not take a
//! version that was deleted for one that is free.

use super::Error;
use super::checkpoint;
use super::delta::{self, Action, Protocol};
use super::shape::{Shape, wanted};
use super::state::{State, time_of};
use super::store::Store;
use daybook_engine::event::Micros;
use parking_lot::RwLock;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

/// The directory of a table's log.
pub const LOG_DIR: &str = "_delta_log";
const LAST_CHECKPOINT: &str = "_delta_log/_last_checkpoint";
/// A checkpoint is written after so many commits.
const CHECKPOINT_EVERY: i64 = 20;
/// How long commits that a checkpoint has are kept, in milliseconds: 30 days.
const LOG_KEPT_MS: i64 = 30 * 86_400_000;
/// How often a commit is tried again that another writer was before at.
const ATTEMPTS: usize = 100;
/// How long to wait where a store refuses a commit and has none.
const CONFLICT_WAIT: Duration = Duration::from_millis(50);
/// How often it is looked, where nothing is new, whether that is because too much is, in milliseconds: every hour.
const CHECK_EVERY_MS: i64 = 3_600_000;

/// A Delta Lake table.
#[derive(Debug)]
pub struct Table {
    store: Arc<dyn Store>,
    state: RwLock<Arc<State>>,
    /// The version of the latest checkpoint that is known of; 0 for none.
    checkpointed: AtomicI64,
    /// When the last commit that is known was there, in milliseconds since 1970. By the clock: a machine that sleeps
    /// has to notice.
    checked: AtomicI64,
}

impl Table {
    /// Opens a table; makes it, or gives it new columns, where it is not there or has not.
    ///
    /// # Errors
    /// The store's, or a log that can't be read.
    pub fn open(store: Arc<dyn Store>, shape: &Shape) -> Result<Table, Error> {
        let state = load(&*store)?;
        let table = Table {
            store,
            state: RwLock::new(Arc::new(state)),
            checkpointed: AtomicI64::new(0),
            checked: AtomicI64::new(now_ms()),
        };
        for _ in 0..ATTEMPTS {
            let state = table.state();
            let Some(metadata) = wanted(shape, &state)? else { return Ok(table) };
            let mut actions = vec![info("SET TBLPROPERTIES", &state)];
            if state.version < 0 {
                actions = vec![info("CREATE TABLE", &state), Action::Protocol(Protocol::OURS)];
            }
            actions.push(Action::MetaData(metadata));
            table.try_commit(state, &actions)?;
        }
        Err(Error::Table("other writers change its columns all the time".to_owned()))
    }

    /// Is there a table?
    ///
    /// # Errors
    /// The store's.
    pub fn is_at(store: &dyn Store) -> Result<bool, Error> {
        Ok(store.exists(&commit_path(0))? || store.exists(LAST_CHECKPOINT)?)
    }

    /// What a table says now; nothing is changed.
    ///
    /// # Errors
    /// The store's, or a log that can't be read.
    pub fn read(store: &dyn Store) -> Result<State, Error> {
        load(store)
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
        let mut state = self.state();
        if (now_ms() - self.checked.load(Relaxed)).abs() >= CHECK_EVERY_MS {
            state = self.not_left_behind(state)?;
        }
        while let Some(bytes) = self.store.get(&commit_path(state.version + 1))? {
            Arc::make_mut(&mut state).apply(&bytes)?;
        }
        Ok(self.advance(state))
    }

    /// Takes in a state, unless a later one is known already.
    fn advance(&self, state: Arc<State>) -> Arc<State> {
        let mut known = self.state.write();
        if state.version > known.version {
            *known = state;
        }
        Arc::clone(&known)
    }

    /// The state, if its last commit is there; otherwise what the table is now.
    fn not_left_behind(&self, state: Arc<State>) -> Result<Arc<State>, Error> {
        let state = match state.version < 0 || self.store.exists(&commit_path(state.version))? {
            true => state,
            false => {
                let now = load(&*self.store)?;
                if now.version < state.version {
                    return Err(Error::Table(format!(
                        "its log is gone: it had version {}, and has {} now; put it back, or start again to make a new table",
                        state.version, now.version
                    )));
                }
                self.advance(Arc::new(now))
            }
        };
        self.checked.store(now_ms(), Relaxed);
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
        if version > now.version || version < 0 {
            return Ok(None);
        }
        // From the last checkpoint before it; the names behind the version's own are passed over.
        let names = self.store.list(LOG_DIR, "")?;
        let checkpoints = names.iter().rev().filter(|name| is_checkpoint(name));
        let before =
            checkpoints.filter_map(|name| version_of(name)).find(|before| *before <= version);
        let begun = match before {
            Some(before) => from_checkpoint(&*self.store, before)?,
            None => None,
        };
        let mut state = begun.unwrap_or_else(|| State { version: -1, ..State::default() });
        while state.version < version {
            match self.store.get(&commit_path(state.version + 1))? {
                Some(bytes) => state.apply(&bytes)?,
                None => return Ok(None),
            }
        }
        Ok(Some(Arc::new(state)))
    }

    /// The first version that is known and was committed at a time (in milliseconds since 1970) or later; `None` if none
    /// was.
    ///
    /// # Errors
    /// The store's, or a commit that can't be read.
    pub fn version_from(&self, at: i64) -> Result<Option<i64>, Error> {
        let names = self.store.list(LOG_DIR, "")?;
        let first =
            names.iter().filter(|name| name.ends_with(".json")).find_map(|name| version_of(name));
        let latest = self.state().version;
        // They are in the order of their times, so halves can be passed over.
        let (mut low, mut high) = (first.unwrap_or(0), latest + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.commit_at(middle)? {
                Some((_, committed)) if committed >= at => high = middle,
                _ => low = middle + 1,
            }
        }
        Ok((low <= latest).then_some(low))
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
            let mut all = vec![info(operation, &state)];
            all.extend(wanted);
            if self.try_commit(state, &all)? {
                self.maintain();
                return Ok(self.state());
            }
        }
        Err(Error::Table("other writers commit all the time".to_owned()))
    }

    /// Commits what follows from a state, if nobody else committed the version behind it; otherwise reads what was.
    fn try_commit(&self, state: Arc<State>, actions: &[Action]) -> Result<bool, Error> {
        let version = state.version + 1;
        if self.not_left_behind(state)?.version >= version {
            return Ok(false);
        }
        let bytes = delta::encode(actions).map_err(|error| Error::Table(error.to_string()))?;
        let committed = self.store.put_new(&commit_path(version), &bytes)?;
        let known = self.refresh()?;
        if !committed && known.version < version {
            // The store refuses also while another one's put is under way.
            std::thread::sleep(CONFLICT_WAIT);
        }
        Ok(committed)
    }

    /// Checkpoints, and deletes what they make superfluous. What fails is tried again with a later version.
    fn maintain(&self) {
        let state = self.state();
        if state.version - self.checkpointed.load(Relaxed) >= CHECKPOINT_EVERY
            && let Err(error) = self.checkpoint(&state)
        {
            tracing::warn!(%error, "a table's log could not be cut short; it is tried again");
        }
    }

    fn checkpoint(&self, state: &State) -> Result<(), Error> {
        // Another writer may have been here. If two come at once there are two: either is right.
        let last = last_checkpoint(&*self.store)?.unwrap_or(0);
        if state.version - last < CHECKPOINT_EVERY {
            self.checkpointed.store(last, Relaxed);
            return Ok(());
        }
        let actions = state.actions();
        let bytes = checkpoint::encode(&actions)?;
        self.store.put(&checkpoint_path(state.version), &bytes)?;
        let last = json!({"version": state.version, "size": actions.len()});
        self.store.put(LAST_CHECKPOINT, last.to_string().as_bytes())?;
        self.checkpointed.store(state.version, Relaxed);
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

/// Reads a table's log: the latest checkpoint that can be read, and the commits behind it.
fn load(store: &dyn Store) -> Result<State, Error> {
    // The note may be lost, or be that of a slower writer: it only says from where on it is worth looking.
    let noted = last_checkpoint(store)?.unwrap_or(0);
    let mut names = store.list(LOG_DIR, &format!("{noted:020}"))?;
    if noted > 0 && !names.iter().any(|name| is_checkpoint(name)) {
        names = store.list(LOG_DIR, "")?;
    }
    let mut state = State { version: -1, ..State::default() };
    let mut damaged = None;
    for version in
        names.iter().rev().filter(|name| is_checkpoint(name)).filter_map(|name| version_of(name))
    {
        match from_checkpoint(store, version) {
            Ok(Some(found)) => {
                state = found;
                break;
            }
            Ok(None) => {}
            Err(error @ Error::Store(_)) => return Err(error),
            // One before it, or the commits, if none was deleted, have everything.
            Err(error) => {
                tracing::warn!(%error, "a checkpoint is damaged; the log is read without it");
                damaged = damaged.or(Some(error));
            }
        }
    }
    let state = go_on(store, state)?;
    // Names sort by version. Two writers may make a table at once: then the other one began since.
    let latest = names.iter().rev().find_map(|name| version_of(name)).unwrap_or(-1);
    if state.version < latest {
        let missing = commit_path(state.version + 1);
        return Err(damaged.unwrap_or_else(|| {
            Error::Table(format!(
                "{missing} is missing, and no checkpoint is behind it: put it back, or give the feed another place"
            ))
        }));
    }
    Ok(state)
}

/// Takes in the commits behind a state.
fn go_on(store: &dyn Store, mut state: State) -> Result<State, Error> {
    while let Some(bytes) = store.get(&commit_path(state.version + 1))? {
        state.apply(&bytes)?;
    }
    Ok(state)
}

/// The version of the latest checkpoint, as the table says it.
fn last_checkpoint(store: &dyn Store) -> Result<Option<i64>, Error> {
    let Some(bytes) = store.get(LAST_CHECKPOINT)? else { return Ok(None) };
    let last: Option<Value> = serde_json::from_slice(&bytes).ok();
    Ok(last.and_then(|last| last.get("version")?.as_i64()).filter(|version| *version >= 0))
}

/// What a checkpoint says; `None` if it is not there.
fn from_checkpoint(store: &dyn Store, version: i64) -> Result<Option<State>, Error> {
    let path = checkpoint_path(version);
    let Some(bytes) = store.get(&path)? else { return Ok(None) };
    let actions =
        checkpoint::decode(bytes).map_err(|error| Error::Table(format!("{path}: {error}")))?;
    let mut state = State { version, ..State::default() };
    for action in actions {
        state.take(action);
    }
    // Commits are in the order of their times: the next one's is not before this one's.
    let commit = store.get(&commit_path(version))?;
    state.committed = commit.map_or(0, |bytes| committed_at(&bytes));
    Ok(Some(state))
}

fn is_checkpoint(name: &str) -> bool {
    name.ends_with(".checkpoint.parquet")
}

fn checkpoint_path(version: i64) -> String {
    format!("{LOG_DIR}/{version:020}.checkpoint.parquet")
}

pub(super) fn commit_path(version: i64) -> String {
    format!("{LOG_DIR}/{version:020}.json")
}

/// The version that a name in the log is of.
fn version_of(name: &str) -> Option<i64> {
    name.split_once('.')?.0.parse().ok()
}

/// When a commit was made, in milliseconds since 1970; 0 if it does not say.
fn committed_at(bytes: &[u8]) -> i64 {
    time_of(&delta::decode(bytes).unwrap_or_default())
}

/// Who commits, and when: later than the commit before, also where clocks of nodes differ, so that the first version of
/// a time can be found without reading them all.
fn info(operation: &str, state: &State) -> Action {
    Action::CommitInfo(json!({
        "timestamp": now_ms().max(state.committed.saturating_add(1)),
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
