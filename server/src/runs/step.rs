//! Steps as the log tells of them: `access` events of the session `daybook.runs`, whose target is the run.
//!
//! | action | said beside it |
//! |---|---|
//! | `run.request` | `session`, `command`, `role`, `language`, `reason`, `repeat`, `review`, `expires_at`, `attempts_max` |
//! | `run.take` | `lease`, `until` |
//! | `run.start` | `lease`, `session` |
//! | `run.return`, `run.fail` | `lease`, `why` |
//! | `run.done` | `lease` |
//! | `run.reject` | `why` |
//! | `run.approve`, `run.cancel`, `run.expire`, `run.lapse` | |

use super::machine::{Lease, Request, Step};
use daybook_engine::event::wire::Access;
use daybook_engine::event::{Micros, Seq};

/// The action that asks for a run.
pub const REQUEST: &str = "run.request";

/// How a request is told.
#[must_use]
pub fn tell_request(id: &str, by: &str, request: &Request) -> Access {
    let told = Access::new(by, REQUEST, id)
        .with("session", request.session.clone())
        .with("command", request.command.to_string())
        .with("role", request.role.clone())
        .with("repeat", request.repeat.to_string())
        .with("expires_at", request.expires.to_string())
        .with("attempts_max", request.attempts_max.to_string());
    let maybe =
        [("language", &request.language), ("reason", &request.reason), ("review", &request.review)];
    maybe.into_iter().fold(told, |told, (name, value)| match value {
        Some(value) => told.with(name, value.clone()),
        None => told,
    })
}

/// The request that an act tells of; `None` if it can't be read.
#[must_use]
pub fn read_request(told: &Access) -> Option<Request> {
    let said = |name| told.said(name).map(Into::into);
    Some(Request {
        session: said("session")?,
        command: Seq(told.said("command")?.parse().ok()?),
        role: said("role")?,
        language: said("language"),
        reason: said("reason"),
        repeat: told.said("repeat") == Some("true"),
        review: said("review"),
        expires: Micros::parse(told.said("expires_at")?).ok()?,
        attempts_max: told.said("attempts_max")?.parse().ok()?,
    })
}

impl Step {
    /// How it is told.
    #[must_use]
    pub fn tell(&self, id: &str, by: &str) -> Access {
        let told = |action: &str| Access::new(by, action, id);
        match self {
            Step::Approve => told("run.approve"),
            Step::Reject { why } => told("run.reject").with("why", why.clone()),
            Step::Expire => told("run.expire"),
            Step::Cancel => told("run.cancel"),
            Step::Take(lease) => told("run.take")
                .with("lease", lease.id.clone())
                .with("until", lease.until.to_string()),
            Step::Start { lease, session } => {
                told("run.start").with("lease", lease.clone()).with("session", session.clone())
            }
            Step::Return { lease, why } => {
                told("run.return").with("lease", lease.clone()).with("why", why.clone())
            }
            Step::Lapse => told("run.lapse"),
            Step::Done { lease } => told("run.done").with("lease", lease.clone()),
            Step::Fail { lease, why } => {
                let told = told("run.fail").with("why", why.clone());
                match lease {
                    Some(lease) => told.with("lease", lease.clone()),
                    None => told,
                }
            }
        }
    }

    /// The step that an act tells of; `None` if it is none, or can't be read.
    #[must_use]
    pub fn read(told: &Access) -> Option<Step> {
        let said = |name| told.said(name).map(Box::<str>::from);
        let why = || said("why").unwrap_or_default();
        Some(match &*told.action {
            "run.approve" => Step::Approve,
            "run.reject" => Step::Reject { why: why() },
            "run.expire" => Step::Expire,
            "run.cancel" => Step::Cancel,
            "run.take" => Step::Take(Lease {
                id: said("lease")?,
                taker: told.by.clone(),
                until: Micros::parse(told.said("until")?).ok()?,
            }),
            "run.start" => Step::Start { lease: said("lease")?, session: said("session")? },
            "run.return" => Step::Return { lease: said("lease")?, why: why() },
            "run.lapse" => Step::Lapse,
            "run.done" => Step::Done { lease: said("lease")? },
            "run.fail" => Step::Fail { lease: said("lease"), why: why() },
            _ => return None,
        })
    }
}
