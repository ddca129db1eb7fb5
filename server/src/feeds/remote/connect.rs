//! A location to a client of its store.
//!
//! Who the client is, it takes from a file that the location names; otherwise from the environment as programs of that
//! store do (`AWS_ACCESS_KEY_ID`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_KEY`, …); otherwise from the machine
//! that it runs on. TLS is rustls on ring, with the system's roots, and those of a file that the location names.

use super::credentials::AwsFile;
use daybook_query::feed::location::{Kind, Remote};
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::{BackoffConfig, Certificate, ClientOptions, ObjectStore, RetryConfig};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::crypto::ring;

/// A request, whose body is a piece at most, takes so long at most.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);
/// So long it may take to connect.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// What fails is tried again so often, and for so long; after that the feed waits and begins again.
const RETRIES_MAX: usize = 4;
const RETRY_TIME_MAX: Duration = Duration::from_secs(20);
/// A file of credentials or certificates is no longer than this, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A client of the store.
///
/// # Errors
/// What of the location can't be used.
pub fn client(remote: &Remote) -> Result<Arc<dyn ObjectStore>, String> {
    // Without one, no client can be made; it is an error that somebody did it before.
    let _ = ring::default_provider().install_default();
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.,
        },
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_TIME_MAX,
    };
    match remote.kind {
        Kind::S3 => s3(remote, retry),
        Kind::Gcs => gcs(remote, retry),
        Kind::Azure => azure(remote, retry),
        Kind::Directory => {
            let dir = Path::new(&remote.prefix);
            if !dir.is_dir() {
                return Err(
                    "there is no such directory; make it, or mount what it is in".to_owned()
                );
            }
            let local = LocalFileSystem::new_with_prefix(dir).map_err(|error| error.to_string())?;
            Ok(Arc::new(local.with_fsync(true)))
        }
    }
}

/// Where in what the client reaches the location is.
pub fn prefix(remote: &Remote) -> &str {
    if remote.kind == Kind::Directory { "" } else { &remote.prefix }
}

fn s3(remote: &Remote, retry: RetryConfig) -> Result<Arc<dyn ObjectStore>, String> {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(&remote.bucket)
        .with_client_options(options(remote)?)
        .with_retry(retry)
        // Whatever the environment says: without it two nodes would overwrite each other.
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        // Not all that speak the protocol delete in bulk, and here it is never many at once.
        .with_disable_bulk_delete(true);
    if let Some(region) = remote.option("region") {
        builder = builder.with_region(region);
    }
    let hosted = remote.option("path_style") == Some("false");
    builder = builder.with_virtual_hosted_style_request(hosted);
    if let Some(endpoint) = remote.option("endpoint") {
        let endpoint = endpoint.trim_end_matches('/');
        builder = builder.with_endpoint(match (hosted, endpoint.split_once("://")) {
            (true, Some((scheme, host))) => format!("{scheme}://{}.{host}", remote.bucket),
            _ => endpoint.to_owned(),
        });
    }
    if let Some(file) = remote.option("credentials_file") {
        let profile = remote.option("profile").unwrap_or("default");
        let file = AwsFile::open(Path::new(file), profile)?;
        builder = builder.with_credentials(Arc::new(file));
    } else if remote.option("profile").is_some() {
        return Err("`profile` is one of a `credentials_file`, and none is named".to_owned());
    }
    Ok(Arc::new(builder.build().map_err(|error| error.to_string())?))
}

fn gcs(remote: &Remote, retry: RetryConfig) -> Result<Arc<dyn ObjectStore>, String> {
    let mut builder = GoogleCloudStorageBuilder::from_env()
        .with_bucket_name(&remote.bucket)
        .with_client_options(options(remote)?)
        .with_retry(retry);
    if let Some(endpoint) = remote.option("endpoint") {
        builder = builder.with_base_url(endpoint.trim_end_matches('/'));
    }
    if let Some(file) = remote.option("credentials_file") {
        builder = builder.with_service_account_path(file);
    }
    Ok(Arc::new(builder.build().map_err(|error| error.to_string())?))
}

fn azure(remote: &Remote, retry: RetryConfig) -> Result<Arc<dyn ObjectStore>, String> {
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_container_name(&remote.bucket)
        .with_client_options(options(remote)?)
        .with_retry(retry);
    if let Some(account) = remote.option("account") {
        builder = builder.with_account(account);
    }
    if let Some(endpoint) = remote.option("endpoint") {
        builder = builder.with_endpoint(endpoint.to_owned());
    }
    if let Some(file) = remote.option("credentials_file") {
        builder = builder.with_access_key(read(Path::new(file))?.trim());
    }
    Ok(Arc::new(builder.build().map_err(|error| error.to_string())?))
}

fn options(remote: &Remote) -> Result<ClientOptions, String> {
    let agent = concat!("daybook/", env!("CARGO_PKG_VERSION"));
    let mut options = ClientOptions::new()
        .with_timeout(REQUEST_TIME_MAX)
        .with_connect_timeout(CONNECT_TIME_MAX)
        .with_allow_http(remote.option("allow_http") == Some("true"))
        .with_user_agent(reqwest::header::HeaderValue::from_static(agent));
    if let Some(file) = remote.option("ca_file") {
        let pem = read(Path::new(file))?;
        let roots = Certificate::from_pem_bundle(pem.as_bytes());
        let roots = roots.map_err(|error| format!("{file} has no certificates: {error}"))?;
        if roots.is_empty() {
            return Err(format!("{file} has no certificates"));
        }
        options = roots.into_iter().fold(options, ClientOptions::with_root_certificate);
    }
    Ok(options)
}

/// Reads a file of text.
pub fn read(path: &Path) -> Result<String, String> {
    let failed = |error| format!("can't read {}: {error}", path.display());
    let len = std::fs::metadata(path).map_err(failed)?.len();
    if len > FILE_BYTES_MAX {
        return Err(format!("{} has {len} bytes, which is too long", path.display()));
    }
    std::fs::read_to_string(path).map_err(failed)
}
