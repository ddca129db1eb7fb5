//! The settings of a sink: where events are sent, in which form, and which of them.

use crate::outbound;
use daybook_query::ocsf::{Mapping, Outputs, Version};
use daybook_query::search::Form;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How many sinks there may be: each event is asked of each.
pub const SINKS_MAX: usize = 100;
/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// The longest name of a machine that a syslog header has room for, in bytes.
const HOSTNAME_BYTES_MAX: usize = 255;
/// The longest enterprise number behind `daybook@`, in bytes: together they have 32.
const ENTERPRISE_BYTES_MAX: usize = 24;
/// Headers that a sink sets itself.
const OWN_HEADERS: [&str; 6] = [
    "content-type",
    "content-encoding",
    "content-length",
    "transfer-encoding",
    "host",
    "idempotency-key",
];

/// Where events are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Posted to this address.
    Http(Url),
    /// As syslog, to a host and a port.
    Syslog {
        /// The host, by name or address.
        host: Box<str>,
        /// Its port.
        port: u16,
        /// Over TLS?
        tls: bool,
    },
}

impl Target {
    /// Is it TLS that is spoken?
    #[must_use]
    pub fn is_tls(&self) -> bool {
        match self {
            Target::Http(url) => url.scheme() == "https",
            Target::Syslog { tls, .. } => *tls,
        }
    }

    /// The address without what may be secret of it: a query may hold a key.
    #[must_use]
    pub fn public(&self) -> String {
        match self {
            Target::Http(url) => format!("{}{}", url.origin().ascii_serialization(), url.path()),
            Target::Syslog { .. } => self.to_string(),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let right = "write https://HOST/PATH, http://HOST/PATH, syslog+tls://HOST:6514 or syslog+tcp://HOST:601";
        let url = Url::parse(text).map_err(|_| right.to_owned())?;
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            let what = "an address has no user, no password and no `#`: they would be shown; use token_file or headers";
            return Err(what.to_owned());
        }
        let tls = match url.scheme() {
            "http" | "https" if url.has_host() => return Ok(Target::Http(url)),
            "syslog+tls" => true,
            "syslog+tcp" => false,
            _ => return Err(right.to_owned()),
        };
        let host = url.host_str().unwrap_or_default();
        if host.is_empty() || !["", "/"].contains(&url.path()) || url.query().is_some() {
            return Err(right.to_owned());
        }
        let port = url.port().unwrap_or(if tls { 6514 } else { 601 });
        Ok(Target::Syslog { host: host.into(), port, tls })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Http(url) => url.fmt(f),
            Target::Syslog { host, port, tls: true } => write!(f, "syslog+tls://{host}:{port}"),
            Target::Syslog { host, port, tls: false } => write!(f, "syslog+tcp://{host}:{port}"),
        }
    }
}

/// An enum whose values are words of the configuration.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $value:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name {
            $($(#[$of])* $value,)+
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $($name::$value => $word,)+
                })
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<$name, String> {
                match text {
                    $($word => Ok($name::$value),)+
                    _ => Err(format!("write {}", [$($word),+].join(" or "))),
                }
            }
        }
    };
}

words! {
    /// What is sent of an event.
    Format {
        /// The event as it was sent, with what daybook added.
        #[default]
        Native = "native",
        /// Its rows of OCSF.
        Ocsf = "ocsf",
    }
}

words! {
    /// Where a sink begins that has no place yet.
    Begin {
        /// With what arrives from now on.
        #[default]
        Now = "now",
        /// With the first event of the log.
        Start = "start",
    }
}

words! {
    /// How the bodies of requests are compressed.
    Compression {
        /// Not at all.
        #[default]
        None = "none",
        /// As gzip.
        Gzip = "gzip",
        /// As zstd.
        Zstd = "zstd",
    }
}

/// A header's value: often all that it takes to send there, so it is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(HeaderValue);

impl Hidden {
    /// As it is sent.
    pub(super) fn reveal(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}

/// A sink, as it is configured.
#[derive(Clone, Debug)]
pub struct Sink {
    /// Its name; its place on disk is under it.
    pub name: Box<str>,
    /// Where events are sent; none is an error of [`Sink::check`].
    pub url: Option<Target>,
    /// In which form.
    pub format: Format,
    /// The version of OCSF.
    pub version: Version,
    /// What rows of OCSF have of outputs.
    pub outputs: Outputs,
    /// In OCSF, is a blocked command a finding, too?
    pub findings: bool,
    /// Which events, in daybook's language; empty for all.
    pub query: String,
    /// Where it begins.
    pub from: Begin,
    /// The file of the token that requests carry.
    pub token_file: Option<PathBuf>,
    /// Headers that requests carry.
    pub headers: BTreeMap<String, Hidden>,
    /// How bodies are compressed.
    pub compression: Compression,
    /// The roots that the receiver's certificate may lead to, in PEM; none: those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// The certificate that the receiver is shown, in PEM.
    pub client_cert_file: Option<PathBuf>,
    /// The certificate's key, in PEM.
    pub client_key_file: Option<PathBuf>,
    /// The most events of a batch.
    pub batch_events_max: usize,
    /// The most bytes of a batch's lines, unless one event alone has more.
    pub batch_bytes_max: usize,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// The longest wait after a failure, unless the receiver asks for more.
    pub wait_max: Duration,
    /// How many refused events are noted; with one more the sink stands.
    pub refused_max: usize,
    /// How many events are sent again on each new connection of syslog.
    pub resend: usize,
    /// The most bytes of a message of syslog; 0: any.
    pub message_bytes_max: u64,
    /// The facility of syslog.
    pub facility: u64,
    /// What this machine is called in syslog; empty: its own name.
    pub hostname: String,
    /// The private enterprise number in syslog's structured data.
    pub enterprise: String,
}

impl Sink {
    /// One of a name, that sends everything nowhere yet.
    ///
    /// # Errors
    /// A name that is none.
    pub fn new(name: &str) -> Result<Sink, String> {
        let well = |c: char| c.is_ascii_alphanumeric() || ['-', '_'].contains(&c);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(well) {
            return Err(format!(
                "a sink's name has 1 to {NAME_BYTES_MAX} letters, digits, `-` and `_`"
            ));
        }
        Ok(Sink {
            name: name.into(),
            url: None,
            format: Format::Native,
            version: Version::default(),
            outputs: Outputs::default(),
            findings: false,
            query: String::new(),
            from: Begin::Now,
            token_file: None,
            headers: BTreeMap::new(),
            compression: Compression::None,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            batch_events_max: 1_000,
            batch_bytes_max: 1 << 20,
            timeout: Duration::from_secs(30),
            wait_max: Duration::from_secs(300),
            refused_max: 1_000,
            resend: 10_000,
            message_bytes_max: 0,
            facility: 13,
            hostname: String::new(),
            enterprise: "32473".to_owned(),
        })
    }

    /// Sets which events are sent.
    ///
    /// # Errors
    /// A query that can't be read, or that moves with the clock.
    pub fn set_query(&mut self, text: &str) -> Result<(), String> {
        let moves = !text.trim().is_empty()
            && outbound::moves(text).map_err(|error| match error.hint {
                Some(hint) => format!("{}; {hint}", error.message),
                None => error.message,
            })?;
        if moves {
            let what = "a sink's query has no time that moves with the clock, such as `since:24h`; leave it out, or write a date";
            return Err(what.to_owned());
        }
        text.trim().clone_into(&mut self.query);
        Ok(())
    }

    /// Has requests carry a header.
    ///
    /// # Errors
    /// A name or a value that is none, or a header that is the sink's own. Nothing of the value is in it.
    pub fn set_header(&mut self, name: &str, value: &str) -> Result<(), String> {
        let known = HeaderName::try_from(name).map_err(|_| format!("`{name}` is no header"))?;
        if OWN_HEADERS.contains(&known.as_str()) {
            return Err(format!("the header `{name}` is the sink's own; leave it out"));
        }
        let mut value = HeaderValue::try_from(value).map_err(|_| {
            format!("the value of the header `{name}` has characters that a header can't have")
        })?;
        value.set_sensitive(true);
        self.headers.insert(known.as_str().to_owned(), Hidden(value));
        Ok(())
    }

    /// Sets what this machine is called.
    ///
    /// # Errors
    /// What a header of syslog has no room for.
    pub fn set_hostname(&mut self, text: &str) -> Result<(), String> {
        if text.len() > HOSTNAME_BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "a hostname has up to {HOSTNAME_BYTES_MAX} printable ASCII characters and no space"
            ));
        }
        text.clone_into(&mut self.hostname);
        Ok(())
    }

    /// Sets the private enterprise number.
    ///
    /// # Errors
    /// What is none.
    pub fn set_enterprise(&mut self, text: &str) -> Result<(), String> {
        let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if text.len() > ENTERPRISE_BYTES_MAX || !text.split('.').all(number) {
            return Err("write a private enterprise number, such as 32473".to_owned());
        }
        text.clone_into(&mut self.enterprise);
        Ok(())
    }

    /// Where events are sent.
    ///
    /// # Errors
    /// Settings that are missing, or do not go together.
    pub fn check(&self) -> Result<&Target, String> {
        let Some(target) = &self.url else {
            return Err("`url` is missing: it says where events are sent, such as https://siem.example.com/ingest".to_owned());
        };
        let http = matches!(target, Target::Http(_));
        let usual = Sink::new("usual")?;
        let only = |names: &[(&'static str, bool)], with: &str| {
            let wrong = names.iter().find(|(_, said)| *said);
            wrong.map_or(Ok(()), |(name, _)| {
                Err(format!("`{name}` goes with {with} only; leave it out"))
            })
        };
        if !http {
            let said = [
                ("token_file", self.token_file.is_some()),
                ("headers", !self.headers.is_empty()),
                ("compression", self.compression != Compression::None),
            ];
            only(&said, "an `url` of http:// or https://")?;
        } else {
            let said = [
                ("resend", self.resend != usual.resend),
                ("message_bytes_max", self.message_bytes_max != 0),
                ("facility", self.facility != usual.facility),
                ("hostname", !self.hostname.is_empty()),
                ("enterprise", self.enterprise != usual.enterprise),
            ];
            only(&said, "an `url` of syslog+tls:// or syslog+tcp://")?;
        }
        if self.format == Format::Native {
            let said = [
                ("version", self.version != usual.version),
                ("outputs", self.outputs != usual.outputs),
                ("findings", self.findings),
            ];
            only(&said, "`format = \"ocsf\"`")?;
        }
        if !target.is_tls() {
            let said = [
                ("ca_file", self.ca_file.is_some()),
                ("client_cert_file", self.client_cert_file.is_some()),
                ("client_key_file", self.client_key_file.is_some()),
            ];
            only(&said, "an `url` of https:// or syslog+tls://")?;
        }
        if self.client_cert_file.is_some() != self.client_key_file.is_some() {
            return Err(
                "`client_cert_file` and `client_key_file` go together; name both".to_owned()
            );
        }
        if self.token_file.is_some() && self.headers.contains_key("authorization") {
            return Err("`token_file` and the header `authorization` are the same; leave one out"
                .to_owned());
        }
        Ok(target)
    }

    /// The form that its lines have.
    #[must_use]
    pub fn form(&self) -> Form {
        match self.format {
            Format::Native => Form::Native,
            Format::Ocsf => Form::Ocsf(Mapping {
                version: self.version,
                outputs: self.outputs,
                findings: self.findings,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn of(url: &str) -> Sink {
        Sink { url: Some(url.parse().unwrap()), ..Sink::new("siem").unwrap() }
    }

    #[test]
    fn an_address_says_how_it_is_sent_there_and_holds_no_secret() {
        for (text, shown, public) in [
            (
                "https://Siem.example.com/in?key=k",
                "https://siem.example.com/in?key=k",
                "https://siem.example.com/in",
            ),
            ("http://127.0.0.1:80", "http://127.0.0.1/", "http://127.0.0.1/"),
            ("syslog+tls://siem.example.com", "syslog+tls://siem.example.com:6514", ""),
            ("syslog+tcp://[::1]:601/", "syslog+tcp://[::1]:601", ""),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), shown);
            assert_eq!(target.public(), if public.is_empty() { shown } else { public });
        }
        for wrong in [
            "",
            "siem",
            "syslog://siem:514",
            "syslog+udp://siem:514",
            "syslog+tls://",
            "syslog+tls://siem/path",
            "syslog+tls://siem?x=1",
            "https://ann:secret@siem/",
            "syslog+tls://ann@siem",
            "ftp://siem/",
        ] {
            let said = wrong.parse::<Target>().unwrap_err();
            assert!(
                !said.contains("secret") && said.contains("write") || said.contains("no user"),
                "{wrong}: {said}"
            );
        }
    }

    #[test]
    fn settings_that_do_not_go_together_are_refused_with_the_one_that_is_wrong() {
        let file = || Some(PathBuf::from("f"));
        assert!(Sink::new("siem").unwrap().check().unwrap_err().contains("`url` is missing"));
        let (https, tls, tcp) = (of("https://s/"), of("syslog+tls://s"), of("syslog+tcp://s"));
        for (sink, wrong) in [
            (Sink { token_file: file(), ..tls.clone() }, "`token_file`"),
            (Sink { compression: Compression::Gzip, ..tls.clone() }, "`compression`"),
            (Sink { resend: 1, ..https.clone() }, "`resend`"),
            (Sink { message_bytes_max: 1, ..https.clone() }, "`message_bytes_max`"),
            (Sink { outputs: Outputs::Text, ..https.clone() }, "`outputs`"),
            (Sink { findings: true, ..tls.clone() }, "`findings`"),
            (Sink { ca_file: file(), ..tcp.clone() }, "`ca_file`"),
            (Sink { client_key_file: file(), ..tls.clone() }, "go together"),
        ] {
            let said = sink.check().unwrap_err();
            assert!(said.contains(wrong), "{said}");
        }
        for sink in [https, tls, tcp] {
            assert!(sink.check().is_ok());
        }
    }

    #[test]
    fn a_header_is_never_shown_and_the_sinks_own_are_refused() {
        let mut sink = of("https://s/");
        sink.set_header("X-Key", "hunter2").unwrap();
        assert!(!format!("{sink:?}").contains("hunter2"));
        for (name, value) in [("Content-Type", "a"), ("a b", "c"), ("x", "hunter2\n")] {
            let said = sink.set_header(name, value).unwrap_err();
            assert!(said.contains(name) && !said.contains("hunter2"), "{said}");
        }
        sink.set_header("Authorization", "Splunk k").unwrap();
        sink.token_file = Some(PathBuf::from("f"));
        assert!(sink.check().unwrap_err().contains("the same"));
    }

    #[test]
    fn a_query_is_read_when_it_is_set_and_stands_still() {
        let mut sink = of("https://s/");
        sink.set_query(" verdict:blocked ").unwrap();
        assert_eq!(sink.query, "verdict:blocked");
        sink.set_query("").unwrap();
        assert!(sink.set_query("since:24h").unwrap_err().contains("moves with the clock"));
        assert!(sink.set_query("usr:alice").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in ".{0,80}") {
            let mut sink = of("https://s/");
            let _ = (text.parse::<Target>(), Sink::new(&text), sink.set_query(&text));
            let _ = (sink.set_header(&text, &text), sink.set_hostname(&text));
            let _ = (sink.set_enterprise(&text), sink.check().is_ok());
        }
    }
}
