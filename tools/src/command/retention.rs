//! `daybook retention`: how long what is kept, and deleting what is past that.

use super::config::policy;
use crate::admin::Admin;
use crate::cli::Exit;
use crate::config::setting;
use crate::output::{self, Align, Column, Paint, Table, clean, count};
use crate::rows::{field, number};
use crate::source::TargetArgs;
use anyhow::Context as _;
use daybook_engine::retention::{Policy, Rule};
use serde_json::Value;
use std::path::PathBuf;

/// The arguments of `daybook retention`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show the policy
    Show(ShowArgs),
    /// Replace the policy
    Set(SetArgs),
    /// Delete what is past its age and not held; with --dry-run say what would go
    Run(RunArgs),
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Rules such as "type:ssh role:lab-* 30d"; the first that fits a session decides, and one without
    /// conditions ("1y") is for all others, which are kept forever without it
    #[arg(value_name = "RULE")]
    rules: Vec<Rule>,
    /// The most bytes of sealed segments, such as 500GiB: past it the oldest go
    #[arg(long, value_name = "SIZE", value_parser = setting::size)]
    bytes_max: Option<u64>,
    /// Take the policy from a file of JSON, as `show --json` prints it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rules", "bytes_max"])]
    file: Option<PathBuf>,
    /// Who changes it
    #[arg(long, env = "USER")]
    by: String,
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Delete nothing; say what would go
    #[arg(long)]
    dry_run: bool,
    /// Who deletes
    #[arg(long, env = "USER")]
    by: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command; something that should have gone and did not makes the exit code 1.
///
/// # Errors
/// What the server or the log says.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    match args.action {
        Action::Show(args) => {
            let answer = Admin::open(&args.target).await?.policy().await?;
            show(&answer, args.json)?;
        }
        Action::Set(args) => {
            let policy = match &args.file {
                Some(path) => read(path)?,
                None => policy(&args.rules, args.bytes_max)?,
            };
            let answer = Admin::open(&args.target).await?.set_policy(policy, args.by).await?;
            show(&answer, false)?;
        }
        Action::Run(args) => {
            let by = (!args.dry_run).then_some(args.by);
            let report = Admin::open(&args.target).await?.run(by).await?;
            if args.json {
                output::print_json(&report)?;
            } else {
                output::print(&told(&report, args.dry_run))?;
            }
            let failed = report.get("failed").and_then(Value::as_array);
            if failed.is_some_and(|failed| !failed.is_empty()) {
                return Ok(Exit::Look);
            }
        }
    }
    Ok(Exit::Well)
}

fn read(path: &std::path::Path) -> anyhow::Result<Policy> {
    let shown = path.display();
    let text = std::fs::read(path).with_context(|| format!("can't read {shown}"))?;
    serde_json::from_slice(&text).with_context(|| format!("{shown} is no policy"))
}

fn show(answer: &Value, as_json: bool) -> anyhow::Result<()> {
    let policy = answer.get("policy").context("the answer has no policy")?;
    if as_json {
        output::print_json(policy)?;
        return Ok(());
    }
    let policy: Policy = serde_json::from_value(policy.clone())?;
    let mut text = String::new();
    for rule in &policy.rules {
        text.push_str(&format!("{}\n", clean::line(&rule.to_string())));
    }
    text.push_str(&format!("all others {}\n", policy.default));
    if let Some(bytes) = policy.bytes_max {
        text.push_str(&format!("at most {} in sealed segments\n", output::bytes(bytes)));
    }
    output::print(&text)?;
    Ok(())
}

fn told(report: &Value, dry_run: bool) -> String {
    let list = |name| report.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let (gone, failed) = (list("gone"), list("failed"));
    let mut text = String::new();
    if gone.is_empty() {
        text.push_str("nothing is past its age\n");
    } else {
        let column = |name, align| Column { name, align, least: 0 };
        let mut table = Table::new(&[
            column(if dry_run { "WOULD GO" } else { "GONE" }, Align::Left),
            column("SESSIONS", Align::Right),
            column("EVENTS", Align::Right),
            column("KEPT", Align::Right),
            column("BYTES", Align::Right),
            column("RULES", Align::Left),
        ]);
        for item in gone {
            let rules = item.get("rules").and_then(Value::as_array);
            let rules = rules.into_iter().flatten().filter_map(Value::as_str);
            table.row(vec![
                field(item, "segment").into(),
                count(number(item, "sessions")).into(),
                count(number(item, "events")).into(),
                count(number(item, "kept_events")).into(),
                output::bytes(number(item, "bytes")).into(),
                rules.collect::<Vec<_>>().join("; ").into(),
            ]);
        }
        text.push_str(&table.render(Paint::stdout(), output::terminal_width()));
    }
    for item in failed {
        let (segment, error) = (field(item, "segment"), field(item, "error"));
        text.push_str(&format!("not erased: {}: {}\n", clean::line(segment), clean::line(error)));
    }
    text
}
