//! The body of an OAuth request: names and values, each name once (RFC 6749, section 3.2 and appendix B).
//! Never repairs anything: what is not well-formed is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::{Bytes, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use tokio::time::timeout;

use super::refusal::Refused;

/// The longest body.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a client may take to send it.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The most parameters.
const PARAMETERS_MAX: usize = 32;
const FORM: &str = "application/x-www-form-urlencoded";

/// The grant type of token exchange (RFC 8693, section 2.1).
pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// Parameters by name. They hold tokens, and are never printed.
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads a request to its end.
    pub(super) async fn read(request: Request) -> Result<(Parts, Self), Refused> {
        let (parts, body) = request.into_parts();
        let sent = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = sent.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case(FORM) {
            return Err(Refused::request(format!("send the parameters as {FORM}")));
        }
        let refused = |status| {
            Refused::request(format!("the body could not be read; it may have {BODY_BYTES_MAX} bytes"))
                .with(status)
        };
        // What says that it is too long need not be read first.
        if usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX) > BODY_BYTES_MAX {
            return Err(refused(StatusCode::PAYLOAD_TOO_LARGE));
        }
        let whole = Request::from_parts(parts.clone(), body);
        let read = timeout(BODY_TIMEOUT, Bytes::from_request(whole, &())).await;
        let late = |_| Refused::request("the body did not come in time").with(StatusCode::REQUEST_TIMEOUT);
        let body = read.map_err(late)?.map_err(|rejected| refused(rejected.status()))?;
        Ok((parts, Self(parse(&body).map_err(Refused::request)?)))
    }

    /// The value of a parameter, which is gone then. One without a value counts as left out.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|value| !value.is_empty())
    }

    /// The same, when it is needed.
    pub(super) fn need(&mut self, name: &str) -> Result<String, Refused> {
        self.take(name).ok_or_else(|| Refused::request(format!("the parameter `{name}` is missing")))
    }
}

fn parse(body: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    for (at, pair) in pairs.enumerate() {
        if at == PARAMETERS_MAX {
            return Err(format!("there are more than {PARAMETERS_MAX} parameters"));
        }
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        let mut next = || decode(parts.next().unwrap_or_default());
        let malformed = || "a parameter is not encoded as application/x-www-form-urlencoded".to_owned();
        let (name, value) = next().zip(next()).ok_or_else(malformed)?;
        if found.insert(name, value).is_some() {
            return Err("a parameter is there twice; send each once".to_owned());
        }
    }
    Ok(found)
}

/// Text out of `+` and `%` with two digits; none when it is not UTF-8 or otherwise malformed.
fn decode(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(*digit).to_digit(16));
                u8::try_from(digit()? << 4 | digit()?).ok()?
            }
            byte => *byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: &str) -> Option<Vec<(String, String)>> {
        parse(body.as_bytes()).ok().map(|found| found.into_iter().collect())
    }

    #[test]
    fn names_and_values_are_decoded_or_refused() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(parsed(""), Some(vec![]));
        assert_eq!(parsed("a=1&b=%C3%A4+c&d"), Some(vec![pair("a", "1"), pair("b", "ä c"), pair("d", "")]));
        assert_eq!(parsed("a=b=c&&"), Some(vec![pair("a", "b=c")]));
        for wrong in ["a=%", "a=%4", "a=%zz", "a=%+1", "a=%FF", "%C3=1", "a=1&a=2", "a&a=", "%61=1&a=2"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
        assert!(parse(b"a=\xff").is_err());
        let many = |count: usize| (0..count).map(|at| format!("p{at}=1")).collect::<Vec<_>>().join("&");
        assert!(parsed(&many(PARAMETERS_MAX)).is_some() && parsed(&many(PARAMETERS_MAX + 1)).is_none());
    }
}
