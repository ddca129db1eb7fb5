//! A session as one page that needs nothing beside it, and no network: its facts, what happened, and, where there is a
//! terminal, the frames of its replay with a player.
//!
//! All that was recorded is text in it, never markup, and a content security policy in the page says so to the browser:
//! it runs the one script and takes the one style sheet whose hashes it names, and loads nothing.

use super::inline::script;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_engine::event::Verdict;
use daybook_query::QueryError;
use daybook_query::columnar::Error;
use daybook_query::download::{Download, Passage};
use daybook_query::item::SessionItem;
use daybook_query::replay::{self, Keyframes, ReplayRequest};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::io::Write;
use std::sync::LazyLock;

/// The page's style sheets, as one.
const STYLE: &str = concat!(
    include_str!("../../ui/app.css"),
    include_str!("../../ui/session.css"),
    include_str!("offline.css")
);

static SCRIPT: LazyLock<String> = LazyLock::new(script);

/// So many frames are in a block, at most.
const FRAMES_MAX: usize = 1_000;

pub(super) fn write(
    download: &Download<'_>,
    out: &mut (dyn Write + Send),
) -> Result<(), QueryError> {
    let replays = download.has_terminal() && !download.excerpt().hides_outputs;
    put(out, &head(download))?;
    if replays {
        let duration = download.session().state.duration_ms();
        put(
            out,
            &format!(
                "<h2>Replay</h2>\n<section class=\"replay\" id=\"replay\" aria-label=\"Replay\" data-duration=\"{duration}\" hidden></section>\n<noscript>The replay needs scripts; what was shown is below.</noscript>\n"
            ),
        )?;
    }
    put(out, "<h2>Events</h2>\n")?;
    events(download, out)?;
    put(out, "</main>\n")?;
    if replays {
        frames(download, out)?;
    }
    put(out, &format!("<script>{}</script>\n</body></html>\n", *SCRIPT))
}

fn put(out: &mut (dyn Write + Send), text: &str) -> Result<(), QueryError> {
    Ok(out.write_all(text.as_bytes()).map_err(Error::from)?)
}

fn head(download: &Download<'_>) -> String {
    let item = SessionItem::of(download.session());
    let title = match (&item.user, &item.role) {
        (Some(user), Some(role)) => format!("{user} on {role}"),
        _ => item.id.to_string(),
    };
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(&SCRIPT),
        hash(STYLE)
    );
    let title = escaped(&title);
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n<meta name=\"viewport\" content=\"width=device-width\"><title>{title} · daybook</title>\n<style>{STYLE}</style></head>\n<body><main><h1>{title}</h1>\n<dl class=\"offline-facts\">\n"
    );
    let word = |word: Option<&str>| word.unwrap_or_default().to_owned();
    let time = |time: Option<daybook_query::item::Time>| {
        time.map(|time| time.0.to_string()).unwrap_or_default()
    };
    let mut rows = vec![
        ("Session ID", item.id.to_string()),
        ("User", word(item.user.as_deref())),
        ("Name", word(item.user_name.as_deref())),
        ("Agent", word(item.agent.as_deref())),
        ("Resource role", word(item.role.as_deref())),
        (
            "Type",
            [&item.kind, &item.subtype]
                .into_iter()
                .flatten()
                .map(|word| &**word)
                .collect::<Vec<_>>()
                .join(" · "),
        ),
        ("Started", time(item.started_at)),
    ];
    let excerpt = download.excerpt();
    if excerpt.is_all() {
        rows.extend([
            ("Ended", time(item.ended_at)),
            ("Status", item.status.name().to_owned()),
            ("Summary", item.summary.clone()),
            ("Tags", item.tags.join(", ")),
        ]);
    } else {
        let hidden = if excerpt.hides_outputs { ", outputs hidden" } else { "" };
        rows.push(("Part", format!("{}{hidden}", excerpt.part)));
    }
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "<dt>{name}</dt><dd>{}</dd>", escaped(value));
    }
    text.push_str("</dl>\n");
    text
}

fn events(download: &Download<'_>, out: &mut (dyn Write + Send)) -> Result<(), QueryError> {
    // Is what a terminal shows open?
    let mut open = false;
    download.tell(&mut |passage| {
        let mut text = String::new();
        if open && !matches!(passage, Passage::Shown(_)) {
            text.push_str("</pre></article>\n");
            open = false;
        }
        let begin = |record: &daybook_engine::block::Record<'_>, what: &str| {
            let verdict = record.verdict.map_or("", Verdict::name);
            format!(
                "<article class=\"offline-event v-{verdict}\"><h3><time>{}</time> #{} {}</h3>",
                record.time,
                record.seq,
                escaped(what)
            )
        };
        match passage {
            Passage::Event { record, what, text: told } => {
                text.push_str(&begin(record, what));
                if !told.is_empty() {
                    let _ = write!(text, "<pre>{}</pre>", escaped(told));
                }
                text.push_str("</article>\n");
            }
            Passage::Screen(record) => {
                text.push_str(&begin(record, "terminal"));
                text.push_str("<pre>");
                open = true;
            }
            Passage::Shown(shown) => text.push_str(&escaped(shown)),
        }
        put(out, &text)
    })?;
    put(out, if open { "</pre></article>\n" } else { "" })
}

/// The frames of the replay, each block with the moment that it begins with.
fn frames(download: &Download<'_>, out: &mut (dyn Write + Send)) -> Result<(), QueryError> {
    let keyframes = Keyframes::with_memory(1 << 20);
    let id = &download.session().id;
    let mut cursor: Option<String> = None;
    loop {
        let request = ReplayRequest { cursor: cursor.as_deref(), at: None, limit: FRAMES_MAX };
        let excerpt = download.excerpt();
        let page = replay::replay_of(download.snapshot(), id, excerpt, &keyframes, &request)?;
        let Some(page) = page else { return Ok(()) };
        if let Some(first) = page.frames.first() {
            let json = serde_json::to_string(&page.frames)
                .map_err(|e| Error::from(std::io::Error::from(e)))?;
            // In a script no character ends it but this one.
            let json = json.replace('<', "\\u003c");
            put(
                out,
                &format!(
                    "<script type=\"application/json\" class=\"frames\" data-from=\"{}\">{json}</script>\n",
                    first.time_ms
                ),
            )?;
        }
        // A session that goes on always has a next page: at its end, the same one again.
        if page.next_cursor.is_none() || page.next_cursor == cursor {
            return Ok(());
        }
        cursor = page.next_cursor;
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // A facts' value may have any; texts have only these two.
            '\n' | '\t' => out.push(character),
            character if character.is_control() => out.push('\u{fffd}'),
            '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                out.push('\u{fffd}');
            }
            _ => out.push(character),
        }
    }
    out
}
