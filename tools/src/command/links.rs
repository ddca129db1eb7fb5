//! `daybook links`: the links that a server made, and their end.

use crate::cli::Exit;
use crate::output::{self, Align, Cell, Column, Paint, Table, clean};
use crate::rows::{field, number};
use crate::source::{ServerArgs, escape};
use reqwest::Method;
use serde_json::Value;

/// The arguments of `daybook links`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List links, the newest first
    List(ListArgs),
    /// End a link
    Revoke(RevokeArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Only links to this session
    session: Option<String>,
}

#[derive(Debug, clap::Args)]
struct RevokeArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Who revokes, where no token says it
    #[arg(long)]
    by: Option<String>,
    /// The link's id
    id: String,
}

/// Runs the command.
///
/// # Errors
/// No such link, or what the server says.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    match args.action {
        Action::List(args) => {
            let params: Vec<_> = args.session.iter().map(|id| ("session", id.clone())).collect();
            let links = args.server.client()?.items("/v1/links", &params).await?;
            output::print_list(&links, args.json, table)?;
        }
        Action::Revoke(args) => {
            let params: Vec<_> = args.by.iter().map(|by| ("by", by.clone())).collect();
            let path = format!("/v1/links/{}", escape(&args.id));
            args.server.client()?.change(Method::DELETE, &path, &params, None).await?;
            output::print(&format!("{} is revoked\n", clean::line(&args.id)))?;
        }
    }
    Ok(Exit::Well)
}

fn table(links: &[Value]) -> String {
    if links.is_empty() {
        return "there are no links\n".to_owned();
    }
    let column = |name, least| Column { name, align: Align::Left, least };
    let mut table = Table::new(&[
        column("ID", 20),
        column("SESSION", 12),
        column("WHAT", 8),
        column("FOR", 8),
        column("BY", 8),
        column("STATE", 8),
        column("USES", 4),
        column("NOTE", 8),
    ]);
    for link in links {
        let reviewers = link
            .get("to")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
        let hidden = if field(link, "outputs") == "hidden" { ", no outputs" } else { "" };
        let what = match field(link, "format") {
            "" => field(link, "part"),
            format => format,
        };
        let state = match field(link, "revoked_by") {
            "" => format!("until {}", output::moment(field(link, "expires_at"))),
            by => format!("revoked by {by}"),
        };
        table.row(vec![
            Cell::from(field(link, "id")),
            field(link, "session").into(),
            format!("{what}{hidden}").into(),
            reviewers.unwrap_or_else(|| "anyone".to_owned()).into(),
            field(link, "by").into(),
            state.into(),
            output::count(number(link, "uses")).into(),
            field(link, "note").into(),
        ]);
    }
    table.render(Paint::stdout(), output::terminal_width())
}
