//! The settings of the service.

use super::setting::{Field, Setting};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The settings of the service.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "data",
        what: "where the log is, or will be",
        at: "a directory that can't be used is refused at the start, with what to do",
        field: Field::Text(
            |config| config.data.display().to_string(),
            |config, text| {
                if text.is_empty() {
                    return Err("write the path of a directory".to_owned());
                }
                config.data = PathBuf::from(text);
                Ok(())
            },
        ),
    },
    Setting {
        key: "listen",
        what: "the address to listen on; port 0 takes a free one",
        at: "an address that others can reach is refused at the start",
        field: Field::Text(
            |config| config.server.listen.to_string(),
            |config, text| {
                config.server.listen = text
                    .parse()
                    .map_err(|_| "write an address and a port, such as 127.0.0.1:7330")?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "sudo_listen",
        what: "the address to listen on for sudo's logs, such as 127.0.0.1:30343; none: sudo is not listened for",
        at: "an address that others can reach is refused at the start",
        field: Field::Text(
            |config| config.server.sudo_listen.map_or_else(String::new, |a| a.to_string()),
            |config, text| {
                config.server.sudo_listen = match text {
                    "" => None,
                    text => Some(
                        text.parse()
                            .map_err(|_| "write an address and a port, such as 127.0.0.1:30343")?,
                    ),
                };
                Ok(())
            },
        ),
    },
    Setting {
        key: "sudo_connections_max",
        what: "connections of sudo at the same time; each takes up to some MiB of memory",
        at: "one more is closed; logged. What sudo does then, its own `ignore_iolog_errors` says",
        field: Field::Count(|config| &mut config.server.sudo_connections_max, 1, 100_000),
    },
    Setting {
        key: "sudo_idle_max",
        what: "how long a session of sudo's may send nothing",
        at: "its connection is closed; it can be resumed",
        field: Field::Age(
            |config| &mut config.server.sudo_idle_max,
            Duration::from_millis(1),
            Duration::from_secs(365 * 86_400),
        ),
    },
    Setting {
        key: "connections_max",
        what: "connections at the same time",
        at: "one more is answered 503 `busy` and closed; logged and counted",
        field: Field::Count(|config| &mut config.server.connections_max, 1, 1_000_000),
    },
    Setting {
        key: "upload_bytes_max",
        what: "one upload, after decompression",
        at: "413 `too-large`, with what was stored before",
        field: Field::Size(|config| &mut config.server.upload_bytes_max, 1 << 10, 1 << 40),
    },
    Setting {
        key: "request_bytes_max",
        what: "one bulk or OTLP request, after decompression; it takes some three times that in memory",
        at: "413; nothing of it is stored",
        field: Field::Size(|config| &mut config.server.request_bytes_max, 1 << 10, 1 << 30),
    },
    Setting {
        key: "upload_ratio_max",
        what: "bytes that an upload decompresses to, for each that was sent, from 64 MiB on",
        at: "413 `too-large`, with what was stored before",
        field: Field::Number(|config| &mut config.server.upload_ratio_max, 1, 1_000_000),
    },
    Setting {
        key: "uploads_bytes_max",
        what: "memory of all uploads together",
        at: "more uploads wait for `busy_wait`",
        field: Field::Size(|config| &mut config.server.uploads_bytes_max, 8 << 20, 1 << 40),
    },
    Setting {
        key: "busy_wait",
        what: "how long an upload waits for memory",
        at: "503 `busy` with `Retry-After`; nothing of it is stored",
        field: Field::Age(
            |config| &mut config.server.busy_wait,
            Duration::from_millis(1),
            Duration::from_secs(3_600),
        ),
    },
    Setting {
        key: "idle_max",
        what: "how long a body may send nothing, or a client take nothing of an export",
        at: "408 `idle` with what was stored before; an export's connection is cut",
        field: Field::Age(
            |config| &mut config.server.idle_max,
            Duration::from_millis(1),
            Duration::from_secs(86_400),
        ),
    },
    Setting {
        key: "reads_max",
        what: "queries that run at the same time; 0: two for each core",
        at: "more wait, up to `read_time_max`",
        field: Field::Count(|config| &mut config.server.reads_max, 0, 10_000),
    },
    Setting {
        key: "read_time_max",
        what: "how long a query may take, with its wait",
        at: "503 `timeout`",
        field: Field::Age(
            |config| &mut config.server.read_time_max,
            Duration::from_millis(1),
            Duration::from_secs(86_400),
        ),
    },
    Setting {
        key: "report_hours",
        what: "when people work, for reports: `Mon-Fri 08:00-18:00`",
        at: "a session that starts at another time counts as out of hours",
        field: Field::Text(
            |config| config.server.report_hours.text(),
            |config, text| {
                config.server.report_hours = config.server.report_hours.clone().at(text)?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "report_zone",
        what: "the time zone of these hours and of a report's days, such as `Europe/Berlin`",
        at: "one that the system's time zone database lacks is refused at the start",
        field: Field::Text(
            |config| config.server.report_hours.zone().to_owned(),
            |config, text| {
                config.server.report_hours = config.server.report_hours.clone().in_zone(text)?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "exports_max",
        what: "exports that run at the same time",
        at: "503 `busy` with `Retry-After`",
        field: Field::Count(|config| &mut config.server.exports_max, 1, 10_000),
    },
    Setting {
        key: "shutdown_time_max",
        what: "how long requests may go on after the server was told to stop",
        at: "they are cut off; logged. What was acknowledged is safe",
        field: Field::Age(
            |config| &mut config.server.shutdown_time_max,
            Duration::ZERO,
            Duration::from_secs(86_400),
        ),
    },
    Setting {
        key: "tails_max",
        what: "readers that follow the log (`GET /v1/tail`) at the same time",
        at: "503 `busy` with `Retry-After`",
        field: Field::Count(|config| &mut config.server.tails_max, 1, 100_000),
    },
    Setting {
        key: "searches_max",
        what: "saved searches",
        at: "409 `too-many`",
        field: Field::Count(|config| &mut config.server.searches_max, 1, 10_000),
    },
    Setting {
        key: "alerts_max",
        what: "saved searches that have an alert; each event is asked of each",
        at: "409 `too-many`",
        field: Field::Count(|config| &mut config.server.alerts_max, 1, 10_000),
    },
    Setting {
        key: "alert_time_max",
        what: "how long a delivery to a webhook may take",
        at: "it counts as failed, and is tried again",
        field: Field::Age(
            |config| &mut config.server.alert_time_max,
            Duration::from_millis(1),
            Duration::from_secs(3_600),
        ),
    },
    Setting {
        key: "alert_wait_max",
        what: "how long a delivery that failed may wait before it is tried again; a receiver can ask for up to 1h",
        at: "waits grow no more; it is tried again for ever",
        field: Field::Age(
            |config| &mut config.server.alert_wait_max,
            Duration::from_millis(1),
            Duration::from_secs(86_400),
        ),
    },
    Setting {
        key: "public_url",
        what: "where people reach the page, such as `https://daybook.example.com`; messages have links to it",
        at: "empty: messages have no links",
        field: Field::Text(
            |c| c.server.public_url.clone().unwrap_or_default(),
            |c, text| {
                if !text.is_empty()
                    && !["https://", "http://"].iter().any(|is| text.starts_with(is))
                {
                    return Err("write https://HOST".to_owned());
                }
                c.server.public_url = (!text.is_empty()).then(|| text.to_owned());
                Ok(())
            },
        ),
    },
    Setting {
        key: "run_approval",
        what: "where a command is run again only after an approval: roles, or `type:` and types, with commas between them; `*` stands for anything",
        at: "the run waits for its review in the command's session; one that is refused, or expires, ends it",
        field: Field::Text(
            |config| config.server.run_approval.join(","),
            |config, text| {
                let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
                config.server.run_approval = names.map(Into::into).collect();
                Ok(())
            },
        ),
    },
    Setting {
        key: "review_waits_max",
        what: "requests that wait for access requests to be decided at once",
        at: "503 with `Retry-After`",
        field: Field::Count(|c| &mut c.server.review_waits_max, 1, 100_000),
    },
    Setting {
        key: "run_lease",
        what: "how long a taker of a run has it without being heard of",
        at: "a run that it had not begun is offered again; one that it had is `lost`, unless it may be repeated",
        field: Field::Age(
            |config| &mut config.server.run_lease,
            Duration::from_millis(500),
            Duration::from_secs(3_600),
        ),
    },
    Setting {
        key: "run_attempts_max",
        what: "takers of a run, one after the other",
        at: "the run is `failed`",
        field: Field::Count(|config| &mut config.server.run_attempts_max, 1, 100),
    },
    Setting {
        key: "run_wait_max",
        what: "how long a run waits for its approval and for a taker",
        at: "the run is `expired`",
        field: Field::Age(
            |config| &mut config.server.run_wait_max,
            Duration::from_millis(100),
            Duration::from_secs(30 * 86_400),
        ),
    },
    Setting {
        key: "runs_max",
        what: "runs that have not ended",
        at: "409 `too-many`",
        field: Field::Count(|config| &mut config.server.runs_max, 1, 100_000),
    },
    Setting {
        key: "streams_max",
        what: "producers that stream at the same time; each may take twice `stream_frame_bytes_max` of memory, and its credit",
        at: "503 `busy` with `Retry-After`",
        field: Field::Count(|config| &mut config.server.streams_max, 1, 1_000_000),
    },
    Setting {
        key: "stream_frame_bytes_max",
        what: "one frame of a stream, as it is sent; it may decompress to 16 times this",
        at: "the stream is closed with 1009, after what it sent before was acknowledged",
        field: Field::Size(|config| &mut config.server.stream_frame_bytes_max, 1 << 10, 64 << 20),
    },
    Setting {
        key: "stream_credit_bytes",
        what: "frames of one stream that are on their way",
        at: "a producer that sends past it is closed with 1008, after what it sent before was acknowledged",
        field: Field::Size(|config| &mut config.server.stream_credit_bytes, 1 << 10, 1 << 30),
    },
    Setting {
        key: "tls_cert",
        what: "the file of the server's certificate and those that lead to its root, in PEM; none: no TLS",
        at: "read again when it changes and on SIGHUP; one that can't be used stops the start, later it is logged and the one before stays",
        field: Field::Text(
            |config| shown(config.server.tls_cert.as_deref()),
            |config, text| {
                config.server.tls_cert = file(text);
                Ok(())
            },
        ),
    },
    Setting {
        key: "tls_key",
        what: "the file of the certificate's key, in PEM",
        at: "as `tls_cert`",
        field: Field::Text(
            |config| shown(config.server.tls_key.as_deref()),
            |config, text| {
                config.server.tls_key = file(text);
                Ok(())
            },
        ),
    },
    Setting {
        key: "tls_client_ca",
        what: "the file of the roots of clients' certificates, in PEM; none: clients are not asked for one",
        at: "as `tls_cert`; a connection with another certificate is not opened",
        field: Field::Text(
            |config| shown(config.server.tls_client_ca.as_deref()),
            |config, text| {
                config.server.tls_client_ca = file(text);
                Ok(())
            },
        ),
    },
    Setting {
        key: "tls_client_auth",
        what: "must clients show a certificate? `required` or `optional`",
        at: "where it is required, a connection without one is not opened; counted",
        field: Field::Text(
            |config| config.server.tls_client_auth.to_string(),
            |config, text| {
                config.server.tls_client_auth = text.parse()?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "tls_handshake_time_max",
        what: "how long a TLS handshake may take",
        at: "the connection is closed; counted",
        field: Field::Age(
            |config| &mut config.server.tls_handshake_time_max,
            Duration::from_millis(1),
            Duration::from_secs(3_600),
        ),
    },
    Setting {
        key: "tls_reload_interval",
        what: "how often it is looked whether the files for TLS changed",
        at: "what changed is taken up by the next handshakes; logged",
        field: Field::Age(
            |config| &mut config.server.tls_reload_interval,
            Duration::from_millis(10),
            Duration::from_secs(86_400),
        ),
    },
    Setting {
        key: "audit",
        what: "is it written down, in the session `daybook.reads`, who reads, searches, exports and downloads what?",
        at: "where the log has no room for it, reads wait, for `busy_wait`, and are then answered 503 `busy`",
        field: Field::Switch(|config| &mut config.server.audit),
    },
    Setting {
        key: "link_key_file",
        what: "the file of the key that links to sessions are signed with, at least 32 bytes, for nodes that share it; none: the log has its own",
        at: "read at the start; one that can't be used stops it. With another key no link of before is good",
        field: Field::Text(
            |config| shown(config.server.link_key_file.as_deref()),
            |config, text| {
                config.server.link_key_file = file(text);
                Ok(())
            },
        ),
    },
];

fn shown(file: Option<&Path>) -> String {
    file.unwrap_or(Path::new("")).display().to_string()
}

fn file(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}
