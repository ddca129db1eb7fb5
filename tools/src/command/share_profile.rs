//! `daybook share-profile`: what a client of Delta Sharing needs.

use super::token;
use crate::cli::Exit;
use crate::client::DEFAULT_SERVER;
use crate::output;
use anyhow::{Context as _, bail};
use daybook_server::auth::tokens::{NewToken, Scope};
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// The arguments of `daybook share-profile`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  daybook share-profile create --name lake --expires 90d --server https://daybook.example.com -o daybook.share

A profile has a token with the scope `export`: whoever has it may read all feeds, and export all events. `daybook token
list` shows the token, and `daybook token revoke` ends it (docs/feeds.md).")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a token, and print the profile, or write it to a file: this once
    Create(Create),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The data directory
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// Whose it is [default: the token's id]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Not valid any more after this time, such as 90d [default: valid until it is revoked]
    #[arg(long, value_name = "AGE")]
    expires: Option<String>,
    /// The server's address, as those who get the profile reach it [default: DAYBOOK_SERVER, or
    /// http://127.0.0.1:7330]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The file to write, which only you may read then; there must be none [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// A directory that is not a data directory, an address that is none, a file that is there, and the system's.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let Action::Create(create) = args.action;
    let endpoint = endpoint(create.server)?;
    let tokens = token::open(&create.data)?;
    let expires = token::expires(create.expires.as_deref())?;
    // Before there is a token: what fails then leaves none behind.
    let file = match &create.output {
        None => None,
        Some(path) => {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            Some((file.with_context(|| format!("can't make {}", path.display()))?, path))
        }
    };
    let new = NewToken {
        name: create.name,
        scopes: vec![Scope::Export],
        roles: Vec::new(),
        users: Vec::new(),
        groups: Vec::new(),
        any_session: false,
        bytes_per_second: None,
        expires,
    };
    let made = tokens.create(new).context("can't make a token");
    if made.is_err()
        && let Some((_, path)) = &file
    {
        // It is empty. What is wrong with the token is what has to be told.
        let _ = fs::remove_file(path);
    }
    let (token, secret) = made?;
    let mut profile = json!({
        "shareCredentialsVersion": 1,
        "endpoint": endpoint,
        "bearerToken": secret,
    });
    if let (Some(at), Some(profile)) = (expires, profile.as_object_mut()) {
        profile.insert("expirationTime".to_owned(), json!(at.to_string()));
    }
    let Some((mut file, path)) = file else {
        output::print_json(&profile)?;
        return Ok(Exit::Well);
    };
    let written = file.write_all(format!("{profile}\n").as_bytes()).and_then(|()| file.sync_all());
    written.with_context(|| {
        let id = &token.id;
        format!("can't write {}; revoke its token: daybook token revoke {id}", path.display())
    })?;
    Ok(Exit::Well)
}

fn endpoint(server: Option<String>) -> anyhow::Result<String> {
    let variable = || std::env::var("DAYBOOK_SERVER").ok().filter(|value| !value.is_empty());
    let server = server.or_else(variable).unwrap_or_else(|| DEFAULT_SERVER.to_owned());
    let server = if server.contains("://") { server } else { format!("http://{server}") };
    let url = reqwest::Url::parse(&server).ok();
    if !url.is_some_and(|url| ["http", "https"].contains(&url.scheme())) {
        bail!("`{server}` is not a server's address; write one like https://daybook.example.com");
    }
    Ok(format!("{}/delta-sharing", server.trim_end_matches('/')))
}
