//! What daybook runs with: every bound of the log and of the server in one place.
//!
//! ```text
//! defaults (Options, server::Config) ──► the file (--config) ──► flags ──► Config
//! ```
//!
//! [`SETTINGS`] says of each bound its name, its unit, its least and most, what it is and what happens
//! at it. The file is read by it, `daybook config` prints by it, and `docs/configuration.md` is held to
//! it by a test, as is the code: a bound that has no setting fails that test, too. What can't be
//! set is in [`FIXED`], with what happens there.
//!
//! A key that is none, a value of another kind and a value that is out of its bounds are errors that
//! name the key and the line. Nothing is ever ignored or clamped.
//!
//! | module | what is there |
//! |---|---|
//! | `setting` | a setting, its units and values |
//! | `log`, `service`, `push`, `feed` | the settings of the log, of the service, of each sink and of each feed |
//! | `review`, `notify` | the settings of each rule for access requests, and of each who is told of them |
//! | `tables` | reading such tables |
//! | `queue` | the settings of each queue of sessions to be reviewed |
//! | `fixed` | the bounds that can't be set |
//! | `file` | reading TOML |
//! | `print` | the effective configuration, and the tables of the page |

mod feed;
mod file;
mod fixed;
mod log;
mod notify;
mod print;
mod push;
mod queue;
mod review;
mod service;
pub mod setting;
mod tables;

pub use feed::{Feed, SETTINGS as FEED_SETTINGS};
pub use fixed::{FIXED, Fixed};
pub use notify::SETTINGS as NOTIFY_SETTINGS;
pub use print::{fixed_table, settings_table, toml};
pub use push::SETTINGS as PUSH_SETTINGS;
pub use queue::SETTINGS as QUEUE_SETTINGS;
pub use review::SETTINGS as REVIEW_SETTINGS;

use crate::keys::KeyArgs;
use anyhow::{Context as _, bail};
use daybook_engine::Options;
use daybook_engine::retention::Policy;
use daybook_query::feed::Spec;
use daybook_query::holds::QueryHolds;
use setting::Setting;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Every setting, in the order in which they are shown.
pub const SETTINGS: [&[Setting]; 2] = [service::SETTINGS, log::SETTINGS];

/// What daybook runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the log is.
    pub data: PathBuf,
    /// Is there the feed `native`, if nothing else is said of it?
    pub parquet: bool,
    /// The feeds of which something is said.
    pub feeds: Vec<Spec>,
    /// The file of encryption keys; [`Config::options`] reads it.
    pub encryption_key_file: Option<PathBuf>,
    /// The log's settings.
    pub engine: Options,
    /// The service's settings.
    pub server: daybook_server::Config,
    /// How long what is kept; `None` leaves it to the admin API.
    pub retention: Option<Policy>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            data: PathBuf::from("data"),
            parquet: true,
            feeds: Vec::new(),
            encryption_key_file: None,
            engine: Options::default(),
            server: daybook_server::Config::default(),
            retention: None,
        }
    }
}

impl Config {
    /// The defaults, or what a file makes of them.
    ///
    /// # Errors
    /// A file that can't be read; a key that is none, or a value that can't be used, with its line.
    pub fn load(path: Option<&Path>) -> anyhow::Result<Config> {
        let mut config = Config::default();
        if let Some(path) = path {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("can't read the configuration {}", path.display()))?;
            file::read(&text, &mut config)
                .map_err(|error| anyhow::anyhow!("{} {error}", path.display()))?;
        }
        Ok(config)
    }

    /// Sets one setting from `KEY=VALUE`, as the flag `--set` has it.
    ///
    /// # Errors
    /// A key that is none, or a value that can't be used.
    pub fn set(&mut self, assignment: &str) -> anyhow::Result<()> {
        let Some((key, value)) = assignment.split_once('=') else {
            bail!("`{assignment}` sets nothing; write KEY=VALUE, such as exports_max=8");
        };
        let (key, value) = (key.trim(), value.trim());
        let setting =
            setting(key).map_err(|hint| anyhow::anyhow!("unknown key `{key}`; {hint}"))?;
        setting.set(self, value).map_err(|error| anyhow::anyhow!("`{key}`: {error}"))
    }

    /// The service's settings.
    #[must_use]
    pub fn server(&self) -> daybook_server::Config {
        let mut server = self.server.clone();
        server.feeds.clone_from(&self.feeds);
        let native = Spec::native();
        if self.parquet && !self.feeds.iter().any(|feed| feed.name == native.name) {
            server.feeds.insert(0, native);
        }
        server
    }

    /// The settings of a log that is written to, with its encryption keys.
    ///
    /// # Errors
    /// Keys that can't be read.
    pub fn options(&self) -> anyhow::Result<Options> {
        let mut options = self.engine.clone();
        options.hold_queries = Some(Arc::new(QueryHolds));
        options.encryption = KeyArgs::of(self.encryption_key_file.clone()).read()?;
        Ok(options)
    }
}

/// The setting of a key.
///
/// # Errors
/// What may have been meant.
pub fn setting(key: &str) -> Result<&'static Setting, String> {
    let hint = "`daybook config` lists them all";
    named(SETTINGS.into_iter().flatten(), key, &[], hint)
}

/// The setting of a key among some, beside which there are others.
fn named<'a, C: Clone>(
    all: impl Iterator<Item = &'a Setting<C>> + Clone,
    key: &str,
    others: &[&'static str],
    hint: &str,
) -> Result<&'a Setting<C>, String> {
    if let Some(setting) = all.clone().find(|setting| setting.key == key) {
        return Ok(setting);
    }
    let nearest = all.map(|setting| setting.key).chain(others.iter().copied());
    Err(match nearest.map(|near| (distance(key, near), near)).min() {
        Some((distance, nearest)) if distance <= nearest.len() / 2 => {
            format!("did you mean `{nearest}`? {hint}")
        }
        _ => hint.to_owned(),
    })
}

/// How many letters have to be put in, taken out or exchanged to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((y, old), exchanged) in b.iter().zip(row.iter().skip(1)).zip(&row) {
            let put_in = next.last().copied().unwrap_or(0) + 1;
            next.push(put_in.min(old + 1).min(exchanged + usize::from(x != *y)));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
