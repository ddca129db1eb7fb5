//! The HTTP service: ingest, lists, search, timelines, exports, and the pages.
//!
//! | module | what is there |
//! |---|---|
//! | [`auth`] | who asks, and what they may |
//! | `ingest` | `POST /v1/events`, and the same as a stream |
//! | `doors` | the ways in for producers that speak other protocols: Elasticsearch's bulk, OTLP, sudo's |
//! | `sessions`, `timeline`, `replay`, `search`, `tail`, `export` | what investigators ask |
//! | `download` | a session as a file |
//! | `links` | links to files and pages of sessions, for who has no token |
//! | `audit` | who read what |
//! | `searches`, `alerts` | searches that are saved; those of them that post what matches to a webhook |
//! | [`push`] | sinks: collectors that are sent events, over HTTP or as syslog |
//! | `notes`, `cases` | what investigators write on sessions; sets of sessions with a hold and an export |
//! | [`queue`] | sessions that somebody is to look at, and the marks of those that somebody did |
//! | `completeness`, `producers`, `report` | what of a session is here, and of what producers say that they sent; what happened in a period |
//! | `casework` | what cases, marks and queues have in common |
//! | `outbound` | what alerts and sinks have in common |
//! | `ledger` | what people do here: told in the log, and what it amounts to |
//! | [`reviews`], [`notify`] | access requests; who is told of them |
//! | `runs` | commands that are run again |
//! | `retention` | how long what is kept, and legal holds |
//! | `merkle` | checkpoints, tiles and proofs |
//! | `stats`, `metrics`, `health` | how the server is doing |
//! | `backup`, `rekey`, `repair` | backups of the running log; everything under the first encryption key; what is damaged, made again |
//! | `page` | the files of the pages |
//! | `pieces` | bodies that are written while they are sent |
//! | `random` | ids that nobody guesses, and secrets beside the log |
//! | `params`, `problem` | how requests are read and errors answered |
//! | `listener` | the socket, with a bound on its connections |
//! | `serve` | HTTP on each of them, in bounded memory |
//! | `tls` | certificates, handshakes, and clients' names |
//! | `state`, `pool` | what handlers share; where work that blocks is done |
//! | `security` | headers, and what keeps other sites' pages out |
//! | `openapi` | the routes and the document about them |
//! | `shapes` | the shapes of answers in that document |
#![expect(unused_qualifications, reason = "utoipa's macros write the paths of their types out")]

mod alerts;
mod audit;
pub mod auth;
mod backup;
mod cases;
mod casework;
mod completeness;
mod doors;
mod download;
mod export;
mod feeds;
mod health;
mod ingest;
mod ledger;
mod links;
mod listener;
mod merkle;
mod metrics;
mod notes;
pub mod notify;
mod openapi;
mod outbound;
mod page;
mod params;
mod pieces;
mod pool;
mod problem;
mod producers;
pub mod push;
pub mod queue;
mod random;
mod ranges;
mod recent;
mod rekey;
mod repair;
mod replay;
mod report;
mod retention;
pub mod reviews;
mod runs;
mod search;
mod searches;
mod security;
mod serve;
mod sessions;
mod shapes;
mod state;
mod stats;
mod tail;
mod timeline;
mod tls;

pub use doors::mapping::Mapping;
pub use download::Format as DownloadFormat;
pub use ingest::stream::SESSIONS_MAX as STREAM_SESSIONS_MAX;
pub use ingest::tally::LISTED_MAX as REJECTED_LISTED_MAX;
pub use tls::{ClientAuth, ClientCertificate, TlsError};

use auth::tokens::Tokens;
/// What reads bytes of strangers, for fuzzing; no part of the interface.
#[doc(hidden)]
pub mod decoders {
    use crate::doors::{bulk, compose, mapping::Mapping, otlp, sudo};
    use prost::Message as _;

    /// A bulk request: each of its documents is an event or a reason.
    pub fn bulk(bytes: &[u8]) {
        let mapping = Mapping::default();
        for action in bulk::actions::Actions::new(bytes) {
            let document = action.document.ok().and_then(|line| serde_json::from_slice(line).ok());
            if let Some(document) = document {
                let _ = compose::compose(&mapping, &document, action.id.as_deref());
            }
        }
    }

    /// An OTLP request in both forms: each of its records is an event or a reason.
    pub fn otlp(bytes: &[u8]) {
        let mapping = Mapping::default();
        for form in [otlp::Form::Protobuf, otlp::Form::Json] {
            let Ok(request) = form.decode(bytes) else { continue };
            for (document, id) in otlp::records::documents(&mapping, &request) {
                let _ = compose::compose(&mapping, &document, id.as_deref());
            }
        }
    }

    /// A link's token that nobody signed, and what one grants: is the first refused, and the other granted as it was signed?
    #[must_use]
    pub fn link(text: &str) -> bool {
        use crate::links::grant::{Grant, Key};
        let key = Key::new(b"of no link");
        let granted = |grant: &Grant| key.open(&key.sign(grant), grant.expires.saturating_sub(1));
        let holds = |grant: Grant| grant.expires == i64::MIN || granted(&grant) == Ok(grant);
        key.open(text, 0).is_err() && serde_json::from_str(text).map_or(true, holds)
    }

    /// A range of a file of a feed, and a predicate about its rows.
    pub fn feed(text: &str) {
        let mut headers = axum::http::HeaderMap::new();
        if let Ok(value) = axum::http::HeaderValue::from_str(text) {
            headers.insert(axum::http::header::RANGE, value);
        }
        let _ = crate::ranges::asked(&headers, 1_000, "\"x\"");
        crate::feeds::sharing::may_match_any(text);
    }

    /// What a client of sudo's port says, each message with its length in a byte before it.
    pub fn sudo(mut bytes: &[u8]) {
        let mut conversation = sudo::conversation::Conversation::default();
        while let Some((len, rest)) = bytes.split_first() {
            let (message, rest) = rest.split_at(rest.len().min(usize::from(*len)));
            bytes = rest;
            let Ok(said) = sudo::messages::ClientMessage::decode(message) else { continue };
            if conversation.take(said, message).is_err() {
                break;
            }
        }
        let _ = conversation.close();
    }
}

use alerts::Alerts;
use casework::Casework;
use daybook_engine::Engine;
use daybook_query::feed::Spec;
use feeds::Feeds;
use ledger::Ledger;
use links::Links;
use listener::Bounded;
use notify::Notifications;
use push::Push;
use runs::Runs;
use searches::Searches;
use state::{Opened, Shared};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tls::files::Tls;
use tls::listener::Door;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Notify, watch};

/// The settings of a server. Every bound of the service is here.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 takes a free one. Loopback only, as long as there are no tokens.
    pub listen: SocketAddr,
    /// Where to listen for sudo's logs, if at all. Loopback only.
    pub sudo_listen: Option<SocketAddr>,
    /// How many connections of sudo may be open; more are closed.
    pub sudo_connections_max: usize,
    /// How long a session of sudo's may send nothing.
    pub sudo_idle_max: Duration,
    /// How many connections may be open; more are answered "busy" and closed.
    pub connections_max: usize,
    /// The most bytes of one upload, after decompression.
    pub upload_bytes_max: u64,
    /// The most bytes of one bulk or OTLP request, after decompression: it is taken whole.
    pub request_bytes_max: u64,
    /// Which field of a document is which field of an event.
    pub mapping: Mapping,
    /// The most bytes that an upload may decompress to, for each byte that was sent.
    pub upload_ratio_max: u64,
    /// The memory that all uploads together may take, in bytes; more wait.
    pub uploads_bytes_max: u64,
    /// How long an upload waits for that before it is answered "busy".
    pub busy_wait: Duration,
    /// How long a body may send nothing, or a client take nothing of an export.
    pub idle_max: Duration,
    /// How many queries may run at once; 0 takes two for each core.
    pub reads_max: usize,
    /// How long a query may take.
    pub read_time_max: Duration,
    /// How many exports may run at once.
    pub exports_max: usize,
    /// How long requests may go on after the server was told to stop.
    pub shutdown_time_max: Duration,
    /// How many may follow the log at once.
    pub tails_max: usize,
    /// How many searches may be saved.
    pub searches_max: usize,
    /// How many of them may have an alert.
    pub alerts_max: usize,
    /// How long a delivery to a webhook may take.
    pub alert_time_max: Duration,
    /// The longest wait before a delivery that failed is tried again, unless the receiver asks for more.
    pub alert_wait_max: Duration,
    /// Where events are sent, by themselves.
    pub push: Vec<push::Sink>,
    /// What access requests take.
    pub review_rules: Vec<reviews::rules::Rule>,
    /// Who is told of access requests.
    pub notify: Vec<notify::Target>,
    /// Where people reach the page, for links in messages.
    pub public_url: Option<String>,
    /// How many may wait for access requests at once.
    pub review_waits_max: usize,
    /// Which sessions are to be looked at.
    pub queues: Vec<queue::Rule>,
    /// When people work, for reports.
    pub report_hours: daybook_query::report::Hours,
    /// How many producers may stream at once.
    pub streams_max: usize,
    /// The most bytes of a stream's frame, as it is sent.
    pub stream_frame_bytes_max: u64,
    /// How many bytes of a stream's frames may be on their way.
    pub stream_credit_bytes: u64,
    /// The server's certificate and those that lead to its root, in PEM; with it, TLS is spoken.
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key, in PEM.
    pub tls_key: Option<PathBuf>,
    /// The roots of clients' certificates, in PEM; with it, clients are asked for one.
    pub tls_client_ca: Option<PathBuf>,
    /// Must clients show one?
    pub tls_client_auth: ClientAuth,
    /// How long a TLS handshake may take.
    pub tls_handshake_time_max: Duration,
    /// How often it is looked whether the files for TLS changed.
    pub tls_reload_interval: Duration,
    /// The roles, or `type:` and types, on which a command is run again only after an approval. `*` stands for anything.
    pub run_approval: Vec<Box<str>>,
    /// How long a taker of a run has it without being heard of.
    pub run_lease: Duration,
    /// How many may take a run, one after the other.
    pub run_attempts_max: usize,
    /// How long a run waits for its approval and for a taker.
    pub run_wait_max: Duration,
    /// How many runs may not have ended.
    pub runs_max: usize,
    /// The feeds of Parquet files.
    pub feeds: Vec<Spec>,
    /// Is it told who read what?
    pub audit: bool,
    /// The file with the key that links are signed with, for nodes that share one; else each has its own.
    pub link_key_file: Option<PathBuf>,
}

impl Config {
    /// How many queries may run at once.
    fn reads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        if self.reads_max == 0 { cores * 2 } else { self.reads_max }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7330)),
            sudo_listen: None,
            sudo_connections_max: 256,
            sudo_idle_max: Duration::from_secs(86_400),
            connections_max: 4_096,
            upload_bytes_max: 1 << 30,
            request_bytes_max: 64 << 20,
            mapping: Mapping::default(),
            upload_ratio_max: 1_000,
            uploads_bytes_max: 256 << 20,
            busy_wait: Duration::from_secs(10),
            idle_max: Duration::from_secs(30),
            reads_max: 0,
            read_time_max: Duration::from_secs(30),
            exports_max: 4,
            shutdown_time_max: Duration::from_secs(5),
            tails_max: 100,
            searches_max: 1_000,
            alerts_max: 100,
            alert_time_max: Duration::from_secs(15),
            alert_wait_max: Duration::from_secs(300),
            push: Vec::new(),
            review_rules: Vec::new(),
            notify: Vec::new(),
            public_url: None,
            review_waits_max: 1_000,
            queues: Vec::new(),
            report_hours: daybook_query::report::Hours::default(),
            streams_max: 1_000,
            stream_frame_bytes_max: 1 << 20,
            stream_credit_bytes: 4 << 20,
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            tls_client_auth: ClientAuth::Required,
            tls_handshake_time_max: Duration::from_secs(10),
            tls_reload_interval: Duration::from_secs(10),
            run_approval: Vec::new(),
            run_lease: Duration::from_secs(30),
            run_attempts_max: 3,
            run_wait_max: Duration::from_secs(86_400),
            runs_max: 1_000,
            feeds: vec![Spec::native()],
            audit: true,
            link_key_file: None,
        }
    }
}

/// Why a server can't run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address can be reached from elsewhere. Use 127.0.0.1, and a proxy that asks who is there.
    #[error(
        "there is no token, so daybook listens on loopback only; {0} is not: use 127.0.0.1 or ::1, or make a token (`daybook token create`)"
    )]
    NotLoopback(SocketAddr),
    /// The system refused the address.
    #[error("can't listen on {0}: {1}; is another daybook running there?")]
    Listen(SocketAddr, std::io::Error),
    /// The tokens can't be read.
    #[error("the tokens can't be read: {0}")]
    Tokens(std::io::Error),
    /// The saved searches, or the places of their alerts, can't be read. Put the file back from a backup, or move it
    /// away: without `searches.json` no search is saved, without `alerts.json` each alert begins again where it was made.
    #[error(
        "the saved searches can't be read: {0}; put the file back from a backup, or move it away to go on without it"
    )]
    Searches(daybook_engine::Error),
    /// The places of the feeds can't be read. Put `feeds.json` back from a backup.
    #[error("the places of the feeds can't be read: {0}; put the file back from a backup")]
    Feeds(daybook_engine::Error),
    /// A sink can't be used as it is configured. Change its table `[push.NAME]`, or what it names.
    #[error("the sink `{name}` ([push.{name}]) can't be used: {what}")]
    Sink {
        /// Its name.
        name: Box<str>,
        /// What is wrong with it, and what would be right.
        what: String,
    },
    /// Somebody can't be told of access requests as it is configured. Change the table `[notify.NAME]`, or what it names.
    #[error("the notifications `{name}` ([notify.{name}]) can't be used: {what}")]
    Notify {
        /// Its name.
        name: Box<str>,
        /// What is wrong with it, and what would be right.
        what: String,
    },
    /// How far notifications are can't be read. Put `notify.json` back from a backup, or move it away: everybody is then
    /// told of what comes from now on.
    #[error(
        "how far notifications are can't be read: {0}; put the file back from a backup, or move it away to have everybody told of what comes from now on"
    )]
    Notified(daybook_engine::Error),
    /// What the acts in a session of daybook's own amount to can't be read. Put the file back from a backup, or move it
    /// away: it is made of the log again.
    #[error(
        "what was done here can't be read: {0}; put the file back from a backup, or move it away to have it made of the log again"
    )]
    Ledger(daybook_engine::Error),
    /// The runs can't be read. Move `runs.json` away: they are made of the log again.
    #[error(
        "the runs can't be read: {0}; move `runs.json` away to have them made of the log again"
    )]
    Runs(daybook_engine::Error),
    /// How far the sinks are can't be read. Put `push.json` back from a backup, or move it away: each sink then begins
    /// where its `from` says.
    #[error(
        "how far the sinks are can't be read: {0}; put the file back from a backup, or move it away to have each begin where its `from` says"
    )]
    Places(daybook_engine::Error),
    /// The links, or the key that they are signed with, can't be read. Put the file back from a backup; without
    /// `links.json` the log is read again, without `link_key.json` no link of before is good any more.
    #[error("the links can't be read: {0}")]
    Links(daybook_engine::Error),
    /// TLS can't be spoken with what the settings name.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    reload: Reload,
    sudo: Option<(TcpListener, SocketAddr)>,
    shared: Arc<Shared>,
}

/// Has a server look at its files again.
#[derive(Clone, Debug, Default)]
pub struct Reload(Arc<Notify>);

impl Reload {
    /// Now, not at the next [`Config::tls_reload_interval`].
    pub fn now(&self) {
        self.0.notify_one();
    }
}

impl Server {
    /// Listens. Requests wait until [`Server::serve`].
    ///
    /// # Errors
    /// An address that is not loopback though there are no tokens, or that can't be had; tokens, saved searches, sinks
    /// or TLS files that can't be used.
    pub async fn bind(config: Config, engine: Arc<Engine>) -> Result<Server, Error> {
        let asked = config.listen;
        let tokens = Tokens::open(engine.dir()).map_err(Error::Tokens)?;
        if !asked.ip().is_loopback() && !tokens.required() {
            return Err(Error::NotLoopback(asked));
        }
        let tls = Tls::of(&config)?.map(Arc::new);
        let (listener, address) = listen(asked)?;
        let sudo = match config.sudo_listen {
            // Its protocol knows no tokens.
            Some(asked) if !asked.ip().is_loopback() => return Err(Error::NotLoopback(asked)),
            Some(asked) => Some(listen(asked)?),
            None => None,
        };
        let searches = Searches::open(&engine).map_err(Error::Searches)?;
        let alerts = Alerts::open(&engine, &config).map_err(Error::Searches)?;
        let feeds = Feeds::open(&engine, &config.feeds).map_err(Error::Feeds)?;
        let push = Push::open(&engine, &config).await?;
        let notify = Notifications::open(&engine, &config)?;
        let links = Links::open(&engine, config.link_key_file.as_deref()).map_err(Error::Links)?;
        let casework = Casework::open(&engine).await?;
        let runs = Runs::open(&engine, &config).map_err(Error::Runs)?;
        let sent = Ledger::open(&engine).map_err(Error::Ledger)?;
        let opened = Opened { searches, alerts, notify, casework, links, runs, sent, feeds, push };
        let shared = Arc::new(Shared::new(engine, config, tokens, opened));
        Ok(Server { listener, address, tls, reload: Reload::default(), sudo, shared })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as clients write it, such as `https://127.0.0.1:7330`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.address)
    }

    /// What has it look at its files again.
    #[must_use]
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// Where it listens for sudo's logs, if it does.
    #[must_use]
    pub fn sudo_address(&self) -> Option<SocketAddr> {
        self.sudo.as_ref().map(|(_, address)| *address)
    }

    /// Answers requests until `stop` is done; then no more are taken, and those that run are
    /// answered, within [`Config::shutdown_time_max`]. The engine stays open.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) {
        let limit = self.shared.config.shutdown_time_max;
        let connections = Arc::clone(&self.shared.connections);
        let max = self.shared.config.connections_max;
        let config = &self.shared.config;
        let (handshake, look) = (config.tls_handshake_time_max, config.tls_reload_interval);
        let bounded = Bounded::new(self.listener, max, Arc::clone(&connections));
        let listener = Door::new(bounded, self.tls.clone(), handshake, connections);
        let _watch = Watch(tokio::spawn(health::watch(Arc::clone(&self.shared))));
        alerts::start(&self.shared);
        self.shared.feeds.start();
        push::start(&self.shared);
        reviews::start(&self.shared);
        notify::start(&self.shared);
        audit::start(&self.shared).await;
        Runs::start(&self.shared);
        let _reload = self.tls.map(|tls| {
            let now = Arc::clone(&self.reload.0);
            Watch(tokio::spawn(tls::files::watch(tls, look, now)))
        });
        let (stop_sudo, sudo_stopped) = watch::channel(false);
        let sudo = self.sudo.map(|(listener, _)| {
            let app = Arc::clone(&self.shared);
            tokio::spawn(doors::sudo::listen(listener, app, sudo_stopped))
        });
        let (shared, app) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        let router = openapi::router(self.shared);
        let (stopping, stopped) = tokio::sync::oneshot::channel();
        let stopped_streams = Arc::clone(&shared);
        let signal = async move {
            stop.await;
            stopped_streams.streams.stop();
            stopped_streams.alerts.stop();
            stopped_streams.feeds.stop();
            stopped_streams.push.stop();
            stopped_streams.notify.stop();
            stopped_streams.runs.stop();
            // Nobody hears it where sudo is not listened for.
            let _ = stop_sudo.send(true);
            let _ = stopping.send(());
        };
        let serve = async {
            serve::serve(listener, router, signal).await;
            // Streams are connections that the server of HTTP has let go.
            shared.streams.ended().await;
        };
        let cut = async {
            // An error means that serving ended by itself.
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(limit).await;
        };
        let served = async {
            serve.await;
            if let Some(sudo) = sudo {
                // A panic in it is in the log.
                let _ = sudo.await;
            }
        };
        tokio::select! {
            () = served => {}
            () = cut => {
                tracing::warn!("some requests were cut off: they took too long after the stop");
            }
        }
        app.alerts.keep_places().await;
        app.feeds.ended().await;
        app.push.keep_places().await;
        app.notify.keep_places().await;
        app.audit.flush().await;
    }
}

/// How many connections may wait to be accepted: a fleet that comes back at once is not turned away, though the
/// system may allow less.
const BACKLOG: u32 = 4_096;

fn listen(asked: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |error| Error::Listen(asked, error);
    let socket = if asked.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let listener = socket.and_then(|socket| {
        // A port is free again as soon as its server has ended.
        socket.set_reuseaddr(true)?;
        socket.bind(asked)?;
        socket.listen(BACKLOG)
    });
    let listener = listener.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// A task that ends with its server.
struct Watch(tokio::task::JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}
