//! Numbers as they were written, as the schema's numbers.
//! Never rounds: what a type cannot hold exactly is refused.

use super::Fault;

/// The largest integer that every IEEE-754 double below it can also name exactly.
const EXACT_INTEGER_MAX: i64 = 1 << 53;

/// The integer that a JSON number names, if it names one exactly: `100.0` and `1e2` do, `1.5` and `1e300` do not.
pub(super) fn exact_integer(text: &str) -> Option<i64> {
    if !text.contains(['.', 'e', 'E']) {
        return text.parse().ok();
    }
    let number: f64 = text.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "the range check below admits only exact integers")]
    let integer = number as i64;
    #[expect(clippy::cast_precision_loss, reason = "integers up to 2^53 are exact in a double")]
    let exact = (integer as f64).to_bits() == (number + 0.0).to_bits();
    let exact = exact && integer.unsigned_abs() <= EXACT_INTEGER_MAX.unsigned_abs();
    // What is too small for a double becomes zero without having been written as zero.
    let digits = text.split(['e', 'E']).next().unwrap_or_default();
    if integer == 0 && digits.contains(|c: char| c.is_ascii_digit() && c != '0') {
        return None;
    }
    // A literal with more digits than a double holds could round onto an integer that was not written.
    (exact && text.len() <= 17).then_some(integer)
}

/// Cedar's decimal: at most four digits after the point, and an `i64` of ten-thousandths.
pub(super) fn decimal(text: &str) -> Result<String, Fault> {
    let fault = || Fault::new("", "decimal (at most 4 digits after the point)", "a number it cannot hold");
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().map_err(|_| fault())?),
        None => (text, 0),
    };
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || exponent.abs() > 40 || digits.len() > 64 {
        return Err(fault());
    }
    let all: String = whole.chars().chain(fraction.chars()).collect();
    if !all.bytes().all(|b| b.is_ascii_digit()) {
        return Err(fault());
    }
    let scale = i32::try_from(fraction.len()).map_err(|_| fault())? - exponent;
    let shift = usize::try_from((4 - scale).max(0)).map_err(|_| fault())?;
    let excess = usize::try_from((scale - 4).max(0)).map_err(|_| fault())?;
    let (kept, dropped) = all.split_at(all.len().saturating_sub(excess));
    if dropped.bytes().any(|b| b != b'0') {
        return Err(fault());
    }
    let units: i64 = format!("{sign}{kept}{}", "0".repeat(shift))
        .parse()
        .or_else(|e| if kept.is_empty() && shift == 0 { Ok(0) } else { Err(e) })
        .map_err(|_| fault())?;
    let magnitude = units.unsigned_abs();
    let sign = if units < 0 { "-" } else { "" };
    Ok(format!("{sign}{}.{:04}", magnitude / 10_000, magnitude % 10_000))
}
