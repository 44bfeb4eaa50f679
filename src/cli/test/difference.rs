//! What was wanted beside what came, line by line.
//! Never marks what the case does not look at.

use std::collections::BTreeSet;

use similar::{ChangeTag, TextDiff};

use crate::access::Outcome;
use crate::suite::{Expected, Verdict};

/// Lines of the answer: `-` wanted and missing, `+` came instead, without a mark what is as wanted or not looked at.
pub(super) fn lines(verdict: &Verdict) -> Vec<(char, String)> {
    let (wanted, got) = (wanted(verdict), got(verdict));
    let marked = |change: similar::Change<&str>| {
        let mark = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        (mark, change.value().trim_end().to_owned())
    };
    TextDiff::from_lines(&wanted, &got).iter_all_changes().map(marked).collect()
}

/// As [`lines`], in one text.
pub(super) fn text(verdict: &Verdict) -> String {
    let marked: Vec<String> =
        lines(verdict).into_iter().map(|(mark, line)| format!("{mark} {line}")).collect();
    marked.join("\n")
}

/// The answer as it would have been, had it been as wanted; what is not looked at is as it came.
fn wanted(verdict: &Verdict) -> String {
    let Expected { permit, reason, determining, obligations } = &verdict.expected;
    let came = match verdict.outcome {
        Outcome::Permit => None,
        Outcome::Deny(reason) => Some(reason),
    };
    let reason = match (permit, reason.or(came)) {
        (false, Some(reason)) => Some(reason.name()),
        (true, _) | (false, None) => None,
    };
    let ids = determining.as_ref().unwrap_or(&verdict.determining);
    let duties = obligations.as_ref().unwrap_or(&verdict.obligations);
    let text = came.filter(|_| !permit).map(|_| verdict.reason_text.as_str());
    document(*permit, reason, text, [ids, duties], &[])
}

fn got(verdict: &Verdict) -> String {
    let ids = [&verdict.determining, &verdict.obligations];
    match verdict.outcome {
        Outcome::Permit => document(true, None, None, ids, &verdict.errors),
        Outcome::Deny(reason) => {
            document(false, Some(reason.name()), Some(&verdict.reason_text), ids, &verdict.errors)
        }
    }
}

fn document(
    permit: bool,
    reason: Option<&str>,
    text: Option<&str>,
    [determining, obligations]: [&BTreeSet<String>; 2],
    errors: &[String],
) -> String {
    let mut lines = vec![format!("decision: {}", if permit { "permit" } else { "deny" })];
    lines.extend(reason.map(|reason| format!("reason: {reason}")));
    lines.extend(text.map(|text| format!("reason text: {text}")));
    lines.push(format!("determining:{}", if determining.is_empty() { " []" } else { "" }));
    lines.extend(determining.iter().map(|id| format!("  - {id}")));
    lines.extend((!obligations.is_empty()).then(|| "obligations:".to_owned()));
    lines.extend(obligations.iter().map(|id| format!("  - {id}")));
    lines.extend((!errors.is_empty()).then(|| "errors:".to_owned()));
    lines.extend(errors.iter().map(|error| format!("  - {}", error.replace('\n', " "))));
    lines.into_iter().map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::access::{DenyReason, Outcome};
    use crate::suite::{Expected, Verdict};

    fn verdict(expected: Expected, outcome: Outcome, determining: &[&str]) -> Verdict {
        Verdict {
            path: "policies/p_test.yaml".into(),
            line: 3,
            name: "n".into(),
            expected,
            outcome,
            reason_text: if outcome.is_permit() { String::new() } else { "not today".into() },
            determining: determining.iter().map(|id| (*id).to_owned()).collect(),
            obligations: ids(&[]),
            errors: Vec::new(),
        }
    }

    fn ids(ids: &[&str]) -> std::collections::BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn a_deny_where_a_permit_was_wanted_shows_its_reason() {
        let wanted =
            Expected { permit: true, reason: None, determining: Some(ids(&["a", "b"])), obligations: None };
        let verdict = verdict(wanted, Outcome::Deny(DenyReason::Forbidden), &["g"]);
        let diff = "- decision: permit\n+ decision: deny\n+ reason: Forbidden\n+ reason text: not today\n  determining:\n-   - a\n-   - b\n+   - g";
        assert_eq!(text(&verdict), diff);
    }

    #[test]
    fn what_the_case_does_not_look_at_is_not_marked() {
        let wanted = Expected {
            permit: false,
            reason: Some(DenyReason::NoPermit),
            determining: None,
            obligations: None,
        };
        let verdict = verdict(wanted, Outcome::Deny(DenyReason::Forbidden), &["g"]);
        let diff = "  decision: deny\n- reason: NoPermit\n+ reason: Forbidden\n  reason text: not today\n  determining:\n    - g";
        assert_eq!(text(&verdict), diff);
    }

    #[test]
    fn a_permit_where_a_deny_was_wanted_names_who_permitted() {
        let wanted = Expected {
            permit: false,
            reason: Some(DenyReason::Forbidden),
            determining: Some(ids(&["g"])),
            obligations: None,
        };
        let verdict = verdict(wanted, Outcome::Permit, &["a"]);
        let diff =
            "- decision: deny\n- reason: Forbidden\n+ decision: permit\n  determining:\n-   - g\n+   - a";
        assert_eq!(text(&verdict), diff);
    }
}
