//! `daybook report`: what happened in a period, for who has to vouch for it.

use crate::cli::Exit;
use crate::output;
use crate::source::ServerArgs;
use anyhow::{Context as _, bail};
use std::io::Write as _;
use std::path::PathBuf;

/// The arguments of `daybook report`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Of sessions that started at this time or later (a date, or RFC 3339) [default: 30 days before the end]
    #[arg(long)]
    after: Option<String>,
    /// Of sessions that started before this time [default: now]
    #[arg(long)]
    before: Option<String>,
    /// Only of these roles, such as prod-*; may be repeated
    #[arg(long, value_name = "NAMES")]
    role: Vec<String>,
    /// The file to write: .html (it prints), .csv or .json; without one, JSON is printed
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// What the server says, or a file that can't be written.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let mut params: Vec<(&str, String)> = Vec::new();
    params.extend(args.after.map(|time| ("after", time)));
    params.extend(args.before.map(|time| ("before", time)));
    params.extend(args.role.into_iter().map(|role| ("role", role)));
    let client = args.server.client()?;
    let Some(path) = args.output else {
        output::print_json(&client.get("/v1/report", &params).await?)?;
        return Ok(Exit::Well);
    };
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let format = match ending {
        "html" | "csv" | "json" => ending.to_owned(),
        _ => bail!("{} has none of the endings .html, .csv and .json", path.display()),
    };
    params.push(("format", format));
    let mut response = client.open("/v1/report", &params).await?;
    let failed = || format!("can't write {}", path.display());
    let mut file = std::fs::File::create(&path).with_context(failed)?;
    while let Some(bytes) = response.chunk().await.context("the server broke off; ask again")? {
        file.write_all(&bytes).with_context(failed)?;
    }
    Ok(Exit::Well)
}
