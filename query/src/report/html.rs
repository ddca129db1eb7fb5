//! A report as one page that prints: no script, no other file, plots as drawings in it.

use super::{Counts, Report, Row};
use std::fmt::Write as _;

/// The page's style; who serves the page names its hash in the content security policy.
pub const STYLE: &str = "body{font:14px/1.45 system-ui,sans-serif;color:#1b1f24;background:#fff;max-width:62rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}p{margin:.3rem 0}.quiet{color:#57606a}\
.sums{display:grid;grid-template-columns:repeat(4,1fr);gap:.6rem;margin:1rem 0;padding:0}.sums div{border:1px solid #d0d7de;border-radius:6px;padding:.5rem .7rem}\
.sums dt{color:#57606a;font-size:.85rem}.sums dd{margin:0;font-size:1.3rem;font-variant-numeric:tabular-nums}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{text-align:right;padding:.2rem .5rem;border-bottom:1px solid #d8dee4}\
th{color:#57606a;font-weight:600}th:first-child,td:first-child{text-align:left;overflow-wrap:anywhere}td.text,th.text{text-align:left;overflow-wrap:anywhere}\
svg{width:100%;height:auto;display:block}pre{white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid #d0d7de;border-radius:6px;padding:.6rem;font-size:12px}\
.wrong{border-left:4px solid #b35900;padding-left:.6rem}tr,svg,.sums div{break-inside:avoid}@media print{body{margin:0;max-width:none}}";

/// A report's page.
#[must_use]
pub fn page(report: &Report) -> String {
    let totals = &report.totals;
    let roles =
        if report.roles.is_empty() { "all roles".to_owned() } else { report.roles.join(", ") };
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Compliance report</title><style>{STYLE}</style></head><body>\
         <h1>Compliance report</h1><p>{} to {}, {}</p><p class=\"quiet\">Working hours are {}, {}; days and hours are of that zone.</p>",
        text(&report.after.0.to_string()),
        text(&report.before.0.to_string()),
        text(&roles),
        text(&report.hours),
        text(&report.zone),
    );
    if !report.complete {
        out.push_str("<p class=\"wrong\">This is not all: the period has more sessions than a report looks at. Numbers are at least what is here; ask for a shorter period.</p>");
    }
    let c = &totals.counts;
    let wait = totals.approval_ms.map_or_else(|| "–".to_owned(), duration);
    let sums = [
        ("Sessions", c.sessions.to_string()),
        ("Users", c.users.to_string()),
        ("Commands", c.commands.to_string()),
        ("Blocked", c.blocked.to_string()),
        ("Approved", c.approved.to_string()),
        ("Approved after, on average", wait),
        ("Fields masked", c.masked.to_string()),
        ("Not reviewed", c.unreviewed.to_string()),
        ("Out of hours", c.out_of_hours.to_string()),
        ("First-time users of a role", totals.first_time.to_string()),
        ("Rejections", totals.rejections.to_string()),
        ("Still open", totals.open.to_string()),
    ];
    out.push_str("<dl class=\"sums\">");
    for (name, value) in sums {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    out.push_str("</dl>");
    let days: Vec<(&str, u64, u64)> = report
        .days
        .iter()
        .map(|day| (&*day.name, day.counts.sessions, day.counts.out_of_hours))
        .collect();
    plot(&mut out, "Sessions by day, those out of hours dark", &days);
    let hours: Vec<String> = (0..24).map(|hour| format!("{hour:02}:00")).collect();
    let by_hour: Vec<(&str, u64, u64)> =
        hours.iter().zip(&report.by_hour).map(|(name, count)| (&**name, *count, 0)).collect();
    plot(&mut out, "Sessions by the hour in which they started", &by_hour);
    table(&mut out, "By role", "Role", &report.by_role);
    table(&mut out, "By user", "User", &report.by_user);
    rows(
        &mut out,
        "Who decided",
        &["Reviewer", "Approvals", "Rejections", "Mean time", "Slowest"],
        1,
        report.reviewers.iter().map(|of| {
            let shown = |ms: Option<u64>| ms.map_or_else(|| "–".to_owned(), duration);
            vec![
                of.name.clone(),
                of.approvals.to_string(),
                of.rejections.to_string(),
                shown(of.mean_ms),
                shown(of.max_ms),
            ]
        }),
    );
    rows(
        &mut out,
        "Longest sessions",
        &["Session", "User", "Role", "Started (UTC)", "Duration"],
        3,
        report.longest.iter().take(20).map(|of| {
            vec![
                of.session.clone(),
                of.user.clone(),
                of.role.clone(),
                of.started_at.0.to_string(),
                duration(of.duration_ms),
            ]
        }),
    );
    rows(
        &mut out,
        "First-time users of a role",
        &["User", "Role", "Session", "Started (UTC)"],
        3,
        report.first_time.iter().map(|of| {
            vec![of.user.clone(), of.role.clone(), of.session.clone(), of.started_at.0.to_string()]
        }),
    );
    out.push_str("<h2>Signed checkpoint</h2>");
    match &report.checkpoint {
        Some(note) => {
            let lines: Vec<String> = note.lines().map(text).collect();
            let _ = write!(
                out,
                "<p>It covers every event that this report counts. `daybook verify --checkpoint` holds a log against it.</p><pre>{}</pre>",
                lines.join("\n")
            );
        }
        None => out.push_str("<p>The log signs none.</p>"),
    }
    out.push_str("</body></html>\n");
    out
}

fn table(out: &mut String, heading: &str, name: &str, of: &[Row]) {
    let columns = [
        name,
        "Sessions",
        "Users",
        "Commands",
        "Blocked",
        "Approved",
        "Masked",
        "Not reviewed",
        "Out of hours",
    ];
    rows(
        out,
        heading,
        &columns,
        1,
        of.iter().map(|row| {
            let Counts {
                sessions,
                users,
                commands,
                blocked,
                approved,
                masked,
                unreviewed,
                out_of_hours,
            } = &row.counts;
            let numbers =
                [sessions, users, commands, blocked, approved, masked, unreviewed, out_of_hours];
            std::iter::once(row.name.clone()).chain(numbers.map(ToString::to_string)).collect()
        }),
    );
}

/// A table of which so many columns are texts.
fn rows(
    out: &mut String,
    heading: &str,
    columns: &[&str],
    texts: usize,
    of: impl ExactSizeIterator<Item = Vec<String>>,
) {
    if of.len() == 0 {
        return;
    }
    let class = |at: usize| if at < texts { " class=\"text\"" } else { "" };
    let _ = write!(out, "<h2>{heading}</h2><table><thead><tr>");
    for (at, column) in columns.iter().enumerate() {
        let _ = write!(out, "<th scope=\"col\"{}>{column}</th>", class(at));
    }
    out.push_str("</tr></thead><tbody>");
    for row in of {
        out.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let _ = write!(out, "<td{}>{}</td>", class(at), text(cell));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>");
}

/// Bars: a name, a number, and how much of it is dark.
fn plot(out: &mut String, heading: &str, bars: &[(&str, u64, u64)]) {
    let most = bars.iter().map(|(_, count, _)| *count).max().unwrap_or(0);
    if most == 0 {
        return;
    }
    const WIDTH: usize = 960;
    const HEIGHT: u64 = 120;
    let _ = write!(
        out,
        "<h2>{heading}</h2><svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{heading}: at most {most}\">",
        HEIGHT + 20
    );
    let step = WIDTH as f64 / bars.len() as f64;
    let width = (step * 0.8).max(0.5);
    for (at, (name, count, dark)) in bars.iter().enumerate() {
        let x = at as f64 * step;
        let mut bar = |count: u64, fill: &str| {
            let height = count as f64 / most as f64 * HEIGHT as f64;
            let _ = write!(
                out,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"><title>{}: {count}</title></rect>",
                HEIGHT as f64 - height,
                text(name)
            );
        };
        bar(*count, "#8cb4e8");
        if *dark > 0 {
            bar(*dark, "#1f4e8c");
        }
    }
    let label = |x: usize, anchor: &str, name: &str| {
        format!(
            "<text x=\"{x}\" y=\"{}\" font-size=\"11\" fill=\"#57606a\" text-anchor=\"{anchor}\">{}</text>",
            HEIGHT + 15,
            text(name)
        )
    };
    if let (Some((first, ..)), Some((last, ..))) = (bars.first(), bars.last()) {
        out.push_str(&label(0, "start", first));
        out.push_str(&label(WIDTH, "end", last));
    }
    out.push_str("</svg>");
}

fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{} s", ms / 1_000),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
        _ => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

/// Recorded text is no markup, and nothing in it turns the direction of what is beside it.
fn text(recorded: &str) -> String {
    let mut out = String::with_capacity(recorded.len());
    for c in recorded.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control()
                || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}') =>
            {
                let _ = write!(out, "‹U+{:04X}›", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}
