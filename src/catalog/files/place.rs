//! Finds the place in a file that a finding is about.
//! Never fails: without a better place it is the start of the file.

use std::ops::Range;

use crate::diagnostic::File;

/// The character at a byte offset.
pub(super) fn of_offset(file: &File, offset: usize) -> Range<usize> {
    let len = file.text.get(offset..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    offset..offset + len
}

/// Where a JSON file gives the `nth` tool of this name (from 0) its name.
pub(super) fn of_tool(file: &File, name: &str, nth: usize) -> Range<usize> {
    let literal = serde_json::Value::from(name).to_string();
    let named = file.text.match_indices(&literal).filter(|(at, _)| {
        let before = file.text.get(..*at).unwrap_or_default().trim_end();
        before.strip_suffix(':').is_some_and(|before| before.trim_end().ends_with("\"name\""))
    });
    let at = named.map(|(at, _)| at).nth(nth).unwrap_or(0);
    at..at + literal.len()
}

/// Where a YAML file has this key.
pub(super) fn of_yaml_key(file: &File, key: &str) -> Range<usize> {
    let mut start = 0;
    for line in file.text.split_inclusive('\n') {
        let found = line.match_indices(key).find(|(at, _)| {
            let before = line.get(..*at).unwrap_or_default();
            let after = line.get(at + key.len()..).unwrap_or_default();
            before.chars().all(|c| c.is_whitespace() || c == '"' || c == '\'')
                && after.trim_start_matches(['"', '\'']).trim_start().starts_with(':')
        });
        if let Some((at, _)) = found {
            return start + at..start + at + key.len();
        }
        start += line.len();
    }
    0..0
}

/// The last place where this text stands.
pub(super) fn of_text(file: &File, text: &str) -> Range<usize> {
    file.text.rfind(text).map_or(0..0, |at| at..at + text.len())
}

/// Where a YAML error is.
pub(super) fn of_yaml_error(file: &File, error: &serde_saphyr::Error) -> Option<Range<usize>> {
    let span = error.location()?.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let len = usize::try_from(span.byte_len()?).ok()?;
    let start = start.min(file.text.len());
    Some(start..(start + len).min(file.text.len()))
}
