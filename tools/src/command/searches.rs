//! `daybook searches`: searches that a server keeps, and their alerts.

use crate::cli::Exit;
use crate::client::Client;
use crate::output::{self, Align, Cell, Column, Paint, Table, clean};
use crate::rows::{field, number};
use crate::source::{ServerArgs, escape, parsed};
use anyhow::{Context as _, anyhow};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The arguments of `daybook searches`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  daybook searches save blocked 'verdict:blocked role:prod-*'
  daybook searches save drops 'DROP TABLE' --webhook https://hooks.example.com/daybook
  daybook searches test drops
  daybook search --saved drops")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the searches, and how their alerts are doing
    List(ListArgs),
    /// Save a search, or another query under a name that is there
    Save(SaveArgs),
    /// Forget a search, and end its alert
    Delete(NameArgs),
    /// Send a delivery without events to a search's webhook, and show what the receiver says
    Test(NameArgs),
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
struct NameArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The search's name, or its id
    name: String,
}

#[derive(Debug, clap::Args)]
struct SaveArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Post what arrives and matches to this address
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// The file of the webhook's secret: `whsec_...` [default: the one that it has, or one that is made and printed]
    #[arg(long, value_name = "FILE", requires = "webhook")]
    secret_file: Option<PathBuf>,
    /// Begin at this offset instead of with what arrives from now on
    #[arg(long, value_name = "OFFSET", requires = "webhook")]
    from: Option<u64>,
    /// Post nothing any more
    #[arg(long, conflicts_with = "webhook")]
    no_webhook: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Its name
    name: String,
    /// What it searches for
    #[arg(required = true)]
    query: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// A query that can't be read, a name that is none, or what the server says.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    match args.action {
        Action::List(args) => {
            let searches = all(&args.server.client()?).await?;
            output::print_list(&searches, args.json, table)?;
            Ok(Exit::Well)
        }
        Action::Save(args) => save(&args).await,
        Action::Delete(args) => {
            let client = args.server.client()?;
            let path = path(&find(&client, &args.name).await?);
            let gone = client.change(Method::DELETE, &path, &[], None).await?;
            if args.json {
                output::print_json(&gone)?;
            } else {
                output::print(&format!("{} is forgotten\n", clean::line(field(&gone, "name"))))?;
            }
            Ok(Exit::Well)
        }
        Action::Test(args) => {
            let client = args.server.client()?;
            let path = format!("{}/test", path(&find(&client, &args.name).await?));
            let said = client.change(Method::POST, &path, &[], None).await?;
            let delivered = said.get("delivered").and_then(Value::as_bool).unwrap_or(false);
            if args.json {
                output::print_json(&said)?;
            } else {
                output::print(&tested(&said, delivered))?;
            }
            Ok(if delivered { Exit::Well } else { Exit::Look })
        }
    }
}

async fn save(args: &SaveArgs) -> anyhow::Result<Exit> {
    let query = args.query.join(" ");
    // What is wrong with it is shown under the place.
    parsed(&query)?;
    let mut body = json!({"name": args.name, "query": query});
    let alert = match &args.webhook {
        Some(url) => {
            let mut alert = json!({"url": url});
            put(&mut alert, "secret", args.secret_file.as_deref().map(secret).transpose()?);
            put(&mut alert, "from", args.from);
            Some(alert)
        }
        None => args.no_webhook.then_some(Value::Null),
    };
    put(&mut body, "alert", alert);
    let client = args.server.client()?;
    let there = all(&client).await?.into_iter().find(|search| field(search, "name") == args.name);
    let saved = match there {
        Some(there) => client.change(Method::PUT, &path(&there), &[], Some(&body)).await?,
        None => client.post("/v1/searches", &body).await?,
    };
    if args.json {
        output::print_json(&saved)?;
        return Ok(Exit::Well);
    }
    let mut text = format!("{} is saved\n", clean::line(field(&saved, "name")));
    if let Some(alert) = saved.get("alert").filter(|alert| !alert.is_null()) {
        text += &format!("what matches is posted to {}\n", clean::line(field(alert, "url")));
        if let Some(secret) = alert.get("secret").and_then(Value::as_str) {
            text += &format!("the webhook's secret, shown this once: {}\n", clean::line(secret));
        }
    }
    output::print(&text)?;
    Ok(Exit::Well)
}

/// The query of a saved search.
///
/// # Errors
/// A name that is none, or what the server says.
pub(super) async fn query_of(client: &Client, name: &str) -> anyhow::Result<String> {
    Ok(field(&find(client, name).await?, "query").to_owned())
}

fn put(object: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
        object.insert(name.to_owned(), value.into());
    }
}

fn secret(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path);
    Ok(text.with_context(|| format!("can't read the secret in {}", path.display()))?.trim().into())
}

async fn all(client: &Client) -> anyhow::Result<Vec<Value>> {
    client.items("/v1/searches", &[]).await
}

async fn find(client: &Client, name: &str) -> anyhow::Result<Value> {
    let all = all(client).await?;
    let by = |key| all.iter().find(|search| field(search, key) == name);
    by("name").or_else(|| by("id")).cloned().ok_or_else(|| {
        anyhow!("no search `{}` is saved; `daybook searches list` shows them", clean::line(name))
    })
}

fn path(search: &Value) -> String {
    format!("/v1/searches/{}", escape(field(search, "id")))
}

fn tested(said: &Value, delivered: bool) -> String {
    let took = number(said, "took_ms");
    if delivered {
        return format!("the receiver took it, in {took} ms\n");
    }
    let answer = clean::line(field(said, "answer"));
    let said = clean::line(field(said, "error"));
    if answer.is_empty() { format!("{said}\n") } else { format!("{said}: {answer}\n") }
}

fn table(searches: &[Value]) -> String {
    if searches.is_empty() {
        return "no search is saved\n".to_owned();
    }
    let column = |name, least| Column { name, align: Align::Left, least };
    let mut table = Table::new(&[
        column("NAME", 8),
        column("QUERY", 16),
        column("BY", 8),
        column("ALERT", 0),
        column("ERROR", 10),
    ]);
    for search in searches {
        let (state, error) = state(search);
        table.row(vec![
            Cell::from(field(search, "name")),
            field(search, "query").into(),
            field(search, "by").into(),
            state.into(),
            error.into(),
        ]);
    }
    table.render(Paint::stdout(), output::terminal_width())
}

/// How a search's alert is doing, and what is wrong with it.
fn state(search: &Value) -> (String, String) {
    let Some(status) = search.pointer("/alert/status") else { return Default::default() };
    let paused = status.pointer("/paused/why").and_then(Value::as_str);
    let behind = output::count(number(status, "behind"));
    match (paused, status.get("failing_since").and_then(Value::as_str)) {
        (Some(why), _) => ("paused".to_owned(), why.to_owned()),
        (None, Some(_)) => {
            (format!("failing, {behind} behind"), field(status, "last_error").to_owned())
        }
        (None, None) => {
            (format!("{} delivered", output::count(number(status, "delivered"))), String::new())
        }
    }
}
