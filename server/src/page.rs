//! The pages: files that are part of the program, as they are in `server/ui/`. No build step.
//!
//! The page asks for its files by `/ui/VERSION/NAME`, and they ask for each other beside themselves: browsers keep what
//! has this version's name, and another version has other names. Under `/ui/NAME` is the same, to be asked for each time.
//!
//! A new file is one line in [`FILES`]. Lines that are comments and nothing else stay here: they are for who reads the
//! sources, and a seventh of what would go over the wire.

use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use std::sync::LazyLock;

/// A file of the pages.
struct File {
    name: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
    etag: u64,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Declares a file: its name in `server/ui/` and under `/ui/`.
macro_rules! file {
    ($name:literal, $media_type:expr) => {{
        const BYTES: &[u8] = include_bytes!(concat!("../ui/", $name));
        const ETAG: u64 = fingerprint(BYTES);
        File { name: $name, media_type: $media_type, bytes: BYTES, etag: ETAG }
    }};
}

/// Every file.
const FILES: &[File] = &[
    file!("index.html", HTML),
    file!("ansi.js", JS),
    file!("api.js", JS),
    file!("app.css", CSS),
    file!("app.js", JS),
    file!("axis.js", JS),
    file!("badges.js", JS),
    file!("cases.js", JS),
    file!("casework.js", JS),
    file!("chunk.js", JS),
    file!("command.js", JS),
    file!("complete.js", JS),
    file!("decide.js", JS),
    file!("details.js", JS),
    file!("diff.js", JS),
    file!("dom.js", JS),
    file!("exports.js", JS),
    file!("favicon.svg", SVG),
    file!("filters.js", JS),
    file!("format.js", JS),
    file!("highlight.js", JS),
    file!("histogram.js", JS),
    file!("home.js", JS),
    file!("keys.js", JS),
    file!("output.js", JS),
    file!("overview.js", JS),
    file!("pages.js", JS),
    file!("period.js", JS),
    file!("picture.js", JS),
    file!("player.js", JS),
    file!("plot.js", JS),
    file!("query.js", JS),
    file!("queue.js", JS),
    file!("replay.js", JS),
    file!("report.js", JS),
    file!("rerun.js", JS),
    file!("reviews.js", JS),
    file!("saved.js", JS),
    file!("search.js", JS),
    file!("searchbox.js", JS),
    file!("session.css", CSS),
    file!("session.js", JS),
    file!("sessions.js", JS),
    file!("share.js", JS),
    file!("status.js", JS),
    file!("table.js", JS),
    file!("terminal.js", JS),
    file!("terms.js", JS),
    file!("timeline.js", JS),
    file!("views.css", CSS),
    file!("virtual.js", JS),
];

/// Tells versions of all the files apart.
const VERSION: u64 = {
    let (mut all, mut at) = ([0; 8 * FILES.len()], 0);
    while at < 8 * FILES.len() {
        all[at] = FILES[at / 8].etag.to_le_bytes()[at % 8];
        at += 1;
    }
    fingerprint(&all)
};

/// What is served of each file.
static SERVED: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
    let served = |file: &File| match (file.media_type, std::str::from_utf8(file.bytes)) {
        (JS | CSS, Ok(source)) => Bytes::from(without_comments(source)),
        (HTML, Ok(source)) => Bytes::from(versioned(source)),
        _ => Bytes::from_static(file.bytes),
    };
    FILES.iter().map(served).collect()
});

/// The page with the names of its files as they are in this version.
fn versioned(page: &str) -> String {
    page.replace("=\"/ui/", &format!("=\"/ui/{VERSION:016x}/"))
}

/// A source without the lines that are comments only. (No text of several lines in the sources has one that looks so.)
fn without_comments(source: &str) -> String {
    let mut within = false;
    let code = source.lines().filter(|line| {
        let line = line.trim();
        let comment = within || line.starts_with("//") || line.starts_with("/*");
        within = (within || line.starts_with("/*")) && !line.ends_with("*/");
        !comment
    });
    let mut code = code.collect::<Vec<_>>().join("\n");
    code.push('\n');
    code
}

/// FNV-1a, 64 bits: tells versions of a file apart.
const fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut rest = bytes;
    while let [first, more @ ..] = rest {
        hash = (hash ^ *first as u64).wrapping_mul(0x0000_0100_0000_01b3);
        rest = more;
    }
    hash
}

/// What the page asks for first where its address has no filters.
const FIRST_LIST: &str =
    "</v1/sessions?sort=-started&limit=100>; rel=preload; as=fetch; crossorigin";

/// The page at its first address. The browser is told what the page's modules will ask for, and asks for it while they are
/// loaded.
pub async fn home(RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Problem> {
    let mut response = index(headers).await?;
    if query.is_none_or(|query| query.is_empty()) {
        response.headers_mut().insert(header::LINK, HeaderValue::from_static(FIRST_LIST));
    }
    Ok(response)
}

/// The page itself, at the addresses of all its views: it looks at its address.
pub async fn index(headers: HeaderMap) -> Result<Response, Problem> {
    answer("index.html", &headers, ASK)
}

/// `/ui/{name}`
pub async fn file(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    answer(&name, &headers, ASK)
}

/// `/ui/{version}/{name}`
pub async fn version_file(
    Path((version, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // A page of another version that is still open gets what there is, and does not keep it.
    let ours = version == format!("{VERSION:016x}");
    answer(&name, &headers, if ours { KEEP } else { ASK })
}

/// Kept, but asked for again each time: a new version shows at once.
const ASK: &str = "no-cache";
/// Kept for a year, the most that there is, and not asked for again.
const KEEP: &str = "public, max-age=31536000, immutable";

fn answer(name: &str, headers: &HeaderMap, kept: &'static str) -> Result<Response, Problem> {
    let (file, bytes) = FILES
        .iter()
        .zip(&*SERVED)
        .find(|(file, _)| file.name == name)
        .ok_or_else(|| Problem::not_found("there is no such file"))?;
    // The page names the others by their version, so it is another one when any of them is.
    let etag = match file.media_type {
        HTML => VERSION,
        _ => file.etag,
    };
    let etag = format!("\"{etag:016x}\"");
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag));
    let mut response = Response::new(if known { Body::empty() } else { Body::from(bytes.clone()) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    if let Ok(value) = HeaderValue::try_from(etag) {
        headers.insert(header::ETAG, value);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_served_has_the_code_and_no_comments_of_their_own() {
        let source = "// For readers.\nconst a = 1; // stays\n  /** Several\n   * lines.\n   */\nconst b = \"// c\";\n/* one */\nb();\n";
        let code = "const a = 1; // stays\nconst b = \"// c\";\nb();\n";
        assert_eq!(without_comments(source), code);
        for (file, bytes) in FILES.iter().zip(&*SERVED).filter(|(file, _)| file.media_type == JS) {
            assert!(bytes.len() * 2 > file.bytes.len(), "{} is mostly code", file.name);
        }
    }
}
