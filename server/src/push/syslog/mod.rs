//! Syslog over TLS (RFC 5425) or plain TCP: a connection that stays, and a message a line.
//!
//! | module | what is there |
//! |---|---|
//! | here | the connection: opened, written to, found closed |
//! | `line` | a message and its frame |
//! | `queue` | what of a connection the receiver's machine has not confirmed |
//!
//! Syslog has no answers. A batch counts as taken once the receiver's machine has confirmed every byte of it (the send
//! queue is empty) and the connection is still open. What the machine has and its syslog server did not read by the
//! time it ends is lost with it; that is why each new connection begins some events earlier (`resend`). A receiver's
//! end is seen by reading: also while there is nothing to send.

pub mod line;
mod queue;

use super::outcome::Outcome;
use super::sink::{Sink, Target};
use super::tls;
use daybook_query::search::Told;
use futures_util::FutureExt as _;
use line::Head;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// How often it is looked whether the receiver's machine has everything: at first, and at most.
const LOOK_FIRST: Duration = Duration::from_millis(1);
const LOOK_MOST: Duration = Duration::from_millis(50);

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// A receiver of syslog.
pub struct Syslog {
    sink: Arc<Sink>,
    head: Head,
    connection: Option<Connection>,
}

struct Connection {
    stream: Box<dyn Stream>,
    /// The socket below, to be asked what it still holds.
    socket: OwnedFd,
}

impl Syslog {
    /// One that is not connected.
    #[must_use]
    pub fn new(sink: &Arc<Sink>) -> Syslog {
        let hostname = match &*sink.hostname {
            "" => machine(),
            named => named.into(),
        };
        let head = Head {
            facility: sink.facility,
            hostname,
            process: std::process::id(),
            enterprise: sink.enterprise.as_str().into(),
        };
        Syslog { sink: Arc::clone(sink), head, connection: None }
    }

    /// Connects, if there is no connection that is open. Answers whether it is a new one.
    ///
    /// # Errors
    /// Why the receiver can't be reached.
    pub async fn connect(&mut self) -> Result<bool, String> {
        if let Some(connection) = &mut self.connection {
            match connection.closed().now_or_never() {
                None => return Ok(false),
                Some(why) => {
                    self.connection = None;
                    tracing::info!(sink = %self.sink.name, why, "a connection is made anew");
                }
            }
        }
        let limit = self.sink.timeout;
        let connection = timeout(limit, open(&self.sink)).await.unwrap_or_else(|_| {
            Err(format!("no connection within {} ms (timeout)", limit.as_millis()))
        });
        self.connection = Some(connection?);
        Ok(true)
    }

    /// Waits until the receiver closes the connection; says why. For ever, while there is none.
    pub async fn closed(&mut self) -> String {
        match &mut self.connection {
            None => std::future::pending().await,
            Some(connection) => {
                let why = connection.closed().await;
                self.connection = None;
                why
            }
        }
    }

    /// Sends events, and waits until the receiver's machine has them.
    pub async fn send(&mut self, batch: &[Told]) -> Outcome {
        let mut bytes = Vec::new();
        for told in batch {
            for text in &told.lines {
                let message = line::message(&self.head, told, text);
                let (length, most) = (message.len() as u64, self.sink.message_bytes_max);
                if most > 0 && length > most {
                    let why =
                        format!("a message of {length} bytes is over message_bytes_max ({most})");
                    return Outcome::Refused(why);
                }
                line::frame(&mut bytes, &message);
            }
        }
        let Some(mut connection) = self.connection.take() else {
            return Outcome::Failed("there is no connection".to_owned(), None);
        };
        let limit = self.sink.timeout;
        match timeout(limit, connection.deliver(&bytes)).await {
            Ok(Ok(())) => {
                self.connection = Some(connection);
                Outcome::Taken
            }
            Ok(Err(why)) => Outcome::Failed(why, None),
            Err(_) => {
                let what = format!(
                    "the receiver did not take a batch within {} ms (timeout)",
                    limit.as_millis()
                );
                Outcome::Failed(what, None)
            }
        }
    }
}

impl Connection {
    /// Waits until the receiver closes, or the connection breaks.
    async fn closed(&mut self) -> String {
        let mut said = [0; 1024];
        loop {
            match self.stream.read(&mut said).await {
                Ok(0) => return "the receiver closed the connection".to_owned(),
                // Nothing that it says is asked for.
                Ok(_) => {}
                Err(error) => return broke(&error),
            }
        }
    }

    async fn deliver(&mut self, bytes: &[u8]) -> Result<(), String> {
        let writing = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        writing.await.map_err(|error| broke(&error))?;
        let mut wait = LOOK_FIRST;
        loop {
            let left = queue::unconfirmed(&self.socket).map_err(|error| broke(&error))?;
            // The end of a connection empties its queue, too: that is looked at last.
            if let Some(why) = self.closed().now_or_never() {
                return Err(why);
            }
            if left == 0 {
                return Ok(());
            }
            if let Ok(why) = timeout(wait, self.closed()).await {
                return Err(why);
            }
            wait = (wait * 2).min(LOOK_MOST);
        }
    }
}

async fn open(sink: &Arc<Sink>) -> Result<Connection, String> {
    let Some(Target::Syslog { host, port, tls }) = &sink.url else {
        return Err("it is no address of syslog".to_owned());
    };
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let failed = |error: io::Error| format!("{host}:{port} can't be reached: {error}");
    let stream = TcpStream::connect((name.as_str(), *port)).await.map_err(failed)?;
    // A batch is written at once.
    stream.set_nodelay(true).map_err(failed)?;
    let socket = stream.as_fd().try_clone_to_owned().map_err(failed)?;
    let stream: Box<dyn Stream> = if *tls {
        let files = Arc::clone(sink);
        // Read for each connection: a new certificate is taken up.
        let config = tokio::task::spawn_blocking(move || tls::config(&files)).await;
        let config =
            config.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let name = ServerName::try_from(name).map_err(|error| format!("{host}: {error}"))?;
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        Box::new(connected.map_err(|error| format!("TLS with {host}:{port} failed: {error}"))?)
    } else {
        Box::new(stream)
    };
    Ok(Connection { stream, socket })
}

fn broke(error: &io::Error) -> String {
    format!("the connection broke: {error}")
}

/// What this machine calls itself; `-`, which is nothing, where that has no place in a header.
fn machine() -> Box<str> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    let well = !name.is_empty() && name.len() <= 255 && name.bytes().all(|b| b.is_ascii_graphic());
    if well { name.into() } else { "-".into() }
}
