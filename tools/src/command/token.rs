//! `daybook token`: who may send events and ask for them.

use crate::cli::Exit;
use crate::config::setting::{age, size};
use crate::output::{self, clean};
use anyhow::{Context as _, bail};
use clap::Subcommand;
use daybook_engine::event::Micros;
use daybook_server::auth::tokens::{NewToken, Scope, Token, Tokens};
use std::path::{Path, PathBuf};

/// The arguments of `daybook token`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Tokens are in the data directory; a server that runs there knows of a change within a second. As \
                  soon as there is one, each request needs one: `Authorization: Bearer TOKEN`."
)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a token, and print it: this once
    Create(Create),
    /// List the tokens, without their secrets
    List(Place),
    /// Revoke a token
    Revoke {
        #[command(flatten)]
        place: Place,
        /// Its id, as the list shows it
        id: String,
    },
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The data directory
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Create {
    #[command(flatten)]
    place: Place,
    /// What it may be used for: ingest, read, export, review, admin (repeatable)
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = scope)]
    scopes: Vec<Scope>,
    /// Only sessions of this role; `*` stands for anything (repeatable)
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Only sessions of this user; `*` stands for anything (repeatable)
    #[arg(long = "user", value_name = "USER")]
    users: Vec<String>,
    /// A group that whoever has it is in, for access requests (repeatable)
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// May write into sessions that another producer began
    #[arg(long)]
    any_session: bool,
    /// Bytes of events a second in the long run, such as 10MiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    rate: Option<u64>,
    /// Not valid any more after this time, such as 90d
    #[arg(long, value_name = "AGE")]
    expires: Option<String>,
    /// Whose it is: the producer that its events are stamped with [default: the token's id]
    name: Option<String>,
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).ok_or_else(|| {
        let names: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).collect();
        format!("`{text}` is not a scope; those are {}", names.join(", "))
    })
}

/// Runs the command.
///
/// # Errors
/// A directory that is not a data directory, and the system's.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    match args.action {
        Action::Create(create) => make(create),
        Action::List(place) => list(&place),
        Action::Revoke { place, id } => revoke(&place, &id),
    }
}

/// The tokens of a data directory.
pub(super) fn open(dir: &Path) -> anyhow::Result<Tokens> {
    if !dir.join("DAYBOOK").is_file() {
        bail!(
            "{} is not a data directory (there is no file DAYBOOK): start a server there once, or name another with --data",
            dir.display()
        );
    }
    Tokens::open(dir).context("can't read the tokens")
}

/// When something expires that is to be valid for an age.
pub(super) fn expires(flag: Option<&str>) -> anyhow::Result<Option<Micros>> {
    match flag.map(age).transpose() {
        Ok(age) => Ok(age.map(|age| Micros::now().saturating_add(age))),
        Err(what) => bail!("--expires: {what}"),
    }
}

fn make(create: Create) -> anyhow::Result<Exit> {
    let tokens = open(&create.place.data)?;
    let expires = expires(create.expires.as_deref())?;
    let new = NewToken {
        name: create.name,
        scopes: create.scopes,
        roles: create.roles,
        users: create.users,
        groups: create.groups,
        any_session: create.any_session,
        bytes_per_second: create.rate,
        expires,
    };
    let (token, secret) = tokens.create(new).context("can't make a token")?;
    if create.place.json {
        output::print_json(
            &serde_json::json!({ "token": secret, "id": token.id, "name": token.name }),
        )?;
    } else {
        output::print(&format!("{secret}\n"))?;
    }
    Ok(Exit::Well)
}

fn list(place: &Place) -> anyhow::Result<Exit> {
    let tokens = open(&place.data)?.list();
    if place.json {
        for token in &tokens {
            output::print_json(&shown(token))?;
        }
        return Ok(Exit::Well);
    }
    let mut text = String::new();
    for token in &tokens {
        let state = match (token.revoked, token.expires) {
            (Some(at), _) => format!("revoked {}", output::moment(&Micros(at).to_string())),
            (None, Some(at)) => format!("until {}", output::moment(&Micros(at).to_string())),
            (None, None) => "valid".to_owned(),
        };
        let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.name()).collect();
        let limits: Vec<String> = (token.roles.iter().map(|role| format!("role:{role}")))
            .chain(token.users.iter().map(|user| format!("user:{user}")))
            .chain(token.groups.iter().map(|group| format!("group:{group}")))
            .collect();
        text.push_str(&format!(
            "{}  {}  {}  {}  {}\n",
            token.id,
            clean::line(&token.name),
            scopes.join(","),
            state,
            clean::line(&limits.join(" ")),
        ));
    }
    if text.is_empty() {
        text.push_str(
            "there are no tokens: who reaches the port may do everything, so it is loopback only\n",
        );
    }
    output::print(&text)?;
    Ok(Exit::Well)
}

fn shown(token: &Token) -> serde_json::Value {
    let mut json = serde_json::to_value(token).unwrap_or_default();
    if let Some(object) = json.as_object_mut() {
        object.remove("hash");
    }
    json
}

fn revoke(place: &Place, id: &str) -> anyhow::Result<Exit> {
    let revoked = open(&place.data)?.revoke(id).context("can't revoke it")?;
    let Some(token) = revoked else {
        bail!("there is no token `{}`; `daybook token list` shows them", clean::line(id));
    };
    if place.json {
        output::print_json(&shown(&token))?;
    } else {
        output::print(&format!("{} of {} is revoked\n", token.id, clean::line(&token.name)))?;
    }
    Ok(Exit::Well)
}
