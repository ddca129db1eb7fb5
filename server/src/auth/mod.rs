//! Who asks, and what they may.
//!
//! ```text
//! Authorization: Bearer T  ─┐
//!                ApiKey T  ─┤
//!                Basic *:T ─┼─► token ─► caller ─► scope of the path? ─► handler, with what may be seen
//! Cookie: daybook=T        ─┘   (tokens.json)      (rules)
//! ```
//!
//! Without a token in `tokens.json` everybody who reaches the port may do everything, and the server listens on
//! loopback only. With one, each request needs a token, but for the pages' own files and for health.
//!
//! | module | what is there |
//! |---|---|
//! | [`tokens`] | the file of tokens: making, revoking, finding |
//! | `rules` | which path needs which scope |
//! | `login` | a browser's way in: a form, and a cookie that scripts can't read |

pub(crate) mod login;
mod rules;
pub mod tokens;

use crate::feeds;
use crate::problem::Problem;
use crate::state::App;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_engine::Sender;
use daybook_engine::catalog::filter::{Pattern, SessionFilter, TextFact};
use daybook_engine::event::time::excerpt;
use daybook_engine::event::wire::NAME_BYTES_MAX;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::Arc;
use tokens::{Found, Scope, Token};

/// Who acts where no token is asked for and the request does not say.
pub(crate) const LOCAL: &str = "local";

/// Who sent a request: `None` where no token is asked for.
#[derive(Clone, Debug, Default)]
pub struct Caller(pub Option<Arc<Token>>);

impl Caller {
    /// What its events are stamped with, and what it may send.
    #[must_use]
    pub fn sender(&self) -> Option<Arc<Sender>> {
        let token = self.0.as_ref()?;
        Some(Arc::new(Sender {
            producer: token.name.clone(),
            any_session: token.any_session,
            decides: token.has(Scope::Review),
            audits: token.has(Scope::Admin),
            roles: token.roles.iter().map(|role| Pattern::wildcard(role)).collect(),
        }))
    }

    /// The sessions that it may see.
    #[must_use]
    pub fn sees(&self) -> SessionFilter {
        self.limits().filter()
    }

    /// The roles and users that it is limited to.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let token = self.0.as_ref();
        token.map_or_else(Limits::default, |token| Limits {
            roles: token.roles.clone(),
            users: token.users.clone(),
        })
    }

    /// What it is called; `None` where no token is asked for.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.as_ref().map(|token| &*token.name)
    }

    /// Who acts: the token's name. Where no token is asked for it is who the request says, or `local`.
    ///
    /// # Errors
    /// Somebody else than the token is of.
    pub fn by(&self, said: Option<&str>) -> Result<Box<str>, Problem> {
        let said = said.map(str::trim).filter(|name| !name.is_empty());
        match (self.name(), said) {
            (Some(name), Some(said)) if name != said => Err(Problem::parameter(
                "by",
                format!("`by` is `{}`, but the token is of `{name}`; leave it out", excerpt(said)),
            )),
            (Some(name), _) => Ok(name.into()),
            (None, Some(said)) if said.len() > NAME_BYTES_MAX => Err(Problem::parameter(
                "by",
                format!("`by` has {} bytes, but may have {NAME_BYTES_MAX}", said.len()),
            )),
            (None, said) => Ok(said.unwrap_or(LOCAL).into()),
        }
    }

    /// Is it one that is not limited to some roles or users?
    ///
    /// # Errors
    /// It is, and that won't do: why not.
    pub fn sees_all(&self, why: &str) -> Result<(), Problem> {
        if self.limits().are_none() {
            return Ok(());
        }
        let what = format!("{why}, and the token is limited to some; use one that is not");
        Err(Problem::new("scope", StatusCode::FORBIDDEN, "Not with this token", what))
    }

    /// May it do this? Everybody may where no token is asked for.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.0.as_ref().is_none_or(|token| token.has(scope))
    }
}

/// What a token is limited to; empty for all. `*` stands for anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Only sessions of these roles.
    #[serde(default)]
    pub roles: Vec<Box<str>>,
    /// Only sessions of these users.
    #[serde(default)]
    pub users: Vec<Box<str>>,
}

impl Limits {
    /// Are there none?
    #[must_use]
    pub fn are_none(&self) -> bool {
        self.roles.is_empty() && self.users.is_empty()
    }

    /// The sessions within them.
    #[must_use]
    pub fn filter(&self) -> SessionFilter {
        let any_of = |fact, names: &[Box<str>]| {
            let any = names.iter().map(|name| SessionFilter::Text(fact, Pattern::wildcard(name)));
            (!names.is_empty()).then(|| SessionFilter::Or(any.collect()))
        };
        let limits: Vec<SessionFilter> =
            [any_of(TextFact::Role, &self.roles), any_of(TextFact::User, &self.users)]
                .into_iter()
                .flatten()
                .collect();
        if limits.is_empty() { SessionFilter::All } else { SessionFilter::And(limits) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Infallible> {
        Ok(parts.extensions.get::<Caller>().cloned().unwrap_or_default())
    }
}

/// The answer to who may not; `None` for who may, and then the handlers are told who that is.
pub fn refuse(app: &App, request: &mut Request) -> Option<Response> {
    if !app.tokens.required() {
        return None;
    }
    let Some(needed) = rules::needed(request.method(), request.uri().path()) else {
        // A share may be for reviewers of some names.
        if request.uri().path().starts_with("/v1/shared/")
            && let Some(Found::Valid(token)) =
                secret(request.headers()).map(|secret| app.tokens.find(&secret))
        {
            request.extensions_mut().insert(Caller(Some(token)));
        }
        return None;
    };
    if matches!(*request.method(), Method::GET | Method::HEAD) && feeds::is_signed(request.uri()) {
        return None;
    }
    let caller = match secret(request.headers()).map(|secret| app.tokens.find(&secret)) {
        Some(Found::Valid(token)) => token,
        found => return Some(unknown(request, found.as_ref()).into_response()),
    };
    if !needed.iter().any(|scope| caller.has(*scope)) {
        let problem = Problem::new(
            "scope",
            StatusCode::FORBIDDEN,
            "Not with this token",
            format!(
                "the token `{}` has not the scope {} that this takes",
                caller.id,
                needed
                    .iter()
                    .map(|scope| format!("`{}`", scope.name()))
                    .collect::<Vec<_>>()
                    .join(" or ")
            ),
        );
        return Some(problem.into_response());
    }
    request.extensions_mut().insert(Caller(Some(caller)));
    None
}

/// The answer to who is not known: a form for people, a problem for programs.
fn unknown(request: &Request, found: Option<&Found>) -> Response {
    let accepts = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if request.method() == Method::GET && accepts.is_some_and(|types| types.contains("text/html")) {
        return login::form(request.uri().path_and_query().map_or("/", |path| path.as_str()), "");
    }
    let what = match found {
        None => {
            "this takes a token: send it as `Authorization: Bearer TOKEN`; `daybook token create` makes one"
        }
        Some(Found::Revoked) => "the token was revoked; ask for a new one",
        Some(Found::Expired) => "the token has expired; ask for a new one",
        Some(_) => "there is no such token; look whether it was copied whole",
    };
    let mut response =
        Problem::new("token", StatusCode::UNAUTHORIZED, "Who is there?", what).into_response();
    // `Basic` too, for shippers that only know that: the token is the password.
    let challenge = HeaderValue::from_static("Bearer realm=\"daybook\", Basic realm=\"daybook\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// The secret that a request brings.
fn secret(headers: &HeaderMap) -> Option<String> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return login::cookie(headers) };
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    let basic = scheme.eq_ignore_ascii_case("basic");
    if !basic && !scheme.eq_ignore_ascii_case("apikey") {
        return None;
    }
    // `user:password`, or an API key's `id:key`, which some clients send as it is.
    let plain = STANDARD.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match plain {
        Some(plain) => {
            Some(plain.rsplit_once(':').map_or(plain.clone(), |(_, key)| key.to_owned()))
        }
        None if basic => None,
        None => Some(rest.to_owned()),
    }
}
