//! `daybook share`: a link to a session, or to its file, for who has no token or another one.

use crate::cli::Exit;
use crate::output::{self, clean};
use crate::rows::field;
use crate::source::{ServerArgs, escape};
use daybook_server::DownloadFormat;
use serde_json::{Map, json};

/// The arguments of `daybook share`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  daybook share SESSION --to ann@example.com --to bob@example.com --expires 24h
  daybook share SESSION --anyone --part command:7 --hide-outputs
  daybook share SESSION --file html --note 'for the auditors'

Who has the link sees this part of this session and nothing else, until it expires or is revoked
(`daybook links revoke`). Each use is an event of the session daybook.links.")]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// A reviewer: the name of a token; may be repeated
    #[arg(long, value_name = "NAME", required_unless_present_any = ["anyone", "file"], conflicts_with_all = ["anyone", "file"])]
    to: Vec<String>,
    /// Whoever has the link
    #[arg(long, conflicts_with = "file")]
    anyone: bool,
    /// A link to a file, for whoever has it: txt, ndjson, csv, cast, cast3, parquet or html
    #[arg(long, value_name = "FORMAT", value_parser = DownloadFormat::of)]
    file: Option<DownloadFormat>,
    /// How long it is good, up to 365d
    #[arg(long, value_name = "TIME", default_value = "7d")]
    expires: String,
    /// What of the session: whole, command:SEQ, or FROM..TO, two times
    #[arg(long, default_value = "whole")]
    part: String,
    /// Leave out what came back from commands, and what terminals showed
    #[arg(long)]
    hide_outputs: bool,
    /// What it is for
    #[arg(long)]
    note: Option<String>,
    /// Who makes it, where no token says it
    #[arg(long)]
    by: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The session's id
    id: String,
}

/// Runs the command.
///
/// # Errors
/// What the server says.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let client = args.server.client()?;
    let mut body = Map::new();
    body.insert("expires_in".into(), json!(args.expires));
    body.insert("part".into(), json!(args.part));
    body.insert("outputs".into(), json!(if args.hide_outputs { "hidden" } else { "shown" }));
    body.extend(args.note.map(|note| ("note".into(), json!(note))));
    body.extend(args.by.map(|by| ("by".into(), json!(by))));
    let what = match args.file {
        Some(format) => {
            body.insert("format".into(), json!(format.name()));
            "links"
        }
        None => {
            let to = if args.anyone { json!("anyone") } else { json!(args.to) };
            body.insert("to".into(), to);
            "share"
        }
    };
    let path = format!("/v1/sessions/{}/{what}", escape(&args.id));
    let link = client.post(&path, &body.into()).await?;
    if args.json {
        output::print_json(&link)?;
        return Ok(Exit::Well);
    }
    output::print(&format!(
        "{}{}\nuntil {}; `daybook links revoke {}` ends it\n",
        client.base(),
        clean::line(field(&link, "url")),
        output::moment(field(&link, "expires_at")),
        clean::line(field(&link, "id")),
    ))?;
    Ok(Exit::Well)
}
