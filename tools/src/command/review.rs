//! `daybook review`: access requests, and deciding on them.

use crate::cli::Exit;
use crate::output::{self, Align, Cell, Column, Paint, Table, clean};
use crate::rows::{field, number};
use crate::source::{ServerArgs, escape};
use anyhow::anyhow;
use reqwest::Method;
use serde_json::{Value, json};

/// The most that are asked for at once.
const PAGE: usize = 200;

/// The arguments of `daybook review`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  daybook review list
  daybook review show s-1-4
  daybook review approve s-1-4 --comment 'invoice 4711'
  daybook review list --status approved,executed --user 'ann@*'

Who decides is the token's name (DAYBOOK_TOKEN); what reviews take is said in docs/reviews.md.")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List what waits, the longest wait first; with --all also what was decided
    List(ListArgs),
    /// Show one: what was asked and what was said
    Show(OneArgs),
    /// Approve one
    Approve(ApproveArgs),
    /// Reject one
    Reject(DecideArgs),
    /// Take a request or an approval back
    Revoke(DecideArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Only those that stand there: pending, approved, rejected, revoked, expired, executed (commas between them)
    #[arg(long, value_name = "STATUS", default_value = "pending")]
    status: String,
    /// Also those that were decided
    #[arg(long, conflicts_with = "status")]
    all: bool,
    /// Only what this user asks; `*` stands for anything
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only of sessions of this role; `*` stands for anything
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct OneArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The session's id, where several sessions have a review of this id
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The review's id
    id: String,
}

#[derive(Debug, clap::Args)]
struct DecideArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Why
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Who says it, where no token is asked for
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

#[derive(Debug, clap::Args)]
struct ApproveArgs {
    #[command(flatten)]
    decide: DecideArgs,
    /// Alone, though more would have to approve
    #[arg(long)]
    force: bool,
}

/// Runs the command.
///
/// # Errors
/// A review that is none, a decision that may not be made, or what the server says.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    match args.action {
        Action::List(args) => list(&args).await,
        Action::Show(args) => {
            let path = format!("/v1/reviews/{}", escape(&args.id));
            let review = args.server.client()?.get(&path, &session(&args)).await?;
            if args.json {
                output::print_json(&review)?;
            } else {
                output::print(&story(&review))?;
            }
            Ok(Exit::Well)
        }
        Action::Approve(ApproveArgs { decide, force }) => say(&decide, "approved", force).await,
        Action::Reject(args) => say(&args, "rejected", false).await,
        Action::Revoke(args) => say(&args, "revoked", false).await,
    }
}

fn session(args: &OneArgs) -> Vec<(&'static str, String)> {
    args.session.iter().map(|id| ("session", id.clone())).collect()
}

async fn say(args: &DecideArgs, decision: &str, force: bool) -> anyhow::Result<Exit> {
    let DecideArgs { one, comment, by } = args;
    let mut body = json!({ "decision": decision });
    for (name, value) in [("comment", comment), ("by", by)] {
        if let Some(value) = value {
            body[name] = json!(value);
        }
    }
    if force {
        body["force"] = json!(true);
    }
    let path = format!("/v1/reviews/{}/decision", escape(&one.id));
    let client = one.server.client()?;
    let review = client.change(Method::POST, &path, &session(one), Some(&body)).await?;
    if one.json {
        output::print_json(&review)?;
        return Ok(Exit::Well);
    }
    let id = clean::line(field(&review, "id"));
    let text = match field(&review, "status") {
        "pending" => format!("{id} is pending: {}\n", approvals(&review)),
        status => format!("{id} is {}\n", clean::line(status)),
    };
    output::print(&text)?;
    Ok(Exit::Well)
}

async fn list(args: &ListArgs) -> anyhow::Result<Exit> {
    let client = args.server.client()?;
    let mut cursor = None;
    let mut left = args.limit.max(1);
    let mut reviews = Vec::new();
    loop {
        let mut params = vec![("limit", left.min(PAGE).to_string())];
        if !args.all {
            params.push(("status", args.status.clone()));
        }
        for (name, value) in [("user", &args.user), ("role", &args.role), ("cursor", &cursor)] {
            params.extend(value.iter().map(|value| (name, value.clone())));
        }
        let mut page = client.get("/v1/reviews", &params).await?;
        let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) else {
            return Err(anyhow!("{} answered with something that is no list", client.base()));
        };
        left = left.saturating_sub(items.len());
        reviews.extend(items);
        cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() || left == 0 {
            break;
        }
    }
    output::print_list(&reviews, args.json, table)?;
    Ok(Exit::Well)
}

fn approvals(review: &Value) -> String {
    let given = review.get("approvers").and_then(Value::as_array).map_or(0, Vec::len);
    format!("{given} of {} approvals", number(review, "approvals_needed"))
}

/// What is asked for, in a few words.
fn what(review: &Value) -> String {
    match (field(review, "scope"), field(review, "input")) {
        ("session", _) => "the whole session".to_owned(),
        (_, "") => format!("command {}", number(review, "command")),
        (_, input) => input.to_owned(),
    }
}

fn table(reviews: &[Value]) -> String {
    if reviews.is_empty() {
        return "nothing waits\n".to_owned();
    }
    let column = |name, align, least| Column { name, align, least };
    let mut table = Table::new(&[
        column("ID", Align::Left, 0),
        column("STATUS", Align::Left, 0),
        column("ASKED", Align::Left, 0),
        column("USER", Align::Left, 10),
        column("ROLE", Align::Left, 8),
        column("APPROVALS", Align::Right, 0),
        column("WHAT", Align::Left, 16),
        column("REASON", Align::Left, 10),
    ]);
    for review in reviews {
        let given = review.get("approvers").and_then(Value::as_array).map_or(0, Vec::len);
        table.row(vec![
            Cell::from(field(review, "id")),
            field(review, "status").into(),
            output::moment(field(review, "requested_at")).into(),
            field(review, "user").into(),
            field(review, "role").into(),
            format!("{given}/{}", number(review, "approvals_needed")).into(),
            what(review).into(),
            field(review, "reason").into(),
        ]);
    }
    table.render(Paint::stdout(), output::terminal_width())
}

/// A review in words.
fn story(review: &Value) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            text.push_str(&format!("{name:<12}{value}\n"));
        }
    };
    let plain = |name: &str| clean::line(field(review, name));
    let time = |name: &str| match field(review, name) {
        "" => String::new(),
        time => output::moment(time),
    };
    line("review", plain("id"));
    line("status", format!("{} ({})", plain("status"), approvals(review)));
    line("session", plain("session"));
    line("user", plain("user"));
    line("agent", plain("agent"));
    line("role", plain("role"));
    line("what", clean::line(&what(review)));
    line("reason", plain("reason"));
    line("asked", time("requested_at"));
    line("expires", time("expires_at"));
    line("until", time("valid_until"));
    let groups = review.get("groups").and_then(Value::as_array).into_iter().flatten();
    let groups: Vec<&str> = groups.filter_map(Value::as_str).collect();
    line("asked of", clean::line(&groups.join(", ")));
    for said in review.get("decisions").and_then(Value::as_array).into_iter().flatten() {
        let flag = |name: &str| said.get(name).and_then(Value::as_bool).unwrap_or(false);
        let by = match field(said, "by") {
            "" => String::new(),
            by => format!(" by {}", clean::line(by)),
        };
        let alone = if flag("forced") { " alone" } else { "" };
        let vain = if flag("effective") { "" } else { " (without effect)" };
        let comment = match field(said, "comment") {
            "" => String::new(),
            comment => format!(": {}", clean::line(comment)),
        };
        let decision = clean::line(field(said, "decision"));
        line(
            &output::moment(field(said, "time")),
            format!("  {decision}{alone}{by}{vain}{comment}"),
        );
    }
    text
}
