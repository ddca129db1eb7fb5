//! `daybook case`: named sets of sessions, with notes, a legal hold, and an export with proofs.

use crate::cli::Exit;
use crate::client::Client;
use crate::output::{self, Align, Column, Paint, Table, clean};
use crate::rows::field;
use crate::source::{ServerArgs, escape};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::PathBuf;

/// The arguments of `daybook case`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Who does it; where the server asks for a token, it is the token's name
    #[arg(long, global = true)]
    by: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the cases
    List,
    /// Open a case
    Open {
        /// What it is called
        name: String,
        /// Why there is one
        #[arg(long)]
        reason: String,
        /// A first session's id; may be repeated
        #[arg(long, value_name = "ID")]
        session: Vec<String>,
    },
    /// Show a case
    Show {
        /// The case's id
        case: String,
    },
    /// Add sessions to a case
    Add {
        /// The case's id
        case: String,
        /// The sessions' ids
        #[arg(required = true)]
        sessions: Vec<String>,
    },
    /// Take sessions out of a case
    Remove {
        /// The case's id
        case: String,
        /// The sessions' ids
        #[arg(required = true)]
        sessions: Vec<String>,
    },
    /// Write a note on a case
    Note(Words),
    /// Place a legal hold on the sessions of a case
    Hold(Words),
    /// Release the legal hold of a case
    Release(Words),
    /// Close a case: it changes no more
    Close(Words),
    /// Write a case with all its events and proofs to a file that `daybook verify` checks
    Export {
        /// The case's id
        case: String,
        /// The file to write, such as case.zip
        #[arg(long, short)]
        output: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct Words {
    /// The case's id
    case: String,
    /// The note, why, or what came of it
    text: String,
}

/// Runs the command.
///
/// # Errors
/// What the server says, or a file that can't be written.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let client = args.server.client()?;
    let at = |case: &str, what: &str| format!("/v1/cases/{}/{what}", escape(case));
    let (path, body) = match args.action {
        Action::List => {
            let cases = client.items("/v1/cases", &[]).await?;
            output::print_list(&cases, args.json, table)?;
            return Ok(Exit::Well);
        }
        Action::Show { case } => {
            let case = client.get(&format!("/v1/cases/{}", escape(&case)), &[]).await?;
            shown(&case, args.json)?;
            return Ok(Exit::Well);
        }
        Action::Export { case, output } => {
            export(&client, &at(&case, "export"), &output).await?;
            return Ok(Exit::Well);
        }
        Action::Open { name, reason, session } => {
            let body = json!({ "name": name, "reason": reason, "sessions": session });
            ("/v1/cases".to_owned(), body)
        }
        Action::Add { case, sessions } => (at(&case, "sessions"), json!({ "add": sessions })),
        Action::Remove { case, sessions } => (at(&case, "sessions"), json!({ "remove": sessions })),
        Action::Note(Words { case, text }) => (at(&case, "notes"), json!({ "text": text })),
        Action::Hold(Words { case, text }) => (at(&case, "hold"), json!({ "text": text })),
        Action::Release(Words { case, text }) => (at(&case, "release"), json!({ "text": text })),
        Action::Close(Words { case, text }) => (at(&case, "close"), json!({ "text": text })),
    };
    let mut body = body;
    body["by"] = json!(args.by);
    shown(&client.post(&path, &body).await?, args.json)?;
    Ok(Exit::Well)
}

/// Writes what is at a path to a file, which is there only once it is whole.
async fn export(client: &Client, path: &str, to: &PathBuf) -> anyhow::Result<()> {
    let mut response = client.open(path, &[]).await?;
    let mut part = to.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let failed = || format!("can't write {}", part.display());
    let mut file = std::fs::File::create(&part).with_context(failed)?;
    while let Some(bytes) =
        response.chunk().await.context("the server broke off; export it again")?
    {
        file.write_all(&bytes).with_context(failed)?;
    }
    file.sync_all().with_context(failed)?;
    std::fs::rename(&part, to).with_context(|| format!("can't write {}", to.display()))
}

fn shown(case: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        output::print_json(case)?;
        return Ok(());
    }
    let paint = Paint::stdout();
    let said = |name: &str, value: &Value| match value.is_object() {
        true => format!(
            "  {name:<9} {} by {}: {}\n",
            output::moment(field(value, "at")),
            clean::line(field(value, "by")),
            clean::line(field(value, "text"))
        ),
        false => String::new(),
    };
    let mut text = format!(
        "{}  {}\n  reason    {}\n",
        paint.bold(&clean::line(field(case, "id"))),
        clean::line(field(case, "name")),
        clean::line(field(case, "reason"))
    );
    text.push_str(&said("hold", &case["hold"]));
    text.push_str(&said("closed", &case["closed"]));
    for session in case["sessions"].as_array().into_iter().flatten() {
        text.push_str(&format!("  session   {}\n", clean::line(field(session, "id"))));
    }
    for note in case["notes"].as_array().into_iter().flatten() {
        text.push_str(&said("note", note));
    }
    output::print(&text)?;
    Ok(())
}

fn table(cases: &[Value]) -> String {
    if cases.is_empty() {
        return "there are no cases\n".to_owned();
    }
    let column = |name, least| Column { name, align: Align::Left, least };
    let mut table = Table::new(&[
        column("CASE", 0),
        column("NAME", 8),
        column("SESSIONS", 0),
        column("CHANGED (UTC)", 0),
        column("STATE", 0),
        column("REASON", 10),
    ]);
    for case in cases {
        let state = match (case["closed"].is_object(), case["hold"].is_object()) {
            (true, true) => "closed, held",
            (true, false) => "closed",
            (false, true) => "open, held",
            (false, false) => "open",
        };
        table.row(vec![
            field(case, "id").into(),
            field(case, "name").into(),
            case["session_count"].to_string().into(),
            output::moment(field(case, "changed_at")).into(),
            state.into(),
            field(case, "reason").into(),
        ]);
    }
    table.render(Paint::stdout(), output::terminal_width())
}
