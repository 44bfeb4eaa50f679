//! How deep a file may nest before Cedar reads it: Cedar's parser and validator recurse, and a stack that overflows
//! ends the process. Never understands a file: it counts brackets and operators, in one pass.

use crate::diagnostic::{Diagnostic, File};

/// How deep brackets may nest.
const NESTING_MAX: usize = 100;
/// How many operators and opening brackets one policy may hold: each can be one level of its expression.
const OPERATORS_MAX: usize = 2_000;
/// Operators that are spelt as words.
const OPERATOR_WORDS: [&str; 5] = ["if", "has", "in", "is", "like"];
/// Operators of two characters, and the one pair of characters that is none.
const PAIRS: [&str; 7] = ["&&", "||", "==", "!=", "<=", ">=", "::"];

/// What a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Policies,
    Schema,
    Entities,
}

/// Whether Cedar may be given this file; says why not.
pub(super) fn holds(file: &File, language: Language, findings: &mut Vec<Diagnostic>) -> bool {
    let excess = excess(&file.text, language);
    findings.extend(excess.map(|excess| finding(file, language, excess)));
    excess.is_none()
}

/// The first place that goes beyond a bound.
#[derive(Debug, Clone, Copy)]
enum Excess {
    Nesting(usize),
    Operators(usize),
}

fn excess(text: &str, language: Language) -> Option<Excess> {
    let mut open: Vec<&str> = Vec::new();
    let mut operators = 0;
    for (place, token) in tokens(text) {
        match token {
            "(" | "[" | "{" => open.push(token),
            "<" if language == Language::Schema => open.push(token),
            // A bracket that closes another one closes nothing: the parser may pass over it.
            ")" | "]" | "}" | ">" => drop(open.pop_if(|opening| closing(opening) == token)),
            ";" if open.is_empty() => operators = 0,
            _ => {}
        }
        if open.len() > NESTING_MAX {
            return Some(Excess::Nesting(place));
        }
        operators += usize::from(language == Language::Policies && is_operator(token));
        if operators > OPERATORS_MAX {
            return Some(Excess::Operators(place));
        }
    }
    None
}

fn closing(opening: &str) -> &'static str {
    match opening {
        "(" => ")",
        "[" => "]",
        "{" => "}",
        _ => ">",
    }
}

fn is_operator(token: &str) -> bool {
    OPERATOR_WORDS.contains(&token)
        || token.starts_with(['(', '[', '{', '<', '>', '&', '|', '.', '+', '-', '*', '!', '=', '/', '%'])
}

/// The words, operators and other characters of a text with their places, without strings and comments.
fn tokens(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut place = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = text.get(place..)?;
            let first = rest.chars().next()?;
            let len = match first {
                '"' => string_len(rest),
                '/' if rest.starts_with("//") => rest.find(['\n', '\r']).unwrap_or(rest.len()),
                _ if is_of_word(first) => rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()),
                _ if PAIRS.iter().any(|pair| rest.starts_with(pair)) => 2,
                _ => first.len_utf8(),
            };
            let start = place;
            place += len;
            let token = rest.get(..len)?;
            if !first.is_whitespace() && !token.starts_with('"') && !token.starts_with("//") {
                return Some((start, token));
            }
        }
    })
}

fn is_of_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// The length of the string that a text begins with, quotes included.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (place, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return place + 1,
            _ => {}
        }
    }
    text.len()
}

fn finding(file: &File, language: Language, excess: Excess) -> Diagnostic {
    let (code, help) = match language {
        Language::Policies => ("policy::depth", "split the condition into several policies"),
        Language::Schema => ("schema::depth", "give the inner types names of their own"),
        Language::Entities => ("entity::depth", "make the inner values entities of their own"),
    };
    let (place, message) = match excess {
        Excess::Nesting(place) => (place, format!("brackets nest more than {NESTING_MAX} deep")),
        Excess::Operators(place) => {
            (place, format!("the policy has more than {OPERATORS_MAX} operators and brackets"))
        }
    };
    Diagnostic::error(code, message).at(file, place..place + 1, "from here on").help(help)
}

#[cfg(test)]
mod tests;
