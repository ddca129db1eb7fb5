//! Erasing segments, so that a crash at any moment leaves the log, the catalog and the record of what
//! was deleted in agreement.
//!
//! | step | a crash after it leaves |
//! |---|---|
//! | what goes, and the events that tell of it, are noted in `erasing.json` | everything as it was; the note is dropped |
//! | the directories are renamed to `.gone-NAME` (or replaced by one without what goes), durably | what goes has gone; the rest is done at the start |
//! | readers are switched over; the sessions are folded again; the catalog is committed | the same |
//! | the events are in the log | the same; the log takes each once |
//! | the directories and the note are removed | nothing |
//!
//! So an event tells of a deletion if and only if it happened, and a segment is never erased before
//! its erasure is on record. Nothing is read of a segment that is deleted whole but the table of its
//! sessions. Of a session that also has events elsewhere, those are read, to fold it again.

use super::decide::{Cause, Planned};
use super::holds::Keys;
use super::keeper::Still;
use super::pass::Gone;
use super::policy::Policy;
use super::state::{Erase, Erasing, Facts, State};
use crate::engine::Shared;
use crate::error::Error;
use crate::event::wire::Retention;
use crate::event::{Offset, RetentionAction, SessionKey};
use crate::segment::{Rewrite, Segment, delete_replaced, rewrite};
use crate::session::{Change, SessionState};
use crate::view::{Part as _, Session, Sessions as _};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::sync::Arc;

/// How many events go of each session, in the segments that are erased together.
type Lost = BTreeMap<SessionKey, u64>;

impl Shared {
    /// Erases segments that were planned together: any number that go whole, or one in part. Answers
    /// `None`, with nothing done, if policy, holds or segments are not those that it was planned with.
    pub(super) fn erase(
        &self,
        group: &[(Arc<Segment>, &Planned)],
        planned_with: &Arc<State>,
        by: &str,
    ) -> Result<Option<Vec<Gone>>, Error> {
        let _alone = self.background.lock();
        let still = self.retention.still();
        let now = self.retention.state();
        let segments = self.segments();
        let there = |planned: &Arc<Segment>| segments.iter().any(|s| Arc::ptr_eq(s, planned));
        if now.policy != planned_with.policy
            || now.holds != planned_with.holds
            || !group.iter().all(|(segment, _)| there(segment))
        {
            return Ok(None);
        }
        let lost = lost(group)?;
        let facts = self.facts_elsewhere(&lost, planned_with)?;
        let mut gone = Vec::new();
        let mut segments = Vec::new();
        for (segment, planned) in group {
            let item = Gone::of(segment, planned, &planned_with.policy);
            let line = self.own_line(&item.told(by))?;
            segments.push(Erase { segment: item.segment.clone().into(), line });
            gone.push(item);
        }
        let keys = Keys(lost.keys().copied().collect());
        let disk = &*self.options.disk;
        still.begin(disk, Erasing::new(segments, keys, facts))?;
        if let Err(error) = self.take_away(group) {
            if !self.any_gone()? {
                self.undo(group)?;
                still.end(disk)?;
            }
            return Err(error);
        }
        self.complete(&still, &lost)?;
        Ok(Some(gone))
    }

    /// Finishes what a crash or an error interrupted.
    pub(crate) fn finish_erasing(&self) -> Result<(), Error> {
        let _alone = self.background.lock();
        self.settle_erasing()
    }

    /// As [`Shared::finish_erasing`], for who holds `background` already. Whoever is about to give
    /// segments other names calls it first: by their names is told what has gone.
    pub(crate) fn settle_erasing(&self) -> Result<(), Error> {
        let still = self.retention.still();
        if self.retention.unfinished.lock().is_none() {
            return Ok(());
        }
        if self.read_only_reason().is_none() {
            return self.complete(&still, &BTreeMap::new());
        }
        // At rest nothing is finished, but the catalog has to be the fold of what is there.
        self.fold_again(&BTreeMap::new())
    }

    /// Makes the segments of a group go from the disk.
    fn take_away(&self, group: &[(Arc<Segment>, &Planned)]) -> Result<(), Error> {
        let (disk, dir) = (&*self.options.disk, self.segments_dir());
        if let [(segment, planned)] = group
            && !planned.whole
        {
            return self.write_without(segment, &planned.erase);
        }
        for (segment, _) in group {
            // What it stands for would count again.
            delete_replaced(disk, &dir, segment.manifest())?;
            let aside = self.aside(&segment.name());
            disk.rename(segment.path(), &aside).map_err(Error::io("rename", segment.path()))?;
        }
        disk.sync_dir(&dir).map_err(Error::io("sync", &dir))
    }

    /// Puts a segment without some sessions in the place of one that has them.
    fn write_without(
        &self,
        segment: &Arc<Segment>,
        erase: &BTreeSet<SessionKey>,
    ) -> Result<(), Error> {
        let options = &self.options;
        let dir = self.segments_dir();
        let state = |id: &str| {
            let session = self.catalog.get(id)?;
            Ok(session.map(|session| session.state).unwrap_or_default())
        };
        let report = rewrite(&Rewrite {
            disk: &options.disk,
            segments_dir: &dir,
            sources: std::slice::from_ref(segment),
            keep: &|row| !erase.contains(&row.key),
            state: &state,
            columnar: options.columnar.as_deref(),
            text_heap_bytes: options.text_index.then_some(options.index_heap_bytes),
            index_again: false,
        })?;
        let Some(report) = report else {
            let what = format!("nothing of segment {} is kept after all", segment.name());
            return Err(Error::Refused { what });
        };
        let new = Segment::open(&options.disk, &report.path, Arc::clone(&self.cache))?;
        self.replace_segments(std::slice::from_ref(segment), Some(Arc::new(new)));
        // From here on the old one does not count; its directory goes with the rest.
        let (from, to) = (segment.path(), self.aside(&segment.name()));
        options.disk.rename(from, &to).map_err(Error::io("rename", from))?;
        options.disk.sync_dir(&dir).map_err(Error::io("sync", &dir))
    }

    /// Removes what stands for a segment that is still in use: it could not be made durable, or opened.
    fn undo(&self, group: &[(Arc<Segment>, &Planned)]) -> Result<(), Error> {
        for (segment, _) in group {
            let manifest = segment.manifest();
            let name = format!("{:020}-{}", manifest.base.0, manifest.generation + 1);
            crate::segment::delete(&*self.options.disk, &self.segments_dir(), &name)?;
        }
        Ok(())
    }

    /// The segments that were noted down and have gone.
    fn gone(&self) -> Result<Vec<Erase>, Error> {
        let noted = self.retention.unfinished.lock().clone();
        let known: Vec<String> = self.segments().iter().map(|segment| segment.name()).collect();
        let mut gone = Vec::new();
        for erase in noted.map(|erasing| erasing.segments).unwrap_or_default() {
            let there = known.iter().any(|name| **name == *erase.segment)
                && self.options.disk.exists(&self.segments_dir().join(&*erase.segment))?;
            if !there {
                gone.push(erase);
            }
        }
        Ok(gone)
    }

    fn any_gone(&self) -> Result<bool, Error> {
        Ok(!self.gone()?.is_empty())
    }

    /// Everything after the segments have gone from the disk.
    fn complete(&self, still: &Still<'_>, lost: &Lost) -> Result<(), Error> {
        let (disk, dir) = (&*self.options.disk, self.segments_dir());
        let gone = self.gone()?;
        // Where an error came between, what has gone may come back after a crash.
        disk.sync_dir(&dir).map_err(Error::io("sync", &dir))?;
        let segments = self.segments();
        let dropped: Vec<Arc<Segment>> = segments
            .into_iter()
            .filter(|segment| gone.iter().any(|erase| *erase.segment == *segment.name()))
            .collect();
        self.replace_segments(&dropped, None);
        let ids = self.ids_noted()?;
        {
            let _catalog = self.catalog_files.lock();
            self.fold_again(lost)?;
            self.queue.erased(ids);
            self.remember_facts(still)?;
            self.catalog.commit()?;
        }
        let lines: Vec<Box<str>> = gone.iter().map(|erase| erase.line.clone()).collect();
        if !lines.is_empty()
            && let Err(error) = self.tell(&lines)
        {
            // A full disk takes no events, but deleting is what gives it room again.
            tracing::warn!(%error, "the log does not take the events about deletions; they are kept for it");
            let mut state = State::clone(&self.retention.state());
            state.owed.extend(lines);
            still.store(disk, state)?;
        }
        for erase in &gone {
            // What can't be removed now is removed at the next start.
            if let Err(error) = disk.remove_tree(&self.aside(&erase.segment)) {
                tracing::warn!(%error, "a deleted segment's files could not be removed yet");
            }
        }
        still.end(disk)
    }

    fn aside(&self, name: &str) -> PathBuf {
        self.segments_dir().join(format!(".gone-{name}"))
    }

    /// Folds the sessions that were noted down from what is left of them.
    fn fold_again(&self, lost: &Lost) -> Result<(), Error> {
        let noted = self.retention.unfinished.lock().as_ref().map(|e| e.sessions.clone());
        for key in noted.unwrap_or_default().0 {
            let all = lost.get(&key).copied();
            self.catalog.revise(key, &mut |session, offsets, state| {
                // As many as there were have gone: nothing is left to be looked for.
                if offsets.start == Offset(0) && all == Some(session.state.events) {
                    return Ok(());
                }
                self.fold_rest(session, &offsets, state)
            })?;
        }
        Ok(())
    }

    /// The ids of the sessions that were noted down and are known.
    fn ids_noted(&self) -> Result<Vec<Arc<str>>, Error> {
        let noted = self.retention.unfinished.lock().as_ref().map(|e| e.sessions.clone());
        let mut ids = Vec::new();
        for key in noted.unwrap_or_default().0 {
            ids.extend(self.catalog.by_key(key)?.map(|session| session.id));
        }
        Ok(ids)
    }

    /// Adds what the log has of a session with offsets in a range.
    fn fold_rest(
        &self,
        session: &Session,
        offsets: &Range<Offset>,
        state: &mut SessionState,
    ) -> Result<(), Error> {
        let parts = self.snapshot().parts;
        // A session's number is the offset of its first event.
        let from = offsets.start.max(Offset(session.key.0));
        let first = parts.partition_point(|part| part.base() <= from).saturating_sub(1);
        for part in parts.iter().skip(first).take_while(|part| part.base() < offsets.end) {
            let Some(run) = part.session_by_key(session.key)? else { continue };
            part.read(&run.ordinals, None, &mut |_, record| {
                if offsets.contains(&record.offset) {
                    let bytes = record.json.len() as u64;
                    state.apply(Change::of(record.event()?, record.seq, bytes));
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(())
    }

    /// The facts of the sessions that keep events elsewhere.
    fn facts_elsewhere(&self, lost: &Lost, state: &State) -> Result<BTreeMap<u64, Facts>, Error> {
        let mut facts = BTreeMap::new();
        for (key, events) in lost {
            let Some(session) = self.catalog.by_key(*key)? else { continue };
            if session.state.events > *events {
                facts.insert(key.0, Facts::of(&session, state));
            }
        }
        Ok(facts)
    }

    /// Keeps the facts of the sessions that have events left, and forgets those of sessions that are no
    /// more.
    fn remember_facts(&self, still: &Still<'_>) -> Result<(), Error> {
        let Some(erasing) = self.retention.unfinished.lock().clone() else { return Ok(()) };
        let before = self.retention.state();
        let mut state = State::clone(&before);
        for key in &erasing.sessions.0 {
            if self.catalog.by_key(*key)?.is_none() {
                state.facts.remove(&key.0);
            } else if let Some(facts) = erasing.facts.get(&key.0) {
                state.facts.insert(key.0, facts.clone());
            }
        }
        if state == *before { Ok(()) } else { still.store(&*self.options.disk, state) }
    }
}

/// The sessions of which events go, with how many.
fn lost(group: &[(Arc<Segment>, &Planned)]) -> Result<Lost, Error> {
    let mut all = Lost::new();
    for (segment, planned) in group {
        let index = segment.index();
        for at in 0..index.sessions() {
            let row = index.session_at(at)?;
            if planned.whole || planned.erase.contains(&row.key) {
                *all.entry(row.key).or_default() += row.ordinals.len() as u64;
            }
        }
    }
    Ok(all)
}

impl Facts {
    /// What is known of a session: from its state, or as it was remembered.
    pub(super) fn of(session: &Session, state: &State) -> Facts {
        match session.state.facts() {
            Some(start) => Facts {
                id: (&*session.id).into(),
                user: start.user.clone(),
                role: start.role.clone(),
                kind: start.kind.clone(),
            },
            None => {
                let known = state.facts.get(&session.key.0).cloned();
                known.unwrap_or_else(|| Facts { id: (&*session.id).into(), ..Facts::default() })
            }
        }
    }
}

impl Gone {
    pub(super) fn of(segment: &Segment, planned: &Planned, policy: &Policy) -> Gone {
        let base = segment.base();
        let causes = planned.causes.iter().map(|cause| match cause {
            Cause::Rule(at) => policy.rules.get(*at).map(ToString::to_string).unwrap_or_default(),
            Cause::Default => format!("default {}", policy.default),
            Cause::Bytes => format!("bytes_max {}", policy.bytes_max.unwrap_or_default()),
        });
        Gone {
            segment: segment.name(),
            whole: planned.whole,
            first_offset: base,
            last_offset: Offset(segment.end().0.saturating_sub(1)),
            sessions: planned.sessions,
            events: planned.events,
            kept_events: u64::from(segment.len()).saturating_sub(planned.events),
            bytes: planned.bytes,
            rules: causes.collect(),
        }
    }

    /// The event that tells of it.
    fn told(&self, by: &str) -> Retention {
        let rules = self.rules.join("; ");
        let kept = (!self.whole).then(|| ("kept_events", self.kept_events.to_string()));
        let metadata = [
            ("segment", self.segment.clone()),
            ("first_offset", self.first_offset.to_string()),
            ("last_offset", self.last_offset.to_string()),
            ("sessions", self.sessions.to_string()),
            ("events", self.events.to_string()),
            ("rule", rules.clone()),
        ];
        Retention {
            by: by.into(),
            action: RetentionAction::Delete,
            target: Some(self.segment.clone().into()),
            case: None,
            reason: Some(format!("kept as long as the policy says: {rules}").into()),
            metadata: metadata
                .into_iter()
                .chain(kept)
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}
