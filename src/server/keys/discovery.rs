//! Reads an issuer's metadata (`OpenID` Connect Discovery 1.0, section 3): where its keys lie.
//! Never takes another member of it, and never metadata of another issuer.

use serde::Deserialize;

use super::address::{Address, Issuer};
use super::fault::Fault;

/// A member that stands twice is refused.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// Where the issuer's keys lie.
pub(super) fn keys_address(issuer: &Issuer, document: &[u8]) -> Result<Address, Fault> {
    let metadata: Metadata = serde_json::from_slice(document).map_err(Fault::NoMetadata)?;
    // Section 4.3: exactly the same, or it is an impostor's.
    if metadata.issuer != issuer.name() {
        return Err(Fault::OtherIssuer(issuer.name().to_owned()));
    }
    Address::parse(&metadata.jwks_uri).map_err(Fault::KeysAddress)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(document: &str) -> Result<String, String> {
        let issuer = Issuer::parse("https://idp.example").unwrap();
        let address = keys_address(&issuer, document.as_bytes());
        address.map(|address| address.to_string()).map_err(|fault| fault.words())
    }

    #[test]
    fn the_address_of_the_keys_is_taken_from_metadata_of_this_very_issuer() {
        let good = r#"{"x":[1],"issuer":"https://idp.example","jwks_uri":"https://keys.example/k"}"#;
        assert_eq!(read(good).unwrap(), "https://keys.example/k");
        for name in [
            "https://idp.example/",
            "https://IDP.example",
            "http://idp.example",
            "https://idp.example:443",
            "",
        ] {
            let other = format!(r#"{{"issuer":"{name}","jwks_uri":"https://keys.example/k"}}"#);
            let words = read(&other).unwrap_err();
            assert!(words.contains("another issuer than `https://idp.example`"), "{words}");
        }
    }

    #[test]
    fn keys_elsewhere_than_https_are_refused() {
        for (uri, why) in [
            ("http://keys.example/k", "use https"),
            ("http://169.254.169.254/", "use https"),
            ("file:///etc/passwd", "`file`"),
            ("https://a:b@keys.example/", "password"),
            ("/keys", "not a URL"),
        ] {
            let document = format!(r#"{{"issuer":"https://idp.example","jwks_uri":"{uri}"}}"#);
            let words = read(&document).unwrap_err();
            assert!(words.contains("`jwks_uri`") && words.contains(why), "{uri}: {words}");
        }
    }

    #[test]
    fn what_is_no_metadata_is_refused() {
        for document in [
            "",
            "[]",
            "{}",
            "<html>",
            r#"{"issuer":"https://idp.example"}"#,
            r#"{"issuer":"https://idp.example","jwks_uri":["https://keys.example/k"]}"#,
            r#"{"issuer":"https://evil.example","issuer":"https://idp.example","jwks_uri":"https://keys.example/k"}"#,
            r#"{"issuer":"https://idp.example","jwks_uri":"https://a.example/","jwks_uri":"https://b.example/"}"#,
        ] {
            let words = read(document).unwrap_err();
            assert!(words.contains("metadata"), "{document}: {words}");
        }
        let deep = format!(r#"{{"x":{}"#, "[".repeat(100_000));
        assert!(read(&deep).unwrap_err().contains("not understood"));
    }
}
