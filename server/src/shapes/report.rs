//! The shapes of reports, for the OpenAPI document alone.
#![expect(dead_code, reason = "only their schemas are used")]

use utoipa::ToSchema;

/// What happened in a period.
#[derive(ToSchema)]
pub struct Report {
    /// Of sessions that started at this time or later,
    #[schema(format = DateTime)]
    after: String,
    /// and before this one.
    #[schema(format = DateTime)]
    before: String,
    /// Only of these roles; all if there are none.
    roles: Vec<String>,
    /// When people work, such as `Mon-Fri 08:00-18:00`.
    hours: String,
    /// In which time zone; days and hours are of it.
    zone: String,
    /// Was every session of the period looked at? Otherwise numbers are floors.
    complete: bool,
    /// The signed checkpoint that covers what is counted; null where the log signs none.
    #[schema(required = true)]
    checkpoint: Option<String>,
    /// All in all.
    totals: ReportTotals,
    /// By the day on which the sessions started, in order.
    days: Vec<ReportRow>,
    /// By the hour of the day in which they started: 24 numbers of sessions.
    by_hour: Vec<u64>,
    /// By role, the one with the most sessions first.
    by_role: Vec<ReportRow>,
    /// By user, the one with the most sessions first.
    by_user: Vec<ReportRow>,
    /// Who decided on reviews, the one with the most decisions first.
    reviewers: Vec<Reviewer>,
    /// The longest sessions, the longest first.
    longest: Vec<LongSession>,
    /// Users who used a role for the first time, the latest first.
    first_time: Vec<FirstTime>,
}

/// What sessions amount to.
#[derive(ToSchema)]
pub struct ReportCounts {
    /// Sessions.
    sessions: u64,
    /// Different users.
    users: u64,
    /// Commands.
    commands: u64,
    /// Commands that a rule blocked.
    blocked: u64,
    /// Commands that were approved.
    approved: u64,
    /// Fields that were masked.
    masked: u64,
    /// Sessions that ended and that nobody has marked as reviewed.
    unreviewed: u64,
    /// Sessions that started out of hours.
    out_of_hours: u64,
}

/// What all of them amount to.
#[derive(ToSchema)]
pub struct ReportTotals {
    /// The counts of all rows.
    #[serde(flatten)]
    counts: ReportCounts,
    /// Different roles.
    roles: u64,
    /// Sessions that have not ended.
    open: u64,
    /// Users who used a role for the first time.
    first_time: u64,
    /// Approvals in reviews.
    approvals: u64,
    /// Rejections in reviews.
    rejections: u64,
    /// How long approvals took on average, in milliseconds; null without one.
    #[schema(required = true)]
    approval_ms: Option<u64>,
}

/// A day, a role or a user.
#[derive(ToSchema)]
pub struct ReportRow {
    /// Which.
    name: String,
    /// What its sessions amount to.
    #[serde(flatten)]
    counts: ReportCounts,
}

/// Who decided on reviews.
#[derive(ToSchema)]
pub struct Reviewer {
    /// Who.
    name: String,
    /// How often it was a yes.
    approvals: u64,
    /// How often it was a no.
    rejections: u64,
    /// How long a yes took on average, in milliseconds.
    #[schema(required = true)]
    mean_ms: Option<u64>,
    /// How long the slowest took.
    #[schema(required = true)]
    max_ms: Option<u64>,
}

/// A long session.
#[derive(ToSchema)]
pub struct LongSession {
    /// Its id.
    session: String,
    /// Its user.
    user: String,
    /// Its role.
    role: String,
    /// When it started.
    #[schema(format = DateTime)]
    started_at: String,
    /// How long it took, or has taken.
    duration_ms: u64,
}

/// That a user used a role for the first time.
#[derive(ToSchema)]
pub struct FirstTime {
    /// Who.
    user: String,
    /// Which role.
    role: String,
    /// In which session.
    session: String,
    /// When.
    #[schema(format = DateTime)]
    started_at: String,
}
