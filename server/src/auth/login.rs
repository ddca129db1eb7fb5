//! A browser's way in: a form that takes a token, and a cookie that carries it.
//!
//! The cookie is `HttpOnly` (no script reads it) and `SameSite=Strict` (no other site's page sends it), and
//! `security::refuse` refuses changes that come from other sites.

use super::tokens::Found;
use crate::state::App;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use serde::Deserialize;

const COOKIE: &str = "daybook";

/// What the form sends.
#[derive(Deserialize)]
pub(crate) struct Login {
    token: String,
    #[serde(default)]
    to: String,
}

/// `POST /login`: puts the token into a cookie and goes to where the browser wanted to.
pub(crate) async fn post(State(app): State<App>, Form(login): Form<Login>) -> Response {
    let (token, to) = (login.token.trim(), local(&login.to));
    if !matches!(app.tokens.find(token), Found::Valid(_)) {
        return form(to, "There is no such token, or it is not valid any more.");
    }
    let mut response = Redirect::to(to).into_response();
    let cookie = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict");
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Where the browser wanted to.
#[derive(Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    to: String,
}

/// `GET /login`: the form; also the way out, for it takes the cookie away.
pub(crate) async fn get(wanted: Result<Query<Wanted>, QueryRejection>) -> Response {
    let wanted = wanted.map_or_else(|_| Wanted::default(), |Query(wanted)| wanted);
    let mut response = form(&wanted.to, "");
    let gone = HeaderValue::from_static("daybook=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    response.headers_mut().insert(header::SET_COOKIE, gone);
    *response.status_mut() = StatusCode::OK;
    response
}

/// The form, as the answer to who is not known.
pub(super) fn form(to: &str, problem: &str) -> Response {
    let to = escaped(local(to));
    let problem = escaped(problem);
    let page = format!(
        r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>daybook</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/ui/app.css">
<link rel="icon" href="/ui/favicon.svg"></head>
<body><main class="state"><h1>daybook</h1><form method="post" action="/login">
<p>{problem}</p>
<p><label>Token <input name="token" type="password" autocomplete="current-password" required autofocus></label></p>
<input name="to" type="hidden" value="{to}"><p><button type="submit">Open the book</button></p>
</form></main></body></html>
"#
    );
    let mut response = (StatusCode::UNAUTHORIZED, Html(page)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The token in a request's cookie.
pub(super) fn cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, token)| token.to_owned())
}

/// A path of this server, never another site.
fn local(to: &str) -> &str {
    let inside = to.starts_with('/') && !to.starts_with("//") && !to.contains('\\');
    if inside && !to.contains(char::is_control) { to } else { "/" }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
