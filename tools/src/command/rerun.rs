//! `daybook rerun`: has a command run again, and shows what differs.

use crate::cli::Exit;
use crate::client::Client;
use crate::diff::{self, Line};
use crate::output::{self, Look, Paint, clean};
use crate::rows::field;
use crate::source::{ServerArgs, escape};
use anyhow::anyhow;
use serde_json::{Value, json};
use std::io::Write as _;

/// The arguments of `daybook rerun`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  daybook rerun ses_k3v9 7 --reason 'is it still 41?' --wait

The command is run by who takes runs of its role: a proxy, or `daybook runner` (docs/rerun.md). With --wait the exit
code is 0 if both gave the same result, and 1 if not, or if it was not run.")]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// The session of the command
    session: String,
    /// The command's number in it (`seq`)
    seq: u32,
    /// The resource role to run it on [default: the session's]
    #[arg(long)]
    role: Option<String>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    /// Who asks, where no token says it
    #[arg(long)]
    by: Option<String>,
    /// Start it again if its runner dies: only for what changes nothing
    #[arg(long)]
    repeat: bool,
    /// Wait until it has ended, and show what differs
    #[arg(long)]
    wait: bool,
    /// Print the run as JSON
    #[arg(long)]
    json: bool,
}

/// How many of a result's first events are looked through for its command.
const FIRST: u32 = 20;
/// Lines around a difference that are shown.
const AROUND: usize = 3;

/// Runs the command.
///
/// # Errors
/// What the server says.
pub async fn run(args: Args, quiet: bool) -> anyhow::Result<Exit> {
    let client = args.server.client()?;
    let asked = json!({"command": args.seq, "role": args.role, "reason": args.reason, "by": args.by,
        "repeat": args.repeat});
    let path = format!("/v1/sessions/{}/rerun", escape(&args.session));
    let mut run = client.post(&path, &asked).await?;
    let mut told = String::new();
    while args.wait && !ended(field(&run, "state")) {
        tell(&run, &mut told, quiet || args.json);
        let version = run.get("version").cloned().unwrap_or_default().to_string();
        let params = [("wait", "30s".to_owned()), ("version", version)];
        run = client.get(&format!("/v1/runs/{}", escape(field(&run, "id"))), &params).await?;
    }
    tell(&run, &mut told, quiet || args.json);
    if args.json {
        output::print_json(&run)?;
    }
    if !args.wait {
        return Ok(Exit::Well);
    }
    if field(&run, "state") != "done" {
        return Ok(Exit::Look);
    }
    let before = first(&client, &args.session, args.seq, 1).await?;
    let after = first(&client, field(&run, "result"), 0, FIRST).await?;
    let (Some(before), Some(after)) = (before.first(), after.iter().find(|item| is_of(item, &run)))
    else {
        return Err(anyhow!("one of the two commands can't be read; `daybook show` says why"));
    };
    let (before, after) = (told_of(before), told_of(after));
    if !args.json {
        output::print(&compared(&before, &after, Paint::stdout()))?;
    }
    Ok(if before == after { Exit::Well } else { Exit::Look })
}

fn ended(state: &str) -> bool {
    !["waiting", "requested", "leased", "running"].contains(&state)
}

/// Says where it stands, once for each state.
fn tell(run: &Value, told: &mut String, quiet: bool) {
    let state = field(run, "state");
    if quiet || told == state {
        return;
    }
    state.clone_into(told);
    let line = |name| clean::line(field(run, name));
    let more = match state {
        "waiting" => format!("for the approval of {}", line("review")),
        "requested" => format!("for whoever takes runs of {}", line("role")),
        "leased" | "running" => format!("by {}", line("taker")),
        "done" => format!("in the session {}", line("result")),
        _ => line("why"),
    };
    // To a person who may be gone: that is no reason to end badly.
    let _ = writeln!(std::io::stderr(), "run {}: {state} {more}", line("id"));
}

/// The first items of a session from a number on.
async fn first(
    client: &Client,
    session: &str,
    from: u32,
    limit: u32,
) -> anyhow::Result<Vec<Value>> {
    let path = format!("/v1/sessions/{}/timeline", escape(session));
    let params = [("from", from.to_string()), ("limit", limit.to_string())];
    let page = client.get(&path, &params).await?;
    Ok(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default())
}

fn is_of(item: &Value, run: &Value) -> bool {
    let of = format!("{}:{}", field(run, "session"), run.get("command").unwrap_or(&Value::Null));
    field(item, "kind") == "command" && field(item, "rerun_of") == of
}

/// What is told of a command: what came back, and how it ended.
fn told_of(item: &Value) -> String {
    let mut text = clean::text(field(item, "output"));
    for output in item.get("outputs").and_then(Value::as_array).into_iter().flatten() {
        text.push_str(&clean::text(&crate::show::content(output)));
        if output.get("truncated").is_some_and(|cut| *cut == true) {
            text.push_str("\n(the producer cut this output)\n");
        }
    }
    let text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    let end = item.get("end").unwrap_or(&Value::Null);
    let of = |name| end.get(name).or(item.get(name)).filter(|value| !value.is_null());
    let ended: Vec<String> = ["rows", "exit_code", "error"]
        .into_iter()
        .filter_map(|name| Some(format!("{name}: {}", clean::line(&of(name)?.to_string()))))
        .collect();
    format!("{}\n{}", text.trim_end(), ended.join("\n"))
}

/// The differences, with the lines around each; one sentence where there are none.
fn compared(before: &str, after: &str, paint: Paint) -> String {
    if before == after {
        return "both gave the same result\n".to_owned();
    }
    let all = diff::lines(before, after);
    let near = |at: usize| {
        let (from, to) = (at.saturating_sub(AROUND), (at + AROUND + 1).min(all.len()));
        all.get(from..to).is_some_and(|some| some.iter().any(|line| !matches!(line, Line::Same(_))))
    };
    let mut text = String::new();
    let mut left_out = false;
    for (at, line) in all.iter().enumerate() {
        if !near(at) {
            left_out = true;
            continue;
        }
        if std::mem::take(&mut left_out) {
            text.push_str(&paint.dim("..."));
            text.push('\n');
        }
        let shown = match line {
            Line::Same(line) => format!("  {line}"),
            Line::Gone(line) => paint.show(Look::Bad, &format!("- {line}")),
            Line::Come(line) => paint.show(Look::Good, &format!("+ {line}")),
        };
        text.push_str(&shown);
        text.push('\n');
    }
    text
}
