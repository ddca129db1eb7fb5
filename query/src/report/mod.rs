//! Compliance at a glance: what happened in a period, through some roles, for who has to vouch for it.
//!
//! | module | what is there |
//! |---|---|
//! | here | the report, and how it is made |
//! | `fold` | what sessions amount to |
//! | `hours` | working hours |
//! | `csv`, `html` | the report as a file |
//!
//! A report is a fold over the catalog's sessions that started in the period: no event is read. It looks at so many
//! sessions at most ([`SESSIONS_MAX`]), the latest first; past that it says that it is not complete.

pub mod csv;
mod fold;
mod hours;
pub mod html;

pub use hours::Hours;

use crate::error::QueryError;
use crate::item::Time;
use daybook_engine::catalog::filter::{NumberFact, Pattern, SessionFilter, TextFact};
use daybook_engine::catalog::sort::{Sort, SortFact};
use daybook_engine::event::Micros;
use daybook_engine::view::{ListRequest, Snapshot};
use fold::Fold;
use serde::Serialize;
use std::ops::Bound;

/// The most sessions that a report looks at.
pub const SESSIONS_MAX: u64 = 200_000;
/// The most pairs of a user and a role of which is looked up whether they are new.
const PAIRS_MAX: usize = 5_000;
/// How many sessions are looked at in one go.
const STRIDE: usize = 1_000;
/// The most rows of a table.
pub const ROWS_MAX: usize = 100;

/// What report is asked for.
pub struct ReportParams<'a> {
    /// Sessions that started at this time or later,
    pub after: Micros,
    /// and before this one.
    pub before: Micros,
    /// Only of these roles; `*` stands for anything. All if there are none.
    pub roles: Vec<String>,
    /// Only these sessions: what the asker may see.
    pub scope: SessionFilter,
    /// When people work.
    pub hours: &'a Hours,
    /// Was a session looked at?
    pub reviewed: &'a dyn Fn(&str) -> bool,
}

/// A report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Sessions that started at this time or later,
    pub after: Time,
    /// and before this one.
    pub before: Time,
    /// Only of these roles; all if there are none.
    pub roles: Vec<String>,
    /// When people work, such as `Mon-Fri 08:00-18:00`.
    pub hours: String,
    /// In which time zone; days and hours are of it.
    pub zone: String,
    /// Was every session of the period looked at?
    pub complete: bool,
    /// The log's last signed checkpoint, which covers what the report is of; filled in by who has the log.
    pub checkpoint: Option<String>,
    /// All in all.
    pub totals: Totals,
    /// By the day on which they started, in order.
    pub days: Vec<Row>,
    /// By the hour of the day in which they started: 24 numbers of sessions.
    pub by_hour: Vec<u64>,
    /// By role, the one with the most sessions first.
    pub by_role: Vec<Row>,
    /// By user, the one with the most sessions first.
    pub by_user: Vec<Row>,
    /// Who decided on reviews, the one with the most decisions first.
    pub reviewers: Vec<Reviewer>,
    /// The longest sessions, the longest first.
    pub longest: Vec<Long>,
    /// Users who used a role for the first time, the latest first.
    pub first_time: Vec<FirstTime>,
}

/// What sessions amount to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Sessions.
    pub sessions: u64,
    /// Different users.
    pub users: u64,
    /// Commands.
    pub commands: u64,
    /// Commands that a rule blocked.
    pub blocked: u64,
    /// Commands that were approved.
    pub approved: u64,
    /// Fields that were masked.
    pub masked: u64,
    /// Sessions that ended and that nobody has marked as reviewed.
    pub unreviewed: u64,
    /// Sessions that started out of hours.
    pub out_of_hours: u64,
}

/// What all of them amount to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// The counts of all rows.
    #[serde(flatten)]
    pub counts: Counts,
    /// Different roles.
    pub roles: u64,
    /// Sessions that have not ended.
    pub open: u64,
    /// Users who used a role for the first time.
    pub first_time: u64,
    /// Approvals in reviews.
    pub approvals: u64,
    /// Rejections in reviews.
    pub rejections: u64,
    /// How long approvals took on average, in milliseconds; none without one.
    pub approval_ms: Option<u64>,
}

/// A day, a role or a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Which.
    pub name: String,
    /// What its sessions amount to.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Who decided on reviews.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reviewer {
    /// Who.
    pub name: String,
    /// How often it was a yes.
    pub approvals: u64,
    /// How often it was a no.
    pub rejections: u64,
    /// How long a yes took on average, in milliseconds.
    pub mean_ms: Option<u64>,
    /// How long the slowest took.
    pub max_ms: Option<u64>,
}

/// A long session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Long {
    /// Its id.
    pub session: String,
    /// Its user.
    pub user: String,
    /// Its role.
    pub role: String,
    /// When it started.
    pub started_at: Time,
    /// How long it took, or has taken.
    pub duration_ms: u64,
}

/// That a user used a role for the first time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FirstTime {
    /// Who.
    pub user: String,
    /// Which role.
    pub role: String,
    /// In which session.
    pub session: String,
    /// When.
    pub started_at: Time,
}

fn started(from: Bound<i64>, to: i64) -> SessionFilter {
    SessionFilter::Number(NumberFact::Started, from, Bound::Excluded(to))
}

/// Makes a report.
///
/// # Errors
/// What the engine says.
pub fn report(snapshot: &Snapshot, params: &ReportParams<'_>) -> Result<Report, QueryError> {
    let period = started(Bound::Included(params.after.0), params.before.0);
    let mut all = vec![params.scope.clone(), period];
    let role = |role: &String| SessionFilter::Text(TextFact::Role, Pattern::wildcard(role));
    if !params.roles.is_empty() {
        all.push(SessionFilter::Or(params.roles.iter().map(role).collect()));
    }
    let sort = Sort { by: SortFact::Number(NumberFact::Started), descending: true };
    let filter = SessionFilter::And(all);
    let (mut fold, mut after, mut looks) = (Fold::new(params.hours, params.reviewed), None, 0);
    let mut complete = true;
    loop {
        let request = ListRequest { filter: filter.clone(), sort, after, limit: STRIDE };
        let page = snapshot.sessions.list(&request)?;
        page.items.iter().for_each(|session| fold.add(session));
        looks += page.items.len() as u64;
        after = page.next;
        if after.is_none() || looks >= SESSIONS_MAX {
            complete &= after.is_none();
            break;
        }
    }
    let mut firsts = Vec::new();
    let pairs = fold.pairs();
    complete &= pairs.len() <= PAIRS_MAX;
    for first in pairs.into_iter().take(PAIRS_MAX) {
        let is = |fact, value: &str| SessionFilter::Text(fact, Pattern::exact(value));
        let before = SessionFilter::And(vec![
            is(TextFact::User, &first.user),
            is(TextFact::Role, &first.role),
            started(Bound::Unbounded, first.started_at.0.0),
        ]);
        let request = ListRequest { filter: before, sort, after: None, limit: 1 };
        if snapshot.sessions.list(&request)?.count == 0 {
            firsts.push(first);
        }
    }
    firsts.sort_by(|a, b| b.started_at.cmp(&a.started_at).then_with(|| a.session.cmp(&b.session)));
    let mut report = fold.finish();
    report.totals.first_time = firsts.len() as u64;
    firsts.truncate(ROWS_MAX);
    Ok(Report {
        after: Time(params.after),
        before: Time(params.before),
        roles: params.roles.clone(),
        hours: params.hours.text(),
        zone: params.hours.zone().to_owned(),
        complete,
        first_time: firsts,
        ..report
    })
}
