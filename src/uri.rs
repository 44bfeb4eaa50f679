//! One resource, one name: brings a URI into the only form that a policy sees (RFC 3986, section 6.2, and stricter).
//! Never repairs what two parsers could read in two ways: that is refused, in words that do not repeat it.

mod spelling;

use spelling::{Part, spell};
use url::Url;

/// How many expressions a URI template may have.
const TEMPLATE_EXPRESSIONS_MAX: usize = 32;

/// Why a URI is refused. Safe to show: never a piece of the URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UriFault {
    /// Longer than the limit, as sent or in canonical form.
    #[error("is longer than {bytes_max} bytes")]
    TooLong {
        /// The limit.
        bytes_max: usize,
    },
    /// No scheme, or nothing behind it.
    #[error("is not an absolute URI")]
    Relative,
    /// A scheme of one letter, which a file system reads as a drive.
    #[error("begins with a drive letter; write it as a `file:` URI")]
    DriveLetter,
    /// White space, a control character or a backslash.
    #[error("contains white space, a control character or a backslash")]
    UnsafeCharacter,
    /// `%` without two hexadecimal digits.
    #[error("contains a `%` that two hexadecimal digits do not follow")]
    BadEscape,
    /// An escape of NUL or of another control character.
    #[error("contains an encoded control character")]
    EncodedControl,
    /// `%2F` outside a query, or `%5C`.
    #[error("contains an encoded slash or backslash")]
    EncodedSlash,
    /// Escapes that are not UTF-8.
    #[error("contains escapes that are not UTF-8")]
    NotUtf8,
    /// `%25` in front of two hexadecimal digits.
    #[error("is encoded twice")]
    EncodedTwice,
    /// `user@` or `user:password@`.
    #[error("contains user information in front of the host")]
    UserInfo,
    /// `#part`: it names a part of the resource, and the server reads the whole.
    #[error("has a fragment; ask for the resource itself")]
    Fragment,
    /// A host or port that cannot be read in one way only.
    #[error("has a host or port that is not plain")]
    Authority,
    /// `//` within the path, which file systems fold and others do not.
    #[error("has an empty segment in its path")]
    EmptySegment,
    /// `.` or `..` where they cannot be resolved, or with parameters, as in `..;x`.
    #[error("has a dot segment that cannot be resolved")]
    DotSegment,
    /// The URL standard reads it differently than RFC 3986.
    #[error("can be read in more than one way")]
    Ambiguous,
    /// Braces that do not pair, or an expression that RFC 6570 does not have.
    #[error("is not a URI template")]
    Template,
}

/// The canonical form of an absolute URI.
///
/// Scheme and host in lower case, no default port, no dot segments, escapes undone where they change nothing and in
/// upper case elsewhere, no empty query or fragment, `scheme:///path` for `scheme:/path`, and no lone slash behind the
/// host of a scheme that is not the web's. Canonical text is its own canonical form.
pub fn canonical(text: &str, bytes_max: usize) -> Result<String, UriFault> {
    if text.len() > bytes_max {
        return Err(UriFault::TooLong { bytes_max });
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(UriFault::UnsafeCharacter);
    }
    let (scheme, rest) = text.split_once(':').ok_or(UriFault::Relative)?;
    let scheme = scheme_of(scheme)?;
    let rest = match rest.split_once('#') {
        Some((rest, "")) => rest,
        Some(_) => return Err(UriFault::Fragment),
        None => rest,
    };
    let (hierarchy, query) = rest.split_once('?').unwrap_or((rest, ""));
    let name = match split_authority(hierarchy) {
        Some((authority, path)) => hierarchical(&scheme, authority, path)?,
        None => opaque(&scheme, hierarchy)?,
    };
    let query = if query.is_empty() { String::new() } else { format!("?{}", spell(query, Part::Query)?) };
    let canonical = format!("{name}{query}");
    if canonical.len() > bytes_max {
        return Err(UriFault::TooLong { bytes_max });
    }
    Ok(canonical)
}

/// The canonical form of a URI template (RFC 6570) or of a URI: expressions stay as they are, the rest is brought into
/// the form that [`canonical`] gives.
pub fn canonical_template(text: &str, bytes_max: usize) -> Result<String, UriFault> {
    if text.len() > bytes_max {
        return Err(UriFault::TooLong { bytes_max });
    }
    let mut stood_in = String::new();
    let mut expressions = Vec::new();
    let mut rest = text;
    while let Some((literal, behind)) = rest.split_once('{') {
        let (expression, behind) = behind.split_once('}').ok_or(UriFault::Template)?;
        let scheme_is_literal = !expressions.is_empty() || literal.contains(':');
        if literal.contains('}') || !is_expression(expression) || !scheme_is_literal {
            return Err(UriFault::Template);
        }
        if expressions.len() == TEMPLATE_EXPRESSIONS_MAX {
            return Err(UriFault::Template);
        }
        stood_in.push_str(literal);
        stood_in.push_str(&stand_in(expressions.len()));
        expressions.push(expression);
        rest = behind;
    }
    if rest.contains('}') && !expressions.is_empty() {
        return Err(UriFault::Template);
    }
    stood_in.push_str(rest);
    // The stand-ins make the text longer than what was sent; they are gone again below.
    let slack = expressions.len() * stand_in(TEMPLATE_EXPRESSIONS_MAX).len();
    let mut name = canonical(&stood_in, bytes_max + slack)?;
    for (index, expression) in expressions.iter().enumerate() {
        let stand_in = stand_in(index);
        // A template that spells a stand-in itself, or loses one to `..`, would come back as another template.
        if name.matches(&stand_in).count() != 1 {
            return Err(UriFault::Template);
        }
        name = name.replace(&stand_in, &format!("{{{expression}}}"));
    }
    if name.len() > bytes_max {
        return Err(UriFault::TooLong { bytes_max });
    }
    Ok(name)
}

/// The canonical form of a beginning of URIs or of URI templates: of all that begins with it, as far as it is written
/// out. A beginning that comes back unchanged is that of some canonical URI; any other is that of none.
pub fn canonical_beginning(text: &str, bytes_max: usize) -> Result<String, UriFault> {
    // What may follow decides how a beginning reads: it may end within a host, a port, a path or a scheme.
    const RESTS: [&str; 5] = ["x", "x/x", "/x", "//x/x", "xx:x"];
    if text.is_empty() {
        return Ok(String::new());
    }
    let (mut spelled, mut fault) = (None, None);
    for rest in RESTS {
        match canonical_template(&format!("{text}{rest}"), bytes_max) {
            Ok(name) => match name.strip_suffix(rest) {
                Some(beginning) if beginning == text => return Ok(text.to_owned()),
                Some(beginning) => spelled = spelled.or_else(|| Some(beginning.to_owned())),
                None => {}
            },
            Err(found) => fault = fault.or(Some(found)),
        }
    }
    spelled.ok_or(fault.unwrap_or(UriFault::Ambiguous))
}

fn stand_in(index: usize) -> String {
    format!("expression{index}stands-here")
}

fn is_expression(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.,:*+#/;?&-".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

fn scheme_of(text: &str) -> Result<String, UriFault> {
    let mut bytes = text.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic());
    if !begins || !bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
        return Err(UriFault::Relative);
    }
    if text.len() == 1 {
        return Err(UriFault::DriveLetter);
    }
    Ok(text.to_ascii_lowercase())
}

/// Authority and path of `//authority/path` and of `/path`, or nothing for a name without a hierarchy.
fn split_authority(hierarchy: &str) -> Option<(&str, &str)> {
    match hierarchy.strip_prefix("//") {
        Some(rest) => Some(rest.split_at(rest.find('/').unwrap_or(rest.len()))),
        None => hierarchy.starts_with('/').then_some(("", hierarchy)),
    }
}

fn hierarchical(scheme: &str, authority: &str, path: &str) -> Result<String, UriFault> {
    let web = is_web(scheme);
    if authority.contains('@') {
        return Err(UriFault::UserInfo);
    }
    let is_plain = !authority.contains('%') && (web || authority.is_ascii());
    if !is_plain || web && authority.is_empty() {
        return Err(UriFault::Authority);
    }
    let spelled = spell(path, Part::Path)?;
    let spelled = if spelled.is_empty() && (web || authority.is_empty()) { "/".to_owned() } else { spelled };
    let path = without_dots(&spelled)?;
    let url = Url::parse(&format!("{scheme}://{authority}{spelled}")).map_err(|_| UriFault::Authority)?;
    // The URL standard's own reading of the dots and of drive letters must come to the same path.
    let has_user = !url.username().is_empty() || url.password().is_some();
    if url.scheme() != scheme || url.path() != path || url.query().is_some() || has_user {
        return Err(UriFault::Ambiguous);
    }
    let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
    if host.ends_with('.') {
        return Err(UriFault::Authority);
    }
    let port = match url.port() {
        Some(port) if usual_port(scheme) != Some(port) => format!(":{port}"),
        Some(_) | None => String::new(),
    };
    let path = if path == "/" && !web && !host.is_empty() { "" } else { &path };
    Ok(format!("{scheme}://{host}{port}{path}"))
}

fn opaque(scheme: &str, name: &str) -> Result<String, UriFault> {
    if name.is_empty() || is_web(scheme) || scheme == "file" {
        return Err(UriFault::Relative);
    }
    let name = spell(name, Part::Opaque)?;
    if name.split('/').any(is_dot_segment) {
        return Err(UriFault::DotSegment);
    }
    // The namespace of a URN has no case (RFC 8141, section 3.1).
    match name.split_once(':') {
        Some((namespace, rest)) if scheme == "urn" => {
            Ok(format!("urn:{}:{rest}", namespace.to_ascii_lowercase()))
        }
        Some(_) | None => Ok(format!("{scheme}:{name}")),
    }
}

/// RFC 3986, section 5.2.4, for a path that is empty or begins with a slash and has no escaped dots left.
fn without_dots(path: &str) -> Result<String, UriFault> {
    let Some(rest) = path.strip_prefix('/') else {
        return Ok(String::new());
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "" if !is_last => return Err(UriFault::EmptySegment),
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            _ if is_dot_segment(segment) => return Err(UriFault::DotSegment),
            _ => kept.push(segment),
        }
    }
    Ok(format!("/{}", kept.join("/")))
}

/// Whether a segment is `.` or `..`, with or without the parameters that some servers cut off before they resolve it.
fn is_dot_segment(segment: &str) -> bool {
    let bare = segment.split(';').next().unwrap_or_default();
    bare == "." || bare == ".."
}

/// The schemes that must have a host (the URL standard's special schemes, `file` apart).
fn is_web(scheme: &str) -> bool {
    matches!(scheme, "http" | "https" | "ws" | "wss" | "ftp")
}

/// The port that a scheme means when none is written; the web's are the parser's business.
fn usual_port(scheme: &str) -> Option<u16> {
    match scheme {
        "postgres" | "postgresql" => Some(5432),
        "mysql" => Some(3306),
        "redis" => Some(6379),
        "mongodb" => Some(27017),
        "amqp" => Some(5672),
        "ldap" => Some(389),
        "ssh" | "sftp" => Some(22),
        "git" => Some(9418),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
