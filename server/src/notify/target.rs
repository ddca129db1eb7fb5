//! What is told to whom: a table `[notify.NAME]` of the configuration.

use crate::alerts::Secret;
use daybook_engine::catalog::filter::Pattern;
use daybook_engine::event::Decision;
use reqwest::Url;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest name.
const NAME_BYTES_MAX: usize = 64;

/// In which form somebody is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As Standard Webhooks has it, signed.
    #[default]
    Standard,
    /// As Slack's incoming webhooks take it.
    Slack,
    /// As Teams' workflows take it: an Adaptive Card.
    Teams,
}

impl Form {
    /// All of them, by their names.
    pub const ALL: [(&'static str, Form); 3] =
        [("standard", Form::Standard), ("slack", Form::Slack), ("teams", Form::Teams)];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Form::ALL.iter().find(|(_, form)| *form == self).map_or("", |(name, _)| name)
    }
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Somebody asks.
    Request,
    /// Something was said.
    Decision(Decision),
}

impl Told {
    /// Its name: `request`, `approved`, ...
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Told::Request => "request",
            Told::Decision(decision) => decision.name(),
        }
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Told> {
        std::iter::once(Told::Request).chain(Decision::ALL.iter().copied().map(Told::Decision))
    }

    /// Those of some names.
    ///
    /// # Errors
    /// The names that there are.
    pub fn parse(names: &[String]) -> Result<Vec<Told>, String> {
        let one = |name: &String| {
            Told::all().find(|told| told.name() == name).ok_or_else(|| {
                let names: Vec<&str> = Told::all().map(Told::name).collect();
                format!("`{name}` is none of {}", names.join(", "))
            })
        };
        names.iter().map(one).collect()
    }
}

/// Somebody who is told of access requests.
#[derive(Clone)]
pub struct Target {
    /// Its name.
    pub name: Box<str>,
    /// Where it is told.
    pub url: Option<Url>,
    /// The file of the secret that is signed with.
    pub secret_file: Option<PathBuf>,
    /// In which form.
    pub form: Form,
    /// What.
    pub events: Vec<Told>,
    /// Of sessions of which roles (`*` stands for anything); empty for all.
    pub roles: Vec<String>,
    /// A message that can't be delivered for so long is put aside.
    pub give_up_after: Duration,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An address is often all that it takes to post there.
        let url = self.url.as_ref().map(|url| url.origin().ascii_serialization());
        f.debug_struct("Target")
            .field("name", &self.name)
            .field("url", &url)
            .field("secret_file", &self.secret_file)
            .field("form", &self.form)
            .field("events", &self.events)
            .field("roles", &self.roles)
            .field("give_up_after", &self.give_up_after)
            .finish()
    }
}

impl Target {
    /// One that is told everything but that something ran.
    ///
    /// # Errors
    /// A name that can't be used.
    pub fn new(name: &str) -> Result<Target, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(plain) {
            return Err(format!("a name has 1 to {NAME_BYTES_MAX} letters, digits, `-` and `_`"));
        }
        Ok(Target {
            name: name.into(),
            url: None,
            secret_file: None,
            form: Form::Standard,
            events: Told::all()
                .filter(|told| *told != Told::Decision(Decision::Executed))
                .collect(),
            roles: Vec::new(),
            give_up_after: Duration::from_secs(86_400),
        })
    }

    /// Is it whole?
    ///
    /// # Errors
    /// What is missing.
    pub fn check(&self) -> Result<(), String> {
        if self.url.is_none() {
            return Err("`url` is missing: write https://HOST/PATH".to_owned());
        }
        if self.form == Form::Standard && self.secret_file.is_none() {
            return Err("`secret_file` is missing: what is sent in the form `standard` is signed"
                .to_owned());
        }
        Ok(())
    }

    /// Takes an address.
    ///
    /// # Errors
    /// One that can't be posted to.
    pub fn set_url(&mut self, text: &str) -> Result<(), String> {
        let url = Url::parse(text).ok();
        let url =
            url.filter(|url| matches!(url.scheme(), "https" | "http") && url.host().is_some());
        self.url = Some(url.ok_or("write https://HOST/PATH, or http:// for one near by")?);
        Ok(())
    }

    /// What messages are signed with, if they are.
    ///
    /// # Errors
    /// A file that can't be used.
    pub(super) fn secret(&self) -> Result<Option<Secret>, String> {
        let Some(path) = &self.secret_file else { return Ok(None) };
        read_secret(path).map(Some)
    }

    /// Is it told of this, of a session of this role?
    pub(super) fn hears(&self, told: Told, role: Option<&str>) -> bool {
        let role = role.unwrap_or_default();
        let of_role = self.roles.is_empty()
            || self.roles.iter().any(|one| Pattern::wildcard(one).matches(role));
        of_role && self.events.contains(&told)
    }
}

fn read_secret(path: &Path) -> Result<Secret, String> {
    // More is no secret.
    const BYTES_MAX: u64 = 4_096;
    let failed = |what: &dyn fmt::Display| format!("`secret_file` {}: {what}", path.display());
    let len = std::fs::metadata(path).map_err(|error| failed(&error))?.len();
    if len > BYTES_MAX {
        return Err(failed(&format!("it has more than {BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    Secret::parse(text.trim()).map_err(|what| failed(&what))
}
