//! Credentials for S3 by a file, in the format that AWS's own programs have:
//!
//! ```text
//! [default]
//! aws_access_key_id = …
//! aws_secret_access_key = …
//! aws_session_token = …            (not needed)
//! ```
//!
//! It is read again every minute, so that credentials that are changed are taken up. Nothing of what is in it is told.

use super::connect::read;
use object_store::aws::AwsCredential;
use object_store::{CredentialProvider, Error};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the file is read again.
const READ_EVERY: Duration = Duration::from_secs(60);

/// Credentials in a file.
pub struct AwsFile {
    path: PathBuf,
    profile: String,
    known: Mutex<(Instant, Arc<AwsCredential>)>,
}

impl std::fmt::Debug for AwsFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl AwsFile {
    /// Reads a file.
    ///
    /// # Errors
    /// It can't be read, or has no credentials under this name.
    pub fn open(path: &Path, profile: &str) -> Result<AwsFile, String> {
        let known = Mutex::new((Instant::now(), Arc::new(of_file(path, profile)?)));
        Ok(AwsFile { path: path.to_owned(), profile: profile.to_owned(), known })
    }

    fn now(&self) -> Result<Arc<AwsCredential>, String> {
        let mut known = self.known.lock();
        if known.0.elapsed() >= READ_EVERY {
            *known = (Instant::now(), Arc::new(of_file(&self.path, &self.profile)?));
        }
        Ok(Arc::clone(&known.1))
    }
}

impl CredentialProvider for AwsFile {
    type Credential = AwsCredential;

    fn get_credential<'a, 'b>(
        &'a self,
    ) -> Pin<Box<dyn Future<Output = Result<Arc<AwsCredential>, Error>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let now = self.now().map_err(|what| Error::Generic { store: "S3", source: what.into() });
        Box::pin(std::future::ready(now))
    }
}

fn of_file(path: &Path, profile: &str) -> Result<AwsCredential, String> {
    of_text(&read(path)?, profile).map_err(|what| format!("{}: {what}", path.display()))
}

fn of_text(text: &str, profile: &str) -> Result<AwsCredential, String> {
    let mut here = false;
    let (mut key_id, mut secret_key, mut token) = (None, None, None);
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            here = name.trim() == profile;
        } else if here && let Some((name, value)) = line.split_once('=') {
            let value = Some(value.trim().to_owned());
            match name.trim().to_ascii_lowercase().as_str() {
                "aws_access_key_id" => key_id = value,
                "aws_secret_access_key" => secret_key = value,
                "aws_session_token" => token = value,
                _ => {}
            }
        }
    }
    match (key_id, secret_key) {
        (Some(key_id), Some(secret_key)) => Ok(AwsCredential { key_id, secret_key, token }),
        _ => Err(format!(
            "there are no `aws_access_key_id` and `aws_secret_access_key` under [{profile}]"
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_credentials_of_a_profile_are_found_and_not_told() {
        let text = "# ours\n[other]\naws_access_key_id=x\n[default]\naws_access_key_id = AKIA\n AWS_SECRET_ACCESS_KEY=s=1\n";
        let found = of_text(text, "default").unwrap();
        assert_eq!((found.key_id.as_str(), found.secret_key.as_str()), ("AKIA", "s=1"));
        assert_eq!(found.token, None);
        let error = of_text(text, "other").unwrap_err();
        assert!(error.contains("under [other]") && !error.contains("AKIA"), "{error}");
    }
}
