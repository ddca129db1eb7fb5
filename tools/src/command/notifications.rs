//! `daybook notifications`: who is told of access requests, how that is going, and what could not be delivered.

use crate::cli::Exit;
use crate::output::{self, Align, Cell, Column, Paint, Table, clean};
use crate::rows::{field, number};
use crate::source::{ServerArgs, escape};
use reqwest::Method;
use serde_json::Value;

/// The arguments of `daybook notifications`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List who is told, and what could not be delivered; exits with 1 if there is anything
    List(ListArgs),
    /// Send again what could not be delivered
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
    /// All that could not be delivered
    #[arg(long, required_unless_present = "ids", conflicts_with = "ids")]
    all: bool,
    /// The ids of letters, as `list` shows them
    #[arg(value_name = "ID")]
    ids: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// No such letter, or what the server says.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    match args.action {
        Action::List(args) => {
            let targets = targets(&args.server).await?;
            let told = |targets: &[Value]| table(targets) + &letters(targets);
            output::print_list(&targets, args.json, told)?;
            let well = |target: &Value| {
                field(target, "failing_since").is_empty() && dead(target).is_empty()
            };
            Ok(if targets.iter().all(well) { Exit::Well } else { Exit::Look })
        }
        Action::Resend(args) => {
            let ids = if args.all {
                let targets = targets(&args.server).await?;
                let dead = targets.iter().flat_map(dead);
                dead.map(|letter| field(letter, "id").to_owned()).collect()
            } else {
                args.ids
            };
            let client = args.server.client()?;
            for id in &ids {
                let path = format!("/v1/admin/notifications/{}/resend", escape(id));
                client.change(Method::POST, &path, &[], None).await?;
            }
            let text = match ids.len() {
                1 => "one letter is sent again\n".to_owned(),
                many => format!("{many} letters are sent again\n"),
            };
            output::print(&text)?;
            Ok(Exit::Well)
        }
    }
}

async fn targets(server: &ServerArgs) -> anyhow::Result<Vec<Value>> {
    server.client()?.items("/v1/admin/notifications", &[]).await
}

/// What could not be delivered to one.
fn dead(target: &Value) -> &[Value] {
    target["dead"].as_array().map_or(&[], Vec::as_slice)
}

fn table(targets: &[Value]) -> String {
    if targets.is_empty() {
        return "nobody is told of access requests; docs/reviews.md says how\n".to_owned();
    }
    let column = |name, align, least| Column { name, align, least };
    let mut table = Table::new(&[
        column("NAME", Align::Left, 8),
        column("FORM", Align::Left, 8),
        column("URL", Align::Left, 16),
        column("DELIVERED", Align::Right, 0),
        column("DEAD", Align::Right, 0),
        column("STATE", Align::Left, 8),
    ]);
    for target in targets {
        let state = match field(target, "failing_since") {
            "" => "well".to_owned(),
            since => {
                format!("failing since {}: {}", output::moment(since), field(target, "last_error"))
            }
        };
        table.row(vec![
            Cell::from(field(target, "name")),
            field(target, "form").into(),
            field(target, "url").into(),
            output::count(number(target, "delivered")).into(),
            output::count(dead(target).len() as u64 + number(target, "forgotten")).into(),
            state.into(),
        ]);
    }
    table.render(Paint::stdout(), output::terminal_width())
}

/// What could not be delivered, a line each.
fn letters(targets: &[Value]) -> String {
    let line = |letter: &Value| {
        let of = |name| clean::line(field(letter, name));
        let at = output::moment(field(letter, "at"));
        let (id, event, review, why) = (of("id"), of("event"), of("review"), of("why"));
        format!("{id}  {at}  {event} of {review}: {why}\n")
    };
    targets.iter().flat_map(dead).map(line).collect()
}
