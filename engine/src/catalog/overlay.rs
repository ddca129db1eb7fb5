//! The catalog: sessions in memory over the index, applying changes and committing them.

use super::index::{self, Place, View, Writer};
use crate::disk::SharedDisk;
use crate::error::Error;
use crate::event::{Offset, SessionKey};
use crate::session::{Change, SessionState};
use crate::text::docs::{Docs, guarded};
use crate::view::{Session, SessionSet};
use foldhash::fast::RandomState;
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Unchanged sessions that are kept in memory over a commit, because they will likely change again.
const CLEAN_MAX: usize = 10_000;

/// An event's change to its session.
#[derive(Clone, Debug)]
pub struct Update {
    /// The session's id.
    pub id: Arc<str>,
    /// Its number.
    pub key: SessionKey,
    /// Is this its first event? Then nothing is looked up. A wrong `true` would lose its state.
    pub new: bool,
    /// What the event changes.
    pub change: Change,
}

/// Adds to a state what is left of a session's events with offsets in a range.
pub type Rest<'a> =
    &'a mut dyn FnMut(&Session, Range<Offset>, &mut SessionState) -> Result<(), Error>;

/// The catalog of sessions; see the [module](super).
pub struct Catalog {
    inner: RwLock<Inner>,
    writer: Option<Mutex<Writer>>,
    /// What was found damaged by those who read it.
    doubt: Mutex<Option<Error>>,
}

/// What a reader sees, all of one moment.
pub(super) struct Inner {
    pub(super) view: Arc<View>,
    /// For each segment of the view, the documents that the overlay replaces.
    pub(super) hidden: Arc<Vec<Docs>>,
    pub(super) overlay: HashMap<SessionKey, Entry, RandomState>,
    /// The keys of the overlay's sessions by id.
    pub(super) ids: HashMap<Arc<str>, SessionKey, RandomState>,
    /// Sessions that the view has and that are no more: all their events were erased.
    pub(super) removed: HashSet<SessionKey, RandomState>,
    /// All that were removed since the catalog was opened.
    pub(super) erased: SessionSet,
    /// How many sessions came since the last commit.
    fresh: u64,
    /// Every event below this is in the overlay or the index, but for `lacks`.
    through: Offset,
    /// A change could not be applied. Nothing can be said any more until the catalog is made again.
    lacks: bool,
}

/// A session in memory.
pub(super) struct Entry {
    pub(super) session: Session,
    /// Does its state differ from the view's?
    pub(super) dirty: bool,
    /// May a commit, also one that failed, have put it in the index?
    indexed: bool,
    /// Has it changed since the commit before? Otherwise it makes room.
    recent: bool,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").field("changed", &self.inner.read().overlay.len()).finish()
    }
}

impl Catalog {
    /// Opens the catalog in `dir`, or an empty one where there is none. Its sessions are the fold of
    /// exactly the events below the offset that is returned with it. With `read_only` nothing on the
    /// disk is changed, and what is applied stays in memory.
    ///
    /// # Errors
    /// A damaged catalog; it can be removed and is then built again from the log.
    pub fn open(
        disk: &SharedDisk,
        dir: &Path,
        read_only: bool,
    ) -> Result<(Catalog, Offset), Error> {
        let (writer, view) = index::open(disk, dir, read_only)?;
        let through = view.through;
        let inner = Inner {
            hidden: Arc::new(nothing_hidden(&view)),
            view: Arc::new(view),
            overlay: HashMap::default(),
            ids: HashMap::default(),
            removed: HashSet::default(),
            erased: SessionSet::default(),
            fresh: 0,
            through,
            lacks: false,
        };
        let (inner, writer) = (RwLock::new(inner), writer.map(Mutex::new));
        Ok((Catalog { inner, writer, doubt: Mutex::default() }, through))
    }

    /// Applies the changes of events that are durable; they are visible at once. After this, every
    /// event below `through` is applied.
    ///
    /// An index that is damaged, so that a known session's state can't be loaded, keeps no event from
    /// the log: the catalog then answers nothing any more until it is made again ([`Catalog::replace`]).
    pub fn apply(&self, updates: Vec<Update>, through: Offset) {
        let mut inner = self.inner.write();
        inner.through = inner.through.max(through);
        if inner.lacks {
            return;
        }
        let view = Arc::clone(&inner.view);
        let applied = view.guarded(|| {
            for update in updates {
                let entry = inner.entry(update.id, update.key, update.new)?;
                Arc::make_mut(&mut entry.session.state).apply(update.change);
            }
            Ok(())
        });
        if let Err(error) = applied {
            inner.lacks = true;
            self.set_doubt(&error);
        }
    }

    /// What is there to be read.
    ///
    /// # Errors
    /// That it lacks changes.
    pub(super) fn whole(&self) -> Result<RwLockReadGuard<'_, Inner>, Error> {
        let inner = self.inner.read();
        if inner.lacks {
            return Err(Error::catalog("it is damaged; it is being made again from the log"));
        }
        Ok(inner)
    }

    /// Runs a read of a view, and takes note of damage.
    pub(super) fn sound<T>(
        &self,
        view: &View,
        read: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        view.guarded(read).inspect_err(|error| self.set_doubt(error))
    }

    /// How many sessions came since the last commit. Whoever lists sessions goes through all of them.
    #[must_use]
    pub fn fresh(&self) -> u64 {
        self.inner.read().fresh
    }

    /// What was found damaged by those who read it.
    #[must_use]
    pub fn doubt(&self) -> Option<Error> {
        self.doubt.lock().clone()
    }

    /// Takes note of damage: the catalog is to be made again.
    pub fn set_doubt(&self, error: &Error) {
        let mut doubt = self.doubt.lock();
        if doubt.is_none() && matches!(error, Error::Corrupt { .. } | Error::Index { .. }) {
            tracing::warn!(%error, "the catalog is damaged");
            *doubt = Some(error.clone());
        }
    }

    /// Turns to a catalog that was made again from the log. `open` puts it where this one is, of which no
    /// file is written any more, and opens it; `rest` answers the changes of the events in a range, which
    /// came while it was made. Changes wait meanwhile, reads do not.
    ///
    /// # Errors
    /// What these two answer, or a catalog that is open at rest. This one is then as it was.
    pub fn replace(
        &self,
        open: impl FnOnce() -> Result<(Catalog, Offset), Error>,
        rest: impl FnOnce(Range<Offset>) -> Result<Vec<Update>, Error>,
    ) -> Result<(), Error> {
        let at_rest = || Error::catalog("it is open at rest");
        let mut writer = self.writer.as_ref().ok_or_else(at_rest)?.lock();
        writer.stop();
        let (made, covered) = open()?;
        let now = self.inner.upgradable_read();
        let through = now.through.max(covered);
        made.apply(rest(covered..through)?, through);
        if let Some(error) = made.doubt() {
            return Err(error);
        }
        let mut inner = RwLockUpgradableReadGuard::upgrade(now);
        *writer = made.writer.ok_or_else(at_rest)?.into_inner();
        *inner = made.inner.into_inner();
        *self.doubt.lock() = None;
        Ok(())
    }

    /// Folds a session again after events of it were erased; it is removed if none are left, which the
    /// answer says. `rest` adds to a state what is left of the session's events with offsets in a
    /// range. It may be asked twice: for what was there when it began, and for what came meanwhile.
    ///
    /// # Errors
    /// What `rest` answers, or a damaged index; the session is then as it was.
    pub fn revise(&self, key: SessionKey, rest: Rest<'_>) -> Result<bool, Error> {
        let view = Arc::clone(&self.whole()?.view);
        self.sound(&view, || {
            let (before, through) = {
                let inner = self.inner.read();
                (inner.current(key)?, inner.through)
            };
            let Some(before) = before else { return Ok(false) };
            let mut state = SessionState::default();
            rest(&before, Offset(0)..through, &mut state)?;
            let mut inner = self.inner.write();
            let now = inner.current(key)?;
            if now.is_none_or(|now| now.state.events != before.state.events) {
                let came = through..inner.through;
                rest(&before, came, &mut state)?;
            }
            if state.events == 0 {
                return inner.remove(key).map(|()| false);
            }
            inner.entry(before.id, key, false)?.session.state = Arc::new(state);
            Ok(true)
        })
    }

    /// Writes what changed into the index, durably, and answers the offset below which everything is
    /// in it. Changes go on meanwhile. In a read-only catalog nothing is written.
    ///
    /// # Errors
    /// The disk's. Nothing is lost: what could not be written stays in memory.
    pub fn commit(&self) -> Result<Offset, Error> {
        let Some(writer) = &self.writer else { return Ok(self.inner.read().view.through) };
        let mut writer = writer.lock();
        drop(self.whole()?);
        let (changed, removed, through) = {
            let mut inner = self.inner.write();
            let changed: Vec<(Session, bool)> = inner
                .overlay
                .values_mut()
                .filter(|entry| entry.dirty)
                .map(|entry| (entry.session.clone(), std::mem::replace(&mut entry.indexed, true)))
                .collect();
            let removed: Vec<SessionKey> = inner.removed.iter().copied().collect();
            inner.fresh = 0;
            if changed.is_empty() && removed.is_empty() && inner.view.through == inner.through {
                return Ok(inner.through);
            }
            (changed, removed, inner.through)
        };
        guarded(Error::catalog, || {
            let view = writer.commit(&changed, &removed, through)?;
            self.inner.write().turn_to(view, &changed, &removed)
        })?;
        Ok(through)
    }
}

fn nothing_hidden(view: &View) -> Vec<Docs> {
    view.segments.iter().map(|segment| Docs::none(segment.reader.max_doc())).collect()
}

impl Inner {
    /// The session's entry, made dirty; loaded from the index if it is known but not in memory.
    fn entry(&mut self, id: Arc<str>, key: SessionKey, new: bool) -> Result<&mut Entry, Error> {
        // One that was removed starts anew, and replaces what the view still has.
        let again = self.removed.remove(&key);
        self.erased.remove(key);
        let known = self.overlay.get(&key).map(|entry| entry.dirty);
        if again {
            // It is hidden already.
        } else if known == Some(false) || (known.is_none() && !new) {
            let place = self.view.place_of(key)?;
            if known.is_none()
                && let Some(place) = place
            {
                let session = self.view.load(place)?;
                self.ids.insert(Arc::clone(&session.id), key);
                let entry = Entry { session, dirty: false, indexed: true, recent: true };
                self.overlay.insert(key, entry);
            }
            self.hide(place);
        }
        let (ids, fresh) = (&mut self.ids, &mut self.fresh);
        let entry = self.overlay.entry(key).or_insert_with(|| {
            ids.insert(Arc::clone(&id), key);
            *fresh += 1;
            let session = Session { id, key, state: Arc::new(SessionState::default()) };
            Entry { session, dirty: true, indexed: again, recent: true }
        });
        entry.dirty = true;
        entry.recent = true;
        Ok(entry)
    }

    /// A session as it is now.
    fn current(&self, key: SessionKey) -> Result<Option<Session>, Error> {
        if let Some(entry) = self.overlay.get(&key) {
            return Ok(Some(entry.session.clone()));
        }
        if self.removed.contains(&key) {
            return Ok(None);
        }
        self.view.place_of(key)?.map(|place| self.view.load(place)).transpose()
    }

    /// Removes a session; the next commit removes it from the index.
    fn remove(&mut self, key: SessionKey) -> Result<(), Error> {
        let place = self.view.place_of(key)?;
        if let Some(entry) = self.overlay.remove(&key)
            && self.ids.get(&entry.session.id) == Some(&key)
        {
            self.ids.remove(&entry.session.id);
        }
        // Also one that the view does not have: a commit that is under way may bring it.
        self.removed.insert(key);
        self.erased.insert(key);
        self.hide(place);
        Ok(())
    }

    fn hide(&mut self, place: Option<Place>) {
        if let Some(place) = place
            && let Some(docs) = Arc::make_mut(&mut self.hidden).get_mut(place.segment)
        {
            docs.insert(place.doc);
        }
    }

    /// Turns to the view after a commit of `written`: what did not change since is clean now.
    fn turn_to(
        &mut self,
        view: View,
        written: &[(Session, bool)],
        removed: &[SessionKey],
    ) -> Result<(), Error> {
        let mut hidden = nothing_hidden(&view);
        for key in removed {
            self.removed.remove(key);
        }
        for key in &self.removed {
            if let Some(place) = view.place_of(*key)?
                && let Some(docs) = hidden.get_mut(place.segment)
            {
                docs.insert(place.doc);
            }
        }
        let unchanged: SessionSet = written
            .iter()
            .filter(|(session, _)| {
                self.overlay
                    .get(&session.key)
                    .is_some_and(|entry| Arc::ptr_eq(&entry.session.state, &session.state))
            })
            .map(|(session, _)| session.key)
            .collect();
        for entry in self.overlay.values() {
            let key = entry.session.key;
            if entry.dirty
                && entry.indexed
                && !unchanged.contains(key)
                && let Some(place) = view.place_of(key)?
                && let Some(docs) = hidden.get_mut(place.segment)
            {
                docs.insert(place.doc);
            }
        }
        for key in unchanged.iter() {
            if let Some(entry) = self.overlay.get_mut(&key) {
                entry.dirty = false;
            }
        }
        self.view = Arc::new(view);
        self.hidden = Arc::new(hidden);
        self.make_room();
        Ok(())
    }

    /// Forgets clean sessions that did not change for a while.
    fn make_room(&mut self) {
        let mut room = CLEAN_MAX;
        let ids = &mut self.ids;
        self.overlay.retain(|_, entry| {
            if entry.dirty {
                return true;
            }
            let keep =
                std::mem::take(&mut entry.recent) && entry.session.state.end.is_none() && room > 0;
            if keep {
                room -= 1;
            } else {
                ids.remove(&entry.session.id);
            }
            keep
        });
    }
}
