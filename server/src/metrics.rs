//! `GET /metrics`: what is counted, in the text format of Prometheus.

use crate::problem::{Document, Problem, Stored};
use crate::state::App;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use daybook_engine::Stats;
use std::collections::BTreeMap;
use std::fmt::{self, Display, Write as _};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The upper bounds of the latency histogram, in seconds.
const BOUNDS_S: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 30.0];

/// What the server counts since its start.
#[derive(Debug, Default)]
pub struct Metrics {
    accepted: AtomicU64,
    duplicates: AtomicU64,
    rejected: AtomicU64,
    bytes: AtomicU64,
    requests: Mutex<BTreeMap<Route, Requests>>,
}

/// The requests that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Route {
    method: &'static str,
    path: Box<str>,
    status: u16,
}

#[derive(Clone, Copy, Debug, Default)]
struct Requests {
    count: u64,
    seconds: f64,
    buckets: [u64; BOUNDS_S.len()],
}

impl Metrics {
    /// Counts what an upload came to; `bytes` are its bytes after decompression.
    pub fn ingested(&self, stored: &Stored, bytes: u64) {
        self.accepted.fetch_add(stored.accepted, Relaxed);
        self.duplicates.fetch_add(stored.duplicates, Relaxed);
        self.rejected.fetch_add(stored.rejected_count, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    fn answered(&self, route: Route, took: Duration) {
        let seconds = took.as_secs_f64();
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = requests.entry(route).or_default();
        entry.count += 1;
        entry.seconds += seconds;
        for (bucket, bound) in entry.buckets.iter_mut().zip(BOUNDS_S) {
            *bucket += u64::from(seconds <= bound);
        }
    }
}

/// Counts a request and the time to its answer (for a stream: to its start).
pub struct Counted {
    started: Instant,
    method: &'static str,
    path: Box<str>,
}

impl Counted {
    /// A request that came now.
    pub fn of(request: &Request) -> Counted {
        // Only names that the program itself has: whatever else is asked for counts together.
        let method = match request.method().as_str() {
            "GET" => "GET",
            "HEAD" => "HEAD",
            "POST" => "POST",
            _ => "other",
        };
        let path = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str);
        Counted { started: Instant::now(), method, path: path.into() }
    }

    /// It was answered.
    pub fn answered(self, app: &App, response: &Response) {
        let Counted { started, method, path } = self;
        let route = Route { method, path, status: response.status().as_u16() };
        app.metrics.answered(route, started.elapsed());
    }
}

/// Counters and gauges for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operation",
    responses(
        (status = 200, description = "Prometheus text format 0.0.4", body = String, content_type = "text/plain"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_metrics(State(app): State<App>) -> Result<Response, Problem> {
    let engine = Arc::clone(&app.engine);
    let stats = app.reads.run_within(app.config.read_time_max, move || engine.stats()).await??;
    let text = render(&app, &stats).map_err(Problem::internal)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

fn render(app: &App, stats: &Stats) -> Result<String, fmt::Error> {
    let metrics = &app.metrics;
    let mut out = Text(String::with_capacity(4 << 10));
    let load = |counter: &AtomicU64| counter.load(Relaxed);

    out.gauge("daybook_events", "Events in the log.", stats.events)?;
    out.gauge("daybook_sessions", "Sessions in the catalog.", stats.sessions)?;
    out.gauge("daybook_raw_bytes", "Bytes of the events as they were sent.", stats.bytes)?;
    out.gauge("daybook_stored_bytes", "Bytes of the data directory.", stats.stored_bytes)?;
    out.gauge("daybook_segments", "Sealed segments.", stats.segments)?;
    out.gauge("daybook_journals", "Journals that are not sealed yet.", stats.journals)?;
    out.gauge("daybook_journal_bytes", "Bytes of records in journals.", stats.journal_bytes)?;
    out.gauge("daybook_next_offset", "The offset of the next event.", stats.next_offset)?;
    out.gauge(
        "daybook_indexed_through",
        "The texts of all events below this offset are indexed.",
        stats.indexed_through,
    )?;
    out.gauge(
        "daybook_index_lag_events",
        "Events whose texts are not indexed yet.",
        stats.index_lag_events,
    )?;
    out.gauge(
        "daybook_index_lag_bytes",
        "Bytes of records that searches read because their texts are not indexed yet.",
        stats.index_lag_bytes,
    )?;
    out.gauge("daybook_queue_bytes", "Bytes that wait to be written.", stats.queue_bytes)?;
    out.gauge(
        "daybook_read_only",
        "1 if no events are taken.",
        u8::from(stats.read_only.is_some()),
    )?;
    if let Some(free) = stats.free_bytes {
        out.gauge("daybook_free_bytes", "Bytes that are free on the disk.", free)?;
    }
    out.gauge("daybook_full", "1 if the disk is full.", u8::from(stats.full.is_some()))?;
    if let Some((open, max)) = crate::health::open_files() {
        out.gauge("daybook_open_files", "Files that the process has open.", open)?;
        out.gauge("daybook_open_files_max", "Files that it may have open.", max)?;
    }
    out.gauge("daybook_connections", "Connections that are open.", app.connections.open())?;
    out.gauge("daybook_streams", "Producers that stream.", app.streams.open())?;
    let name = "daybook_connections_refused_total";
    out.head(name, "counter", "Connections over the bound.")?;
    out.sample(name, &[], app.connections.refused())?;
    let name = "daybook_tls_handshakes_failed_total";
    out.head(name, "counter", "TLS handshakes that failed.")?;
    out.sample(name, &[], app.connections.handshakes_failed())?;
    alerts(app, &mut out)?;
    sinks(app, &mut out)?;
    feeds(app, &mut out)?;
    let uptime = app.started.elapsed().as_secs();
    out.gauge("daybook_uptime_seconds", "Seconds since the start.", uptime)?;

    out.head("daybook_cpu_seconds_total", "counter", "CPU seconds by stage.")?;
    let cpu = &stats.cpu_seconds;
    for (stage, seconds) in [
        ("journal", cpu.journal),
        ("index", cpu.index),
        ("seal", cpu.seal),
        ("merkle", cpu.merkle),
        ("merge", cpu.merge),
        ("columnar", cpu.columnar),
        ("rewrite", cpu.rewrite),
    ] {
        out.sample("daybook_cpu_seconds_total", &[("stage", stage)], seconds)?;
    }

    out.head("daybook_ingest_lines_total", "counter", "Lines of uploads by what became of them.")?;
    for (outcome, counter) in [
        ("accepted", &metrics.accepted),
        ("duplicate", &metrics.duplicates),
        ("rejected", &metrics.rejected),
    ] {
        out.sample("daybook_ingest_lines_total", &[("outcome", outcome)], load(counter))?;
    }
    let name = "daybook_ingest_bytes_total";
    out.head(name, "counter", "Bytes of uploads after decompression.")?;
    out.sample(name, &[], load(&metrics.bytes))?;

    out.head("daybook_http_request_seconds", "histogram", "Time to the answer.")?;
    let requests = metrics.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for (Route { method, path, status }, answered) in &requests {
        let status = status.to_string();
        let labels = [("method", *method), ("path", path), ("status", &status)];
        let [method, path, status] = labels;
        for (count, bound) in answered.buckets.iter().zip(BOUNDS_S) {
            let le = bound.to_string();
            out.sample(
                "daybook_http_request_seconds_bucket",
                &[method, path, status, ("le", &le)],
                count,
            )?;
        }
        out.sample(
            "daybook_http_request_seconds_bucket",
            &[method, path, status, ("le", "+Inf")],
            answered.count,
        )?;
        out.sample("daybook_http_request_seconds_sum", &labels, answered.seconds)?;
        out.sample("daybook_http_request_seconds_count", &labels, answered.count)?;
    }
    Ok(out.0)
}

/// How the alerts are doing, all together.
fn alerts(app: &App, out: &mut Text) -> fmt::Result {
    let end = app.engine.follow().borrow().0;
    let saved = app.searches.all();
    let all = saved
        .iter()
        .filter_map(|saved| saved.alert.as_ref().map(|alert| app.alerts.status(saved, alert, end)));
    let all: Vec<_> = all.collect();
    let failing = all.iter().filter(|status| status.failing_since.is_some()).count();
    let paused = all.iter().filter(|status| status.paused.is_some()).count();
    let behind = all.iter().map(|status| status.behind).max().unwrap_or(0);
    out.gauge("daybook_alerts", "Saved searches that have an alert.", all.len())?;
    out.gauge("daybook_alerts_failing", "Alerts that do not succeed.", failing)?;
    out.gauge("daybook_alerts_paused", "Alerts that stand still until they are changed.", paused)?;
    let help = "Events that the slowest alert has not come to, or not delivered.";
    out.gauge("daybook_alerts_behind_events", help, behind)?;
    let name = "daybook_alert_deliveries_total";
    out.head(name, "counter", "Deliveries to webhooks by what came of them.")?;
    for (outcome, count) in app.alerts.outcomes() {
        out.sample(name, &[("outcome", outcome)], count)?;
    }
    Ok(())
}

/// How each sink is doing.
fn sinks(app: &App, out: &mut Text) -> fmt::Result {
    let end = app.engine.follow().borrow().0;
    let all: Vec<_> = app.push.statuses(end).collect();
    type Value = fn(&crate::push::Status) -> u64;
    let values: [(&str, &str, &str, Value); 9] = [
        ("sent_events_total", "counter", "Events that sinks took.", |s| s.sent_events),
        ("sent_bytes_total", "counter", "Bytes of their lines.", |s| s.sent_bytes),
        ("failures_total", "counter", "Attempts that failed.", |s| s.failures),
        ("refused_total", "counter", "Events that sinks refused for good.", |s| s.refused_ever),
        ("gone_total", "counter", "Events that were erased before they were sent.", |s| s.gone),
        ("refused", "gauge", "Events that are noted as refused.", |s| s.refused.len() as u64),
        ("failing", "gauge", "1 if it does not succeed.", |s| u64::from(s.failing())),
        ("behind_events", "gauge", "Events that it was not sent yet.", |s| s.behind),
        ("behind_seconds", "gauge", "The age of the oldest of them.", |s| s.behind_seconds),
    ];
    for (name, kind, help, value) in values {
        if !all.is_empty() {
            let name = format!("daybook_push_{name}");
            out.head(&name, kind, help)?;
            for status in &all {
                out.sample(&name, &[("sink", &status.name)], value(status))?;
            }
        }
    }
    Ok(())
}

/// How each feed is doing.
fn feeds(app: &App, out: &mut Text) -> fmt::Result {
    let all: Vec<_> = app.feeds.statuses().collect();
    type Value = fn(&crate::feeds::Status) -> u64;
    let values: [(&str, &str, &str, Value); 7] = [
        ("rows_total", "counter", "Rows that were written.", |s| s.rows),
        ("files_total", "counter", "Files that were written.", |s| s.files),
        ("bytes_total", "counter", "Bytes of these files.", |s| s.bytes),
        ("cpu_microseconds_total", "counter", "CPU time that it took.", |s| s.cpu_us),
        ("behind_events", "gauge", "Events that are closed and not in it yet.", |s| s.behind),
        ("unknown_events", "gauge", "Events that it left out.", |s| s.unknown),
        ("failing", "gauge", "1 if it does not succeed.", |s| u64::from(s.failing)),
    ];
    for (name, kind, help, value) in values {
        if !all.is_empty() {
            let name = format!("daybook_feed_{name}");
            out.head(&name, kind, help)?;
            for status in &all {
                out.sample(&name, &[("feed", &status.name)], value(status))?;
            }
        }
    }
    Ok(())
}

/// Writes the text format.
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) -> fmt::Result {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}")
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) -> fmt::Result {
        self.head(name, "gauge", help)?;
        self.sample(name, &[], value)
    }

    /// Label values are names of the program's own, of sinks and of feeds: nothing in them has to be escaped.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) -> fmt::Result {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            write!(self.0, "{}{label}=\"{text}\"", if index == 0 { '{' } else { ',' })?;
        }
        writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" })
    }
}
