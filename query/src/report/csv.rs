//! A report as CSV: `section,name,measure,value`, a number a line, which spreadsheets make tables of.

use super::{Counts, Report};
use std::io::{self, Write};

/// Writes a report.
///
/// # Errors
/// The output's.
pub fn write(report: &Report, out: impl Write) -> io::Result<()> {
    let mut rows = csv::Writer::from_writer(out);
    let mut row = |section: &str, name: &str, measure: &str, value: &str| {
        rows.write_record([section, &*harmless(name), measure, &*harmless(value)])
    };
    row("section", "name", "measure", "value")?;
    row("report", "", "after", &report.after.0.to_string())?;
    row("report", "", "before", &report.before.0.to_string())?;
    row("report", "", "roles", &report.roles.join(" "))?;
    row("report", "", "hours", &format!("{} {}", report.hours, report.zone))?;
    row("report", "", "complete", if report.complete { "true" } else { "false" })?;
    let totals = &report.totals;
    for (measure, value) in counts(&totals.counts) {
        row("total", "", measure, &value.to_string())?;
    }
    for (measure, value) in [
        ("roles", Some(totals.roles)),
        ("open", Some(totals.open)),
        ("first_time", Some(totals.first_time)),
        ("approvals", Some(totals.approvals)),
        ("rejections", Some(totals.rejections)),
        ("approval_ms", totals.approval_ms),
    ] {
        row("total", "", measure, &value.map(|value| value.to_string()).unwrap_or_default())?;
    }
    for (section, of) in
        [("day", &report.days), ("role", &report.by_role), ("user", &report.by_user)]
    {
        for one in of {
            for (measure, value) in counts(&one.counts) {
                row(section, &one.name, measure, &value.to_string())?;
            }
        }
    }
    for of in &report.reviewers {
        row("reviewer", &of.name, "approvals", &of.approvals.to_string())?;
        row("reviewer", &of.name, "rejections", &of.rejections.to_string())?;
        for (measure, value) in [("mean_ms", of.mean_ms), ("max_ms", of.max_ms)] {
            row(
                "reviewer",
                &of.name,
                measure,
                &value.map(|value| value.to_string()).unwrap_or_default(),
            )?;
        }
    }
    for of in &report.longest {
        row("longest", &of.session, "duration_ms", &of.duration_ms.to_string())?;
        row("longest", &of.session, "user", &of.user)?;
        row("longest", &of.session, "role", &of.role)?;
    }
    for of in &report.first_time {
        row("first_time", &of.user, &of.role, &of.session)?;
    }
    rows.flush()
}

fn counts(counts: &Counts) -> [(&'static str, u64); 8] {
    [
        ("sessions", counts.sessions),
        ("users", counts.users),
        ("commands", counts.commands),
        ("blocked", counts.blocked),
        ("approved", counts.approved),
        ("masked", counts.masked),
        ("unreviewed", counts.unreviewed),
        ("out_of_hours", counts.out_of_hours),
    ]
}

/// A name that no spreadsheet takes for a formula.
fn harmless(text: &str) -> std::borrow::Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}").into()
    } else {
        text.into()
    }
}
