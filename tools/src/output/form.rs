//! In which form a command prints.

/// For people, or for programs.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct FormArgs {
    /// Print one JSON object a line
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV (RFC 4180) with a header line, its cells as they are
    #[arg(long)]
    csv: bool,
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// What people like to read.
    People,
    /// One JSON object a line.
    Json,
    /// CSV with a header line.
    Csv,
}

impl FormArgs {
    /// The form that is asked for.
    #[must_use]
    pub fn form(self) -> Form {
        match (self.json, self.csv) {
            (true, _) => Form::Json,
            (false, true) => Form::Csv,
            (false, false) => Form::People,
        }
    }
}
