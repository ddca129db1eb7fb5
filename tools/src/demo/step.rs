//! A step of a script: one command, what the proxy decided about it, and what came back.

use daybook_engine::event::{Decision, Stream, Verdict};

/// One command of a session.
#[derive(Clone, Debug)]
pub struct Step {
    /// What was sent.
    pub input: String,
    /// What the proxy decided.
    pub verdict: Verdict,
    /// Why it was blocked or sent to review.
    pub rule: Option<&'static str>,
    /// The review that it waited for.
    pub review: Option<Review>,
    /// What came back.
    pub outputs: Vec<(Stream, String)>,
    /// Why it failed.
    pub error: Option<String>,
    /// Rows returned or changed.
    pub rows: Option<u64>,
    /// The exit code.
    pub exit_code: Option<i64>,
    /// Fields masked, by type.
    pub masked: Vec<(&'static str, u64)>,
}

/// A review of a step.
#[derive(Clone, Debug)]
pub struct Review {
    /// Why the user asks.
    pub reason: &'static str,
    /// Who may decide.
    pub group: &'static str,
    /// By whom, with which decision and words; `None` while it waits.
    pub decision: Option<(&'static str, Decision, &'static str)>,
}

impl Step {
    /// A command that passed and answered nothing yet.
    #[must_use]
    pub fn new(input: impl Into<String>) -> Step {
        Step {
            input: input.into(),
            verdict: Verdict::Passed,
            rule: None,
            review: None,
            outputs: Vec::new(),
            error: None,
            rows: None,
            exit_code: None,
            masked: Vec::new(),
        }
    }

    /// It printed this.
    #[must_use]
    pub fn prints(mut self, text: impl Into<String>) -> Step {
        self.outputs.push((Stream::Stdout, text.into()));
        self.exit_code = self.exit_code.or(Some(0));
        self
    }

    /// It returned this result table with so many rows.
    #[must_use]
    pub fn returns(mut self, (text, rows): (String, u64)) -> Step {
        self.outputs.push((Stream::Result, text));
        self.rows = Some(rows);
        self
    }

    /// It changed so many rows, and the database said so.
    #[must_use]
    pub fn changes(mut self, tag: &str, rows: u64) -> Step {
        self.outputs.push((Stream::Result, tag.to_owned()));
        self.rows = Some(rows);
        self
    }

    /// It failed with this message and exit code.
    #[must_use]
    pub fn fails(mut self, message: impl Into<String>, exit_code: i64) -> Step {
        let message = message.into();
        self.error = message.lines().next().map(str::to_owned);
        self.outputs.push((Stream::Stderr, message));
        self.exit_code = Some(exit_code);
        self
    }

    /// A rule stopped it.
    #[must_use]
    pub fn blocked(mut self, rule: &'static str) -> Step {
        self.verdict = Verdict::Blocked;
        self.rule = Some(rule);
        self
    }

    /// A rule asked for a review, which was decided so (or still waits).
    #[must_use]
    pub fn reviewed(
        mut self,
        rule: &'static str,
        reason: &'static str,
        group: &'static str,
        decision: Option<(&'static str, Decision, &'static str)>,
    ) -> Step {
        self.verdict = Verdict::Pending;
        self.rule = Some(rule);
        self.review = Some(Review { reason, group, decision });
        self
    }

    /// So many fields of a type were masked in what came back.
    #[must_use]
    pub fn masks(mut self, kind: &'static str, count: u64) -> Step {
        self.masked.push((kind, count));
        self
    }

    /// Did it run, or may it still?
    #[must_use]
    pub fn ran(&self) -> bool {
        match (&self.verdict, &self.review) {
            (Verdict::Blocked, _) => false,
            (_, Some(review)) => {
                matches!(review.decision, Some((_, Decision::Approved, _)))
            }
            _ => true,
        }
    }
}

/// A result table as `psql` prints it, and the number of its rows.
#[must_use]
pub fn table(columns: &[&str], rows: &[Vec<String>]) -> (String, u64) {
    let width = |index: usize| {
        let cells = rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.chars().count());
        cells.chain(columns.get(index).map(|c| c.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<String> =
            cells.zip(&widths).map(|(cell, width)| format!(" {cell:<width$} ")).collect();
        cells.join("|").trim_end().to_owned()
    };
    let mut text = line(&mut columns.iter().copied());
    text.push('\n');
    text.push_str(&widths.iter().map(|w| "-".repeat(w + 2)).collect::<Vec<_>>().join("+"));
    for row in rows {
        text.push('\n');
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    let rows = rows.len() as u64;
    text.push_str(&format!("\n({rows} row{})\n", if rows == 1 { "" } else { "s" }));
    (text, rows)
}
