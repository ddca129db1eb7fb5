//! `daybook config`: what the server would run with; and the flags that say it.

use crate::cli::Exit;
use crate::config::{self, Config, setting};
use crate::output;
use daybook_engine::retention::{Policy, Rule};
use daybook_server::ClientAuth;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What a log and its server run with: a file's settings, and flags over them.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConfigArgs {
    /// A TOML file of settings; `daybook config` prints one with all of them
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sets any of the file's settings; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where the log is, or will be [default: data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The address to listen on; port 0 takes a free one [default: 127.0.0.1:7330]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Speak TLS with this certificate, in PEM with those that lead to its root; read again when it
    /// changes, and on SIGHUP
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The certificate's key, in PEM
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Ask clients for a certificate that leads to one of these roots, in PEM
    #[arg(long, value_name = "FILE")]
    tls_client_ca: Option<PathBuf>,
    /// Must clients show one? required or optional [default: required]
    #[arg(long, value_name = "WHETHER")]
    tls_client_auth: Option<ClientAuth>,
    /// The address to listen on for sudo's logs, such as 127.0.0.1:30343 [default: none]
    #[arg(long, value_name = "ADDR")]
    sudo_listen: Option<SocketAddr>,
    /// A journal is sealed into a segment at this size, such as 64MiB [default: 256MiB]
    #[arg(long, value_name = "SIZE", value_parser = setting::size)]
    journal_bytes: Option<u64>,
    /// A journal is sealed into a segment at this age, such as 20s or 15m [default: 15m]
    #[arg(long, value_name = "AGE", value_parser = setting::age)]
    journal_age: Option<Duration>,
    /// A file with the log's encryption keys (see `daybook keygen`) [default: the lines in
    /// DAYBOOK_ENCRYPTION_KEY, or no encryption]
    #[arg(long, value_name = "FILE")]
    encryption_key_file: Option<PathBuf>,
    /// How long some sessions are kept, such as "type:ssh role:lab-* 30d"; the first that fits decides,
    /// and one without conditions ("1y") is for all others. May be repeated
    #[arg(long, value_name = "RULE")]
    keep: Vec<Rule>,
    /// The most bytes of sealed segments, such as 500GiB: past it the oldest go
    #[arg(long, value_name = "SIZE", value_parser = setting::size)]
    keep_bytes: Option<u64>,
    /// Do not index texts: searches read the log
    #[arg(long)]
    no_text_index: bool,
    /// Leave out the feed `native` of Parquet files, if no table [feed.native] asks for it
    #[arg(long)]
    no_parquet: bool,
}

impl ConfigArgs {
    /// The effective configuration.
    ///
    /// # Errors
    /// A file that can't be read, a key that is none, or a value that can't be used.
    pub fn effective(&self) -> anyhow::Result<Config> {
        let mut config = Config::load(self.config.as_deref())?;
        for assignment in &self.set {
            config.set(assignment)?;
        }
        if let Some(data) = &self.data {
            config.data.clone_from(data);
        }
        if let Some(listen) = self.listen {
            config.server.listen = listen;
        }
        let tls = &mut config.server;
        for (setting, flag) in [
            (&mut tls.tls_cert, &self.tls_cert),
            (&mut tls.tls_key, &self.tls_key),
            (&mut tls.tls_client_ca, &self.tls_client_ca),
        ] {
            if flag.is_some() {
                setting.clone_from(flag);
            }
        }
        if let Some(auth) = self.tls_client_auth {
            tls.tls_client_auth = auth;
        }
        if self.sudo_listen.is_some() {
            config.server.sudo_listen = self.sudo_listen;
        }
        if let Some(bytes) = self.journal_bytes {
            config.set(&format!("journal_bytes_max={bytes}"))?;
        }
        if let Some(age) = self.journal_age {
            config.set(&format!("journal_age_max={}ms", age.as_millis()))?;
        }
        if let Some(file) = &self.encryption_key_file {
            config.encryption_key_file = Some(file.clone());
        }
        if !self.keep.is_empty() || self.keep_bytes.is_some() {
            config.retention = Some(policy(&self.keep, self.keep_bytes)?);
        }
        config.engine.text_index &= !self.no_text_index;
        config.parquet &= !self.no_parquet;
        Ok(config)
    }
}

/// The policy of some rules; the one without conditions is the default.
pub(super) fn policy(rules: &[Rule], bytes_max: Option<u64>) -> anyhow::Result<Policy> {
    let mut policy = Policy { bytes_max, ..Policy::default() };
    let mut default = None;
    for rule in rules {
        if rule.user.is_some() || rule.role.is_some() || rule.kind.is_some() {
            policy.rules.push(rule.clone());
        } else if default.replace(rule.keep).is_some() {
            anyhow::bail!("two rules without conditions; only one can be for all others");
        }
    }
    policy.default = default.unwrap_or_default();
    policy.check().map_err(anyhow::Error::msg)?;
    Ok(policy)
}

/// The arguments of `daybook config`.
#[derive(Debug, clap::Args)]
#[command(after_help = "docs/configuration.md has the same as a page.")]
pub struct Args {
    #[command(flatten)]
    settings: ConfigArgs,
}

/// Prints the effective configuration as a file.
///
/// # Errors
/// As [`ConfigArgs::effective`].
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    output::print(&config::toml(&args.settings.effective()?))?;
    Ok(Exit::Well)
}
