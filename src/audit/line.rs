//! A line of JSON, member by member: every answer has one, and nothing in between need know what its members are.
//! Never leaves a character in a text that JSON wants escaped.

/// An object that is being written at the end of a line. It ends with [`Object::end`].
pub(super) struct Object<'l> {
    line: &'l mut Vec<u8>,
    is_empty: bool,
}

impl<'l> Object<'l> {
    pub(super) fn begin(line: &'l mut Vec<u8>) -> Self {
        line.push(b'{');
        Self { line, is_empty: true }
    }

    pub(super) fn end(self) {
        self.line.push(b'}');
    }

    /// The place of a member's value. Names are our own, and none needs an escape.
    fn member(&mut self, name: &'static str) -> &mut Vec<u8> {
        let before: &[u8] = if self.is_empty { b"\"" } else { b",\"" };
        self.is_empty = false;
        self.line.extend_from_slice(before);
        self.line.extend_from_slice(name.as_bytes());
        self.line.extend_from_slice(b"\":");
        self.line
    }

    pub(super) fn text(&mut self, name: &'static str, value: &str) {
        text(self.member(name), value);
    }

    /// Leaves out what is not there. An empty text says as little as none.
    pub(super) fn optional(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.text(name, value);
        }
    }

    pub(super) fn number(&mut self, name: &'static str, value: u64) {
        self.member(name).extend_from_slice(value.to_string().as_bytes());
    }

    pub(super) fn flag(&mut self, name: &'static str, value: bool) {
        self.member(name).extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// An object within, with what `write` puts there.
    pub(super) fn object(&mut self, name: &'static str, write: impl FnOnce(&mut Object<'_>)) {
        object(self.member(name), write);
    }

    /// A list of texts.
    pub(super) fn texts<'t>(&mut self, name: &'static str, items: impl IntoIterator<Item = &'t str>) {
        list(self.member(name), items, text);
    }

    /// A list of objects, each with what `write` puts there.
    pub(super) fn objects<T>(
        &mut self,
        name: &'static str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Object<'_>, T),
    ) {
        list(self.member(name), items, |line, item| object(line, |inner| write(inner, item)));
    }
}

fn object(line: &mut Vec<u8>, write: impl FnOnce(&mut Object<'_>)) {
    let mut object = Object::begin(line);
    write(&mut object);
    object.end();
}

fn list<T>(line: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) {
    line.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            line.push(b',');
        }
        write(line, item);
    }
    line.push(b']');
}

/// A string of JSON (RFC 8259, section 7).
fn text(line: &mut Vec<u8>, value: &str) {
    line.push(b'"');
    let bytes = value.as_bytes();
    // Without a branch for each byte, since hardly any text has something to escape.
    if bytes.iter().fold(false, |any, byte| any | is_escaped(*byte)) {
        escaped(line, bytes);
    } else {
        line.extend_from_slice(bytes);
    }
    line.push(b'"');
}

fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

#[cold]
fn escaped(line: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digit = |of: u8| DIGITS.get(usize::from(of & 0xf)).copied().unwrap_or_default();
    for byte in bytes {
        match byte {
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', *byte]),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            0x08 => line.extend_from_slice(b"\\b"),
            0x0c => line.extend_from_slice(b"\\f"),
            control if is_escaped(*control) => {
                line.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(control >> 4), digit(*control)]);
            }
            other => line.push(*other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: &str) -> Vec<u8> {
        let mut line = Vec::new();
        text(&mut line, value);
        line
    }

    #[test]
    fn every_character_of_one_byte_is_read_again() {
        for byte in 0..=127_u8 {
            let value = format!("a{}b", char::from(byte));
            let line = written(&value);
            assert_eq!(serde_json::from_slice::<String>(&line).unwrap(), value, "{byte}");
            assert!(line.iter().all(|byte| *byte >= 0x20), "{byte}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_again(value in any::<String>()) {
            prop_assert_eq!(serde_json::from_slice::<String>(&written(&value)).unwrap(), value);
        }
    }

    #[test]
    fn objects_and_lists_nest() {
        let mut line = Vec::new();
        object(&mut line, |all| {
            all.object("none", |_| {});
            all.texts("no", []);
            all.texts("two", ["a", "\"b\""]);
            all.objects("each", [1, 2], |one, number| one.number("n", number));
            all.optional("left_out", None);
            all.optional("empty", Some(""));
            all.flag("flag", true);
        });
        let expected = r#"{"none":{},"no":[],"two":["a","\"b\""],"each":[{"n":1},{"n":2}],"flag":true}"#;
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }
}
