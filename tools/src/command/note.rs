//! `daybook note`: what somebody has to say about a session.

use crate::cli::Exit;
use crate::output::{self, clean};
use crate::rows::field;
use crate::source::{ServerArgs, escape};
use serde_json::json;

/// The arguments of `daybook note`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// The session's id
    id: String,
    /// What is to be said; without it, the notes that there are are shown
    text: Option<String>,
    /// The command that it is about, by its number (`seq`)
    #[arg(long, value_name = "SEQ")]
    command: Option<u32>,
    /// Who says it; where the server asks for a token, it is the token's name
    #[arg(long)]
    by: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// What the server says.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let client = args.server.client()?;
    let path = format!("/v1/sessions/{}/notes", escape(&args.id));
    if let Some(text) = args.text {
        let note = json!({ "text": text, "command": args.command, "by": args.by });
        let note = client.post(&path, &note).await?;
        if args.json {
            output::print_json(&note)?;
        } else {
            output::print(&line(&note))?;
        }
        return Ok(Exit::Well);
    }
    let mut cursor = String::new();
    loop {
        let page = client.get(&path, &[("cursor", cursor)]).await?;
        for note in page["items"].as_array().into_iter().flatten() {
            let more =
                if args.json { output::print_json(note)? } else { output::print(&line(note))? };
            if !more {
                return Ok(Exit::Well);
            }
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return Ok(Exit::Well),
        }
    }
}

fn line(note: &serde_json::Value) -> String {
    let about =
        note["command"].as_u64().map(|seq| format!(" on command {seq}")).unwrap_or_default();
    let (time, by) = (output::moment(field(note, "time")), clean::line(field(note, "by")));
    format!("{time}  {by}{about}: {}\n", clean::line(field(note, "text")))
}
