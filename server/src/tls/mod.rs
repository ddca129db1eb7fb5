//! TLS, so that proxies elsewhere reach the log without another program in front of it.
//!
//! | module | what is there |
//! |---|---|
//! | [`files`] | certificates and keys: read, checked, and read again when they change |
//! | [`listener`] | handshakes, beside accepting and bounded in time |
//! | [`name`] | what a client's certificate calls it |
//!
//! ```text
//! socket ─► Bounded ─► first byte ─┬─ a handshake's ─► rustls ─► HTTP/2 or HTTP/1.1, as ALPN has it
//!                                  └─ anything else ─► 400: "this port speaks TLS"
//! ```
//!
//! A change of the files is taken up by the next handshake; connections that are open go on with what
//! they began with. Files that can't be used are named in the log, and the ones before stay: a renewal
//! that went wrong is no outage until the old certificate ends.

pub mod files;
pub mod listener;
mod name;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// Must clients show a certificate of `tls_client_ca`'s?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// Every connection must: one without is not opened.
    #[default]
    Required,
    /// One that is shown must be good; who shows none is let in without a name.
    Optional,
}

impl fmt::Display for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ClientAuth::Required => "required",
            ClientAuth::Optional => "optional",
        })
    }
}

impl FromStr for ClientAuth {
    type Err = String;

    fn from_str(text: &str) -> Result<ClientAuth, String> {
        match text {
            "required" => Ok(ClientAuth::Required),
            "optional" => Ok(ClientAuth::Optional),
            _ => Err("write required or optional".to_owned()),
        }
    }
}

/// Who the client is, as the certificate says that it showed: an extension of its requests. There is
/// none without TLS, without a certificate, or when the certificate names nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The first DNS name or URI of its alternative names, or else its common name.
    pub name: Arc<str>,
}

/// Why TLS can't be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// One of the two is not enough. Name both, or neither.
    #[error(
        "TLS takes a certificate and its key: tls_cert and tls_key (--tls-cert, --tls-key) go together"
    )]
    Half,
    /// Clients' certificates need TLS. Name a certificate and a key, too.
    #[error(
        "tls_client_ca is for TLS, and there is none: name tls_cert and tls_key (--tls-cert, --tls-key)"
    )]
    NoTls,
    /// A file can't be read.
    #[error("can't read {}: {error}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// A file holds something else, or nothing.
    #[error("{} can't be used: {what}", .path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what would be right.
        what: String,
    },
}
