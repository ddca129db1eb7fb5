//! What sessions amount to: one at a time, in bounded memory for so many sessions.

use super::{Counts, FirstTime, Hours, Long, ROWS_MAX, Report, Reviewer, Row, Totals};
use crate::item::Time;
use daybook_engine::event::{Decision, Micros};
use daybook_engine::session::SessionState;
use daybook_engine::view::Session;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// What a session without a user or a role is counted under.
const UNKNOWN: &str = "(unknown)";

#[derive(Debug, Default)]
struct Group {
    counts: Counts,
    users: BTreeSet<Box<str>>,
}

impl Group {
    fn add(&mut self, user: &str, one: &Counts) {
        let counts = &mut self.counts;
        counts.sessions += one.sessions;
        counts.commands += one.commands;
        counts.blocked += one.blocked;
        counts.approved += one.approved;
        counts.masked = counts.masked.saturating_add(one.masked);
        counts.unreviewed += one.unreviewed;
        counts.out_of_hours += one.out_of_hours;
        if !self.users.contains(user) {
            self.users.insert(user.into());
        }
    }

    fn counts(&self) -> Counts {
        Counts { users: self.users.len() as u64, ..self.counts.clone() }
    }
}

#[derive(Debug, Default)]
struct Decisions {
    approvals: u64,
    rejections: u64,
    waits: Waits,
}

/// How long approvals took.
#[derive(Debug, Default)]
struct Waits {
    count: u64,
    sum_ms: u64,
    max_ms: u64,
}

impl Waits {
    fn add(&mut self, ms: u64) {
        self.count += 1;
        self.sum_ms = self.sum_ms.saturating_add(ms);
        self.max_ms = self.max_ms.max(ms);
    }

    fn mean(&self) -> Option<u64> {
        self.sum_ms.checked_div(self.count)
    }
}

/// A user and a role.
type Pair = (Box<str>, Box<str>);
/// When the first session of both started, and its id.
type First = (Micros, Box<str>);

/// The sessions so far.
pub(super) struct Fold<'a> {
    hours: &'a Hours,
    reviewed: &'a dyn Fn(&str) -> bool,
    all: Group,
    open: u64,
    by_hour: [u64; 24],
    days: BTreeMap<String, Group>,
    roles: BTreeMap<Box<str>, Group>,
    users: BTreeMap<Box<str>, Group>,
    reviewers: BTreeMap<Box<str>, Decisions>,
    waits: Waits,
    longest: Vec<Long>,
    firsts: BTreeMap<Pair, First>,
}

impl<'a> Fold<'a> {
    pub(super) fn new(hours: &'a Hours, reviewed: &'a dyn Fn(&str) -> bool) -> Fold<'a> {
        Fold {
            hours,
            reviewed,
            all: Group::default(),
            open: 0,
            by_hour: [0; 24],
            days: BTreeMap::new(),
            roles: BTreeMap::new(),
            users: BTreeMap::new(),
            reviewers: BTreeMap::new(),
            waits: Waits::default(),
            longest: Vec::new(),
            firsts: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, session: &Session) {
        let state = &session.state;
        let Some(started) = state.started_at() else { return };
        let facts = state.facts();
        let name = |value: Option<&Box<str>>| value.cloned().unwrap_or_else(|| UNKNOWN.into());
        let user = name(facts.and_then(|facts| facts.user.as_ref()));
        let role = name(facts.and_then(|facts| facts.role.as_ref()));
        let place = self.hours.place(started);
        let ended = state.ended_at().is_some();
        let one = Counts {
            sessions: 1,
            users: 0,
            commands: state.commands,
            blocked: state.blocked(),
            approved: state.approved(),
            masked: state.masked,
            unreviewed: u64::from(ended && !(self.reviewed)(&session.id)),
            out_of_hours: u64::from(place.as_ref().is_some_and(|(_, _, within)| !within)),
        };
        self.open += u64::from(!ended);
        self.all.add(&user, &one);
        if let Some((day, hour, _)) = place {
            self.days.entry(day).or_default().add(&user, &one);
            if let Some(count) = self.by_hour.get_mut(hour) {
                *count += 1;
            }
        }
        self.roles.entry(role.clone()).or_default().add(&user, &one);
        self.users.entry(user.clone()).or_default().add(&user, &one);
        self.decisions(state);
        self.long(session, (&user, &role), started);
        let first =
            self.firsts.entry((user, role)).or_insert_with(|| (started, (*session.id).into()));
        if started < first.0 {
            *first = (started, (*session.id).into());
        }
    }

    fn decisions(&mut self, state: &SessionState) {
        for review in state.reviews.values() {
            let asked = review.request.as_ref().map(|(_, time, _)| *time);
            for (time, said) in review.decisions.values() {
                let yes = match said.decision {
                    Decision::Approved => true,
                    Decision::Rejected => false,
                    _ => continue,
                };
                let by = said.by.clone().unwrap_or_else(|| UNKNOWN.into());
                let decisions = self.reviewers.entry(by).or_default();
                if !yes {
                    decisions.rejections += 1;
                    continue;
                }
                decisions.approvals += 1;
                if let Some(asked) = asked {
                    let ms = u64::try_from(time.0.saturating_sub(asked.0) / 1_000).unwrap_or(0);
                    decisions.waits.add(ms);
                    self.waits.add(ms);
                }
            }
        }
    }

    fn long(&mut self, session: &Session, (user, role): (&str, &str), started: Micros) {
        let duration_ms = session.state.duration_ms();
        let full = self.longest.len() >= ROWS_MAX;
        if full && self.longest.last().is_some_and(|last| last.duration_ms >= duration_ms) {
            return;
        }
        let at = self.longest.partition_point(|other| other.duration_ms >= duration_ms);
        let (user, role, session) = (user.into(), role.into(), session.id.to_string());
        let long = Long { session, user, role, started_at: Time(started), duration_ms };
        self.longest.insert(at, long);
        self.longest.truncate(ROWS_MAX);
    }

    /// The first session of each user and role that both are known.
    pub(super) fn pairs(&self) -> Vec<FirstTime> {
        let pairs = self.firsts.iter();
        let known = pairs.filter(|((user, role), _)| &**user != UNKNOWN && &**role != UNKNOWN);
        known
            .map(|((user, role), (started, session))| FirstTime {
                user: user.to_string(),
                role: role.to_string(),
                session: session.to_string(),
                started_at: Time(*started),
            })
            .collect()
    }

    /// The report, but for what is not a fold over its sessions.
    pub(super) fn finish(self) -> Report {
        let of_reviewers = |count: fn(&Decisions) -> u64| self.reviewers.values().map(count).sum();
        let totals = Totals {
            counts: self.all.counts(),
            roles: self.roles.len() as u64,
            open: self.open,
            first_time: 0,
            approvals: of_reviewers(|of| of.approvals),
            rejections: of_reviewers(|of| of.rejections),
            approval_ms: self.waits.mean(),
        };
        let reviewers = self.reviewers.iter().map(|(name, of)| Reviewer {
            name: name.to_string(),
            approvals: of.approvals,
            rejections: of.rejections,
            mean_ms: of.waits.mean(),
            max_ms: (of.waits.count > 0).then_some(of.waits.max_ms),
        });
        let mut reviewers: Vec<Reviewer> = reviewers.collect();
        reviewers.sort_by_key(|of| Reverse(of.approvals + of.rejections));
        reviewers.truncate(ROWS_MAX);
        let day =
            |(name, group): (&String, &Group)| Row { name: name.clone(), counts: group.counts() };
        Report {
            after: Time(Micros(0)),
            before: Time(Micros(0)),
            roles: Vec::new(),
            hours: String::new(),
            zone: String::new(),
            complete: true,
            checkpoint: None,
            totals,
            days: self.days.iter().map(day).collect(),
            by_hour: self.by_hour.to_vec(),
            by_role: rows(&self.roles),
            by_user: rows(&self.users),
            reviewers,
            longest: self.longest,
            first_time: Vec::new(),
        }
    }
}

/// The groups with the most sessions, most first.
fn rows(groups: &BTreeMap<Box<str>, Group>) -> Vec<Row> {
    let named = groups.iter();
    let named = named.map(|(name, group)| Row { name: name.to_string(), counts: group.counts() });
    let mut rows: Vec<Row> = named.collect();
    rows.sort_by_key(|row| Reverse(row.counts.sessions));
    rows.truncate(ROWS_MAX);
    rows
}
