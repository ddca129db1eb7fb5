//! `/v1/reviews`: access requests, which are asked for, waited for and decided.
//!
//! ```text
//! proxy ─ ask ──► review.request ─┐                           ┌─► GET ?wait: the proxy goes on
//!                                 ├─► the session's events ───┤
//! reviewer ─ decide ► review.decision                         └─► lists, the page, notifications
//! ```
//!
//! A review is nothing but these events in its session, and where it stands is their fold
//! ([`daybook_engine::review`]): nothing is kept beside the log.
//!
//! | module | what is there |
//! |---|---|
//! | here | the endpoints |
//! | `rules` | what reviews take |
//! | `ask` | asking |
//! | `decide` | deciding, one at a time |
//! | `wait` | waiting for a decision |
//! | `expiry` | what nobody decided in time |

mod ask;
mod decide;
mod expiry;
pub mod rules;
mod wait;

use crate::auth::Caller;
use crate::auth::tokens::Scope as TokenScope;
use crate::params::{Body, Fields, FromFields, NoParams, Params, body, unknown};
use crate::problem::{Document, Problem};
use crate::shapes;
use crate::state::{App, answer};
use ask::NewReview;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use daybook_engine::Engine;
use daybook_engine::catalog::filter::{NumberFact, Pattern, SessionFilter, TextFact};
use daybook_engine::catalog::sort::{Sort, SortFact};
use daybook_engine::event::Decision;
use daybook_engine::event::time::excerpt;
use daybook_engine::review::ReviewStatus;
use daybook_engine::view::{ListRequest, Session, Snapshot};
use daybook_query::reviews::{self, LIMIT_MAX, ReviewEntry, ReviewPage, ReviewsParams};
use decide::Wish;
use rules::Rule;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};
use utoipa::IntoParams;

/// The longest comment, in bytes.
const COMMENT_BYTES_MAX: usize = 16 << 10;

/// What deciding on reviews takes.
#[derive(Debug)]
pub struct Reviews {
    engine: Arc<Engine>,
    rules: Arc<[Rule]>,
    /// Held while something is written down about a review.
    lock: Arc<Mutex<()>>,
    /// Those who wait.
    waits: Arc<Semaphore>,
}

impl Reviews {
    /// Under rules; so many may wait at once.
    #[must_use]
    pub fn new(engine: &Arc<Engine>, rules: &[Rule], waits_max: usize) -> Reviews {
        Reviews {
            engine: Arc::clone(engine),
            rules: rules.into(),
            lock: Arc::default(),
            waits: Arc::new(Semaphore::new(waits_max.clamp(1, Semaphore::MAX_PERMITS))),
        }
    }

    /// Does something while nobody else does: on a task of its own, so that it is done whole also when nobody waits
    /// for it any more.
    async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (lock, engine) = (Arc::clone(&self.lock), Arc::clone(&self.engine));
        let done = tokio::spawn(async move {
            let _alone = lock.lock_owned().await;
            tokio::task::spawn_blocking(move || work(&engine)).await
        });
        done.await.map_err(Problem::internal)?.map_err(Problem::internal)?
    }
}

/// Writes down what expires, until the server stops.
pub fn start(app: &App) {
    tokio::spawn(expiry::run(Arc::clone(app)));
}

/// A review that somebody names.
#[derive(Clone, Debug)]
struct Named {
    caller: Caller,
    session: Option<String>,
    review: String,
}

/// A review, as it is answered.
#[derive(Serialize)]
struct Item {
    #[serde(flatten)]
    entry: ReviewEntry,
    /// What the asker may say of it now.
    may: Vec<&'static str>,
}

fn no_review(id: &str) -> Problem {
    Problem::not_found(format!("there is no review `{}`", excerpt(id)))
}

/// May a caller see the reviews of a session?
fn sees(snapshot: &Snapshot, session: &Session, caller: &Caller) -> Result<bool, Problem> {
    if !caller.sees().matches(&session.id, session.key, &session.state) {
        return Ok(false);
    }
    let reads = caller.may(TokenScope::Read) || caller.may(TokenScope::Review);
    Ok(reads || decide::is_of_proxy(snapshot, session, caller)?)
}

/// A review and its session.
///
/// # Errors
/// That it is not there, or that several are.
fn find(
    snapshot: &Snapshot,
    caller: &Caller,
    session: Option<&str>,
    review: &str,
) -> Result<(Session, Box<str>), Problem> {
    let found = match session {
        Some(id) => snapshot.sessions.get(id)?.into_iter().collect(),
        None => {
            let filter = SessionFilter::Text(TextFact::Review, Pattern::exact(review));
            let sort = Sort { by: SortFact::Number(NumberFact::LastReview), descending: true };
            snapshot.sessions.list(&ListRequest { filter, sort, after: None, limit: 2 })?.items
        }
    };
    let mut seen = Vec::new();
    for session in found {
        if session.state.reviews.contains_key(review) && sees(snapshot, &session, caller)? {
            seen.push(session);
        }
    }
    if seen.len() > 1 {
        let what = format!(
            "several sessions have a review `{}`; say which with `session`",
            excerpt(review)
        );
        return Err(Problem::parameter("session", what));
    }
    let session = seen.pop().ok_or_else(|| no_review(review))?;
    Ok((session, review.into()))
}

impl Named {
    /// The same with its session named.
    async fn settled(self, app: &App) -> Result<Named, Problem> {
        let engine = Arc::clone(&app.engine);
        let find = move || {
            let found =
                find(&engine.snapshot(), &self.caller, self.session.as_deref(), &self.review);
            found.map(|(session, _)| Named { session: Some(session.id.to_string()), ..self })
        };
        app.reads.run_within(app.config.read_time_max, find).await?
    }

    /// Where it stands, and how often something was said of it.
    async fn look(&self, app: &App) -> Result<(ReviewStatus, usize), Problem> {
        let (engine, named) = (Arc::clone(&app.engine), self.clone());
        let look = move || {
            let snapshot = engine.snapshot();
            let (session, id) =
                find(&snapshot, &named.caller, named.session.as_deref(), &named.review)?;
            let review = session.state.reviews.get(&id).ok_or_else(|| no_review(&id))?;
            Ok((session.state.review_status(review), review.decisions.len()))
        };
        app.reads.run_within(app.config.read_time_max, look).await?
    }
}

impl Item {
    async fn of(app: &App, named: &Named) -> Result<Item, Problem> {
        let (engine, named) = (Arc::clone(&app.engine), named.clone());
        let rules = Arc::clone(&app.reviews.rules);
        let read = move || {
            let snapshot = engine.snapshot();
            let (session, id) =
                find(&snapshot, &named.caller, named.session.as_deref(), &named.review)?;
            let entry = reviews::entry(&snapshot, &session, &id)?.ok_or_else(|| no_review(&id))?;
            Item::with(&snapshot, &rules, entry, &session, &named.caller)
        };
        app.reads.run_within(app.config.read_time_max, read).await?
    }

    fn with(
        snapshot: &Snapshot,
        rules: &[Rule],
        entry: ReviewEntry,
        session: &Session,
        caller: &Caller,
    ) -> Result<Item, Problem> {
        let may = match session.state.reviews.get(&entry.review.id) {
            None => Vec::new(),
            Some(review) => {
                let of_proxy = decide::is_of_proxy(snapshot, session, caller)?;
                decide::may(rules, (session, review), caller, of_proxy)
            }
        };
        Ok(Item { entry, may })
    }
}

/// Which reviews. Names may be repeated or hold several values with commas between them: any of them; `*` in a value
/// stands for anything.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReviewsQuery {
    /// `pending`, `approved`, `rejected`, `revoked`, `expired`, `executed`.
    #[param(required = false, value_type = Vec<String>)]
    status: Vec<ReviewStatus>,
    /// The user who asks.
    #[param(required = false)]
    user: Vec<String>,
    /// The session's resource role.
    #[param(required = false)]
    role: Vec<String>,
    /// Somebody who approved a review of the session.
    #[param(required = false)]
    approver: Vec<String>,
    /// The session's id.
    #[param(required = false)]
    session: Vec<String>,
    /// At most this many.
    #[param(value_type = Option<usize>, minimum = 1, maximum = 200, default = 50)]
    limit: usize,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl FromFields for ReviewsQuery {
    fn read(fields: &mut Fields) -> Result<ReviewsQuery, Problem> {
        let names = ReviewStatus::ALL.map(ReviewStatus::name);
        let status = fields.list("status")?.into_iter().map(|name| {
            ReviewStatus::from_name(&name).ok_or_else(|| unknown("status", &name, names))
        });
        Ok(ReviewsQuery {
            status: status.collect::<Result<_, _>>()?,
            user: fields.list("user")?,
            role: fields.list("role")?,
            approver: fields.list("approver")?,
            session: fields.list("session")?,
            limit: fields.count("limit", 50, LIMIT_MAX)?,
            cursor: fields.text("cursor")?,
        })
    }
}

/// The access requests: what waits, the longest wait first; then what was decided, the latest first.
#[utoipa::path(
    get,
    path = "/v1/reviews",
    tag = "reviews",
    params(ReviewsQuery),
    responses(
        (status = 200, description = "a page of reviews", body = shapes::reviews::ReviewPage),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn list_reviews(
    State(app): State<App>,
    caller: Caller,
    Params(asked): Params<ReviewsQuery>,
) -> Result<Response, Problem> {
    let rules = Arc::clone(&app.reviews.rules);
    app.read(move |snapshot| -> Result<_, Problem> {
        let any_of = |fact, values: &[String]| {
            let any =
                values.iter().map(|value| SessionFilter::Text(fact, Pattern::wildcard(value)));
            (!values.is_empty()).then(|| SessionFilter::Or(any.collect()))
        };
        let facts = [
            any_of(TextFact::User, &asked.user),
            any_of(TextFact::Role, &asked.role),
            any_of(TextFact::Approver, &asked.approver),
            any_of(TextFact::Id, &asked.session),
        ];
        let filter = std::iter::once(caller.sees()).chain(facts.into_iter().flatten());
        let page = reviews::list(
            snapshot,
            &ReviewsParams {
                filter: SessionFilter::And(filter.collect()),
                statuses: &asked.status,
                cursor: asked.cursor.as_deref(),
                limit: asked.limit,
            },
        )?;
        let mut items = Vec::with_capacity(page.items.len());
        for entry in page.items {
            // Erased since.
            let Some(session) = snapshot.sessions.get(&entry.session)? else { continue };
            items.push(Item::with(snapshot, &rules, entry, &session, &caller)?);
        }
        Ok(ReviewPage { items, next_cursor: page.next_cursor })
    })
    .await
}

/// Asks for a review.
///
/// With a `review` id of the proxy's own, asking again is answered with the review as it stands. Rules of the
/// configuration may ask for more than the request does. A session that has not begun is begun with `start`.
#[utoipa::path(
    post,
    path = "/v1/reviews",
    tag = "reviews",
    request_body(content = shapes::reviews::NewReview, description = "what is asked for"),
    responses(
        (status = 200, description = "it was asked for before; the review as it stands", body = shapes::reviews::ReviewEntry),
        (status = 201, description = "the review", body = shapes::reviews::ReviewEntry),
        (status = 400, description = "something in the body can't be used, or it takes no parameters", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "the token may not see the session", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "the id is taken, the session ended, or the log does not take the event", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "busy (see Retry-After), read-only or shutting down", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn post_review(
    State(app): State<App>,
    caller: Caller,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    let asked = app.reviews.ask(caller.clone(), body::<NewReview>(bytes)?).await?;
    let status = if asked.new { StatusCode::CREATED } else { StatusCode::OK };
    let named = Named { caller, session: Some(asked.session), review: asked.review };
    answer(status, &Item::of(&app, &named).await?)
}

/// The parameters of a review.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReviewQuery {
    /// The session's id; needed where several sessions have a review of this id.
    session: Option<String>,
    /// Answer once it does not stand where `while` says any more, or after this long: `30s`, at most `60s`.
    #[param(value_type = Option<String>)]
    wait: Option<Duration>,
    /// Where it stands while one waits.
    #[param(rename = "while", value_type = Option<String>, default = "pending")]
    status: ReviewStatus,
}

impl FromFields for ReviewQuery {
    fn read(fields: &mut Fields) -> Result<ReviewQuery, Problem> {
        let wait = fields.duration("wait", 0)?;
        let wait = u64::try_from(wait).ok().filter(|us| *us > 0).map(Duration::from_micros);
        if wait.is_some_and(|wait| wait > wait::WAIT_MAX) {
            let max = wait::WAIT_MAX.as_secs();
            return Err(Problem::parameter(
                "wait",
                format!("`wait` is at most {max}s; ask again after that"),
            ));
        }
        let names = ReviewStatus::ALL.map(|status| (status.name(), status));
        let status = fields.one_of("while", &names)?.unwrap_or(ReviewStatus::Pending);
        Ok(ReviewQuery { session: fields.text("session")?, wait, status })
    }
}

/// A review: where it stands, what was asked and what was said.
///
/// With `wait` it is a long poll. With `Accept: text/event-stream` it is sent as it stands (`event: review`), and again
/// whenever something is said of it.
#[utoipa::path(
    get,
    path = "/v1/reviews/{id}",
    tag = "reviews",
    params(("id" = String, Path, description = "the review's id"), ReviewQuery),
    responses(
        (status = 200, description = "the review", content(
            (shapes::reviews::ReviewEntry = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = 400, description = "a parameter can't be used, or several sessions have a review of this id", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no review of this id is to be seen", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "too many wait (see Retry-After), or it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_review(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    Params(asked): Params<ReviewQuery>,
) -> Result<Response, Problem> {
    // Whoever waits looks often: once the session is known, that is quick.
    let named = Named { caller, session: asked.session, review: id }.settled(&app).await?;
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accepts.is_some_and(|types| types.contains("text/event-stream")) {
        return wait::stream(app, named);
    }
    if let Some(wait) = asked.wait {
        wait::until(&app, &named, asked.status, wait).await?;
    }
    answer(StatusCode::OK, &Item::of(&app, &named).await?)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDecision {
    decision: Decision,
    comment: Option<String>,
    #[serde(default)]
    force: bool,
    by: Option<String>,
}

/// The parameters of a decision.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DecisionQuery {
    /// The session's id; needed where several sessions have a review of this id.
    session: Option<String>,
}

impl FromFields for DecisionQuery {
    fn read(fields: &mut Fields) -> Result<DecisionQuery, Problem> {
        Ok(DecisionQuery { session: fields.text("session")? })
    }
}

/// Says something of a review: a reviewer's `approved`, `rejected` or `revoked`, or its proxy's `executed`.
///
/// It is durable when this answers. The same said again by the same person is answered as before; what can't be said
/// where the review stands is a conflict that says where that is.
#[utoipa::path(
    post,
    path = "/v1/reviews/{id}/decision",
    tag = "reviews",
    params(("id" = String, Path, description = "the review's id"), DecisionQuery),
    request_body(content = shapes::reviews::NewDecision, description = "what is said"),
    responses(
        (status = 200, description = "the review as it stands then", body = shapes::reviews::ReviewEntry),
        (status = 400, description = "something in the body or a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "it is not for this token to say", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no review of this id is to be seen", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "it can't be said where the review stands", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "busy (see Retry-After), read-only or shutting down", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn post_decision(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(asked): Params<DecisionQuery>,
    bytes: Body,
) -> Result<Response, Problem> {
    let new: NewDecision = body(bytes)?;
    let by = caller.by(new.by.as_deref())?;
    let comment = new.comment.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if comment.as_ref().is_some_and(|text| text.len() > COMMENT_BYTES_MAX) {
        let what = format!("`comment` has more than {COMMENT_BYTES_MAX} bytes");
        return Err(Problem::parameter("comment", what));
    }
    let wish =
        Wish { decision: new.decision, comment: comment.map(Into::into), force: new.force, by };
    app.reviews.decide(caller.clone(), (asked.session.clone(), id.clone()), wish).await?;
    let named = Named { caller, session: asked.session, review: id };
    answer(StatusCode::OK, &Item::of(&app, &named).await?)
}
