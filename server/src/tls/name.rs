//! What a client's certificate calls it: the first DNS name or URI among its alternative names (a
//! SPIFFE id is such a URI), or else the common name of its subject.
//!
//! The certificate was verified before; still, nothing in it is believed further than it can be read.

use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// A longer name is none.
const NAME_BYTES_MAX: usize = 256;

/// The name in a certificate, in DER; `None` if it has none that can be used.
#[must_use]
pub fn of(der: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    let certificate = certificate.tbs_certificate();
    let names = certificate.get_extension::<SubjectAltName>().ok()?;
    let alternative = names.iter().flat_map(|(_, names)| &names.0).find_map(|name| match name {
        GeneralName::DnsName(name) | GeneralName::UniformResourceIdentifier(name) => {
            Some(name.as_str().to_owned())
        }
        _ => None,
    });
    let name = match alternative {
        Some(name) => name,
        None => certificate.subject().common_name().ok()??.value().into_owned(),
    };
    // It will stand in answers, logs and events.
    let usable =
        !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
    usable.then_some(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};
    use std::net::{IpAddr, Ipv4Addr};

    fn certificate(common: &str, names: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, common);
        params.subject_alt_names = names;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn an_alternative_name_is_taken_before_the_common_one() {
        let address = || SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let dns = || SanType::DnsName("proxy-7.example.com".try_into().unwrap());
        let uri = || SanType::URI("spiffe://example.com/proxy".try_into().unwrap());
        for (common, names, expected) in [
            ("proxy", vec![], Some("proxy")),
            ("proxy", vec![address(), dns(), uri()], Some("proxy-7.example.com")),
            ("proxy", vec![uri(), dns()], Some("spiffe://example.com/proxy")),
            ("proxy", vec![address()], Some("proxy")),
            ("", vec![], None),
            ("two\nlines", vec![], None),
            ("two words", vec![], Some("two words")),
        ] {
            assert_eq!(of(&certificate(common, names)).as_deref(), expected, "{common}");
        }
        assert_eq!(of(&certificate(&"x".repeat(300), vec![])), None);
        assert_eq!(of(b""), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_name_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = of(&bytes);
        }

        #[test]
        fn a_damaged_certificate_is_a_name_or_none(
            at in any::<prop::sample::Index>(),
            value in any::<u8>(),
            len in any::<prop::sample::Index>(),
        ) {
            let mut der = certificate("proxy", vec![SanType::DnsName("a.example".try_into().unwrap())]);
            let place = at.index(der.len());
            der[place] = value;
            let _ = of(&der);
            der.truncate(len.index(der.len()));
            let _ = of(&der);
        }
    }
}
