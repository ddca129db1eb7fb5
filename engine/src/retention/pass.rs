//! A pass: looking at all segments, and erasing what may go.

use super::decide::{Candidate, Decision, Plan, Planned, SessionFacts, plan};
use super::keeper::Due;
use super::state::{Facts, State};
use crate::engine::Shared;
use crate::error::Error;
use crate::event::wire::NAME_BYTES_MAX;
use crate::event::{Micros, Offset};
use crate::segment::Segment;
use crate::view::{Part as _, Sessions as _};
use serde::Serialize;
use std::collections::HashSet;
use std::sync::Arc;

/// Segments that go whole are erased so many at a time: with one commit of the catalog, one note.
const GROUP_MAX: usize = 64;
/// What was found of a segment is looked up again after this: a `session.start` may have come late.
const LOOK_AGAIN: Micros = Micros(24 * 3_600 * 1_000_000);

/// A segment of which something went, or would go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gone {
    /// The name of its directory.
    pub segment: String,
    /// Did all of it go?
    pub whole: bool,
    /// The offset of its first event.
    pub first_offset: Offset,
    /// The offset of its last event.
    pub last_offset: Offset,
    /// How many sessions went.
    pub sessions: u64,
    /// How many events went.
    pub events: u64,
    /// How many events are kept.
    pub kept_events: u64,
    /// The bytes that this frees, about.
    pub bytes: u64,
    /// The rules that say so.
    pub rules: Vec<String>,
}

/// A segment that could not be erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// The name of its directory.
    pub segment: String,
    /// Why.
    pub error: String,
}

/// What a pass did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What went, oldest first.
    pub gone: Vec<Gone>,
    /// What should have gone and is tried again at the next pass.
    pub failed: Vec<Failed>,
}

impl Shared {
    /// One pass. `by` is who is told to have done it.
    pub(crate) fn retain(&self, now: Micros, by: &str) -> Result<Report, Error> {
        if let Some(reason) = self.read_only_reason() {
            return Err(Error::ReadOnly { reason });
        }
        super::holds::bounded("the field `by`", by, NAME_BYTES_MAX)
            .map_err(|what| Error::Refused { what })?;
        let _one = self.retention.passing.lock();
        self.finish_erasing()?;
        if let Err(error) = self.pay() {
            tracing::warn!(%error, "events about retention are not in the log yet");
        }
        let mut report = Report::default();
        let mut tried = HashSet::new();
        while !self.closing() {
            let state = self.retention.state();
            let (segments, plan) = self.look(&state, now, &tried)?;
            if plan.planned.is_empty() {
                break;
            }
            self.follow_queries()?;
            for group in groups(&plan.planned) {
                let group: Vec<(Arc<Segment>, &Planned)> = group
                    .iter()
                    .filter_map(|p| Some((Arc::clone(segments.get(p.segment)?), p)))
                    .collect();
                match self.erase(&group, &state, by) {
                    Ok(Some(gone)) => report.gone.extend(gone),
                    // Something was held or released meanwhile: look again.
                    Ok(None) => break,
                    Err(error) => {
                        if self.retention.unfinished.lock().is_some() {
                            return Err(error);
                        }
                        for (segment, _) in group {
                            let (segment, error) = (segment.name(), error.to_string());
                            tracing::warn!(segment, error, "a segment could not be erased");
                            tried.insert(segment.clone());
                            report.failed.push(Failed { segment, error });
                        }
                    }
                }
            }
        }
        Ok(report)
    }

    /// What a pass would do.
    pub(crate) fn retention_plan(&self, now: Micros) -> Result<Report, Error> {
        if self.read_only_reason().is_none() {
            self.follow_queries()?;
        }
        let state = self.retention.state();
        let (segments, plan) = self.look(&state, now, &HashSet::new())?;
        let gone = plan.planned.iter().filter_map(|planned| {
            Some(Gone::of(segments.get(planned.segment)?, planned, &state.policy))
        });
        Ok(Report { gone: gone.collect(), failed: Vec::new() })
    }

    /// Decides what goes of all segments, oldest first, but for some.
    fn look(
        &self,
        state: &State,
        now: Micros,
        without: &HashSet<String>,
    ) -> Result<(Vec<Arc<Segment>>, Plan), Error> {
        if !state.policy.deletes() {
            return Ok((Vec::new(), Plan::default()));
        }
        let mut segments = self.segments();
        segments.retain(|segment| !without.contains(&segment.name()));
        segments.sort_by_key(|segment| (segment.manifest().created, segment.base()));
        let mut due = self.retention.due.lock();
        if due.policy != state.policy {
            *due = Due { policy: state.policy.clone(), ..Due::default() };
        }
        let candidates: Vec<Candidate> = segments
            .iter()
            .map(|segment| {
                let known = due.segments.get(&segment.name());
                let fresh = known.filter(|(_, looked)| {
                    *looked <= now && now.0.saturating_sub(looked.0) < LOOK_AGAIN.0
                });
                let manifest = segment.manifest();
                Candidate {
                    created: manifest.created,
                    bytes: manifest.stored_bytes(),
                    events: manifest.events,
                    due: fresh.map_or(Micros(i64::MIN), |(due, _)| *due),
                }
            })
            .collect();
        let by_facts = asks_for_facts(state);
        let mut sessions = |at: usize| match segments.get(at) {
            Some(segment) => self.sessions_of(segment, state, by_facts),
            None => Ok(Vec::new()),
        };
        let plan = plan(&candidates, &state.policy, &state.holds, now, &mut sessions)?;
        due.segments.retain(|known, _| segments.iter().any(|segment| segment.name() == *known));
        for (at, when) in &plan.due {
            if let Some(segment) = segments.get(*at) {
                due.segments.insert(segment.name(), (*when, now));
            }
        }
        Ok((segments, plan))
    }

    /// The sessions of a segment, with the facts that rules and holds ask for, if they do.
    fn sessions_of(
        &self,
        segment: &Segment,
        state: &State,
        by_facts: bool,
    ) -> Result<Vec<SessionFacts>, Error> {
        let index = segment.index();
        let mut sessions = Vec::with_capacity(index.sessions() as usize);
        for at in 0..index.sessions() {
            let row = index.session_at(at)?;
            let session = if by_facts { self.catalog.by_key(row.key)? } else { None };
            let Facts { user, role, kind, .. } = match session {
                Some(session) => Facts::of(&session, state),
                None => Facts::default(),
            };
            let events = row.ordinals.len() as u64;
            sessions.push(SessionFacts {
                key: row.key,
                id: row.id.into(),
                events,
                user,
                role,
                kind,
            });
        }
        Ok(sessions)
    }
}

/// Does anything depend on a session's user, role or type?
fn asks_for_facts(state: &State) -> bool {
    let conditions =
        |rule: &super::Rule| rule.user.is_some() || rule.role.is_some() || rule.kind.is_some();
    state.policy.rules.iter().any(conditions)
        || state
            .holds
            .iter()
            .any(|hold| !hold.scope.users.is_empty() || !hold.scope.roles.is_empty())
}

/// Neighbours that go whole, together; each that goes in part, alone.
fn groups(planned: &[Planned]) -> impl Iterator<Item = &[Planned]> {
    let together = |a: &Planned, b: &Planned| {
        a.decision() == Decision::Delete && b.decision() == Decision::Delete
    };
    planned.chunk_by(move |a, b| together(a, b)).flat_map(|run| run.chunks(GROUP_MAX))
}
