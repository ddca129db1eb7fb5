//! TLS as sinks speak it: who the receiver must be, and who it is told that this is.

use super::sink::Sink;
use crate::tls::TlsError;
use crate::tls::files::{bad, certificates, private_key, read};
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Reads the files that a sink names.
///
/// # Errors
/// Files that can't be read or used, and a system that trusts nobody.
pub fn config(sink: &Sink) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let of = sink.ca_file.as_deref().unwrap_or(Path::new("the system's roots"));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(of, error.to_string()))?;
    let tls = sink.url.as_ref().is_some_and(|target| target.is_tls());
    let builder = match &sink.ca_file {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(path, &read(path)?)? {
                roots.add(root).map_err(|error| bad(path, error.to_string()))?;
            }
            builder.with_root_certificates(roots)
        }
        None if tls => {
            builder.with_platform_verifier().map_err(|error| bad(of, error.to_string()))?
        }
        // Nobody is asked who they are.
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    match (&sink.client_cert_file, &sink.client_key_file) {
        (Some(cert), Some(key)) => {
            let chain = certificates(cert, &read(cert)?)?;
            let private = private_key(key, &read(key)?)?;
            builder
                .with_client_auth_cert(chain, private)
                .map_err(|error| bad(cert, format!("with the key in {}: {error}", key.display())))
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}
