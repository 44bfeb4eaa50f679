//! Hostile texts: parts too many and too few, alphabets, lengths, JSON that is none, signatures bent a little.
//! Never a text that any other row has: one thing is wrong with each.

use jsonwebtoken::Algorithm as Signs;

use super::super::super::{Part, TOKEN_BYTES_MAX, TokenFault};
use super::super::maker::{ES256, b64, quoted};
use super::super::world::{claims, header, signed};
use super::{Row, json, token};
use crate::json::JsonError;

pub(super) fn rows() -> Vec<Row> {
    [parts(), signatures(), alphabets(), lengths(), texts()].into_iter().flatten().collect()
}

/// A good token in its three parts.
fn good() -> (String, String, String) {
    let text = signed(&header(), &claims());
    let parts: Vec<&str> = text.split('.').collect();
    (parts[0].into(), parts[1].into(), parts[2].into())
}

fn base64(part: Part) -> TokenFault {
    TokenFault::Base64 { part }
}

fn parts() -> Vec<Row> {
    let (h, c, s) = good();
    let empty = |part| json(part, |offset| JsonError::Truncated { offset });
    let flat = format!(r#"{{"protected":"{h}","payload":"{c}","signature":"{s}"}}"#);
    let rows = [
        ("nothing", String::new(), TokenFault::NotCompact),
        ("a word", "token".into(), TokenFault::NotCompact),
        ("one dot", ".".into(), TokenFault::NotCompact),
        ("two parts", format!("{h}.{c}"), TokenFault::NotCompact),
        ("two parts, the last the signature", format!("{c}.{s}"), TokenFault::NotCompact),
        ("four parts", format!("{h}.{c}.{s}.{s}"), TokenFault::NotCompact),
        ("a dot behind", format!("{h}.{c}.{s}."), TokenFault::NotCompact),
        ("a dot before", format!(".{h}.{c}.{s}"), TokenFault::NotCompact),
        ("a dot doubled", format!("{h}..{c}.{s}"), TokenFault::NotCompact),
        ("six parts", format!("{h}.{c}.{s}.{h}.{c}.{s}"), TokenFault::NotCompact),
        ("five parts", format!("{h}.{c}.{s}.{c}.{s}"), TokenFault::Encrypted),
        ("five empty parts", "....".into(), TokenFault::Encrypted),
        ("the JSON serialization", flat, TokenFault::NotCompact),
        ("empty parts", "..".into(), empty(Part::Header)),
        ("an empty header", format!(".{c}.{s}"), empty(Part::Header)),
        ("empty claims", format!("{h}..{s}"), empty(Part::Claims)),
        ("an empty signature", format!("{h}.{c}."), TokenFault::Signature),
        ("claims for the header", format!("{c}.{h}.{s}"), TokenFault::HeaderMember { name: "alg" }),
    ];
    rows.into_iter().map(|(name, text, fault)| token(name, text, fault)).collect()
}

fn signatures() -> Vec<Row> {
    use base64::Engine as _;
    let (h, c, s) = good();
    let bytes = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(&s).unwrap();
    let (r, other) = bytes.split_at(32);
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&order[2 * at..2 * at + 2], 16).unwrap()).collect();
    let der = |bytes: &[u8]| [&[2, 33, 0][..], bytes].concat();
    let der = [&[0x30, 70][..], &der(r), &der(other)].concat();
    let of_another = signed(&header(), &claims().set("sub", r#""eve""#));
    let of_another = of_another.rsplit_once('.').unwrap().1.to_owned();
    let mut flipped = bytes.clone();
    flipped[17] ^= 1;
    let rows = [
        ("all zeros", b64([0; 64])),
        ("all ones", b64([0xff; 64])),
        ("r and s are the order", b64([&order[..], &order].concat())),
        ("r is zero", b64([&[0; 32][..], other].concat())),
        ("s is zero", b64([r, &[0; 32]].concat())),
        ("r and s exchanged", b64([other, r].concat())),
        ("a bit flipped", b64(flipped)),
        ("DER", b64(der)),
        ("half", b64(r)),
        ("a zero before", b64([&[0][..], &bytes].concat())),
        ("a zero behind", b64([&bytes[..], &[0]].concat())),
        ("twice", b64([&bytes[..], &bytes].concat())),
        ("another token's", of_another),
        ("the header", h.clone()),
        ("a word", b64("signature")),
    ];
    let rows = rows.into_iter().map(|(name, signature)| {
        token(format!("signature: {name}"), format!("{h}.{c}.{signature}"), TokenFault::Signature)
    });
    let raised = b64(claims().set("scope", r#""admin""#).text());
    let renamed = b64(claims().set("sub", r#""root""#).text());
    let respelt = b64(header().set("x", "1").text());
    rows.chain([
        token(
            "claims raised behind the signature's back",
            format!("{h}.{raised}.{s}"),
            TokenFault::Signature,
        ),
        token("a subject renamed", format!("{h}.{renamed}.{s}"), TokenFault::Signature),
        token("a header respelt", format!("{respelt}.{c}.{s}"), TokenFault::Signature),
    ])
    .collect()
}

/// Another text for the same bytes would be another token for whoever remembers texts.
fn alphabets() -> Vec<Row> {
    let (h, c, s) = good();
    let last = s.chars().last().unwrap();
    let next = char::from_u32(u32::from(last) + 1).unwrap();
    let trailing_bits = format!("{}{next}", &s[..s.len() - 1]);
    let mut rows = Vec::new();
    let ends = [
        ("=", "="),
        ("two =", "=="),
        ("a space", " "),
        ("a line's end", "\n"),
        ("CR LF", "\r\n"),
        ("a tab", "\t"),
        ("NUL", "\0"),
        ("a letter too many", "A"),
        ("+", "AA+A"),
        ("/", "AA/A"),
        ("%", "%3D"),
        ("é", "é"),
        ("a comma", ","),
    ];
    for (name, end) in ends {
        for (part, text) in [
            (Part::Header, format!("{h}{end}.{c}.{s}")),
            (Part::Claims, format!("{h}.{c}{end}.{s}")),
            (Part::Signature, format!("{h}.{c}.{s}{end}")),
        ] {
            // One letter behind a whole group of four is no base64; elsewhere it is data.
            let whole = match part {
                Part::Header => h.len() % 4 == 0,
                Part::Claims => c.len() % 4 == 0,
                Part::Signature => false,
            };
            if end != "A" || whole {
                rows.push(token(format!("{name} behind the {part}"), text, base64(part)));
            }
        }
    }
    let around = [
        ("a space before all", format!(" {h}.{c}.{s}"), Part::Header),
        ("quotes", format!("\"{h}.{c}.{s}\""), Part::Header),
        ("a BOM", format!("\u{feff}{h}.{c}.{s}"), Part::Header),
        ("a space in the signature", format!("{h}.{c}.{} {}", &s[..20], &s[20..]), Part::Signature),
        ("a line in the claims", format!("{h}.{}\n{}.{s}", &c[..20], &c[20..]), Part::Claims),
        ("bits that mean nothing", format!("{h}.{c}.{trailing_bits}"), Part::Signature),
        ("a letter too few", format!("{h}.{c}.{}", &s[..s.len() - 1]), Part::Signature),
        ("two tokens", format!("{h}.{c}.{s}, {h}"), Part::Signature),
    ];
    rows.extend(around.into_iter().map(|(name, text, part)| token(name, text, base64(part))));
    rows.push(token("the word Bearer", format!("Bearer {h}.{c}.{s}"), TokenFault::Scheme));
    rows
}

fn lengths() -> Vec<Row> {
    let (h, c, s) = good();
    let padded = |bytes: usize| {
        let head = format!("{h}.{c}.{s}");
        format!("{head}{}", "A".repeat(bytes - head.len()))
    };
    [("16 KiB and one", TOKEN_BYTES_MAX + 1), ("17 KiB", 17 * 1024), ("1 MiB", 1 << 20)]
        .into_iter()
        .map(|(name, bytes)| token(name, padded(bytes), TokenFault::TooLong { bytes }))
        .collect()
}

/// What is wrong with JSON at an offset.
type Source = fn(usize) -> JsonError;

/// Claims, and a header, that are no strict JSON; each with a good signature.
fn texts() -> Vec<Row> {
    use JsonError as J;
    let deep = |levels: usize| format!(r#"{{"x":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    let good = claims().text();
    let body = &good[..good.len() - 1];
    let syntax: Source = |offset| J::Syntax { offset, expected: "" };
    let mut bad_text = body.as_bytes().to_vec();
    bad_text.extend(b",\"x\":\"\xff\"}");
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let texts: [(&str, Vec<u8>, Source); 20] = [
        ("13 levels", deep(12).into(), |offset| J::TooDeep { offset, depth_max: 0 }),
        ("1000 levels", deep(1000).into(), |offset| J::TooDeep { offset, depth_max: 0 }),
        ("1100 values", format!("{body},\"x\":[{}0]}}", "0,".repeat(1100)).into(), |offset| {
            J::TooManyValues { offset, nodes_max: 0 }
        }),
        ("a byte that is no UTF-8", bad_text, |offset| J::NotUtf8 { offset }),
        ("UTF-16", utf16, syntax),
        ("a BOM", format!("\u{feff}{good}").into(), syntax),
        ("two values", format!("{good}{good}").into(), |offset| J::TrailingText { offset }),
        ("NUL behind", format!("{good}\0").into(), |offset| J::TrailingText { offset }),
        ("a comma too many", format!("{body},}}").into(), |offset| J::TrailingComma { offset }),
        ("an end too early", body.as_bytes().to_vec(), |offset| J::Truncated { offset }),
        ("NaN", format!("{body},\"x\":NaN}}").into(), |offset| J::Number { offset }),
        ("Infinity", format!("{body},\"x\":-Infinity}}").into(), |offset| J::Number { offset }),
        ("a leading zero", format!("{body},\"x\":01}}").into(), |offset| J::Number { offset }),
        ("hexadecimal", format!("{body},\"x\":0x1}}").into(), syntax),
        ("a comment", format!("{body}/* x */}}").into(), syntax),
        ("single quotes", "{'iss':'x'}".into(), syntax),
        ("a bare line's end in a text", format!("{body},\"x\":\"\n\"}}").into(), |offset| {
            J::ControlCharacter { offset }
        }),
        ("half a pair", format!("{body},\"x\":\"\\udc00\"}}").into(), |offset| J::LoneSurrogate { offset }),
        ("an unknown escape", format!("{body},\"x\":\"\\q\"}}").into(), |offset| J::Escape { offset }),
        ("a token for claims", signed(&header(), &claims()).into(), syntax),
    ];
    let mut rows = Vec::new();
    for (name, text, source) in texts {
        let as_claims = ES256.sign(Signs::ES256, header().text(), &text);
        let as_header = ES256.sign(Signs::ES256, &text, &good);
        rows.push(token(format!("claims: {name}"), as_claims, json(Part::Claims, source)));
        rows.push(token(format!("header: {name}"), as_header, json(Part::Header, source)));
    }
    for text in ["[]", "7", "null", "true", "\"\"", &format!("[{good}]"), &quoted(&good)] {
        let name = format!("claims are {}", text.get(..20).unwrap_or(text));
        let fault = TokenFault::NotAnObject { part: Part::Claims };
        rows.push(token(name, ES256.sign(Signs::ES256, header().text(), text), fault));
    }
    rows
}
