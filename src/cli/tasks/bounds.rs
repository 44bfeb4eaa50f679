//! Bounds of arguments as they are typed: `crm/issue_refund:amount<=100`, `crm/lookup:customer=c-1|c-2`.
//! Never rounds a number: its digits are sent as they are.

use crate::api::proto::v1;
use crate::api::proto::v1::bound::Limit;

const FORM: &str = "write SERVER/TOOL:ARGUMENT<=NUMBER, …>=NUMBER or …=TEXT|TEXT";
/// The digits that may stand behind the point.
const FRACTION_DIGITS_MAX: usize = 4;
/// Takes the special meaning from the letter behind it.
const ESCAPE: char = '\\';

/// Reads a bound.
pub(super) fn parse(text: &str) -> Result<v1::Bound, String> {
    let wrong = |why: &str| format!("`{text}` is no bound: {why}; {FORM}");
    let (tool, rest) = text.split_once(':').ok_or_else(|| wrong("it has no `:` behind the tool"))?;
    tool_name(tool).map_err(|why| wrong(&why))?;
    let place = plain_place(rest, |letter| matches!(letter, '<' | '>' | '='))
        .ok_or_else(|| wrong("it says nothing about the argument"))?;
    let (path, limit) = rest.split_at_checked(place).unwrap_or((rest, ""));
    let argument = pieces(path, '.').map_err(|why| wrong(&why))?;
    if argument.iter().any(String::is_empty) {
        return Err(wrong("a part of the argument's name is empty"));
    }
    let limit = if let Some(most) = limit.strip_prefix("<=") {
        Limit::AtMost(number(most).map_err(|why| wrong(&why))?)
    } else if let Some(least) = limit.strip_prefix(">=") {
        Limit::AtLeast(number(least).map_err(|why| wrong(&why))?)
    } else if let Some(texts) = limit.strip_prefix('=') {
        let names = pieces(texts, '|').map_err(|why| wrong(&why))?;
        if names.iter().any(String::is_empty) {
            return Err(wrong("one of the texts is empty"));
        }
        Limit::OneOf(v1::Names { names })
    } else {
        return Err(wrong("a bound holds for its number too"));
    };
    Ok(v1::Bound { tool: tool.to_owned(), argument, limit: Some(limit) })
}

/// The name of a tool: `crm/issue_refund`.
pub(super) fn tool_name(text: &str) -> Result<String, String> {
    match text.split_once('/') {
        Some((server, tool)) if !server.is_empty() && !tool.is_empty() => Ok(text.to_owned()),
        Some(_) | None => Err(format!("`{text}` names no tool; write SERVER/TOOL")),
    }
}

/// A number as it was typed.
fn number(text: &str) -> Result<String, String> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole.strip_prefix('-').unwrap_or(whole)) || !fraction.is_none_or(digits) {
        return Err(format!("`{text}` is no number like 100 or 99.5"));
    }
    if fraction.is_some_and(|fraction| fraction.len() > FRACTION_DIGITS_MAX) {
        return Err(format!("`{text}` has more than {FRACTION_DIGITS_MAX} digits behind its point"));
    }
    Ok(text.to_owned())
}

/// Where the first letter of a kind stands that no backslash precedes.
fn plain_place(text: &str, wanted: impl Fn(char) -> bool) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().find_map(|(place, letter)| {
        let found = !is_escaped && wanted(letter);
        is_escaped = !is_escaped && letter == ESCAPE;
        found.then_some(place)
    })
}

/// The parts between separators; `\` before a letter takes it as it is.
fn pieces(text: &str, separator: char) -> Result<Vec<String>, String> {
    let (mut done, mut piece) = (Vec::new(), String::new());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter == ESCAPE {
            piece.push(letters.next().ok_or("a backslash stands at the end")?);
        } else if letter == separator {
            done.push(std::mem::take(&mut piece));
        } else {
            piece.push(letter);
        }
    }
    done.push(piece);
    Ok(done)
}

/// A bound as it would be typed.
pub(super) fn written(bound: &v1::Bound) -> String {
    let escaped = |text: &str, special: &[char]| {
        let letters = text.chars().flat_map(|letter| {
            let escape = (letter == ESCAPE || special.contains(&letter)).then_some(ESCAPE);
            escape.into_iter().chain([letter])
        });
        letters.collect::<String>()
    };
    let argument: Vec<_> = bound.argument.iter().map(|part| escaped(part, &['.', '<', '>', '='])).collect();
    let limit = match &bound.limit {
        Some(Limit::AtMost(most)) => format!("<={most}"),
        Some(Limit::AtLeast(least)) => format!(">={least}"),
        Some(Limit::OneOf(texts)) => {
            let texts: Vec<_> = texts.names.iter().map(|text| escaped(text, &['|'])).collect();
            format!("={}", texts.join("|"))
        }
        None => "?".to_owned(),
    };
    format!("{}:{}{limit}", bound.tool, argument.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_of(texts: &[&str]) -> Limit {
        Limit::OneOf(v1::Names { names: texts.iter().map(|text| (*text).to_owned()).collect() })
    }

    #[track_caller]
    fn check(text: &str, argument: &[&str], limit: Limit) {
        let bound = parse(text).unwrap();
        assert_eq!(bound.tool, "crm/issue_refund");
        assert_eq!(bound.argument, argument);
        assert_eq!(bound.limit, Some(limit));
        assert_eq!(written(&bound), text, "as it would be typed");
    }

    #[test]
    fn bounds_are_read_and_written() {
        check("crm/issue_refund:amount<=100", &["amount"], Limit::AtMost("100".into()));
        check("crm/issue_refund:order.total>=-99.5", &["order", "total"], Limit::AtLeast("-99.5".into()));
        check("crm/issue_refund:customer=c-1|c-2", &["customer"], one_of(&["c-1", "c-2"]));
        check("crm/issue_refund:url=https://a.example/?x=1", &["url"], one_of(&["https://a.example/?x=1"]));
        check(r"crm/issue_refund:a\.b.c\=d=x\|y|\\z", &["a.b", "c=d"], one_of(&["x|y", r"\z"]));
    }

    #[test]
    fn nonsense_is_refused_with_words() {
        for (text, why) in [
            ("", "no `:`"),
            ("crm/issue_refund", "no `:`"),
            ("crm:amount<=1", "names no tool"),
            ("/x:amount<=1", "names no tool"),
            ("crm/:amount<=1", "names no tool"),
            ("crm/x:", "says nothing"),
            ("crm/x:amount", "says nothing"),
            (r"crm/x:amount\<=1\", "backslash"),
            ("crm/x:<=1", "is empty"),
            ("crm/x:a..b<=1", "is empty"),
            ("crm/x:a<1", "for its number too"),
            ("crm/x:a>1", "for its number too"),
            ("crm/x:a<=", "no number"),
            ("crm/x:a<=1e3", "no number"),
            ("crm/x:a<=.5", "no number"),
            ("crm/x:a<=5.", "no number"),
            ("crm/x:a<=+5", "no number"),
            ("crm/x:a<= 5", "no number"),
            ("crm/x:a<=1.2.3", "no number"),
            ("crm/x:a<=0.12345", "more than 4 digits"),
            ("crm/x:a=", "texts is empty"),
            ("crm/x:a=b||c", "texts is empty"),
        ] {
            let words = parse(text).unwrap_err();
            assert!(words.contains(why) && words.contains("SERVER/TOOL"), "{text}: {words}");
        }
    }
}
