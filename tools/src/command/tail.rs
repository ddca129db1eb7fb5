//! `daybook tail`: events as they arrive.

use crate::cli::Exit;
use crate::client::{Backoff, Client, EventReader, ServerEvent};
use crate::filter::FilterArgs;
use crate::output::{self, Csv, Form, FormArgs, Paint, Table};
use crate::rows::hits;
use crate::source::ServerArgs;
use anyhow::{Context as _, bail};
use serde_json::Value;

/// The arguments of `daybook tail`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  daybook tail verdict:blocked
  daybook tail --role 'prod-*' 'DROP OR TRUNCATE'
  daybook tail --json --from 0 | jq .session
  daybook tail --csv --from 0 verdict:blocked > blocked.csv

Each event is printed as it arrives, also into a pipe. The columns of --csv are
those of `daybook search`.")]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Begin at this offset instead of with what arrives from now on
    #[arg(long, value_name = "OFFSET")]
    from: Option<u64>,
    /// End after this many
    #[arg(long, short = 'n')]
    limit: Option<u64>,
    #[command(flatten)]
    form: FormArgs,
    /// Which events; all without
    query: Vec<String>,
}

/// What is followed, and how far that has come.
struct Tail {
    args: Args,
    query: String,
    /// Where to go on; `None` until the server has said.
    next: Option<u64>,
    shown: u64,
    printed: Printed,
}

/// How it is printed.
enum Printed {
    People(Paint, Table),
    Json,
    Csv(Box<Csv>),
}

impl Printed {
    /// What stands above the first event.
    fn begin(&mut self) -> anyhow::Result<bool> {
        match self {
            Printed::Csv(csv) => csv.header(),
            Printed::People(..) | Printed::Json => Ok(true),
        }
    }

    /// Answers whether more is wanted.
    fn print(&mut self, hit: &Value) -> anyhow::Result<bool> {
        match self {
            Printed::People(paint, table) => {
                hits::add(table, hit);
                output::print(&table.render(*paint, output::terminal_width()))
            }
            Printed::Json => output::print_json(hit),
            Printed::Csv(csv) => csv.record(&hits::record(hit)),
        }
    }
}

/// Runs the command, until it is interrupted, or nobody reads what it prints.
///
/// # Errors
/// A query that can't be read, or a server that refuses it. One that is away is waited for.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let client = args.server.client()?;
    let query = args.filter.narrow(&args.query.join(" "))?.to_string();
    let printed = match args.form.form() {
        Form::People => Printed::People(Paint::stdout(), hits::tail_table()),
        Form::Json => Printed::Json,
        Form::Csv => Printed::Csv(Box::new(Csv::new(hits::COLUMNS))),
    };
    let mut tail = Tail { next: args.from, args, query, shown: 0, printed };
    tokio::select! {
        ended = tail.follow(&client) => ended,
        stopped = tokio::signal::ctrl_c() => {
            stopped.context("can't wait for an interrupt")?;
            Ok(Exit::Well)
        }
    }
}

impl Tail {
    async fn follow(&mut self, client: &Client) -> anyhow::Result<Exit> {
        let mut backoff = Backoff::default();
        let mut connected = false;
        loop {
            let mut params = vec![("q", self.query.clone())];
            params.extend(self.next.map(|next| ("from", next.to_string())));
            let error = match client.follow("/v1/tail", &params).await {
                Ok(mut response) => {
                    connected = true;
                    if !self.printed.begin()? {
                        return Ok(Exit::Well);
                    }
                    let mut reader = EventReader::default();
                    loop {
                        match response.chunk().await {
                            Ok(Some(piece)) => {
                                backoff.reset();
                                for event in reader.feed(&piece) {
                                    if !self.show(&event)? {
                                        return Ok(Exit::Well);
                                    }
                                }
                            }
                            Ok(None) => break "the server ended the tail".to_owned(),
                            Err(error) => break error.to_string(),
                        }
                    }
                }
                // The first time, it may be the address that is wrong.
                Err(refused) if !connected || !refused.passes => return Err(refused.error),
                Err(refused) => format!("{:#}", refused.error),
            };
            tracing::info!(%error, "connecting again");
            tokio::time::sleep(backoff.wait(None)).await;
        }
    }

    /// Prints an event; answers whether there may be more.
    fn show(&mut self, event: &ServerEvent) -> anyhow::Result<bool> {
        let next = event.id.as_deref().and_then(|id| match id {
            "start" => Some(0),
            id => id.parse::<u64>().ok()?.checked_add(1),
        });
        let mut goes_on = true;
        match (event.kind.as_str(), event.data.as_str()) {
            (_, "") => {}
            ("", data) => {
                let hit: Value = serde_json::from_str(data).context("the server sent no hit")?;
                goes_on = self.printed.print(&hit)?;
                self.shown += 1;
            }
            ("unreadable", data) => {
                tracing::warn!(
                    "events that may match can't be read ({data}): a part of the log is damaged; `daybook verify` says which"
                );
            }
            ("problem", data) => {
                let document: Value = serde_json::from_str(data).unwrap_or_default();
                bail!("{}", document["detail"].as_str().unwrap_or(data));
            }
            _ => {}
        }
        self.next = next.or(self.next);
        Ok(goes_on && self.args.limit.is_none_or(|limit| self.shown < limit))
    }
}
