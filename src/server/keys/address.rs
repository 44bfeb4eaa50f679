//! Addresses that keys may be fetched from: https, or http on this machine.
//! Never shows a query: it may hold a secret.

use std::fmt;

use url::{Host, Url};

/// Where an issuer's metadata lies (`OpenID` Connect Discovery 1.0, section 4).
const METADATA: &str = ".well-known/openid-configuration";

/// Why nothing is fetched from an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No URL.
    #[error("it is not a URL ({0}); write one like `https://idp.example/keys`")]
    Url(#[from] url::ParseError),
    /// Neither https nor http.
    #[error("keys are not fetched by `{0}`; use https")]
    Scheme(String),
    /// http over a network.
    #[error("keys are fetched by http only from this machine (a loopback address or `localhost`); use https")]
    Plain,
    /// A name or a password before the host.
    #[error("it has a user name or a password before the host; leave them out")]
    Userinfo,
    /// An issuer's name with `?` or `#`.
    #[error("an issuer's name has neither a query nor a fragment (OpenID Connect Discovery 1.0, section 3)")]
    Issuer,
}

/// An address that keys may be fetched from. Shown without its query.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// [`AddressError`] when nothing may be fetched from there.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        Self::try_from(Url::parse(text)?)
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl TryFrom<Url> for Address {
    type Error = AddressError;

    fn try_from(url: Url) -> Result<Self, AddressError> {
        match url.scheme() {
            "https" => {}
            "http" if is_here(&url) => {}
            "http" => return Err(AddressError::Plain),
            other => return Err(AddressError::Scheme(other.to_owned())),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Userinfo);
        }
        Ok(Self(url))
    }
}

/// Whether the host is this machine by its very name: no lookup decides that.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        shown.set_query(None);
        shown.set_fragment(None);
        f.write_str(shown.as_str())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// An issuer whose metadata says where its keys are. Keeps its name as it was written: names are compared, not URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    name: String,
    metadata: Address,
}

impl Issuer {
    /// Reads an issuer's name, exactly as its tokens have it.
    ///
    /// # Errors
    /// [`AddressError`] when its metadata may not be fetched.
    pub fn parse(name: &str) -> Result<Self, AddressError> {
        let Address(url) = Address::parse(name)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Issuer);
        }
        // A slash at the end is taken off first (section 4.1).
        let base = url.as_str().strip_suffix('/').unwrap_or(url.as_str());
        let metadata = Address::parse(&format!("{base}/{METADATA}"))?;
        Ok(Self { name: name.to_owned(), metadata })
    }

    /// The name, as it was written.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn metadata(&self) -> &Address {
        &self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_fetched_from_anywhere_and_http_from_here_alone() {
        for good in [
            "https://idp.example/keys",
            "https://10.0.0.1:8443/",
            "http://127.0.0.1:9/keys",
            "http://127.8.9.10/",
            "http://[::1]:8080/keys?x=1",
            "http://localhost/keys",
            "HTTP://LOCALHOST/keys",
        ] {
            assert!(Address::parse(good).is_ok(), "{good}");
        }
        for plain in [
            "http://idp.example/keys",
            "http://localhost.example/",
            "http://localhost./",
            "http://x.localhost/",
            "http://10.0.0.1/",
            "http://0.0.0.0/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://169.254.169.254/latest",
        ] {
            assert_eq!(Address::parse(plain), Err(AddressError::Plain), "{plain}");
        }
        for scheme in ["file:///etc/passwd", "ftp://localhost/", "data:,x", "unix:/run/x"] {
            assert!(matches!(Address::parse(scheme), Err(AddressError::Scheme(_))), "{scheme}");
        }
        assert!(matches!(Address::parse("idp.example/keys"), Err(AddressError::Url(_))));
        assert!(matches!(Address::parse(""), Err(AddressError::Url(_))));
    }

    #[test]
    fn names_and_passwords_are_refused() {
        for text in ["https://me@idp.example/", "https://me:pw@idp.example/", "https://:pw@idp.example/"] {
            assert_eq!(Address::parse(text), Err(AddressError::Userinfo), "{text}");
        }
        let hidden = "http://localhost@idp.example/";
        assert_eq!(Address::parse(hidden), Err(AddressError::Plain));
    }

    #[test]
    fn queries_are_not_shown() {
        let address = Address::parse("https://idp.example/keys?api_key=secret#secret").unwrap();
        assert_eq!(address.to_string(), "https://idp.example/keys");
        assert_eq!(format!("{address:?}"), "https://idp.example/keys");
    }

    #[test]
    fn metadata_lies_below_the_issuer_whose_name_stays_as_written() {
        for (name, metadata) in [
            ("https://idp.example", "https://idp.example/.well-known/openid-configuration"),
            ("https://idp.example/", "https://idp.example/.well-known/openid-configuration"),
            ("https://idp.example/a/b", "https://idp.example/a/b/.well-known/openid-configuration"),
            ("https://idp.example/a/", "https://idp.example/a/.well-known/openid-configuration"),
        ] {
            let issuer = Issuer::parse(name).unwrap();
            assert_eq!((issuer.name(), &*issuer.metadata().to_string()), (name, metadata));
        }
        assert_eq!(Issuer::parse("https://idp.example/?tenant=1"), Err(AddressError::Issuer));
        assert_eq!(Issuer::parse("https://idp.example/#x"), Err(AddressError::Issuer));
        assert_eq!(Issuer::parse("http://idp.example/"), Err(AddressError::Plain));
    }
}
