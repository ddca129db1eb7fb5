//! What a verification found, for people.

use crate::output::{self, Paint, clean};
use daybook_engine::verify::{Finding, Report};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::Path;

/// How many findings, and how many ranges and sessions of each, are shown.
const SHOWN_MAX: usize = 50;
const RANGES_MAX: usize = 8;

/// A bar that shows how much has been read.
#[must_use]
pub fn progress(hidden: bool) -> ProgressBar {
    if hidden || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    let style = "verifying [{bar:32}] {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// The report: what was looked at, what is wrong and where, which events are lost, how to mend it.
#[must_use]
pub fn text(dir: &Path, report: &Report, paint: Paint) -> String {
    let harmful = report.findings.iter().filter(|found| found.problem.harms()).count();
    let verdict = match harmful {
        0 => paint.state("approved", "everything is as it was recorded"),
        1 => paint.state("error", "1 thing is wrong"),
        n => paint.state("error", &format!("{n} things are wrong")),
    };
    let mut text = format!("{}  {verdict}\n", paint.bold(&dir.display().to_string()));
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<12} {value}\n"));
    line("read", format!("{} files, {}", output::count(report.files), output::bytes(report.bytes)));
    let (segments, journals) = (report.segments, report.journals);
    line(
        "events",
        format!("{} in {segments} segments and {journals} journals", output::count(report.events)),
    );
    if let Some(sessions) = report.sessions {
        line(
            "catalog",
            format!("{} sessions are the fold of their events", output::count(sessions)),
        );
    }
    match &report.checkpoint {
        Some(signed) => {
            line("checkpoint", format!("size {}, root {}", signed.size, signed.root));
            line(
                "leaves",
                format!("{} made again from their events", output::count(report.leaves)),
            );
            line("key", clean::line(&signed.key));
        }
        None => line("checkpoint", "none that proves this log".to_owned()),
    }
    for deleted in &report.deleted {
        let (by, reason) = (clean::line(&deleted.by), clean::line(&deleted.reason));
        line("deleted", format!("events {} to {} by {by}: {reason}", deleted.first, deleted.last));
    }
    for finding in report.findings.iter().take(SHOWN_MAX) {
        text.push_str(&one(finding, paint));
    }
    if report.findings.len() > SHOWN_MAX {
        let more = report.findings.len() - SHOWN_MAX;
        text.push_str(&format!("\n({more} more; --json shows them)\n"));
    }
    for note in &report.notes {
        text.push_str(&format!("\nnote: {}\n", clean::line(note)));
    }
    text
}

fn one(finding: &Finding, paint: Paint) -> String {
    let file = match finding.file.as_os_str().is_empty() {
        true => "the log".to_owned(),
        false => clean::line(&finding.file.display().to_string()),
    };
    let kind = if finding.problem.harms() { "error" } else { "pending" };
    let place = match finding.to {
        0 => String::new(),
        to => format!(" bytes {} to {to}", finding.from),
    };
    let mut text = format!("\n{} {file}{place}\n", paint.state(kind, finding.problem.name()));
    text.push_str(&format!("  {}\n", clean::line(&finding.what)));
    if !finding.events.is_empty() {
        let count: u64 = finding.events.iter().map(|lost| lost.count()).sum();
        let ranges = finding.events.iter().take(RANGES_MAX);
        let ranges: Vec<String> = ranges.map(|l| format!("{}-{}", l.first, l.last)).collect();
        let more = if finding.events.len() > RANGES_MAX { ", ..." } else { "" };
        text.push_str(&format!("  {} events: {}{more}\n", output::count(count), ranges.join(", ")));
        let sessions: BTreeSet<&String> =
            finding.events.iter().flat_map(|lost| &lost.sessions).collect();
        if !sessions.is_empty() {
            let named: Vec<String> =
                sessions.iter().take(RANGES_MAX).map(|id| clean::line(id)).collect();
            let more = if sessions.len() > RANGES_MAX { ", ..." } else { "" };
            text.push_str(&format!("  of sessions: {}{more}\n", named.join(", ")));
        }
    }
    text.push_str(&format!("  {}\n", finding.mend.advice()));
    text
}
