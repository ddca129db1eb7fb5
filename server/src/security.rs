//! What protects the pages and the API in a browser.
//!
//! Without tokens (see [`crate::auth`]), who reaches the port may read everything, so the server listens on loopback
//! only; a page of another site that is open on the same machine must not get through either. It
//! can't read answers of another origin, but it could send requests, or have its own name point to
//! 127.0.0.1 ("DNS rebinding"). Hence [`refuse`]: the name that was asked for must be this machine's,
//! and what changes something must not come from another site.

use crate::problem::Problem;
use crate::state::App;
use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use std::net::IpAddr;

const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

/// The headers of every answer.
pub const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// An answer with [`HEADERS`].
pub fn with_headers<B>(mut response: Response<B>) -> Response<B> {
    for (name, value) in HEADERS {
        // What brings a policy of its own, a report's page, knows better what is in it.
        if name != header::CONTENT_SECURITY_POLICY || !response.headers().contains_key(&name) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The answer to a request that another site's page makes.
pub fn refuse(app: &App, request: &Request) -> Option<Problem> {
    // With tokens, a name that points here by a trick brings no cookie of this name's.
    if !app.tokens.required() && !asks_for_this_machine(request) {
        return Some(Problem::new(
            "host",
            StatusCode::MISDIRECTED_REQUEST,
            "Another host",
            "without tokens daybook answers only to localhost; ask for http://localhost or http://127.0.0.1",
        ));
    }
    // Browsers open WebSockets to other sites unasked, and what goes over one changes something.
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
        && !request.headers().contains_key(header::UPGRADE);
    if !reads && comes_from_another_site(request) {
        return Some(Problem::new(
            "cross-site",
            StatusCode::FORBIDDEN,
            "From another site",
            "a page of another site may not change anything here",
        ));
    }
    None
}

fn asks_for_this_machine(request: &Request) -> bool {
    let named = request
        .headers()
        .get(header::HOST)
        .map(|value| value.to_str().ok().and_then(|text| text.parse::<Authority>().ok()));
    match (named, request.uri().authority()) {
        (Some(None), _) => false,
        (Some(Some(host)), _) => is_this_machine(host.host()),
        (None, Some(authority)) => is_this_machine(authority.host()),
        // HTTP/1.0: no browser.
        (None, None) => true,
    }
}

fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Browsers say where a request comes from; other programs say nothing.
fn comes_from_another_site(request: &Request) -> bool {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    match (header("sec-fetch-site"), header("origin")) {
        (Some(site), _) => site != "same-origin" && site != "none",
        (None, Some(origin)) => header("host")
            .is_none_or(|host| origin.split_once("://").is_none_or(|(_, o)| o != host)),
        (None, None) => false,
    }
}
