//! Requests over HTTP that are no messages: a method on a path, in terms of a schema that has them.
//! Never a path that two readers could take for two.

use crate::access::{Entity, Question};
use crate::api::gateway::Unreadable;
use crate::pdp::Vocabulary;
use crate::value::{Members, Uid, Value};

use super::exchange::Exchange;

/// The entity type of what stands behind a path.
const ROUTE: &str = "Route";
/// The longest path, in bytes.
const PATH_BYTES_MAX: usize = 4096;
/// The methods that there are (RFC 9110, section 9.3; RFC 5789).
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"];

/// The question. Members of the context and attributes of the route are sent where the schema has them.
pub(super) fn question(
    exchange: &Exchange,
    route: Option<&str>,
    tenant: Option<String>,
    names: Vocabulary<'_>,
) -> Result<Question, Unreadable> {
    exchange.check_method()?;
    if !METHODS.contains(&exchange.method.as_str()) {
        return Err(Unreadable::request("the method is none that a policy can name"));
    }
    let path = path(exchange.path_alone())?;
    let resource = Uid::new(ROUTE, route.unwrap_or(&path));
    let mut question = Question::new(Uid::new("Action", &exchange.method), resource.clone());
    let query = Some(exchange.query()).filter(|query| !query.is_empty()).map(str::to_owned);
    let host = host(&exchange.host, &exchange.scheme);
    let told = [("path", Some(path)), ("host", Some(host)), ("query", query), ("tenant", tenant)];
    let mut route = Entity { uid: resource.clone(), attributes: Members::new(), parents: vec![] };
    for (name, text) in told {
        let Some(text) = text else { continue };
        let describes = names.declares_attribute(ROUTE, name);
        if name == "query" && (describes || names.takes(&question.action, name)) {
            check_query(&text)?;
        }
        let value = Value::String(text.into());
        if describes {
            route.attributes.insert(name.into(), value.clone());
        }
        if names.takes(&question.action, name) {
            question.context.insert(name.into(), value);
        } else if name == "tenant" && !describes {
            // No policy could tell it from another's.
            return Err(Unreadable::request("the route has a `tenant`, which the schema does not have"));
        }
    }
    // A route of the bundle stays what the bundle says; any other is made of what is seen here.
    if !names.knows(&resource) {
        question.derived.push(route);
    } else if !route.attributes.is_empty() {
        question.brought.push(route);
    }
    Ok(question)
}

/// The host as policies name it: in small letters, without the port that the scheme has anyway.
fn host(sent: &str, scheme: &str) -> String {
    let usual = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    let host = sent.to_ascii_lowercase();
    host.strip_suffix(usual).map(str::to_owned).unwrap_or(host)
}

/// A query in which nothing is escaped that means the same plainly (RFC 3986, section 2.3): a policy that looks for words would not
/// find them.
fn check_query(query: &str) -> Result<(), Unreadable> {
    let unclear = |words: &str| Err(Unreadable::request(format!("the query {words}")));
    for escape in query.split('%').skip(1) {
        let byte = escape.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            None => return unclear("has an escape that is broken"),
            Some(b'-' | b'.' | b'_' | b'~') => return unclear("escapes what could stand plainly"),
            Some(byte) if byte.is_ascii_alphanumeric() => return unclear("escapes what could stand plainly"),
            Some(_) => {}
        }
    }
    Ok(())
}

/// A path that means one thing to everybody: no escapes that could be written plainly or that hide a slash, no empty or
/// dotted segments.
fn path(sent: &str) -> Result<String, Unreadable> {
    let unclear = |words: &str| Unreadable::request(format!("the path {words}"));
    if sent.len() > PATH_BYTES_MAX {
        return Err(unclear(&format!("is longer than {PATH_BYTES_MAX} bytes")));
    }
    let Some(rest) = sent.strip_prefix('/') else { return Err(unclear("does not begin with a slash")) };
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\#%;\"<>^`{|}".contains(&byte);
    let mut bytes = rest.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            // In capital letters alone (RFC 3986, section 6.2.2.1): else one path has several names.
            let digit = |byte: Option<u8>| char::from(byte.filter(|b| !b.is_ascii_lowercase())?).to_digit(16);
            let digits = [digit(bytes.next()), digit(bytes.next())];
            let [Some(high), Some(low)] = digits else {
                return Err(unclear("has an escape that is broken, or in small letters"));
            };
            let escaped = u8::try_from(high * 16 + low).unwrap_or_default();
            if escaped.is_ascii_control() || plain(escaped) || matches!(escaped, b'\\' | b'%' | b';') {
                return Err(unclear("escapes what has another meaning unescaped"));
            }
        } else if !plain(byte) {
            return Err(unclear("has a character that must be escaped"));
        }
    }
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if matches!(segment, "." | "..") || (segment.is_empty() && !is_last) {
            return Err(unclear("has an empty or a dotted segment"));
        }
    }
    Ok(sent.to_owned())
}
