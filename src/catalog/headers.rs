//! The HTTP headers that mirror arguments of a tool: `x-mcp-header` in its `inputSchema` (MCP 2026-07-28, custom
//! headers from tool parameters).
//! Never follows references: only what is reached through `properties` alone counts, as the standard says.

use std::collections::BTreeSet;

use crate::value::Value;

/// What a mirrored header's name begins with.
const PREFIX: &str = "Mcp-Param-";

/// The member of a property's schema that asks for the header.
const KEY: &str = "x-mcp-header";

/// How deep properties are followed.
const DEPTH_MAX: usize = 16;

/// The mirrored headers of a schema, and what is wrong with those that cannot be.
#[derive(Debug, Default)]
pub(super) struct Headers {
    /// Header name and argument path.
    pub(super) found: Vec<(String, Vec<String>)>,
    /// Dotted path and reason; such a header is not enforced, and clients refuse the tool.
    pub(super) refused: Vec<(String, &'static str)>,
}

/// Finds the headers of a tool's `inputSchema`.
pub(super) fn of(schema: &Value) -> Headers {
    let mut headers = Headers::default();
    let mut seen = BTreeSet::new();
    visit(schema, &mut Vec::new(), &mut seen, &mut headers);
    headers
}

fn visit(schema: &Value, path: &mut Vec<String>, seen: &mut BTreeSet<String>, headers: &mut Headers) {
    let Value::Record(schema) = schema else { return };
    if let Some(name) = schema.get(KEY) {
        match header(name, schema.get("type"), path, seen) {
            Ok(name) => headers.found.push((name, path.clone())),
            Err(why) => headers.refused.push((path.join("."), why)),
        }
    }
    let Some(Value::Record(properties)) = schema.get("properties") else { return };
    if path.len() < DEPTH_MAX {
        for (name, schema) in properties {
            path.push(name.to_string());
            visit(schema, path, seen, headers);
            path.pop();
        }
    }
}

fn header(
    name: &Value,
    kind: Option<&Value>,
    path: &[String],
    seen: &mut BTreeSet<String>,
) -> Result<String, &'static str> {
    let Value::String(name) = name else { return Err("its value is not a text") };
    if path.is_empty() {
        return Err("it stands on the schema itself, not on a property");
    }
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err("its value is not an HTTP token");
    }
    let kind = match kind {
        Some(Value::String(kind)) => kind.as_str(),
        _ => "",
    };
    if !["string", "integer", "boolean", "number"].contains(&kind) {
        return Err("its property is not a string, an integer, a number or a boolean");
    }
    if seen.insert(name.to_ascii_lowercase()) {
        Ok(format!("{PREFIX}{name}"))
    } else {
        Err("another property names the same header")
    }
}

/// RFC 9110, section 5.6.2: `tchar`.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
