//! Test reports in the XML that CI systems read (the form of Apache Ant's `JUnit` task).
//! Never writes a character that XML 1.0 does not allow.

use std::fmt::Write as _;

/// The cases of one file, or of one command.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) cases: Vec<Case>,
}

/// One case.
pub(super) struct Case {
    pub(super) name: String,
    /// What it belongs to; reports group by it.
    pub(super) class: String,
    /// In one line and in full, when it failed.
    pub(super) failure: Option<(String, String)>,
    /// What else is to be read; may be empty.
    pub(super) output: String,
}

/// The whole report.
pub(super) fn document(groups: &[Group]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (tests, failures) = groups.iter().map(counts).fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    let _ = writeln!(text, "<testsuites tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">");
    for group in groups {
        let (tests, failures) = counts(group);
        let name = escaped(&group.name);
        let _ = writeln!(
            text,
            "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">"
        );
        group.cases.iter().for_each(|case| text.push_str(&rendered(case)));
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

fn counts(group: &Group) -> (usize, usize) {
    (group.cases.len(), group.cases.iter().filter(|case| case.failure.is_some()).count())
}

fn rendered(case: &Case) -> String {
    let Case { name, class, failure, output } = case;
    let mut text = format!("    <testcase name=\"{}\" classname=\"{}\">", escaped(name), escaped(class));
    if let Some((message, full)) = failure {
        let message = escaped(message).replace('\n', "&#10;");
        let _ = write!(text, "<failure message=\"{message}\">{}</failure>", escaped(full));
    }
    if !output.is_empty() {
        let _ = write!(text, "<system-out>{}</system-out>", escaped(output));
    }
    text.push_str("</testcase>\n");
    text
}

/// Fit for an attribute and for text. Characters that XML 1.0 does not allow become `�`.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' | '\t' => safe.push(letter),
            '\u{FFFE}' | '\u{FFFF}' => safe.push('\u{FFFD}'),
            control if control < ' ' => safe.push('\u{FFFD}'),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn markup_and_forbidden_characters_are_escaped() {
        assert_eq!(escaped("<a b=\"&\">\u{1b}\n"), "&lt;a b=&quot;&amp;&quot;&gt;\u{FFFD}\n");
    }
}
