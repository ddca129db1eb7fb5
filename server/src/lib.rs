//! The HTTP service: ingest, lists, search, timelines, exports, and the pages.
//!
//! | module | what is there |
//! |---|---|
//! | [`auth`] | who asks, and what they may |
//! | `ingest` | `POST /v1/events` |
//! | `sessions`, `timeline`, `search`, `export` | what investigators ask |
//! | `retention` | how long what is kept, and legal holds |
//! | `merkle` | checkpoints, tiles and proofs |
//! | `stats`, `metrics`, `health` | how the server is doing |
//! | `backup`, `rekey`, `repair` | backups of the running log; everything under the first encryption key; what is damaged, made again |
//! | `page` | the files of the pages |
//! | `params`, `problem` | how requests are read and errors answered |
//! | `listener` | the socket, with a bound on its connections |
//! | `state`, `pool` | what handlers share; where work that blocks is done |
//! | `security` | headers, and what keeps other sites' pages out |
//! | `openapi` | the routes and the document about them |
//! | `shapes` | the shapes of answers in that document |
#![expect(unused_qualifications, reason = "utoipa's macros write the paths of their types out")]

pub mod auth;
mod backup;
mod export;
mod health;
mod ingest;
mod listener;
mod merkle;
mod metrics;
mod openapi;
mod page;
mod params;
mod pool;
mod problem;
mod rekey;
mod repair;
mod retention;
mod search;
mod security;
mod sessions;
mod shapes;
mod state;
mod stats;
mod timeline;

pub use ingest::tally::LISTED_MAX as REJECTED_LISTED_MAX;

use auth::tokens::Tokens;
use daybook_engine::Engine;
use listener::Bounded;
use state::Shared;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// The settings of a server. Every bound of the service is here.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 takes a free one. Loopback only, as long as there are no tokens.
    pub listen: SocketAddr,
    /// How many connections may be open; more are answered "busy" and closed.
    pub connections_max: usize,
    /// The most bytes of one upload, after decompression.
    pub upload_bytes_max: u64,
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
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7330)),
            connections_max: 4_096,
            upload_bytes_max: 1 << 30,
            upload_ratio_max: 1_000,
            uploads_bytes_max: 256 << 20,
            busy_wait: Duration::from_secs(10),
            idle_max: Duration::from_secs(30),
            reads_max: 0,
            read_time_max: Duration::from_secs(30),
            exports_max: 4,
            shutdown_time_max: Duration::from_secs(5),
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
    /// The system refused to go on.
    #[error("serving failed: {0}")]
    Serve(std::io::Error),
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// Listens. Requests wait until [`Server::serve`].
    ///
    /// # Errors
    /// An address that is not loopback though there are no tokens, or that can't be had; tokens that can't
    /// be read.
    pub async fn bind(config: Config, engine: Arc<Engine>) -> Result<Server, Error> {
        let asked = config.listen;
        let tokens = Tokens::open(engine.dir()).map_err(Error::Tokens)?;
        if !asked.ip().is_loopback() && !tokens.required() {
            return Err(Error::NotLoopback(asked));
        }
        let listen = |error| Error::Listen(asked, error);
        let listener = TcpListener::bind(asked).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(Server { listener, address, shared: Arc::new(Shared::new(engine, config, tokens)) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `stop` is done; then no more are taken, and those that run are
    /// answered, within [`Config::shutdown_time_max`]. The engine stays open.
    ///
    /// # Errors
    /// The system's.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
        let limit = self.shared.config.shutdown_time_max;
        let connections = Arc::clone(&self.shared.connections);
        let max = self.shared.config.connections_max;
        let listener = Bounded::new(self.listener, max, connections);
        let _watch = Watch(tokio::spawn(health::watch(Arc::clone(&self.shared))));
        let router = openapi::router(self.shared);
        let (stopping, stopped) = tokio::sync::oneshot::channel();
        let signal = async move {
            stop.await;
            let _ = stopping.send(());
        };
        let serve = axum::serve(listener, router).with_graceful_shutdown(signal);
        let cut = async {
            // An error means that serving ended by itself.
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(limit).await;
        };
        tokio::select! {
            outcome = serve => outcome.map_err(Error::Serve),
            () = cut => {
                tracing::warn!("some requests were cut off: they took too long after the stop");
                Ok(())
            }
        }
    }
}

/// A task that ends with its server.
struct Watch(tokio::task::JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}
