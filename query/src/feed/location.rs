//! Where a feed's tables are: in the data directory, or in an object store.

use std::collections::BTreeMap;
use std::fmt;

/// Where a feed's tables are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Location {
    /// In the data directory.
    #[default]
    Data,
    /// Elsewhere: each table in a directory of its own below this address.
    Remote(Remote),
}

/// An address in an object store, or of a directory, and how it is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct Remote {
    /// Whose store it is.
    pub kind: Kind,
    /// The bucket (for Azure, the container); empty for a directory.
    pub bucket: String,
    /// Where in it, without slashes around; for a directory, its path.
    pub prefix: String,
    /// How it is reached: [`Kind::options`] says what there is.
    pub options: BTreeMap<String, String>,
}

/// Who keeps the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Amazon S3, and what speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
    /// A directory of this machine.
    Directory,
}

impl Kind {
    /// What is before `://`.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Kind::S3 => "s3",
            Kind::Gcs => "gs",
            Kind::Azure => "az",
            Kind::Directory => "file",
        }
    }

    /// The options that it knows.
    #[must_use]
    pub const fn options(self) -> &'static [&'static str] {
        match self {
            Kind::S3 => &[
                "endpoint",
                "region",
                "allow_http",
                "path_style",
                "credentials_file",
                "profile",
                "ca_file",
            ],
            Kind::Gcs => &["endpoint", "allow_http", "credentials_file", "ca_file"],
            Kind::Azure => &["account", "endpoint", "allow_http", "credentials_file", "ca_file"],
            Kind::Directory => &[],
        }
    }
}

impl Location {
    /// Reads an address such as `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or
    /// `file:///directory`; an empty one is the data directory.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn parse(url: &str, options: &BTreeMap<String, String>) -> Result<Location, String> {
        if url.is_empty() {
            return match options.keys().next() {
                None => Ok(Location::Data),
                Some(name) => Err(format!("`{name}` is for a store, and no location is named")),
            };
        }
        let forms = "write s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///directory";
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(format!("`{url}` is no address of a store: {forms}"));
        };
        let kinds = [Kind::S3, Kind::Gcs, Kind::Azure, Kind::Directory];
        let Some(kind) = kinds.into_iter().find(|kind| kind.scheme() == scheme) else {
            return Err(format!("there is no store `{scheme}`: {forms}"));
        };
        if rest.contains(['?', '#', '\\', '%']) || rest.contains(|c: char| c.is_control()) {
            return Err(format!("`{url}` may have no `?`, `#`, `%` or `\\`: {forms}"));
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.contains(['@', ':']) {
            return Err(format!(
                "`{url}` may have neither credentials nor a port: these are among the options, and credentials in the environment or a file"
            ));
        }
        let prefix = prefix.trim_matches('/');
        let parts = prefix.split('/').filter(|_| !prefix.is_empty());
        if parts.clone().any(|part| part.is_empty() || part == "." || part == "..") {
            return Err(format!("`{url}` has a part that is empty, `.` or `..`"));
        }
        match kind {
            Kind::Directory if !bucket.is_empty() => {
                return Err(format!("`{url}` is no directory: write file:///directory"));
            }
            Kind::Directory if prefix.is_empty() => {
                return Err("file:/// is no directory of its own: write file:///directory".into());
            }
            Kind::Directory => {}
            _ if bucket.is_empty() => return Err(format!("`{url}` names no bucket: {forms}")),
            _ => {}
        }
        for (name, value) in options {
            let known = kind.options();
            if !known.contains(&name.as_str()) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(format!("{scheme}:// has no option `{name}`; there are: {known}"));
            }
            if ["allow_http", "path_style"].contains(&name.as_str())
                && !["true", "false"].contains(&value.as_str())
            {
                return Err(format!("`{name}` is true or false, and not `{value}`"));
            }
            if value.is_empty() {
                return Err(format!("`{name}` is empty"));
            }
        }
        if let Some(endpoint) = options.get("endpoint") {
            let plain = endpoint.starts_with("http://");
            if !plain && !endpoint.starts_with("https://") {
                return Err(format!(
                    "the endpoint `{endpoint}` begins with neither https:// nor http://"
                ));
            }
            if plain && options.get("allow_http").map(String::as_str) != Some("true") {
                return Err(format!(
                    "the endpoint `{endpoint}` is not encrypted; if that is meant, say `allow_http = true`"
                ));
            }
        }
        let directory = || format!("/{prefix}");
        Ok(Location::Remote(Remote {
            kind,
            bucket: bucket.to_owned(),
            prefix: if kind == Kind::Directory { directory() } else { prefix.to_owned() },
            options: options.clone(),
        }))
    }
}

impl Remote {
    /// An option.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }
}

/// The address, as it is written.
impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Remote { kind, bucket, prefix, .. } = self;
        let slash = if prefix.is_empty() || prefix.starts_with('/') { "" } else { "/" };
        write!(f, "{}://{bucket}{slash}{prefix}", kind.scheme())
    }
}

/// Without the options' values: an endpoint may have what is nobody's business.
impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({self}, {:?})", self.options.keys())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn parse(url: &str, options: &[(&str, &str)]) -> Result<Location, String> {
        let options = options.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Location::parse(url, &options.collect())
    }

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for (url, kind, bucket, prefix) in [
            ("s3://lake/audit/daybook", Kind::S3, "lake", "audit/daybook"),
            ("s3://lake", Kind::S3, "lake", ""),
            ("gs://lake/a", Kind::Gcs, "lake", "a"),
            ("az://box/a", Kind::Azure, "box", "a"),
            ("file:///srv/lake", Kind::Directory, "", "/srv/lake"),
        ] {
            let Location::Remote(remote) = parse(url, &[]).unwrap() else { unreachable!() };
            let has = (remote.kind, remote.bucket.as_str(), remote.prefix.as_str());
            assert_eq!(has, (kind, bucket, prefix));
            assert_eq!(remote.to_string(), url);
        }
        assert_eq!(parse("", &[]), Ok(Location::Data));
        assert_eq!(parse("s3://lake/a/", &[]), parse("s3://lake/a", &[]));
    }

    #[test]
    fn what_is_no_address_says_why() {
        for (url, options, why) in [
            ("lake", &[][..], "no address of a store"),
            ("ftp://lake", &[], "no store `ftp`"),
            ("s3://", &[], "names no bucket"),
            ("s3:///a", &[], "names no bucket"),
            ("s3://lake/a/../b", &[], "empty, `.` or `..`"),
            ("s3://lake/a//b", &[], "empty, `.` or `..`"),
            ("s3://key:secret@lake/a", &[], "neither credentials nor a port"),
            ("s3://lake/a?b", &[], "may have no `?`"),
            ("file://host/a", &[], "is no directory"),
            ("file:///", &[], "no directory of its own"),
            ("s3://lake", &[("secret", "x")], "has no option `secret`; there are: endpoint"),
            ("file:///a", &[("region", "x")], "there are: none"),
            ("s3://lake", &[("path_style", "yes")], "is true or false"),
            ("s3://lake", &[("endpoint", "minio:9000")], "neither https:// nor http://"),
            ("s3://lake", &[("endpoint", "http://minio:9000")], "say `allow_http = true`"),
            ("", &[("region", "x")], "no location is named"),
        ] {
            let error = parse(url, options).unwrap_err();
            assert!(error.contains(why), "{url}: {error}");
        }
    }
}
