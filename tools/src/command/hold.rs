//! `daybook hold`: legal holds, which keep what they cover.

use crate::admin::Admin;
use crate::cli::Exit;
use crate::output::{self, Align, Column, Paint, Table, clean};
use crate::rows::field;
use crate::source::TargetArgs;
use daybook_engine::retention::{Names, NewHold, Scope};
use serde_json::Value;

/// The arguments of `daybook hold`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Place a hold on sessions, users, roles or a query
    Add(AddArgs),
    /// List the holds
    List(ListArgs),
    /// Release a hold
    Release(ReleaseArgs),
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// A session's id; may be repeated
    #[arg(long, value_name = "ID")]
    session: Vec<String>,
    /// Users, such as ann@example.com or *@example.com; may be repeated
    #[arg(long, value_name = "NAMES")]
    user: Vec<String>,
    /// Resource roles, such as prod-*; may be repeated
    #[arg(long, value_name = "NAMES")]
    role: Vec<String>,
    /// The sessions with an event that matches a query, also those that come later
    #[arg(long)]
    query: Option<String>,
    /// The legal case
    #[arg(long)]
    case: String,
    /// Why
    #[arg(long)]
    reason: String,
    /// Who asks for it
    #[arg(long, env = "USER")]
    by: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct ReleaseArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// The hold's id
    id: String,
    /// Why
    #[arg(long)]
    reason: String,
    /// Who releases it
    #[arg(long, env = "USER")]
    by: String,
}

/// Runs the command.
///
/// # Errors
/// What the server or the log says.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    match args.action {
        Action::Add(args) => {
            let boxed = |list: Vec<String>| list.into_iter().map(String::into_boxed_str).collect();
            let names = |list: &[String]| list.iter().map(|name| Names::new(name)).collect();
            let scope = Scope {
                sessions: boxed(args.session),
                users: names(&args.user),
                roles: names(&args.role),
                query: args.query.map(Into::into),
            };
            let (case, reason, by) = (args.case.into(), args.reason.into(), args.by.into());
            let hold = NewHold { scope, case, reason, by };
            let hold = Admin::open(&args.target).await?.hold(hold).await?;
            if args.json {
                output::print_json(&hold)?;
            } else {
                output::print(&format!("{} is in force\n", clean::line(field(&hold, "id"))))?;
            }
        }
        Action::List(args) => {
            let holds = Admin::open(&args.target).await?.holds().await?;
            output::print_list(&holds, args.json, table)?;
        }
        Action::Release(args) => {
            let admin = Admin::open(&args.target).await?;
            let hold = admin.release(args.id, args.by, args.reason).await?;
            output::print(&format!("{} is released\n", clean::line(field(&hold, "id"))))?;
        }
    }
    Ok(Exit::Well)
}

fn table(holds: &[Value]) -> String {
    if holds.is_empty() {
        return "nothing is held\n".to_owned();
    }
    let column = |name, least| Column { name, align: Align::Left, least };
    let mut table = Table::new(&[
        column("HOLD", 0),
        column("PLACED (UTC)", 0),
        column("BY", 10),
        column("CASE", 8),
        column("COVERS", 12),
        column("REASON", 10),
    ]);
    for hold in holds {
        table.row(vec![
            field(hold, "id").into(),
            output::moment(field(hold, "placed_at")).into(),
            field(hold, "by").into(),
            field(hold, "case").into(),
            covers(hold).into(),
            field(hold, "reason").into(),
        ]);
    }
    table.render(Paint::stdout(), output::terminal_width())
}

/// What a hold covers, in words.
fn covers(hold: &Value) -> String {
    let mut words = Vec::new();
    for (name, one) in [("sessions", "session"), ("users", "user"), ("roles", "role")] {
        let list = hold.get(name).and_then(Value::as_array).into_iter().flatten();
        words.extend(list.filter_map(Value::as_str).map(|name| format!("{one} {name}")));
    }
    if let Some(query) = hold.get("query").and_then(Value::as_str) {
        words.push(format!("query {query}"));
    }
    words.join(", ")
}
