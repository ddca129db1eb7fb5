//! What happens to runs by itself: leases and waits end, reviews are opened, followed and closed.
//!
//! A run that takes an approval has a review in the session of its command, told as any other review is. Its request is
//! written after the run is asked for and again looked for at each start, so a crash between the two loses neither. Who
//! decides, and how, is the reviews' business; here only what a review amounts to is read. The one rule of runs: who asked
//! for a run can't be the only one who approves it.
//!
//! Once a run has begun its review is `executed`; where it will not begin any more, `revoked` or `expired`.

use super::machine::{Lease, Run, State, Step};
use super::{DAYBOOK, Runs, original};
use crate::auth::LOCAL;
use crate::problem::Problem;
use crate::state::App;
use daybook_engine::event::{Decision, Micros};
use daybook_engine::review::ReviewStatus;
use daybook_engine::view::Snapshot;
use daybook_engine::{Batch, Engine};
use serde_json::json;
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

/// Between two looks, however much happens.
const PACE: Duration = Duration::from_millis(100);
/// After a look that failed: the disk may be full.
const AGAIN: Duration = Duration::from_secs(2);
/// Without anything to wait for.
const LONG: Duration = Duration::from_secs(3_600);

/// Goes on until the server stops.
pub async fn keep(app: App) {
    let runs = &app.runs;
    let (mut changes, mut log) = (runs.ledger.changes(), app.engine.follow());
    let mut stopping = runs.stopping.subscribe();
    // Runs whose reviews may have to be closed.
    let mut reviewed: BTreeSet<Box<str>> = runs.ledger.read(|book| {
        let all = book.newest(None).filter(|(_, run)| run.request.review.is_some());
        all.map(|(_, run)| run.id.clone()).collect()
    });
    loop {
        changes.mark_unchanged();
        log.mark_unchanged();
        let wait = match look(&app, &mut reviewed).await {
            Ok(wait) => wait,
            Err(problem) => {
                tracing::warn!(
                    error = problem.detail(),
                    "runs are not kept up to date; it is tried again"
                );
                AGAIN
            }
        };
        let follows = !reviewed.is_empty();
        tokio::select! {
            _ = changes.changed() => {}
            _ = log.changed(), if follows => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
            () = tokio::time::sleep(wait) => {}
        }
        tokio::time::sleep(PACE).await;
    }
}

/// Does what is due; answers how long nothing else will be.
async fn look(app: &App, reviewed: &mut BTreeSet<Box<str>>) -> Result<Duration, Problem> {
    let runs = &app.runs;
    let open: Vec<Run> = runs.ledger.read(|book| book.open().cloned().collect());
    let held: HashSet<Box<str>> =
        open.iter().filter_map(|run| Some(run.lease.as_ref()?.id.clone())).collect();
    runs.renewed.lock().retain(|lease, _| held.contains(lease));
    for run in &open {
        if run.request.review.is_some() {
            reviewed.insert(run.id.clone());
        }
        if due(runs, run) <= Micros::now() {
            let own = app.clone();
            // As it stands then: it may have been renewed, or taken, since.
            let step = move |run: &Run, now: Micros| {
                let ends = if run.lease_held().is_some() { Step::Lapse } else { Step::Expire };
                Ok((!run.state.ended() && due(&own.runs, run) <= now).then_some(ends))
            };
            runs.step(&run.id, DAYBOOK, step).await?;
        }
    }
    let (mut unsettled, mut failed) = (Vec::new(), None);
    for id in reviewed.iter() {
        let run = runs.ledger.read(|book| book.get(id).cloned());
        let Some(run) = run else { continue };
        // One that can't be settled now keeps none of the others.
        match settle(app, &run).await {
            Ok(true) => {}
            Ok(false) => unsettled.push(id.clone()),
            Err(problem) => {
                unsettled.push(id.clone());
                failed.get_or_insert(problem);
            }
        }
    }
    *reviewed = unsettled.into_iter().collect();
    if let Some(problem) = failed {
        return Err(problem);
    }
    let next = runs.ledger.read(|book| book.open().map(|run| due(runs, run)).min());
    let left = next.map(|Micros(next)| next.saturating_sub(Micros::now().0).max(0).unsigned_abs());
    Ok(left.map_or(LONG, Duration::from_micros))
}

/// When a run's lease or its wait ends.
fn due(runs: &Runs, run: &Run) -> Micros {
    run.lease_held().map_or(run.request.expires, |lease| runs.until(lease))
}

impl Run {
    /// Its lease, while somebody has it.
    fn lease_held(&self) -> Option<&Lease> {
        self.lease.as_ref().filter(|_| matches!(self.state, State::Leased | State::Running))
    }
}

/// Brings a run's review and the run together; answers whether nothing more is to be done about it.
async fn settle(app: &App, run: &Run) -> Result<bool, Problem> {
    let (engine, of) = (app.engine.clone(), run.clone());
    let look = move || read(&engine.snapshot(), &of);
    let found = app.reads.run_within(app.config.read_time_max, look).await??;
    let (status, approvers, last) = match found {
        Found::Standing { status, approvers, last } => (status, approvers, last),
        // There is nowhere to write.
        Found::Erased => {
            return reject(app, run, DAYBOOK, "the session is not in the log any more").await;
        }
        Found::Unasked { .. } if run.state != State::Waiting => return Ok(true),
        Found::Unasked { names_command } => {
            write(&app.engine, &run.request.session, &request(run, names_command)).await?;
            return Ok(false);
        }
    };
    if run.state == State::Waiting {
        match status {
            ReviewStatus::Approved | ReviewStatus::Executed
                if *run.by != *LOCAL && approvers.iter().all(|name| *name == run.by) =>
            {
                let why = "it was approved by nobody but who asked for it";
                return reject(app, run, DAYBOOK, why).await;
            }
            ReviewStatus::Approved | ReviewStatus::Executed => {
                let by = approvers.join(", ");
                let step =
                    |run: &Run, _| Ok((run.state == State::Waiting).then_some(Step::Approve));
                app.runs.step(&run.id, &by, step).await?;
                return Ok(false);
            }
            _ => {}
        }
    }
    match status {
        ReviewStatus::Rejected | ReviewStatus::Revoked | ReviewStatus::Expired => {
            return reject(app, run, &last, &format!("its review was {}", status.name())).await;
        }
        ReviewStatus::Executed => return Ok(run.state.ended()),
        ReviewStatus::Pending | ReviewStatus::Approved => {}
    }
    let (decision, by) = match run.state {
        State::Waiting | State::Requested | State::Leased => return Ok(false),
        // Its approval does not count any more, since the session's start arrived after it: nothing can be said of it.
        _ if begun(run) && status == ReviewStatus::Pending => return Ok(run.state.ended()),
        _ if begun(run) => (Decision::Executed, taker(run)),
        State::Expired if status == ReviewStatus::Pending => (Decision::Expired, DAYBOOK),
        // What was approved and not begun is taken back.
        _ => (Decision::Revoked, run.cancelled_by.as_deref().unwrap_or(DAYBOOK)),
    };
    let decided = json!({
        "session": run.request.session, "time": Micros::now().to_string(), "kind": "review.decision",
        "review": run.request.review, "decision": decision, "by": by,
        "comment": format!("run {}: {}", run.id, run.state.name()),
    });
    write(&app.engine, &run.request.session, &decided).await?;
    Ok(false)
}

async fn reject(app: &App, run: &Run, by: &str, why: &str) -> Result<bool, Problem> {
    let why: Box<str> = why.into();
    let step = |run: &Run, _| {
        let unbegun = matches!(run.state, State::Waiting | State::Requested | State::Leased);
        Ok(unbegun.then_some(Step::Reject { why }))
    };
    app.runs.step(&run.id, by, step).await?;
    Ok(run.state.ended())
}

fn taker(run: &Run) -> &str {
    run.lease.as_ref().map_or(DAYBOOK, |lease| &lease.taker)
}

/// Was its command begun?
fn begun(run: &Run) -> bool {
    match run.state {
        State::Running | State::Done | State::Lost => true,
        State::Failed | State::Cancelled => run.result.is_some(),
        _ => false,
    }
}

/// A run's review as the log has it.
enum Found {
    /// Its session is not there any more.
    Erased,
    /// It is not asked for yet.
    Unasked {
        /// May its request name the command?
        names_command: bool,
    },
    /// It is there.
    Standing {
        status: ReviewStatus,
        /// Whose approvals count.
        approvers: Vec<Box<str>>,
        /// Who said something last.
        last: Box<str>,
    },
}

fn read(snapshot: &Snapshot, run: &Run) -> Result<Found, Problem> {
    let request = &run.request;
    let Some(session) = snapshot.sessions.get(&request.session)? else { return Ok(Found::Erased) };
    let id = request.review.as_deref().unwrap_or_default();
    let review = session.state.reviews.get(id).filter(|review| review.request.is_some());
    let Some(review) = review else {
        let original = original::find(snapshot, &request.session, request.command);
        let names_command = original.is_ok_and(|original| !original.reviewed);
        return Ok(Found::Unasked { names_command });
    };
    let standing = session.state.review_standing(review);
    let last = standing.effective.last().and_then(|seq| review.decisions.get(seq));
    let last = last.and_then(|(_, said)| said.by.as_deref());
    Ok(Found::Standing {
        status: standing.status,
        approvers: standing.approvers.iter().map(|by| by.unwrap_or(LOCAL).into()).collect(),
        last: last.unwrap_or(LOCAL).into(),
    })
}

/// The request for a run's review. A command that had a review of its own is named in the reason alone: what became of
/// that one stays what the command's verdict is.
fn request(run: &Run, names_command: bool) -> serde_json::Value {
    let Run { request, by, .. } = run;
    let reason = request.reason.as_deref().unwrap_or("no reason given");
    let mut event = json!({
        "session": request.session, "time": Micros::now().to_string(), "kind": "review.request",
        "review": request.review, "scope": "command", "expires_at": request.expires.to_string(),
        "reason": format!("{by} asks to run command {} again on {}: {reason}", request.command, request.role),
    });
    if let Some(object) = event.as_object_mut().filter(|_| names_command) {
        object.insert("command".to_owned(), json!(request.command));
    }
    event
}

async fn write(engine: &Engine, session: &str, event: &serde_json::Value) -> Result<(), Problem> {
    let mut batch = Batch::apart();
    batch.push(1, event.to_string().as_bytes()).map_err(Problem::internal)?;
    let ack = engine.append(batch).await?;
    match ack.rejected.first() {
        Some(rejection) => Err(Problem::internal(format!("{session}: {}", rejection.error))),
        None => Ok(()),
    }
}
