//! `daybook push`: the collectors that a server sends events to.

use crate::cli::Exit;
use crate::output::{self, Align, Cell, Column, Paint, Table, clean};
use crate::rows::{field, number};
use crate::source::{ServerArgs, escape};
use reqwest::Method;
use serde_json::Value;

/// The arguments of `daybook push`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  daybook push list
  daybook push resend siem

Where events are sent, the tables [push.NAME] of the server's configuration say (docs/push.md).")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the sinks, and how each is doing
    List(ListArgs),
    /// Send once more what a sink's receiver refused
    Resend(ResendArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct ResendArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The sink's name
    name: String,
}

/// Runs the command.
///
/// # Errors
/// A name that is none, or what the server says.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    match args.action {
        Action::List(args) => {
            let sinks = args.server.client()?.items("/v1/push", &[]).await?;
            output::print_list(&sinks, args.json, table)?;
            let well = sinks.iter().all(|sink| field(sink, "failing_since").is_empty());
            Ok(if well { Exit::Well } else { Exit::Look })
        }
        Action::Resend(args) => {
            let client = args.server.client()?;
            let path = format!("/v1/push/{}/resend", escape(&args.name));
            let sink = client.change(Method::POST, &path, &[], None).await?;
            if args.json {
                output::print_json(&sink)?;
            } else {
                let name = clean::line(field(&sink, "name"));
                let text = match refused(&sink) {
                    0 => format!("{name} has refused nothing\n"),
                    1 => format!("the refused event of {name} is sent once more\n"),
                    many => format!("the {many} refused events of {name} are sent once more\n"),
                };
                output::print(&text)?;
            }
            Ok(Exit::Well)
        }
    }
}

fn refused(sink: &Value) -> usize {
    sink.get("refused").and_then(Value::as_array).map_or(0, Vec::len)
}

fn table(sinks: &[Value]) -> String {
    if sinks.is_empty() {
        return "no sink is configured\n".to_owned();
    }
    let column = |name, align, least| Column { name, align, least };
    let mut table = Table::new(&[
        column("NAME", Align::Left, 8),
        column("URL", Align::Left, 16),
        column("QUERY", Align::Left, 8),
        column("SENT", Align::Right, 0),
        column("BEHIND", Align::Right, 0),
        column("REFUSED", Align::Right, 0),
        column("ERROR", Align::Left, 10),
    ]);
    for sink in sinks {
        table.row(vec![
            Cell::from(field(sink, "name")),
            field(sink, "url").into(),
            field(sink, "query").into(),
            output::count(number(sink, "sent_events")).into(),
            output::count(number(sink, "behind")).into(),
            output::count(refused(sink) as u64).into(),
            field(sink, "last_error").into(),
        ]);
    }
    table.render(Paint::stdout(), output::terminal_width())
}
