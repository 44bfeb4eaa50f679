//! What is wrong with a bundle, said so that its author can mend it: file, place, message, help.
//! Never stops at the first finding, and never prints.

use std::sync::Arc;

use miette::{LabeledSpan, MietteDiagnostic, NamedSource, Severity};

/// A text file of a bundle: its path below the bundle's root with `/` between the parts, and its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// `policies/guard.cedar`
    pub path: Arc<str>,
    /// The whole text.
    pub text: Arc<str>,
}

impl File {
    /// A file of a bundle.
    pub fn new(path: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// 1-based line and column (in characters) of a byte offset.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let mut end = offset.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &self.text[..end];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        (line, column)
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The bundle loads; the author should look.
    Warning,
    /// The bundle does not load.
    Error,
}

/// One finding about a bundle.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// Error or warning.
    pub level: Level,
    /// A stable name for the rule: `policy::type`, `entity::parent`.
    pub code: &'static str,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The file it is about; none when it is about the bundle as a whole.
    pub file: Option<File>,
    /// Byte range in that file, and what to write at it.
    pub label: Option<(std::ops::Range<usize>, String)>,
}

impl Diagnostic {
    /// An error without a place; add one with [`Self::at`].
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Error, code, message: message.into(), help: None, file: None, label: None }
    }

    /// A warning without a place; add one with [`Self::at`].
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::error(code, message) }
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Points at a whole file.
    #[must_use]
    pub fn in_file(mut self, file: &File) -> Self {
        self.file = Some(file.clone());
        self
    }

    /// Points at a byte range of a file.
    #[must_use]
    pub fn at(mut self, file: &File, span: std::ops::Range<usize>, label: impl Into<String>) -> Self {
        let end = span.end.min(file.text.len());
        self.label = Some((span.start.min(end)..end, label.into()));
        self.file = Some(file.clone());
        self
    }

    /// 1-based line and column, when the finding has a place.
    pub fn position(&self) -> Option<(usize, usize)> {
        let (span, _) = self.label.as_ref()?;
        Some(self.file.as_ref()?.position(span.start))
    }

    /// The finding as `miette` draws it.
    pub fn to_report(&self) -> miette::Report {
        let severity = match self.level {
            Level::Warning => Severity::Warning,
            Level::Error => Severity::Error,
        };
        let mut drawn = MietteDiagnostic::new(&self.message).with_severity(severity).with_code(self.code);
        if let Some(help) = &self.help {
            drawn = drawn.with_help(help);
        }
        if let Some((span, label)) = &self.label {
            drawn = drawn.with_label(LabeledSpan::new_with_span(Some(label.clone()), span.clone()));
        }
        match &self.file {
            Some(file) => {
                let text = String::from(&*file.text);
                miette::Report::new(drawn).with_source_code(NamedSource::new(&*file.path, text))
            }
            None => miette::Report::new(drawn),
        }
    }
}

/// The order in which findings are shown: by file, then place, then message.
pub fn sort(findings: &mut [Diagnostic]) {
    findings.sort_by(|a, b| key(a).cmp(&key(b)));
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn key(finding: &Diagnostic) -> (Option<&str>, usize, &str, &str) {
    let path = finding.file.as_ref().map(|file| &*file.path);
    let start = finding.label.as_ref().map_or(0, |(span, _)| span.start);
    (path, start, finding.code, &finding.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("no bundle")]
    struct Outer(#[source] std::fmt::Error);

    #[test]
    fn an_error_is_told_with_its_causes() {
        assert_eq!(chain(&std::fmt::Error), std::fmt::Error.to_string());
        assert_eq!(chain(&Outer(std::fmt::Error)), format!("no bundle: {}", std::fmt::Error));
    }
}
