//! Expiry: what nobody decided in time, and what nobody waits for any more because its session ended, is written down
//! as `expired`. A start catches up with what was due before.

use super::Reviews;
use super::decide::{self, Wish};
use crate::problem::Problem;
use crate::state::App;
use axum::http::StatusCode;
use daybook_engine::OWN_SESSION;
use daybook_engine::catalog::filter::SessionFilter;
use daybook_engine::event::{Decision, Micros};
use daybook_engine::review::ReviewStatus;
use daybook_engine::view::Session;
use daybook_query::reviews::pending_sessions;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether sessions ended, while the log grows.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long what comes is gathered.
const PACE: Duration = Duration::from_millis(100);
/// How long to wait after it could not be written down.
const RETRY: Duration = Duration::from_secs(5);
/// The longest sleep: clocks are set.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// A review that is over.
struct Over {
    session: Session,
    review: Box<str>,
    why: Option<&'static str>,
}

/// Writes down what expires, until the server stops.
pub(super) async fn run(app: App) {
    let (mut changes, mut end) = (app.engine.follow_reviews(), app.engine.follow());
    let mut stopping = app.streams.stopping();
    let mut failing = false;
    while !*stopping.borrow() {
        changes.borrow_and_update();
        end.borrow_and_update();
        let sleep = match look(&app).await {
            Ok(next) => {
                failing = false;
                next
            }
            Err(problem) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(
                        problem = problem.detail(),
                        "reviews that are due are not written down as expired; trying again"
                    );
                }
                RETRY
            }
        };
        let ended = async {
            if end.changed().await.is_ok() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::select! {
            _ = changes.changed() => tokio::time::sleep(PACE).await,
            () = ended => {}
            () = tokio::time::sleep(sleep) => {}
            _ = stopping.changed() => {}
        }
    }
}

/// Writes down what is over; answers how long it is until something else is.
async fn look(app: &App) -> Result<Duration, Problem> {
    let engine = Arc::clone(&app.engine);
    let (over, next) = app.reads.run(move || due(&engine.snapshot(), Micros::now())).await??;
    for over in over {
        app.reviews.expire(over).await?;
    }
    let micros = next.map(|Micros(at)| at.saturating_sub(Micros::now().0).max(0));
    let sleep =
        micros.and_then(|us| u64::try_from(us).ok()).map_or(SLEEP_MAX, Duration::from_micros);
    // A moment later, so that it is over then.
    Ok((sleep + Duration::from_millis(1)).min(SLEEP_MAX))
}

fn due(
    snapshot: &daybook_engine::view::Snapshot,
    now: Micros,
) -> Result<(Vec<Over>, Option<Micros>), Problem> {
    let (mut over, mut next) = (Vec::new(), None::<Micros>);
    for session in pending_sessions(snapshot, &SessionFilter::All)? {
        for (id, review) in &session.state.reviews {
            if review.request.is_none()
                || session.state.review_status(review) != ReviewStatus::Pending
            {
                continue;
            }
            let why = match review.expires_at() {
                _ if session.state.ended_after(review) => Some("its session ended"),
                Some(at) if now >= at => None,
                Some(at) => {
                    next = Some(next.map_or(at, |next| next.min(at)));
                    continue;
                }
                None => continue,
            };
            over.push(Over { session: session.clone(), review: id.clone(), why });
        }
    }
    Ok((over, next))
}

impl Reviews {
    async fn expire(&self, Over { session, review: id, why }: Over) -> Result<(), Problem> {
        self.alone(move |engine| {
            // As it is now: somebody may have decided meanwhile.
            let Some(session) = engine.snapshot().sessions.by_key(session.key)? else {
                return Ok(());
            };
            let Some(review) = session.state.reviews.get(&id) else { return Ok(()) };
            if session.state.review_status(review) != ReviewStatus::Pending {
                return Ok(());
            }
            let comment = why.map(Into::into);
            let (decision, by) = (Decision::Expired, OWN_SESSION.into());
            let wish = Wish { decision, comment, force: false, by };
            match decide::write(engine, (&session, &id, review), &wish) {
                // A producer said something of it in the same moment, and that stands.
                Err(problem) if problem.status() == StatusCode::CONFLICT => Ok(()),
                done => done,
            }
        })
        .await
    }
}
