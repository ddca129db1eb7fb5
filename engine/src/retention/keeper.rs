//! The policy and the holds at work: reading, changing, and telling of changes.
//!
//! A change is durable in `retention.json` before it counts, and then an event tells of it. The event
//! is noted down with the change, so that it comes also when the process stops between the two.

use super::holds::{HOLDS_MAX, Hold, Keys, NewHold, bounded};
use super::policy::Policy;
use super::state::{Erasing, Files, State};
use crate::disk::Disk;
use crate::engine::Shared;
use crate::error::Error;
use crate::event::wire::{NAME_BYTES_MAX, Retention};
use crate::event::{Micros, RetentionAction, SessionKey};
use crate::view::{SessionSet, Snapshot};
use parking_lot::{Mutex, MutexGuard, RwLock};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Evaluates the queries of holds. The query language stands above the engine, which is handed this.
pub trait HoldQueries: Send + Sync {
    /// Can this query be used?
    ///
    /// # Errors
    /// What is wrong with it.
    fn check(&self, query: &str) -> Result<(), String>;

    /// The sessions that a query covers: those with an event that matches.
    ///
    /// # Errors
    /// The log's. Nothing is deleted then.
    fn sessions(&self, log: &Snapshot, query: &str) -> Result<Arc<SessionSet>, Error>;
}

/// What retention keeps of a data directory.
#[derive(Debug)]
pub(crate) struct Keeper {
    files: Files,
    state: RwLock<Arc<State>>,
    /// Held while the state changes, and while a segment is erased: a hold that was placed is never
    /// overtaken by a deletion that was decided before.
    changing: Mutex<()>,
    /// Held during a pass: one at a time.
    pub(super) passing: Mutex<()>,
    /// What was begun and is not finished.
    pub(super) unfinished: Mutex<Option<Erasing>>,
    pub(super) due: Mutex<Due>,
}

/// What a pass has found, for the next one.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// The policy that it was found with.
    pub policy: Policy,
    /// By a segment's name: when something of it may go, and when that was looked up.
    pub segments: HashMap<String, (Micros, Micros)>,
}

impl Keeper {
    /// Reads the state of a data directory.
    pub fn open(disk: &dyn Disk, data: &Path) -> Result<Keeper, Error> {
        let files = Files::of(data);
        let state = files.load(disk)?;
        let unfinished = Mutex::new(files.erasing(disk)?);
        let due = Mutex::default();
        let state = RwLock::new(Arc::new(state));
        let (changing, passing) = (Mutex::new(()), Mutex::new(()));
        Ok(Keeper { files, state, changing, passing, unfinished, due })
    }

    /// One that knows nothing, for a directory whose state can't be read: it must not be written to.
    pub fn unknown(data: &Path) -> Keeper {
        Keeper {
            files: Files::of(data),
            state: RwLock::default(),
            changing: Mutex::default(),
            passing: Mutex::default(),
            unfinished: Mutex::default(),
            due: Mutex::default(),
        }
    }

    /// What is wrong with the files, by their paths.
    pub fn damage(disk: &dyn Disk, data: &Path) -> Vec<(PathBuf, Error)> {
        let files = Files::of(data);
        let state = files.load(disk).err().map(|error| (data.join("retention.json"), error));
        let erasing = files.erasing(disk).err().map(|error| (data.join("erasing.json"), error));
        state.into_iter().chain(erasing).collect()
    }

    /// Writes what a new data directory starts with.
    pub fn create(disk: &dyn Disk, data: &Path) -> Result<(), Error> {
        Files::of(data).create(disk)
    }

    /// The policy and the holds as they are now.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read())
    }

    /// Is an erasure noted down that is not finished? Until it is, the segments that it names have to keep
    /// their names: one that is missing counts as erased.
    pub fn erasing(&self) -> bool {
        self.unfinished.lock().is_some()
    }

    /// Every line that was noted down.
    pub fn noted(&self) -> Result<Vec<Box<str>>, Error> {
        let unfinished = self.unfinished.lock();
        let erasing = unfinished.iter().flat_map(|erasing| &erasing.segments);
        let lines = erasing.map(|erase| erase.line.clone());
        Ok(self.state().owed.iter().cloned().chain(lines).collect())
    }

    /// The numbers of sessions that were erased in part, by their ids.
    pub fn numbers(&self) -> HashMap<Box<str>, SessionKey> {
        let unfinished = self.unfinished.lock();
        let erasing = unfinished.iter().flat_map(|erasing| &erasing.facts);
        let state = self.state();
        let all = state.facts.iter().chain(erasing);
        all.map(|(key, facts)| (facts.id.clone(), SessionKey(*key))).collect()
    }

    /// Keeps everything as it is until the guard is dropped.
    pub(super) fn still(&self) -> Still<'_> {
        Still { keeper: self, _changing: self.changing.lock() }
    }
}

/// While this lives, policy and holds change through it alone.
pub(super) struct Still<'a> {
    keeper: &'a Keeper,
    _changing: MutexGuard<'a, ()>,
}

impl Still<'_> {
    /// Makes a new state durable; from then on it counts.
    pub fn store(&self, disk: &dyn Disk, state: State) -> Result<(), Error> {
        self.keeper.files.store(disk, &state)?;
        *self.keeper.state.write() = Arc::new(state);
        Ok(())
    }

    /// Notes down what is being erased.
    pub fn begin(&self, disk: &dyn Disk, erasing: Erasing) -> Result<(), Error> {
        self.keeper.files.begin(disk, &erasing)?;
        *self.keeper.unfinished.lock() = Some(erasing);
        Ok(())
    }

    /// What was noted down is done, or did not begin.
    pub fn end(&self, disk: &dyn Disk) -> Result<(), Error> {
        self.keeper.files.end(disk)?;
        *self.keeper.unfinished.lock() = None;
        Ok(())
    }
}

fn refused(what: String) -> Error {
    Error::Refused { what }
}

/// What retention does to what the threads and the readers share.
impl Shared {
    /// Changes the policy.
    pub(crate) fn set_policy(&self, policy: Policy, by: &str) -> Result<(), Error> {
        policy.check().map_err(refused)?;
        bounded("the field `by`", by, NAME_BYTES_MAX).map_err(refused)?;
        let json = serde_json::to_string(&policy).unwrap_or_default();
        let told = Retention {
            by: by.into(),
            action: RetentionAction::Policy,
            target: None,
            case: None,
            reason: None,
            metadata: BTreeMap::from([("policy".into(), json.into())]),
        };
        self.change(&told, |state| {
            state.policy = policy;
            Ok(())
        })
    }

    /// Places a hold; one of this id, if one is given, gives way to it in the same moment.
    pub(crate) fn hold(&self, id: Option<Box<str>>, new: NewHold) -> Result<Hold, Error> {
        new.check().map_err(refused)?;
        let id = id.map_or_else(|| self.hold_id(), Ok)?;
        let mut hold = new.placed(id, Micros::now());
        if let Some(query) = &hold.scope.query {
            let queries = self.hold_queries()?;
            queries.check(query).map_err(refused)?;
            let keys = queries.sessions(&self.snapshot(), query)?;
            hold.matched = Keys(keys.iter().collect());
        }
        let told = Retention {
            by: hold.by.clone(),
            action: RetentionAction::Hold,
            target: Some(hold.id.clone()),
            case: Some(hold.case.clone()),
            reason: Some(hold.reason.clone()),
            metadata: hold.metadata(),
        };
        self.change(&told, |state| {
            if let Some(before) = state.holds.iter_mut().find(|before| before.id == hold.id) {
                before.clone_from(&hold);
                return Ok(());
            }
            if state.holds.len() >= HOLDS_MAX {
                return Err(refused(format!(
                    "there are {HOLDS_MAX} holds, which is the limit; release some, or let one hold name more"
                )));
            }
            state.holds.push(hold.clone());
            Ok(())
        })?;
        Ok(hold)
    }

    /// Releases a hold; `None` if there is none of this id.
    pub(crate) fn release(&self, id: &str, by: &str, reason: &str) -> Result<Option<Hold>, Error> {
        bounded("the field `by`", by, NAME_BYTES_MAX).map_err(refused)?;
        bounded("the field `reason`", reason, super::holds::TEXT_BYTES_MAX).map_err(refused)?;
        let state = self.retention.state();
        let Some(hold) = state.holds.iter().find(|hold| *hold.id == *id).cloned() else {
            return Ok(None);
        };
        let told = Retention {
            by: by.into(),
            action: RetentionAction::Release,
            target: Some(hold.id.clone()),
            case: Some(hold.case.clone()),
            reason: Some(reason.into()),
            metadata: hold.metadata(),
        };
        self.change(&told, |state| {
            state.holds.retain(|other| other.id != hold.id);
            Ok(())
        })?;
        Ok(Some(hold))
    }

    /// A change is durable first; then the event tells of it.
    fn change(
        &self,
        told: &Retention,
        change: impl FnOnce(&mut State) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if let Some(reason) = self.read_only_reason() {
            return Err(Error::ReadOnly { reason });
        }
        {
            let still = self.retention.still();
            let mut state = State::clone(&self.retention.state());
            change(&mut state)?;
            state.owed.push(self.own_line(told)?);
            still.store(&*self.options.disk, state)?;
        }
        // It counts now. If the log does not take the event, it is given to it again later.
        if let Err(error) = self.pay() {
            tracing::warn!(%error, "an event about retention is not in the log yet; it is tried again");
        }
        Ok(())
    }

    /// Gives the log the events that it is owed.
    pub(crate) fn pay(&self) -> Result<(), Error> {
        let owed = self.retention.state().owed.clone();
        if owed.is_empty() {
            return Ok(());
        }
        self.tell(&owed)?;
        let still = self.retention.still();
        let mut state = State::clone(&self.retention.state());
        state.owed.retain(|line| !owed.contains(line));
        still.store(&*self.options.disk, state)
    }

    /// Adds to each hold on a query the sessions that match it now.
    pub(super) fn follow_queries(&self) -> Result<(), Error> {
        let state = self.retention.state();
        let mut found: HashMap<Box<str>, Arc<SessionSet>> = HashMap::new();
        for hold in &state.holds {
            if let Some(query) = &hold.scope.query {
                let keys = self.hold_queries()?.sessions(&self.snapshot(), query)?;
                found.insert(hold.id.clone(), keys);
            }
        }
        let still = self.retention.still();
        let mut state = State::clone(&self.retention.state());
        let mut grown = false;
        for hold in &mut state.holds {
            let before = hold.matched.0.len();
            hold.matched.0.extend(found.remove(&hold.id).unwrap_or_default().iter());
            grown |= hold.matched.0.len() > before;
        }
        if grown { still.store(&*self.options.disk, state) } else { Ok(()) }
    }

    fn hold_queries(&self) -> Result<&dyn HoldQueries, Error> {
        self.options.hold_queries.as_deref().ok_or_else(|| {
            refused("holds on queries can't be evaluated here, so nothing is deleted".to_owned())
        })
    }

    fn hold_id(&self) -> Result<Box<str>, Error> {
        let mut bytes = [0; 6];
        getrandom::fill(&mut bytes).map_err(|error| {
            Error::io("read random bytes for", Path::new("a hold"))(std::io::Error::other(error))
        })?;
        Ok(format!("hold-{}", hex::encode(bytes)).into())
    }
}
