//! The settings of sinks: a table `[push.NAME]` each.

use super::setting::{Field, Setting, one_of};
use super::{file, named};
use crate::output::clean;
use daybook_query::ocsf::{Outputs, Version};
use daybook_server::push::Sink;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// The table of headers in a sink's.
const HEADERS: &str = "headers";

/// The settings of a sink.
pub const SETTINGS: &[Setting<Sink>] = &[
    Setting {
        key: "url",
        what: "where events are sent: `https://HOST/PATH`, `http://HOST/PATH`, `syslog+tls://HOST:6514` or `syslog+tcp://HOST:601`",
        at: "without one, the start is refused",
        field: Field::Text(
            |sink| sink.url.as_ref().map_or_else(String::new, ToString::to_string),
            |sink, text| {
                sink.url = Some(text.parse()?);
                Ok(())
            },
        ),
    },
    Setting {
        key: "format",
        what: "what is sent of an event: `native`, as it was sent, or `ocsf`, its rows of OCSF",
        at: "events that OCSF has no class for are not sent as `ocsf`",
        field: Field::Text(
            |sink| sink.format.to_string(),
            |sink, text| {
                sink.format = text.parse()?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "version",
        what: "the version of OCSF: `1.8.0` or `1.3.0`",
        at: "what a version has no place for is in `unmapped`",
        field: Field::Text(
            |sink| sink.version.name().to_owned(),
            |sink, text| {
                sink.version = one_of(text, &Version::ALL.map(|of| (of.name(), of)))?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "outputs",
        what: "what rows of OCSF have of the outputs that commands carry: `hash`, `text` or `none`",
        at: "as in exports",
        field: Field::Text(
            |sink| sink.outputs.name().to_owned(),
            |sink, text| {
                sink.outputs = one_of(text, &Outputs::ALL.map(|of| (of.name(), of)))?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "findings",
        what: "in OCSF, is a blocked command a Detection Finding, too?",
        at: "as in exports",
        field: Field::Switch(|sink| &mut sink.findings),
    },
    Setting {
        key: "query",
        what: "which events, in the query language; empty: all",
        at: "one that moves with the clock (`since:24h`) is refused at the start",
        field: Field::Text(|sink| sink.query.clone(), Sink::set_query),
    },
    Setting {
        key: "from",
        what: "where a sink begins that is new: `now`, or `start`, the first event of the log",
        at: "a sink that was there before goes on where it was",
        field: Field::Text(
            |sink| sink.from.to_string(),
            |sink, text| {
                sink.from = text.parse()?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "token_file",
        what: "the file of the token that requests carry as `Authorization: Bearer TOKEN`, or as it is where it has a scheme of its own (`Splunk TOKEN`)",
        at: "read for each request; one that can't be used stops the start, later it counts as a failure",
        field: Field::Text(
            |sink| shown(sink.token_file.as_deref()),
            |sink, text| {
                sink.token_file = path(text);
                Ok(())
            },
        ),
    },
    Setting {
        key: "compression",
        what: "how bodies of requests are compressed: `none`, `gzip` or `zstd`",
        at: "a receiver that can't read it refuses",
        field: Field::Text(
            |sink| sink.compression.to_string(),
            |sink, text| {
                sink.compression = text.parse()?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "ca_file",
        what: "the file of the roots that the receiver's certificate may lead to, in PEM; none: those that the system trusts",
        at: "read again when the receiver can't be reached; one that can't be used stops the start, later it counts as a failure",
        field: Field::Text(
            |sink| shown(sink.ca_file.as_deref()),
            |sink, text| {
                sink.ca_file = path(text);
                Ok(())
            },
        ),
    },
    Setting {
        key: "client_cert_file",
        what: "the file of the certificate that the receiver is shown, in PEM with those that lead to its root",
        at: "as `ca_file`",
        field: Field::Text(
            |sink| shown(sink.client_cert_file.as_deref()),
            |sink, text| {
                sink.client_cert_file = path(text);
                Ok(())
            },
        ),
    },
    Setting {
        key: "client_key_file",
        what: "the file of the certificate's key, in PEM",
        at: "as `ca_file`",
        field: Field::Text(
            |sink| shown(sink.client_key_file.as_deref()),
            |sink, text| {
                sink.client_key_file = path(text);
                Ok(())
            },
        ),
    },
    Setting {
        key: "batch_events_max",
        what: "events of a batch",
        at: "more go with the next",
        field: Field::Count(|sink| &mut sink.batch_events_max, 1, 100_000),
    },
    Setting {
        key: "batch_bytes_max",
        what: "bytes of a batch's lines; a sink takes some three times that in memory",
        at: "more go with the next; an event that alone has more goes alone",
        field: Field::Memory(|sink| &mut sink.batch_bytes_max, 1 << 10, 64 << 20),
    },
    Setting {
        key: "timeout",
        what: "how long an attempt may take: a request with its answer, a connection, a batch of syslog until the receiver's machine has it",
        at: "it counts as failed, and is tried again",
        field: Field::Age(
            |sink| &mut sink.timeout,
            Duration::from_millis(1),
            Duration::from_secs(3_600),
        ),
    },
    Setting {
        key: "wait_max",
        what: "how long to wait before what failed is tried again; a receiver can ask for up to 1h",
        at: "waits grow no more; it is tried again for ever",
        field: Field::Age(
            |sink| &mut sink.wait_max,
            Duration::from_millis(1),
            Duration::from_secs(86_400),
        ),
    },
    Setting {
        key: "refused_max",
        what: "events that are noted because the receiver refused them for good",
        at: "with one more the sink stands, says so, and tries that one again",
        field: Field::Count(|sink| &mut sink.refused_max, 0, 10_000),
    },
    Setting {
        key: "resend",
        what: "events that are sent again at the beginning of each connection of syslog: the receiver may have lost them",
        at: "what was taken before these is not sent again",
        field: Field::Count(|sink| &mut sink.resend, 0, 1_000_000),
    },
    Setting {
        key: "message_bytes_max",
        what: "bytes of a message of syslog; 0: any",
        at: "a larger one is not cut: its event is noted as refused",
        field: Field::Size(|sink| &mut sink.message_bytes_max, 0, 1 << 30),
    },
    Setting {
        key: "facility",
        what: "the facility of syslog; 13 is log audit",
        at: "it is a part of each message's priority",
        field: Field::Number(|sink| &mut sink.facility, 0, 23),
    },
    Setting {
        key: "hostname",
        what: "what this machine is called in syslog; empty: its own name",
        at: "printable ASCII, up to 255 characters; anything else is refused at the start",
        field: Field::Text(|sink| sink.hostname.clone(), Sink::set_hostname),
    },
    Setting {
        key: "enterprise",
        what: "the private enterprise number of syslog's structured data, `daybook@NUMBER`",
        at: "32473 is the one for examples",
        field: Field::Text(|sink| sink.enterprise.clone(), Sink::set_enterprise),
    },
];

/// Reads the tables of all sinks, in the order in which they are written.
///
/// # Errors
/// `line 3: [push.siem]: ...`: what is wrong there and what would be right.
pub(super) fn read(text: &str, sinks: &DeTable<'_>) -> Result<Vec<Sink>, String> {
    let mut entries: Vec<_> = sinks.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    let one = |(name, value): &(&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let table: &std::borrow::Cow<'_, str> = name.get_ref();
        let table = clean::line(table);
        let said = |at: usize, what: String| {
            format!("line {}: [push.{table}]: {}", file::line(text, at), clean::line(&what))
        };
        let start = name.span().start;
        let DeValue::Table(settings) = value.get_ref() else {
            let line = file::line(text, start);
            return Err(format!("line {line}: [push.{table}] is a table of a sink's settings"));
        };
        let mut sink = Sink::new(name.get_ref()).map_err(|what| said(start, what))?;
        let mut settings: Vec<_> = settings.iter().collect();
        settings.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in settings {
            set(&mut sink, key.get_ref(), value.get_ref())
                .map_err(|what| said(key.span().start, what))?;
        }
        sink.check().map_err(|what| said(start, what))?;
        Ok(sink)
    };
    entries.iter().map(one).collect()
}

fn set(sink: &mut Sink, key: &str, value: &DeValue<'_>) -> Result<(), String> {
    if key == HEADERS {
        let DeValue::Table(headers) = value else {
            return Err("`headers` is a table: headers = { name = \"value\" }".to_owned());
        };
        return headers.iter().try_for_each(|(name, value)| match value.get_ref() {
            DeValue::String(text) => sink.set_header(name.get_ref(), text),
            other => Err(format!(
                "the header `{}` is a text, not a {}",
                name.get_ref(),
                other.type_str()
            )),
        });
    }
    let hint = "docs/configuration.md lists them all";
    let setting = named(SETTINGS.iter(), key, &[HEADERS], hint)
        .map_err(|hint| format!("unknown key `{key}`; {hint}"))?;
    file::set(setting, sink, value)
}

fn shown(path: Option<&Path>) -> String {
    path.unwrap_or(Path::new("")).display().to_string()
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}
