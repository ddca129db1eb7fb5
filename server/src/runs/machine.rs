//! The states of a run, and the steps between them. Nothing here looks at a clock or writes anything.
//!
//! | state | step | then |
//! |---|---|---|
//! | | `request` | `waiting` if it takes an approval, else `requested` |
//! | `waiting` | `approve` | `requested` |
//! | `waiting`, `requested`, `leased` | `reject`: its review was refused, or taken back | **`rejected`** |
//! | `waiting`, `requested` | `expire` | **`expired`** |
//! | `waiting`, `requested`, `leased` | `cancel` | **`cancelled`** |
//! | `requested` | `take` | `leased` |
//! | `requested` | `fail` (its command is gone) | **`failed`** |
//! | `leased` | `start` | `running` |
//! | `leased` | `return`, `lapse` | `requested`; **`failed`** after the last attempt |
//! | `leased` | `fail` | **`failed`** |
//! | `running` | `cancel` | `running`; its taker is told |
//! | `running` | `lapse` | **`lost`**; where it may be repeated, and no one cancelled it, as `leased` |
//! | `running`, `lost` | `done` | **`done`** |
//! | `running`, `lost` | `fail` | **`failed`**; **`cancelled`** if that was asked for |
//!
//! The bold ones are ends; of them only `lost` is left again, by the taker that had it last.
//!
//! **A command is started once at most**, unless who asked said that it may be repeated: what was told `start` and not
//! how it ended is `lost`, for nobody knows whether it was done. Before `start` nothing has happened, so a lease that
//! lapses then is offered again.
//!
//! **At most one taker**: every step of a taker's names its lease, and of the leases of a run only the last one counts.

use daybook_engine::event::{Micros, Seq};
use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
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
    /// It could not be run, or ended in an error that was not its command's.
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

impl State {
    /// Every state.
    pub const ALL: [State; 10] = [
        State::Waiting,
        State::Requested,
        State::Leased,
        State::Running,
        State::Done,
        State::Failed,
        State::Lost,
        State::Expired,
        State::Cancelled,
        State::Rejected,
    ];

    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Requested => "requested",
            State::Leased => "leased",
            State::Running => "running",
            State::Done => "done",
            State::Failed => "failed",
            State::Lost => "lost",
            State::Expired => "expired",
            State::Cancelled => "cancelled",
            State::Rejected => "rejected",
        }
    }

    /// Is nothing more awaited of it?
    #[must_use]
    pub const fn ended(self) -> bool {
        !matches!(self, State::Waiting | State::Requested | State::Leased | State::Running)
    }
}

/// What is asked for: it does not change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The session of the command.
    pub session: Box<str>,
    /// The command.
    pub command: Seq,
    /// The resource role that it runs on.
    pub role: Box<str>,
    /// The command's language, if that is known.
    pub language: Option<Box<str>>,
    /// Why.
    pub reason: Option<Box<str>>,
    /// May it be started again when nobody knows how it ended?
    pub repeat: bool,
    /// The review that it waits for.
    pub review: Option<Box<str>>,
    /// When it is offered no more.
    pub expires: Micros,
    /// How many may take it, one after the other.
    pub attempts_max: u32,
}

/// Who has a run, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Known to the taker alone.
    pub id: Box<str>,
    /// The taker.
    pub taker: Box<str>,
    /// Its end, if it is not renewed.
    pub until: Micros,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: Box<str>,
    /// What is asked for.
    pub request: Request,
    /// By whom.
    pub by: Box<str>,
    /// When.
    pub requested: Micros,
    /// Where it stands.
    pub state: State,
    /// Since when.
    pub updated: Micros,
    /// How many steps it made.
    pub version: u32,
    /// How many have taken it so far.
    pub attempts: u32,
    /// The last lease.
    pub lease: Option<Lease>,
    /// The session that the last attempt wrote to, once it began.
    pub result: Option<Box<str>>,
    /// Who approved or rejected it.
    pub decided_by: Option<Box<str>>,
    /// Who called it off.
    pub cancelled_by: Option<Box<str>>,
    /// Why it is where it is, where that is not plain.
    pub why: Option<Box<str>>,
}

/// What changes a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its review was approved.
    Approve,
    /// Its review was refused, or ended without an approval.
    Reject {
        /// In words.
        why: Box<str>,
    },
    /// Its time is over.
    Expire,
    /// Somebody calls it off.
    Cancel,
    /// Somebody takes it.
    Take(Lease),
    /// Its taker begins.
    Start {
        /// The taker's lease.
        lease: Box<str>,
        /// The session that it writes to.
        session: Box<str>,
    },
    /// Its taker gives it back without having begun.
    Return {
        /// The taker's lease.
        lease: Box<str>,
        /// In words.
        why: Box<str>,
    },
    /// Its lease ended, and its taker has not been heard of.
    Lapse,
    /// It ran.
    Done {
        /// The taker's lease.
        lease: Box<str>,
    },
    /// It could not be run to its end.
    Fail {
        /// The taker's lease; none where nobody can take it any more.
        lease: Option<Box<str>>,
        /// In words.
        why: Box<str>,
    },
}

impl Run {
    /// A run that is asked for.
    #[must_use]
    pub fn new(id: Box<str>, by: Box<str>, request: Request, now: Micros) -> Run {
        let state = if request.review.is_some() { State::Waiting } else { State::Requested };
        Run {
            id,
            request,
            by,
            requested: now,
            state,
            updated: now,
            version: 1,
            attempts: 0,
            lease: None,
            result: None,
            decided_by: None,
            cancelled_by: None,
            why: None,
        }
    }

    /// Is this its last lease?
    #[must_use]
    pub fn has(&self, lease: &str) -> bool {
        self.lease.as_ref().is_some_and(|mine| *mine.id == *lease)
    }

    /// Was this said already? Then it is answered as it was, and nothing is done.
    #[must_use]
    pub fn knows(&self, step: &Step) -> bool {
        match step {
            Step::Cancel => self.cancelled_by.is_some(),
            Step::Start { lease, session } => {
                self.has(lease) && self.result.as_ref() == Some(session)
            }
            Step::Done { lease } => self.state == State::Done && self.has(lease),
            Step::Fail { lease: Some(lease), .. } => {
                matches!(self.state, State::Failed | State::Cancelled) && self.has(lease)
            }
            Step::Return { lease, .. } => self.state == State::Requested && self.has(lease),
            _ => false,
        }
    }

    /// It after a step of somebody's; `None` if the step is none that it can make.
    #[must_use]
    pub fn after(&self, step: &Step, by: &str, now: Micros) -> Option<Run> {
        let open = matches!(self.state, State::Waiting | State::Requested);
        let mut next = Run { version: self.version + 1, updated: now, ..self.clone() };
        next.state = match (self.state, step) {
            (State::Waiting, Step::Approve) => {
                next.decided_by = Some(by.into());
                State::Requested
            }
            (State::Waiting | State::Requested | State::Leased, Step::Reject { why }) => {
                next.decided_by = Some(by.into());
                next.why = Some(why.clone());
                State::Rejected
            }
            (_, Step::Expire) if open => State::Expired,
            (State::Waiting | State::Requested | State::Leased, Step::Cancel) => {
                next.cancelled_by = Some(by.into());
                State::Cancelled
            }
            (State::Running, Step::Cancel) => {
                next.cancelled_by = Some(by.into());
                State::Running
            }
            (State::Requested, Step::Take(lease)) if self.attempts < self.request.attempts_max => {
                next.lease = Some(lease.clone());
                next.attempts = self.attempts + 1;
                next.result = None;
                next.why = None;
                State::Leased
            }
            (State::Requested, Step::Fail { lease: None, why }) => {
                next.why = Some(why.clone());
                State::Failed
            }
            (State::Leased, Step::Start { lease, session }) if self.has(lease) => {
                next.result = Some(session.clone());
                State::Running
            }
            (State::Leased, Step::Return { lease, why }) if self.has(lease) => {
                next.offer_again(why.clone())
            }
            (State::Leased, Step::Lapse) => {
                next.offer_again("its taker was not heard of before it began".into())
            }
            (State::Running, Step::Lapse) => {
                if self.request.repeat && self.cancelled_by.is_none() {
                    next.offer_again("its taker was not heard of while it ran".into())
                } else {
                    let why =
                        "its taker was not heard of while it ran: nobody knows whether it was done";
                    next.why = Some(why.into());
                    State::Lost
                }
            }
            (State::Running | State::Lost, Step::Done { lease }) if self.has(lease) => {
                next.why = None;
                State::Done
            }
            (
                State::Leased | State::Running | State::Lost,
                Step::Fail { lease: Some(lease), why },
            ) if self.has(lease) => {
                next.why = Some(why.clone());
                if self.cancelled_by.is_some() { State::Cancelled } else { State::Failed }
            }
            _ => return None,
        };
        Some(next)
    }

    fn offer_again(&mut self, why: Box<str>) -> State {
        self.why = Some(why);
        if self.attempts < self.request.attempts_max { State::Requested } else { State::Failed }
    }
}

#[cfg(test)]
mod tests;
