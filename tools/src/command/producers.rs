//! `daybook producers`: what each producer says that it sent, and what of it is stored.

use crate::cli::Exit;
use crate::output::{self, Align, Cell, Column, Paint, Table, clean};
use crate::rows::{field, number};
use crate::source::ServerArgs;
use serde_json::Value;

/// The arguments of `daybook producers`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exits with 1 if anything that was sent is not stored.")]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// What the server says.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let producers = args.server.client()?.items("/v1/producers", &[]).await?;
    let told = |producers: &[Value]| table(producers) + &lacking(producers);
    output::print_list(&producers, args.json, told)?;
    let complete = |producer: &Value| producer["complete"] == Value::Bool(true);
    Ok(if producers.iter().all(complete) { Exit::Well } else { Exit::Look })
}

fn table(producers: &[Value]) -> String {
    if producers.is_empty() {
        return "no producer has said what it sent\n".to_owned();
    }
    let column = |name, align, least| Column { name, align, least };
    let mut table = Table::new(&[
        column("PRODUCER", Align::Left, 8),
        column("SESSIONS", Align::Right, 0),
        column("SENT", Align::Right, 0),
        column("STORED", Align::Right, 0),
        column("NOT WHOLE", Align::Right, 0),
        column("SAID", Align::Left, 19),
    ]);
    for producer in producers {
        table.row(vec![
            Cell::from(field(producer, "producer")),
            output::count(number(producer, "sessions")).into(),
            output::count(number(producer, "sent")).into(),
            output::count(number(producer, "stored")).into(),
            output::count(number(producer, "lacking_sessions")).into(),
            output::moment(field(producer, "said_at")).into(),
        ]);
    }
    table.render(Paint::stdout(), output::terminal_width())
}

/// The sessions that are not here whole, a line each.
fn lacking(producers: &[Value]) -> String {
    let mut text = String::new();
    for producer in producers {
        let name = clean::line(field(producer, "producer"));
        let named = producer["lacking"].as_array().map_or(&[][..], Vec::as_slice);
        for session in named {
            let id = clean::line(field(session, "session"));
            let (stored, sent) = (number(session, "stored"), number(session, "sent"));
            let (stored, sent) = (output::count(stored), output::count(sent));
            text.push_str(&format!("{name}: {id} has {stored} of {sent} events\n"));
        }
        let more = number(producer, "lacking_sessions").saturating_sub(named.len() as u64);
        if more > 0 {
            text.push_str(&format!("{name}: and {} sessions more\n", output::count(more)));
        }
    }
    text
}
