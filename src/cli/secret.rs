//! A token or proof as it is brought: in a file or on standard input.
//! Never taken from the command line, where others could see it, and never printed.

use std::io::Read;
use std::path::Path;

/// What stands for standard input.
pub(super) const STDIN: &str = "-";
/// The longest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The header of a JWT begins so.
const JWT: &str = "eyJ";
/// What may stand before a token in a header.
const SCHEMES: [&str; 2] = ["bearer", "dpop"];

/// The one word of a file, `-` for standard input, without the scheme of its header. `what` it is stands in errors.
pub(super) fn read(what: &str, path: &Path) -> Result<String, String> {
    let name =
        if path == Path::new(STDIN) { "standard input".to_owned() } else { format!("`{}`", path.display()) };
    let failed = |error| {
        if looks_like_a_token(path) {
            // Whoever typed it has shown it already; it is not shown again.
            return format!(
                "{what} stands on the command line, where others can see it; put it into a file and name that, or send \
                 it to standard input and write `-`"
            );
        }
        format!("cannot read {what} from {name}: {error}")
    };
    let mut bytes = Vec::new();
    let limit = FILE_BYTES_MAX + 1;
    if path == Path::new(STDIN) {
        std::io::stdin().take(limit).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    }
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(format!("{name} has more than 1 MiB; {what} is one word"));
    }
    let text =
        String::from_utf8(bytes).map_err(|_| format!("{name} holds no text; {what} is one word of it"))?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let words = match words.as_slice() {
        [scheme, rest @ ..] if SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) => rest,
        all => all,
    };
    match words {
        [word] => Ok((*word).to_owned()),
        [] => Err(format!("{name} is empty; put {what} there")),
        several => Err(format!(
            "{name} holds {} words, and {what} is one; leave one there, in one line",
            several.len()
        )),
    }
}

/// Whether somebody gave the token in place of its file.
fn looks_like_a_token(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.starts_with(JWT) && holds_a_token(text))
}

/// Whether a word has a token in it.
pub(super) fn holds_a_token(word: &str) -> bool {
    word.split_once(JWT).is_some_and(|(_, rest)| rest.matches('.').count() >= 2)
}
