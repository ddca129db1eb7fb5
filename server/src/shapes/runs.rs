//! The shapes of runs' answers and bodies, for the OpenAPI document alone.
#![expect(dead_code, reason = "only their schemas are used")]

use utoipa::ToSchema;

/// A command to run again.
#[derive(ToSchema)]
pub struct NewRun {
    /// The command's `seq`.
    command: u32,
    /// Why; at most 2,000 bytes.
    reason: Option<String>,
    /// The resource role that it is to run on. Left out, it is the session's.
    role: Option<String>,
    /// Who asks, where no token says it.
    by: Option<String>,
    /// The run's id, so that asking can be tried again: 16 to 64 letters, digits, `-` and `_`. Left out, one is made.
    id: Option<String>,
    /// May it be started again when nobody knows how it ended? Only for what changes nothing.
    #[schema(default = false)]
    repeat: Option<bool>,
}

/// Where a run stands.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum RunState {
    /// It waits for its approval.
    Waiting,
    /// It waits for a taker.
    Requested,
    /// Somebody has it and has not begun.
    Leased,
    /// Its command runs.
    Running,
    /// It ran, and its result is in the log.
    Done,
    /// It could not be run.
    Failed,
    /// It was begun, and nobody said how it ended.
    Lost,
    /// Nobody took it in time.
    Expired,
    /// Somebody called it off.
    Cancelled,
    /// Its approval was refused.
    Rejected,
}

/// A command that is run again.
#[derive(ToSchema)]
pub struct RunItem {
    /// Its id.
    id: String,
    /// The session of the command.
    session: String,
    /// The command's `seq`.
    command: u32,
    /// The resource role that it runs on.
    role: String,
    /// The command's language.
    #[schema(required = true)]
    language: Option<String>,
    /// Who asked for it.
    by: String,
    /// Why.
    #[schema(required = true)]
    reason: Option<String>,
    /// May it be started again when nobody knows how it ended?
    repeat: bool,
    /// Where it stands.
    state: RunState,
    /// Why it stands there, where that is not plain.
    #[schema(required = true)]
    why: Option<String>,
    /// How many steps it made: another one says that it changed.
    version: u32,
    /// When it was asked for.
    #[schema(format = DateTime)]
    requested_at: String,
    /// When it made its last step.
    #[schema(format = DateTime)]
    updated_at: String,
    /// When it is offered no more.
    #[schema(format = DateTime)]
    expires_at: String,
    /// The review in the command's session that it waits for, or waited.
    #[schema(required = true)]
    review: Option<String>,
    /// Who approved it or refused.
    #[schema(required = true)]
    decided_by: Option<String>,
    /// Who called it off. While it still runs, its taker was not heard of since.
    #[schema(required = true)]
    cancelled_by: Option<String>,
    /// How many have taken it.
    attempts: u32,
    /// How many may.
    attempts_max: u32,
    /// Who took it last.
    #[schema(required = true)]
    taker: Option<String>,
    /// Until when that one has it, if it is not renewed.
    #[schema(required = true, format = DateTime)]
    lease_until: Option<String>,
    /// The session that the result is written to, once it runs.
    #[schema(required = true)]
    result: Option<String>,
}

/// A page of runs.
#[derive(ToSchema)]
pub struct RunPage {
    /// The runs, the newest first.
    items: Vec<RunItem>,
    /// Where the next page starts; null at the end.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// How many match in all.
    count: u64,
    /// May the caller ask for runs?
    may_request: bool,
}

/// What a taker can run.
#[derive(ToSchema)]
pub struct WantedRun {
    /// The roles, as they are called.
    roles: Vec<String>,
    /// Only commands in these languages (`sql`, `shell`, ...). Left out, any.
    languages: Option<Vec<String>>,
    /// How long to wait for one, such as `30s`; not at all if unsaid, 60 s at most.
    wait: Option<String>,
    /// The lease's id, so that taking can be tried again: 16 to 64 letters, digits, `-` and `_`. Left out, one is made.
    lease: Option<String>,
}

/// A run that was taken, if there was one.
#[derive(ToSchema)]
pub struct TakenRun {
    /// The run.
    #[schema(required = true)]
    run: Option<RunOffer>,
}

/// A run, as its taker gets it.
#[derive(ToSchema)]
pub struct RunOffer {
    /// Its id.
    id: String,
    /// What names the taker from here on.
    lease: String,
    /// Until when the taker has it.
    #[schema(format = DateTime)]
    lease_until: String,
    /// How long a lease lasts, in milliseconds: renew it well before.
    lease_ms: u64,
    /// The how manyeth attempt this is.
    attempt: u32,
    /// The session of the command.
    session: String,
    /// The command's `seq`.
    command: u32,
    /// What the new command's `rerun_of` is to be: `SESSION:SEQ`.
    rerun_of: String,
    /// The command.
    input: String,
    /// Its language.
    #[schema(required = true)]
    language: Option<String>,
    /// The resource role.
    role: String,
    /// The type of the original's role.
    #[serde(rename = "type")]
    #[schema(required = true)]
    kind: Option<String>,
    /// The subtype of the original's role.
    #[schema(required = true)]
    subtype: Option<String>,
    /// How many fields of the original's result were masked: who masks nothing should not run it.
    masked: u64,
    /// Who asked for it: the new session's user.
    by: String,
    /// Why.
    #[schema(required = true)]
    reason: Option<String>,
    /// May it be started again when nobody knows how it ended?
    repeat: bool,
}

/// A lease.
#[derive(ToSchema)]
pub struct HeldRun {
    /// The lease's id.
    lease: String,
}

/// A run that begins.
#[derive(ToSchema)]
pub struct BegunRun {
    /// The lease's id.
    lease: String,
    /// The id of the new session that its events are sent in.
    session: String,
}

/// A run that is given back, or failed.
#[derive(ToSchema)]
pub struct FailedRun {
    /// The lease's id.
    lease: String,
    /// Why; of more than 2,000 bytes the rest is cut.
    why: String,
}

/// How a run stands for its taker.
#[derive(ToSchema)]
pub struct RenewedRun {
    /// Until when the taker has it, if it has.
    #[schema(format = DateTime)]
    lease_until: String,
    /// Where it stands.
    state: RunState,
    /// Was it called off? Then what runs is to be ended.
    cancelled: bool,
}
