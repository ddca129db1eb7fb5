//! `daybook feed`: the feeds of a server, and their files.

use crate::cli::Exit;
use crate::client::{Backoff, Client};
use crate::output::{self, Align, Cell, Column, Paint, Table, clean};
use crate::pull::{Pulled, Puller};
use crate::rows::{field, number};
use crate::source::ServerArgs;
use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The arguments of `daybook feed`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  daybook feed list
  daybook feed pull --to lake
  daybook feed pull --to lake --feed siem --table datastore_activity --follow

Which feeds there are, the tables [feed.NAME] of the server's configuration say (docs/feeds.md). Where the server asks
for a token, one with the scope `export` in DAYBOOK_TOKEN.")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the feeds, and how each is doing
    List(ListArgs),
    /// Fetch what is new into a directory, and delete there what was erased; can be stopped and started at any time
    Pull(PullArgs),
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
struct PullArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The directory: files come to DIR/FEED/TABLE
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The feed
    #[arg(long, value_name = "NAME", default_value = "native")]
    feed: String,
    /// One of its tables [default: all]
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// Go on with what comes, until interrupted
    #[arg(long)]
    follow: bool,
    /// Print one JSON object for each file that came or went
    #[arg(long)]
    json: bool,
}

/// Runs the command; a feed that fails makes the exit code of `list` 1.
///
/// # Errors
/// What the server says, or a directory that can't be used.
pub async fn run(args: Args, quiet: bool) -> anyhow::Result<Exit> {
    match args.action {
        Action::List(args) => list(&args).await,
        Action::Pull(args) => {
            tokio::select! {
                ended = pull(&args, quiet) => ended,
                stopped = tokio::signal::ctrl_c() => {
                    stopped.context("can't wait for an interrupt")?;
                    Ok(Exit::Well)
                }
            }
        }
    }
}

async fn list(args: &ListArgs) -> anyhow::Result<Exit> {
    let feeds = args.server.client()?.items("/v1/feeds", &[]).await?;
    output::print_list(&feeds, args.json, table)?;
    let well = feeds.iter().all(|feed| field(feed, "failing_since").is_empty());
    Ok(if well { Exit::Well } else { Exit::Look })
}

fn tables(feed: &Value) -> impl Iterator<Item = &Value> {
    feed.get("tables").and_then(Value::as_array).into_iter().flatten()
}

fn table(feeds: &[Value]) -> String {
    if feeds.is_empty() {
        return "there is no feed\n".to_owned();
    }
    let column = |name, align, least| Column { name, align, least };
    let mut table = Table::new(&[
        column("NAME", Align::Left, 8),
        column("SCHEMA", Align::Left, 6),
        column("TABLES", Align::Right, 0),
        column("FILES", Align::Right, 0),
        column("SIZE", Align::Right, 0),
        column("BEHIND", Align::Right, 0),
        column("LEFT OUT", Align::Right, 0),
        column("ERROR", Align::Left, 10),
    ]);
    for feed in feeds {
        let sum = |name: &str| tables(feed).map(|table| number(table, name)).sum::<u64>();
        let schema = format!("{} {}", field(feed, "schema"), field(feed, "version"));
        table.row(vec![
            Cell::from(field(feed, "name")),
            schema.trim_end().into(),
            output::count(tables(feed).count() as u64).into(),
            output::count(sum("files")).into(),
            output::bytes(sum("bytes")).into(),
            output::count(number(feed, "behind")).into(),
            output::count(number(feed, "unknown")).into(),
            field(feed, "last_error").into(),
        ]);
    }
    table.render(Paint::stdout(), output::terminal_width())
}

async fn pull(args: &PullArgs, quiet: bool) -> anyhow::Result<Exit> {
    let client = args.server.client()?;
    let names = match &args.table {
        Some(table) => vec![table.clone()],
        None => all_tables(&client, &args.feed).await?,
    };
    let pullers = names.iter().map(|table| {
        // They are a part of names of files.
        let plain = |c: char| c.is_ascii_alphanumeric() || ['-', '_'].contains(&c);
        if let Some(wrong) = [&args.feed, table].into_iter().find(|name| !name.chars().all(plain)) {
            bail!("`{}` can't be the name of a feed or a table", clean::line(wrong));
        }
        Puller::open(client.clone(), &args.to, &args.feed, table)
    });
    let pullers = pullers.collect::<anyhow::Result<Vec<Puller>>>()?;
    let all = pullers.into_iter().map(|puller| follow(puller, args));
    let counts = futures_util::future::try_join_all(all).await?;
    if !quiet && !args.json {
        let (put, deleted) = counts.iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
        let to = args.to.display().to_string();
        let files = |count: u64| if count == 1 { "file" } else { "files" };
        output::print(&format!(
            "{} new {}, {} deleted; {} has what the feed {} has\n",
            output::count(put),
            files(put),
            output::count(deleted),
            clean::line(&to),
            clean::line(&args.feed)
        ))?;
    }
    Ok(Exit::Well)
}

/// The tables of a feed.
async fn all_tables(client: &Client, name: &str) -> anyhow::Result<Vec<String>> {
    let feeds = client.items("/v1/feeds", &[]).await?;
    let Some(feed) = feeds.iter().find(|feed| field(feed, "name") == name) else {
        let known: Vec<&str> = feeds.iter().map(|feed| field(feed, "name")).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        bail!("there is no feed `{}`; there are: {}", clean::line(name), clean::line(&known));
    };
    let tables: Vec<String> = tables(feed).map(|table| field(table, "name").to_owned()).collect();
    if tables.is_empty() {
        let why = field(feed, "last_error");
        let why = if why.is_empty() { "it has not begun yet; try again" } else { why };
        bail!("the feed `{}` can't be read: {}", clean::line(name), clean::line(why));
    }
    Ok(tables)
}

/// Pulls a table, until there is nothing new, or for ever; answers how many files came and went.
async fn follow(mut puller: Puller, args: &PullArgs) -> anyhow::Result<(u64, u64)> {
    let mut backoff = Backoff::default();
    let (mut connected, mut put, mut deleted) = (false, 0, 0);
    loop {
        match puller.turn(args.follow && connected).await {
            Ok(pulled) => {
                connected = true;
                backoff.reset();
                put += pulled.put.len() as u64;
                deleted += pulled.deleted.len() as u64;
                if !show(&pulled, args)? || (!args.follow && !pulled.more) {
                    return Ok((put, deleted));
                }
            }
            // The first time, it may be what was asked for that is wrong.
            Err(failed) if !args.follow || !connected || !failed.passes => {
                return Err(failed.error);
            }
            Err(failed) => {
                tracing::warn!(error = format!("{:#}", failed.error), "it is tried again");
                tokio::time::sleep(backoff.wait(None)).await;
            }
        }
    }
}

/// Says what came and went; answers whether more is wanted. People are told of each file only while they wait for more.
fn show(pulled: &Pulled, args: &PullArgs) -> anyhow::Result<bool> {
    let mut wanted = true;
    for (file, why) in &pulled.deleted {
        if args.json {
            wanted &= output::print_json(&json!({"deleted": file, "why": why}))?;
        } else if args.follow {
            wanted &= output::print(&format!("deleted {} ({why})\n", clean::line(file)))?;
        }
    }
    for item in &pulled.put {
        let file = field(item, "file");
        if args.json {
            let mut item = item.clone();
            if let Some(item) = item.as_object_mut() {
                // Whoever has a link may read the file.
                item.remove("url");
                item.remove("expires_at");
                item.insert("path".to_owned(), json!(args.to.join(file)));
            }
            wanted &= output::print_json(&item)?;
        } else if args.follow {
            let (rows, bytes) = (number(item, "rows"), number(item, "bytes"));
            let (rows, bytes) = (output::count(rows), output::bytes(bytes));
            wanted &= output::print(&format!("{} ({rows} rows, {bytes})\n", clean::line(file)))?;
        }
    }
    Ok(wanted)
}
