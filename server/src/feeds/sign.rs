//! Links to files that need no token: whoever has one may read that file, any number of times, until it expires.
//!
//! ```text
//! /v1/parquet/native/events/….parquet?expires=1772357402&X-Amz-Signature=<hexadecimal>
//! signature = HMAC-SHA256(secret of the node, "daybook link v1\n" path "\n" expires)
//! ```
//!
//! The parameter has the name that clients of Delta Sharing take for the sign of a signed link.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The parameter that has the signature.
pub const SIGNATURE: &str = "X-Amz-Signature";
/// The parameter that says until when, in seconds since 1970.
pub const EXPIRES: &str = "expires";

/// Signs links.
#[derive(Clone, Debug)]
pub struct Signer {
    secret: Vec<u8>,
}

/// What is wrong with a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It was signed for another path or another time, or not at all.
    Forged,
    /// Its time is over.
    Expired,
}

impl Signer {
    /// One that signs with a secret.
    pub fn new(secret: &[u8]) -> Signer {
        Signer { secret: secret.to_owned() }
    }

    /// A path with what lets anybody read it until `expires`, in seconds since 1970.
    pub fn link(&self, path: &str, expires: i64) -> String {
        let signature = hex::encode(self.mac(path, &expires.to_string()).finalize().into_bytes());
        format!("{path}?{EXPIRES}={expires}&{SIGNATURE}={signature}")
    }

    /// Is it a link of ours, whose time is not over at `now`?
    pub fn check(&self, path: &str, expires: &str, signature: &str, now: i64) -> Result<(), Wrong> {
        // It may not begin with `0x`, which is read, too.
        let bytes = hex::decode(signature).ok().filter(|_| signature.len() == 64);
        let bytes = bytes.ok_or(Wrong::Forged)?;
        self.mac(path, expires).verify_slice(&bytes).map_err(|_| Wrong::Forged)?;
        match expires.parse::<i64>() {
            Ok(expires) if now < expires => Ok(()),
            Ok(_) => Err(Wrong::Expired),
            Err(_) => Err(Wrong::Forged),
        }
    }

    fn mac(&self, path: &str, expires: &str) -> Hmac<Sha256> {
        // A key of any length is taken.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret)
            .unwrap_or_else(|_| Hmac::new(&Default::default()));
        for part in ["daybook link v1\n", path, "\n", expires] {
            mac.update(part.as_bytes());
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_link_is_good_for_its_path_until_it_expires_and_for_nothing_else(
            path in "/[a-z/?&=\n]{0,12}", other in "/[a-z/?&=\n]{0,12}",
            expires in 0i64..1000, later in 0i64..1000, now in 0i64..1000,
            noise in ".{0,80}", flip in 0usize..64,
        ) {
            let signer = Signer::new(b"secret");
            let link = signer.link(&path, expires);
            let signature = link.rsplit_once('=').unwrap().1.to_owned();
            let check = |path: &str, expires: i64, signature: &str| {
                signer.check(path, &expires.to_string(), signature, now)
            };
            let good = if now < expires { Ok(()) } else { Err(Wrong::Expired) };
            prop_assert_eq!(check(&path, expires, &signature), good);
            if other != path {
                prop_assert_eq!(check(&other, expires, &signature), Err(Wrong::Forged));
            }
            if later != expires {
                prop_assert_eq!(check(&path, later, &signature), Err(Wrong::Forged));
            }
            prop_assert_eq!(check(&path, expires, &noise), Err(Wrong::Forged));
            let mut forged = signature.clone().into_bytes();
            forged[flip] = if forged[flip] == b'0' { b'1' } else { b'0' };
            let forged = String::from_utf8(forged).unwrap();
            prop_assert_eq!(check(&path, expires, &forged), Err(Wrong::Forged));
            let elsewhere = Signer::new(b"other");
            prop_assert_eq!(elsewhere.check(&path, &expires.to_string(), &signature, now), Err(Wrong::Forged));
        }
    }
}
