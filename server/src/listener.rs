//! The listening socket with a bound on its connections.
//!
//! A connection over the bound is not left waiting: whatever it asks for, it is answered 503 and
//! closed, and counted.

use axum::serve::Listener;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const BODY: &str = r#"{"type":"urn:daybook:problem:busy","title":"Busy","status":503,"detail":"too many connections at once (connections_max); close some, or come again later"}"#;
/// The first byte of a TLS handshake; no request in plain HTTP starts with it.
pub const HANDSHAKE: u8 = 0x16;
/// This many connections are told at the same time that there are too many; more are only closed.
const TOLD_MAX: usize = 64;
/// How long telling one may take.
const TOLD_TIME_MAX: Duration = Duration::from_secs(1);
/// The log says it this often at most.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// What is known of a server's connections.
#[derive(Debug, Default)]
pub struct Connections {
    open: AtomicU64,
    refused: AtomicU64,
    handshakes_failed: AtomicU64,
}

impl Connections {
    /// How many are open.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open.load(Relaxed)
    }

    /// How many were refused since the start.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// How many TLS handshakes failed since the start.
    #[must_use]
    pub fn handshakes_failed(&self) -> u64 {
        self.handshakes_failed.load(Relaxed)
    }

    /// Counts one that failed.
    pub fn handshake_failed(&self) {
        self.handshakes_failed.fetch_add(1, Relaxed);
    }
}

/// A listening socket with a bound on its connections.
#[derive(Debug)]
pub struct Bounded {
    listener: TcpListener,
    room: Arc<Semaphore>,
    max: usize,
    told: Arc<Semaphore>,
    connections: Arc<Connections>,
    logged: Option<Instant>,
}

impl Bounded {
    /// At most `max` connections at once, at least one.
    #[must_use]
    pub fn new(listener: TcpListener, max: usize, connections: Arc<Connections>) -> Bounded {
        let max = max.clamp(1, Semaphore::MAX_PERMITS);
        Bounded {
            listener,
            room: Arc::new(Semaphore::new(max)),
            max,
            told: Arc::new(Semaphore::new(TOLD_MAX)),
            connections,
            logged: None,
        }
    }

    fn refuse(&mut self, stream: TcpStream) {
        self.connections.refused.fetch_add(1, Relaxed);
        if self.logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            self.logged = Some(Instant::now());
            tracing::warn!(connections_max = self.max, "too many connections: more are refused");
        }
        if let Ok(permit) = Arc::clone(&self.told).try_acquire_owned() {
            tokio::spawn(async move {
                let _permit = permit;
                // Nobody may be there to hear it.
                let _ = tokio::time::timeout(TOLD_TIME_MAX, tell(stream)).await;
            });
        }
    }
}

async fn tell(stream: TcpStream) -> io::Result<()> {
    let mut first = [0];
    // An answer in plain text is no answer to a TLS client.
    if stream.peek(&mut first).await? == 0 || first == [HANDSHAKE] {
        return Ok(());
    }
    answer(stream, "503 Service Unavailable", "retry-after: 1\r\n", BODY).await
}

/// Answers whatever is asked for with a problem, in plain HTTP/1.1, and closes.
///
/// # Errors
/// The connection's.
pub async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    status: &str,
    headers: &str,
    body: &str,
) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {}\r\ncontent-length: {}\r\n{headers}connection: close\r\n\r\n{body}",
        crate::problem::MEDIA_TYPE,
        body.len()
    );
    let mut rest = [0; 4096];
    // An answer to nothing is an error to clients.
    if stream.read(&mut rest).await? == 0 {
        return Ok(());
    }
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // Closed with bytes unread, the connection would be reset, and the answer lost with it.
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            match Arc::clone(&self.room).try_acquire_owned() {
                Ok(permit) => {
                    self.connections.open.fetch_add(1, Relaxed);
                    let connections = Arc::clone(&self.connections);
                    return (Connection { stream, connections, _permit: permit }, address);
                }
                Err(_) => self.refuse(stream),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that is counted as long as it lives.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    connections: Arc<Connections>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    /// The first byte that comes, without taking it.
    ///
    /// # Errors
    /// The connection's, also that it was closed before there was one.
    pub async fn first_byte(&self) -> io::Result<u8> {
        let mut first = [0];
        match self.stream.peek(&mut first).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(u8::from_be_bytes(first)),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.open.fetch_sub(1, Relaxed);
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
