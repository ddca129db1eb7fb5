//! `daybook search`: events by what was typed and what came back.

use super::searches;
use crate::cli::Exit;
use crate::filter::FilterArgs;
use crate::output::{self, Csv, Form, FormArgs, Out, PagerArgs, Paint};
use crate::rows::hits;
use crate::source::{PAGE_MAX, Page, Source, TargetArgs};
use daybook_query::search::Order;
use serde_json::Value;

/// The arguments of `daybook search`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  daybook search DROP TABLE
  daybook search '\"drop table customers\" verdict:blocked since:7d'
  daybook search --by-session /etc/shadow
  daybook search --sort relevance 'customers OR cards'
  daybook search --saved blocked --after 7d
  daybook search --role 'prod-*' 'output:denied OR output:refused'
  daybook search '~\"select .* from (cards|accounts)\"'
  daybook search --csv -n 10000 verdict:blocked since:90d > blocked.csv

Texts are shown around what matched; `daybook export` writes them whole.
What is longer than the terminal goes through $DAYBOOK_PAGER, $PAGER or less.

Columns of --csv:
  offset, session, seq, time, kind, verdict, user, role, type,
  input, output, text, screen, typed (around what matched), cut (which of them are not whole),
  replay_ms (after the session began)
With --by-session those of `daybook sessions`, matches, and of the latest match:
  latest_offset, latest_seq, latest_time, latest_kind, latest_verdict,
  latest_input, latest_output, latest_text, latest_screen, latest_typed, latest_cut")]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// At most this many
    #[arg(long, short = 'n', default_value_t = 25)]
    limit: usize,
    /// Show the latest first (newest), or those that say most of what is looked for (relevance)
    #[arg(long, value_enum, default_value_t = Sort::Newest, conflicts_with = "by_session")]
    sort: Sort,
    /// Show each session once, with how many of its events match and the latest of them
    #[arg(long)]
    by_session: bool,
    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    pager: PagerArgs,
    /// What a search that the server keeps looks for (`daybook searches`)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["query", "data"])]
    saved: Option<String>,
    /// What to look for
    #[arg(required_unless_present = "saved")]
    query: Vec<String>,
}

/// In which order events are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Sort {
    Newest,
    Relevance,
}

impl From<Sort> for Order {
    fn from(sort: Sort) -> Order {
        match sort {
            Sort::Newest => Order::Newest,
            Sort::Relevance => Order::Relevance,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// A query that can't be read, or what the server or the log says.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let mut out = Out::new(args.pager);
    let found = match args.form.form() {
        Form::People => people(&args, &mut out).await,
        Form::Json => programs(&args, &mut output::print_json).await,
        Form::Csv => {
            let (columns, record): (_, fn(&Value) -> Vec<String>) = match args.by_session {
                true => (hits::GROUP_COLUMNS, hits::group_record),
                false => (hits::COLUMNS, hits::record),
            };
            let mut csv = Csv::new(columns);
            let found = programs(&args, &mut |hit| csv.record(&record(hit))).await;
            if found.is_ok() {
                csv.header()?;
            }
            found
        }
    };
    out.finish()?;
    match found? {
        0 => Ok(Exit::Well),
        unreadable => {
            tracing::warn!(
                "{unreadable} events that may match can't be read: a part of the log is damaged; `daybook verify` says which"
            );
            Ok(Exit::Look)
        }
    }
}

/// Prints a page of hits after the other; answers how many events could not be read.
async fn people(args: &Args, out: &mut Out) -> anyhow::Result<u64> {
    let paint = Paint::stdout();
    let (mut table, add, what): (_, fn(&mut _, &_), _) = match args.by_session {
        true => (hits::group_table(), hits::add_group, "session"),
        false => (hits::table(), hits::add, "event"),
    };
    let mut pages = Pages::of(args).await?;
    while let Some(items) = pages.next().await? {
        if items.is_empty() {
            continue;
        }
        items.iter().for_each(|hit| add(&mut table, hit));
        if !out.print(&table.render(paint, output::terminal_width()))? {
            return Ok(0);
        }
    }
    let text = match (pages.shown, &pages.cursor) {
        (0, _) => "nothing found".to_owned(),
        (shown, Some(_)) => {
            let which = if args.sort == Sort::Newest { "latest" } else { "most relevant" };
            format!("the {which} {shown}; there are more: --limit shows them")
        }
        (1, None) => format!("1 {what}"),
        (shown, None) => format!("{shown} {what}s"),
    };
    out.print(&(paint.dim(&text) + "\n"))?;
    Ok(pages.unreadable)
}

/// Has each hit printed; answers how many events could not be read.
async fn programs(
    args: &Args,
    print: &mut dyn FnMut(&Value) -> anyhow::Result<bool>,
) -> anyhow::Result<u64> {
    let mut pages = Pages::of(args).await?;
    while let Some(items) = pages.next().await? {
        for hit in &items {
            if !print(hit)? {
                return Ok(0);
            }
        }
    }
    Ok(pages.unreadable)
}

/// What is found, page by page.
struct Pages<'a> {
    args: &'a Args,
    query: daybook_query::lang::Query,
    source: Source,
    shown: usize,
    unreadable: u64,
    cursor: Option<String>,
    begun: bool,
}

impl<'a> Pages<'a> {
    async fn of(args: &'a Args) -> anyhow::Result<Pages<'a>> {
        let source = Source::open(&args.target)?;
        let wanted = match (&args.saved, &source) {
            (Some(name), Source::Server(client)) => searches::query_of(client, name).await?,
            _ => args.query.join(" "),
        };
        let query = args.filter.narrow(&wanted)?;
        Ok(Pages { args, query, source, shown: 0, unreadable: 0, cursor: None, begun: false })
    }

    /// The next page; `None` after the last, and once there are as many as were asked for.
    async fn next(&mut self) -> anyhow::Result<Option<Vec<Value>>> {
        let more = self.cursor.is_some() || !self.begun;
        let limit = self.args.limit.saturating_sub(self.shown).min(PAGE_MAX);
        if !more || limit == 0 {
            return Ok(None);
        }
        self.begun = true;
        let page = Page { cursor: self.cursor.as_deref(), limit };
        let mut answer = match self.args.by_session {
            true => self.source.search_sessions(&self.query, page).await?,
            false => self.source.search(&self.query, self.args.sort.into(), page).await?,
        };
        let unreadable = answer.get("unreadable").and_then(Value::as_u64).unwrap_or(0);
        self.unreadable = self.unreadable.max(unreadable);
        self.cursor = answer.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        let items = match answer.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        self.shown += items.len();
        Ok(Some(items))
    }
}
