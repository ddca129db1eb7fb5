//! The door: a bounded socket, with TLS where there is a certificate.
//!
//! Each handshake is a task of its own with a limit on its time, so one that hangs takes a connection
//! of `connections_max` for that long and nothing else. Who speaks plain HTTP to a TLS port is told so
//! in plain HTTP.

use super::files::Tls;
use super::{ClientCertificate, name};
use crate::listener::{Bounded, Connection, Connections, HANDSHAKE, answer};
use axum::serve::Listener;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;

const PLAIN: &str = r#"{"type":"urn:daybook:problem:tls","title":"TLS only","status":400,"detail":"this port speaks TLS; ask for https:// instead of http://"}"#;
/// How long telling it may take.
const PLAIN_TIME_MAX: Duration = Duration::from_secs(1);

/// Accepts connections, each once it can carry requests.
#[derive(Debug)]
pub struct Door {
    bounded: Bounded,
    tls: Option<Arc<Tls>>,
    handshake_time_max: Duration,
    handshakes: JoinSet<Option<(Stream, SocketAddr)>>,
    connections: Arc<Connections>,
}

impl Door {
    /// Connections of `bounded`, under TLS if there is any.
    #[must_use]
    pub fn new(
        bounded: Bounded,
        tls: Option<Arc<Tls>>,
        handshake_time_max: Duration,
        connections: Arc<Connections>,
    ) -> Door {
        Door { bounded, tls, handshake_time_max, handshakes: JoinSet::new(), connections }
    }

    fn shake_hands(&mut self, tls: &Tls, connection: Connection, address: SocketAddr) {
        let (acceptor, limit) = (tls.acceptor(), self.handshake_time_max);
        let connections = Arc::clone(&self.connections);
        self.handshakes.spawn(async move {
            let shake = async {
                if connection.first_byte().await? != HANDSHAKE {
                    let told = answer(connection, "400 Bad Request", "", PLAIN);
                    let _ = tokio::time::timeout(PLAIN_TIME_MAX, told).await;
                    return Err(io::Error::other("plain text on a port that speaks TLS"));
                }
                acceptor.accept(connection).await
            };
            let error = match tokio::time::timeout(limit, shake).await {
                Ok(Ok(stream)) => return Some((Stream::Tls(Box::new(stream)), address)),
                Ok(Err(error)) => error,
                Err(_) => io::Error::other("it took too long (tls_handshake_time_max)"),
            };
            connections.handshake_failed();
            // Anybody can bring this about, as often as they like.
            tracing::debug!(%address, %error, "a TLS handshake failed");
            None
        });
    }
}

impl Listener for Door {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        let Some(tls) = self.tls.clone() else {
            let (connection, address) = self.bounded.accept().await;
            return (Stream::Plain(connection), address);
        };
        loop {
            tokio::select! {
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(ready)) = done {
                        return ready;
                    }
                }
                (connection, address) = self.bounded.accept() => {
                    self.shake_hands(&tls, connection, address);
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.bounded.local_addr()
    }
}

/// A connection, with TLS or without.
#[derive(Debug)]
pub enum Stream {
    /// Without.
    Plain(Connection),
    /// With it, after the handshake.
    Tls(Box<TlsStream<Connection>>),
}

impl Stream {
    /// Who the client is, as the certificate says that it showed.
    #[must_use]
    pub fn client_certificate(&self) -> Option<ClientCertificate> {
        let Stream::Tls(tls) = self else { return None };
        let shown = tls.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let name = shown.and_then(|certificate| name::of(certificate));
        name.map(|name| ClientCertificate { name: name.into() })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::{ClientAuth, ClientCertificate};
    use super::*;
    use crate::Config;
    use crate::serve::serve;
    use axum::{Extension, Router, routing::get};
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    async fn whoami(certificate: Option<Extension<ClientCertificate>>) -> String {
        certificate.map_or("nobody".to_owned(), |Extension(shown)| shown.name.to_string())
    }

    async fn ask(address: SocketAddr, client: ClientConfig) -> String {
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let connector = TlsConnector::from(Arc::new(client));
        let mut tls = connector.connect("localhost".try_into().unwrap(), socket).await.unwrap();
        tls.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        tls.read_to_string(&mut answer).await.unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    #[tokio::test]
    async fn handlers_are_told_whose_certificate_was_shown() {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(params, ca_key);
        let issue = |san: SanType| {
            let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
            params.subject_alt_names = vec![san];
            let key = KeyPair::generate().unwrap();
            (params.signed_by(&key, &issuer).unwrap(), key)
        };
        let (cert, key) = issue(SanType::DnsName("localhost".try_into().unwrap()));
        let file = |name: &str, text: String| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            Some(path)
        };
        let config = Config {
            tls_cert: file("cert", cert.pem()),
            tls_key: file("key", key.serialize_pem()),
            tls_client_ca: file("ca", ca.pem()),
            tls_client_auth: ClientAuth::Optional,
            ..Config::default()
        };
        let tls = Tls::of(&config).unwrap().map(Arc::new);
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let connections = Arc::new(Connections::default());
        let bounded = Bounded::new(socket, 10, Arc::clone(&connections));
        let door = Door::new(bounded, tls, Duration::from_secs(5), connections);
        let router = Router::new().route("/", get(whoami));
        let serving = tokio::spawn(serve(door, router, std::future::pending()));

        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();
        let client = || {
            ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots.clone())
        };
        assert_eq!(ask(address, client().with_no_client_auth()).await, "nobody");
        let (cert, key) = issue(SanType::URI("spiffe://example.com/proxy-7".try_into().unwrap()));
        let chain: Vec<CertificateDer<'static>> = vec![cert.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let shown = client().with_client_auth_cert(chain, key).unwrap();
        assert_eq!(ask(address, shown).await, "spiffe://example.com/proxy-7");
        serving.abort();
    }
}
