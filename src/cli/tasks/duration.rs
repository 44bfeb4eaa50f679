//! Lengths of time as people type and read them: `90`, `90s`, `15m`, `2h`, `1d`.
//! Never nothing: no time at all is no length that anybody means.

const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];

/// Reads a length in seconds.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no length of time; write one like 90s, 15m, 2h or 1d");
    let unit = text.chars().last().and_then(|last| UNITS.into_iter().find(|(letter, _)| *letter == last));
    let (digits, seconds) = match unit {
        Some((letter, seconds)) => (text.strip_suffix(letter).unwrap_or(text), seconds),
        None => (text, 1),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let length = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(seconds));
    match length.ok_or_else(wrong)? {
        0 => Err("nothing can be done in no time; leave the option out for the usual length".into()),
        length => Ok(length),
    }
}

/// A length in its two largest units: `1h 5m`; `over` for none.
pub(super) fn short(seconds: i64) -> String {
    let Some(mut left) = u64::try_from(seconds).ok().filter(|left| *left > 0) else { return "over".into() };
    let mut parts = Vec::new();
    for (letter, unit) in UNITS.into_iter().rev() {
        let count = left / unit;
        left %= unit;
        // The second of the two stands right behind the first, or not at all.
        if count == 0 && !parts.is_empty() {
            break;
        }
        if count > 0 {
            parts.push(format!("{count}{letter}"));
        }
        if parts.len() == 2 {
            break;
        }
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read() {
        for (text, seconds) in
            [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), ("1d", 86_400), ("007m", 420)]
        {
            assert_eq!(parse(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "m",
            "1.5h",
            "-1s",
            "+1s",
            " 1s",
            "1 s",
            "1M",
            "1w",
            "15min",
            "1h30m",
            "١s",
            "99999999999999999999",
            "18446744073709551615d",
        ] {
            assert!(parse(text).unwrap_err().contains("is no length of time"), "{text}");
        }
        for text in ["0", "0s", "000d"] {
            assert!(parse(text).unwrap_err().contains("no time"), "{text}");
        }
    }

    #[test]
    fn lengths_are_written_short() {
        for (seconds, text) in [
            (-1, "over"),
            (0, "over"),
            (1, "1s"),
            (59, "59s"),
            (60, "1m"),
            (61, "1m 1s"),
            (3600, "1h"),
            (3661, "1h 1m"),
            (3601, "1h"),
            (90_000, "1d 1h"),
            (86_400 * 400, "400d"),
        ] {
            assert_eq!(short(seconds), text, "{seconds}");
        }
    }
}
