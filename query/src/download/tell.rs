//! What happened in a session, in words.

use super::Download;
use super::plain::{Plain, plain};
use crate::error::QueryError;
use daybook_engine::block::Record;
use daybook_engine::event::wire::{Body, Command, CommandEnd, Event};
use daybook_engine::event::{Kind, Seq};
use std::fmt::Write as _;

/// A piece of what happened.
#[derive(Clone, Copy, Debug)]
pub enum Passage<'a> {
    /// An event, or a part of one.
    Event {
        /// The event.
        record: &'a Record<'a>,
        /// What it is, on one line.
        what: &'a str,
        /// Its text, of several lines; empty if it has none.
        text: &'a str,
    },
    /// A terminal begins to show something, with this event.
    Screen(&'a Record<'a>),
    /// What it shows: from passage to passage, in the middle of lines and words.
    Shown(&'a str),
}

/// Hears what happened.
type Visit<'v> = &'v mut dyn FnMut(Passage<'_>) -> Result<(), QueryError>;

pub(super) fn tell(download: &Download<'_>, visit: Visit<'_>) -> Result<(), QueryError> {
    let mut screen: Option<Plain> = None;
    download.each(&mut |record| {
        let event = record.event()?;
        if let Body::TerminalOutput(content) = &event.body {
            if screen.is_none() {
                visit(Passage::Screen(&record))?;
            }
            let mut text = String::new();
            screen.get_or_insert_default().push(&content.as_text(), &mut text);
            return visit(Passage::Shown(&text));
        }
        // What is typed comes between what is shown.
        if record.kind == Kind::TerminalInput {
            return Ok(());
        }
        screen = None;
        tell_event(&record, &event, visit)
    })
}

/// A text on one line.
pub(super) fn line(text: &str) -> String {
    plain(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn tell_event(record: &Record<'_>, event: &Event<'_>, visit: Visit<'_>) -> Result<(), QueryError> {
    let of = |command: Option<Seq>| command.map(|seq| format!(" of #{seq}")).unwrap_or_default();
    let (what, text) = match &event.body {
        Body::Command(command) => return tell_command(record, command, visit),
        Body::CommandEnd(end) => return tell_end(record, end, visit),
        Body::Output { command, stream, content, truncated } => {
            let stream = stream.map_or("", |stream| stream.name());
            let cut = if *truncated { "  cut by the producer" } else { "" };
            let text = Some(content.as_text().into_owned());
            (format!("output{}  {stream}{cut}", of(*command)), text)
        }
        Body::TerminalMarker(content) => ("marker".into(), Some(content.as_text().into_owned())),
        Body::TerminalResize { cols, rows } => (format!("resize  {cols}x{rows}"), None),
        Body::ReviewRequest { request, review } => {
            let what = format!("review asked{}  {}", of(request.command), line(review));
            (what, request.reason.as_deref().map(Into::into))
        }
        Body::ReviewDecision { review, decision } => {
            let by = decision.by.as_deref().map(|by| format!(" by {}", line(by)));
            let what = format!(
                "review {}{}  {}",
                decision.decision.name(),
                by.unwrap_or_default(),
                line(review)
            );
            (what, decision.comment.as_deref().map(Into::into))
        }
        Body::SessionEnd(end) => {
            let code = end.exit_code.map(|code| format!("  exit code {code}"));
            let what = format!("end  {}{}", end.status.name(), code.unwrap_or_default());
            (what, end.reason.as_deref().map(Into::into))
        }
        Body::Note { by, text, command } => {
            (format!("note{}  by {}", of(*command), line(by)), Some(text.as_ref().into()))
        }
        Body::Access(access) => {
            let target = access.target.as_deref().unwrap_or_default();
            (format!("{}  {}", line(&access.action), line(&access.by)), Some(target.into()))
        }
        other => (other.kind().name().to_owned(), None),
    };
    let text = plain(&text.unwrap_or_default());
    visit(Passage::Event { record, what: what.trim_end(), text: &text })
}

fn tell_command(
    record: &Record<'_>,
    command: &Command<'_>,
    visit: Visit<'_>,
) -> Result<(), QueryError> {
    let verdict = command.verdict.map_or("", |verdict| verdict.name());
    let rule = command.rule.as_deref().map(|rule| format!(" by the rule {}", line(rule)));
    let what = format!("command  {verdict}{}", rule.unwrap_or_default());
    visit(Passage::Event { record, what: what.trim_end(), text: &plain(&command.input) })?;
    match command.output.as_deref().filter(|output| !output.is_empty()) {
        Some(output) => {
            let what = format!("output of #{}", record.seq);
            visit(Passage::Event { record, what: &what, text: &plain(output) })
        }
        None => Ok(()),
    }
}

fn tell_end(record: &Record<'_>, end: &CommandEnd<'_>, visit: Visit<'_>) -> Result<(), QueryError> {
    let mut what = "end".to_owned();
    if let Some(command) = end.command {
        let _ = write!(what, " of #{command}");
    }
    let facts = [
        end.rows.map(|rows| format!("{rows} rows")),
        end.exit_code.map(|code| format!("exit code {code}")),
        end.duration_ms.map(|ms| format!("{ms} ms")),
        (end.masked > 0).then(|| format!("{} masked", end.masked)),
    ];
    for fact in facts.into_iter().flatten() {
        let _ = write!(what, "  {fact}");
    }
    let error = plain(end.error.as_deref().unwrap_or_default());
    visit(Passage::Event { record, what: &what, text: &error })
}
