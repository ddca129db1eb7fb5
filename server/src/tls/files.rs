//! Certificates and keys: PEM files, read at the start and again when they change.
//!
//! | setting | what the file holds |
//! |---|---|
//! | `tls_cert` | the server's certificate, then those that lead from it to its root |
//! | `tls_key` | its key: PKCS #8, PKCS #1 or SEC1 |
//! | `tls_client_ca` | the roots that clients' certificates lead to |
//!
//! Whether they changed is seen from what is in them, not from their times: a volume of secrets swaps
//! links, and a copy may keep the time. Half of a change (the new certificate beside the old key) does
//! not fit together and is not taken; the next look finds the other half.

use super::{ClientAuth, TlsError};
use crate::Config;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// A file that is larger is none of ours.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The files, and what was made of them last.
#[derive(Debug)]
pub struct Tls {
    files: Files,
    config: RwLock<Arc<ServerConfig>>,
    /// The hash of what was looked at last, whether or not it could be used.
    seen: Mutex<u64>,
}

/// Where the certificates and the key are.
#[derive(Debug)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<(PathBuf, ClientAuth)>,
}

/// What is in them.
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Reads what the settings name; `None` if they name nothing.
    ///
    /// # Errors
    /// Settings that do not go together, and files that can't be read or used.
    pub fn of(config: &Config) -> Result<Option<Tls>, TlsError> {
        let (cert, key) = match (&config.tls_cert, &config.tls_key) {
            (Some(cert), Some(key)) => (cert.clone(), key.clone()),
            (None, None) if config.tls_client_ca.is_some() => return Err(TlsError::NoTls),
            (None, None) => return Ok(None),
            _ => return Err(TlsError::Half),
        };
        let client_ca = config.tls_client_ca.clone().map(|path| (path, config.tls_client_auth));
        let files = Files { cert, key, client_ca };
        let contents = files.read()?;
        let config = RwLock::new(Arc::new(files.config(&contents)?));
        Ok(Some(Tls { files, config, seen: Mutex::new(contents.hash()) }))
    }

    /// What the next handshake goes by.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner)).into()
    }

    /// Reads the files again, and takes them up if they changed and can be used. What can't is told in
    /// the log, once for each change.
    pub fn look_again(&self) {
        let contents = match self.files.read() {
            Ok(contents) => contents,
            Err(error) => {
                let mut hasher = DefaultHasher::new();
                error.to_string().hash(&mut hasher);
                if self.is_new(hasher.finish()) {
                    tracing::error!(%error, "the TLS files can't be read; the ones before stay");
                }
                return;
            }
        };
        if !self.is_new(contents.hash()) {
            return;
        }
        match self.files.config(&contents) {
            Ok(config) => {
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                tracing::info!("new TLS files are in use; open connections keep the ones before");
            }
            Err(error) => {
                tracing::error!(%error, "the new TLS files can't be used; the ones before stay");
            }
        }
    }

    fn is_new(&self, hash: u64) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *seen, hash) != hash
    }
}

/// Looks at the files every so often, and at once when told to.
pub async fn watch(tls: Arc<Tls>, every: Duration, now: Arc<Notify>) {
    loop {
        // Either way it is time.
        let _ = tokio::time::timeout(every, now.notified()).await;
        let tls = Arc::clone(&tls);
        if tokio::task::spawn_blocking(move || tls.look_again()).await.is_err() {
            tracing::error!("looking at the TLS files broke; it will be tried again");
        }
    }
}

impl Files {
    fn read(&self) -> Result<Contents, TlsError> {
        Ok(Contents {
            cert: read(&self.cert)?,
            key: read(&self.key)?,
            client_ca: self.client_ca.as_ref().map(|(path, _)| read(path)).transpose()?,
        })
    }

    fn config(&self, contents: &Contents) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates(&self.cert, &contents.cert)?;
        let key = private_key(&self.key, &contents.key)?;
        let verifier = self.verifier(contents, &provider)?;
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| bad(&self.cert, error.to_string()))?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| {
            bad(&self.cert, format!("with the key in {}: {error}", self.key.display()))
        })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn verifier(
        &self,
        contents: &Contents,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
        let (Some((path, auth)), Some(pem)) = (&self.client_ca, &contents.client_ca) else {
            return Ok(None);
        };
        let mut roots = RootCertStore::empty();
        for root in certificates(path, pem)? {
            roots.add(root).map_err(|error| bad(path, error.to_string()))?;
        }
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let builder = match auth {
            ClientAuth::Required => builder,
            ClientAuth::Optional => builder.allow_unauthenticated(),
        };
        builder.build().map(Some).map_err(|error| bad(path, error.to_string()))
    }
}

impl Contents {
    fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.cert, &self.key, &self.client_ca).hash(&mut hasher);
        hasher.finish()
    }
}

/// What is in a file.
///
/// # Errors
/// It can't be read, or is far too large.
pub fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let said = |error| TlsError::Read { path: path.to_owned(), error };
    let length = std::fs::metadata(path).map_err(said)?.len();
    if length > FILE_BYTES_MAX {
        return Err(bad(path, format!("{length} bytes are no certificate and no key")));
    }
    std::fs::read(path).map_err(said)
}

/// At least one certificate.
///
/// # Errors
/// There is none.
pub fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if all.is_empty() => Err(bad(path, "it holds no certificate in PEM".to_owned())),
        Ok(all) => Ok(all),
        Err(error) => Err(bad(path, format!("it is not PEM ({error})"))),
    }
}

/// A private key.
///
/// # Errors
/// There is none.
pub fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem)
        .map_err(|error| bad(path, format!("it holds no private key in PEM ({error})")))
}

/// A file that can't be used; why.
pub fn bad(path: &Path, what: String) -> TlsError {
    TlsError::Bad { path: path.to_owned(), what }
}
