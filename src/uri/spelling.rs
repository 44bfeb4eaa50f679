//! One character, one spelling: percent-escapes of a part of a URI (RFC 3986, section 2).
//! Never undoes an escape that separates, as `%2F` in a path would: that is refused.

use super::UriFault;

/// The part of a URI that a text stands in: each has characters of its own that mean the same escaped or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A path with segments.
    Path,
    /// What follows `?`.
    Query,
    /// What follows the scheme of a name without a hierarchy, as in `urn:isbn:1`.
    Opaque,
}

impl Part {
    /// Whether the escape of this reserved character is only another spelling of it here. In a path `+` and `;` are
    /// missing, since some servers read them as a space and as the begin of parameters; in a query `&`, `=`, `+`, `;`.
    fn escapes_for_nothing(self, byte: u8) -> bool {
        match self {
            Self::Path => b"!$&'()*,:=@".contains(&byte),
            Self::Query => b"!$'()*,:@/?".contains(&byte),
            Self::Opaque => false,
        }
    }

    fn allows(self, byte: u8) -> bool {
        is_unreserved(byte) || b"!$&'()*+,;=:@/".contains(&byte) || byte == b'?' && self == Self::Query
    }
}

/// The text with each character in its one spelling.
pub(super) fn spell(text: &str, part: Part) -> Result<String, UriFault> {
    let mut spelled = String::with_capacity(text.len());
    let mut meant = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            meant.push(byte);
            if part.allows(byte) {
                spelled.push(char::from(byte));
            } else {
                escape(byte, &mut spelled);
            }
            continue;
        }
        let high = bytes.next().and_then(hex_digit).ok_or(UriFault::BadEscape)?;
        let low = bytes.next().and_then(hex_digit).ok_or(UriFault::BadEscape)?;
        let byte = high << 4 | low;
        meant.push(byte);
        if byte == b'\\' || byte == b'/' && part != Part::Query {
            return Err(UriFault::EncodedSlash);
        }
        if is_unreserved(byte) || part.escapes_for_nothing(byte) {
            spelled.push(char::from(byte));
        } else {
            escape(byte, &mut spelled);
        }
    }
    let meant = std::str::from_utf8(&meant).map_err(|_| UriFault::NotUtf8)?;
    if meant.chars().any(char::is_control) {
        return Err(UriFault::EncodedControl);
    }
    if has_escape(meant) {
        return Err(UriFault::EncodedTwice);
    }
    Ok(spelled)
}

/// Whether a text that was decoded once could be decoded again.
fn has_escape(text: &str) -> bool {
    let is_hex = |byte: u8| hex_digit(byte).is_some();
    text.split('%').skip(1).any(|rest| {
        let mut bytes = rest.bytes();
        bytes.next().is_some_and(is_hex) && bytes.next().is_some_and(is_hex)
    })
}

fn escape(byte: u8, into: &mut String) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    into.extend(['%', digit(byte >> 4), digit(byte & 0x0F)]);
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}
