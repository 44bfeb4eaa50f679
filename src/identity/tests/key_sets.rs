//! Hostile sets of keys: what is read of them, what is passed over, what is refused, and in which words.
//! Never a panic: a key that is no point of its curve verifies nothing.

use jsonwebtoken::Algorithm as Signs;

use super::super::jwt::{self, KeyInHeader};
use super::super::*;
use super::maker::{ED, ES256, ES384, RSA, STRANGER, b64, quoted};
use super::world::{claims, header, jwks, signed};
use crate::json::JsonError;

fn parse(text: impl AsRef<[u8]>) -> Result<Keys, KeysFault> {
    Keys::parse(text.as_ref(), Use::Signatures, &Algorithm::ALL)
}

/// Why the one key of a set is passed over.
fn passed_over(jwk: &str) -> String {
    match parse(jwks(&[jwk.to_owned()])) {
        Err(KeysFault::NoneUsable { passed_over }) => passed_over.join("; "),
        other => panic!("{jwk}: {other:?}"),
    }
}

fn verify(keys: &Keys, token: &str) -> Result<(), TokenFault> {
    keys.verify(&jwt::parse(token, KeyInHeader::Refused).unwrap())
}

#[test]
fn a_document_that_is_no_strict_set_is_refused() {
    type Json = fn(&KeysFault) -> bool;
    let json: [(&str, &str, Json); 5] = [
        ("duplicate", r#"{"keys":[],"keys":[]}"#, |f| {
            matches!(f, KeysFault::Json(JsonError::DuplicateMember { .. }))
        }),
        ("in a key", r#"{"keys":[{"kty":"EC","kty":"oct"}]}"#, |f| {
            matches!(f, KeysFault::Json(JsonError::DuplicateMember { .. }))
        }),
        ("deep", &format!(r#"{{"keys":[{}1{}]}}"#, "[".repeat(20), "]".repeat(20)), |f| {
            matches!(f, KeysFault::Json(JsonError::TooDeep { .. }))
        }),
        ("nothing", "", |f| matches!(f, KeysFault::Json(JsonError::Truncated { .. }))),
        ("a page", "<html>", |f| matches!(f, KeysFault::Json(JsonError::Syntax { .. }))),
    ];
    for (name, text, is_wanted) in json {
        let fault = parse(text).unwrap_err();
        assert!(is_wanted(&fault), "{name}: {fault:?}");
    }
    let good = ES256.jwk(r#""kid":"a""#);
    for text in
        ["[]", "7", "null", "\"\"", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#, r#"{"Keys":[]}"#, &good]
    {
        assert_eq!(parse(text).unwrap_err(), KeysFault::NotASet, "{text}");
    }
    assert!(matches!(parse(b"{\"keys\":[\"\xff\"]}"), Err(KeysFault::Json(JsonError::NotUtf8 { .. }))));
}

#[test]
fn a_set_is_read_up_to_its_limits_and_no_further() {
    let many = |count: usize| jwks(&vec![ED.jwk(""); count]);
    assert_eq!(parse(many(100)).unwrap().len(), 100);
    assert_eq!(parse(many(101)).unwrap_err(), KeysFault::TooMany { count: 101 });
    let padded = |bytes: usize| {
        let text = many(1);
        format!("{text}{}", " ".repeat(bytes - text.len()))
    };
    assert_eq!(parse(padded(KEYS_BYTES_MAX)).unwrap().len(), 1);
    let long = KEYS_BYTES_MAX + 1;
    for bytes in [long, 300 * 1024] {
        let fault = KeysFault::Json(JsonError::TooLong { bytes, bytes_max: KEYS_BYTES_MAX });
        assert_eq!(parse(padded(bytes)).unwrap_err(), fault);
    }
    let kid = |bytes: usize| ED.jwk(&format!(r#""kid":"{}""#, "k".repeat(bytes)));
    assert_eq!(parse(jwks(&[kid(512)])).unwrap().len(), 1);
    assert_eq!(passed_over(&kid(513)), "the key at 0 has too long a `kid`");
}

#[test]
fn a_key_that_must_not_be_trusted_is_passed_over_with_a_reason() {
    let secret = "is a secret or private key, which must not be published";
    let kind = "is of a kind that is not known here (`kty`, `crv`)";
    let wrong_use = "is for another use (`use`)";
    let weak = "is an RSA key of another length than 2048 to 8192 bits";
    let of_rsa = |bits: usize| format!(r#"{{"kty":"RSA","n":"{}","e":"AQAB"}}"#, b64(vec![0xff; bits / 8]));
    let zeros = b64([vec![0; 192], vec![0xff; 64]].concat());
    let rows = [
        (r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned(), secret),
        (r#"{"kty":"oct"}"#.into(), kind),
        (ES256.jwk(r#""d":"AAAA""#), secret),
        (ED.jwk(r#""d":"""#), secret),
        (RSA.jwk(r#""p":"AAAA","q":"AAAA""#), secret),
        (RSA.jwk(r#""oth":[]"#), secret),
        (weak_rsa(), weak),
        (of_rsa(512), weak),
        (of_rsa(2040), weak),
        (of_rsa(8200), weak),
        (format!(r#"{{"kty":"RSA","n":"{zeros}","e":"AQAB"}}"#), weak),
        (r#"{"kty":"RSA","n":"","e":"AQAB"}"#.into(), weak),
        (r#"{"kty":"RSA","n":"++++","e":"AQAB"}"#.into(), "is not base64url"),
        (r#"{"kty":"RSA","n":"AQAB"}"#.into(), "lacks a member of its kind"),
        (RSA.jwk(r#""crv":"P-256""#), kind),
        (RSA.jwk(r#""alg":"ES256""#), "says an algorithm (`alg`) that its kind does not have"),
        (RSA.jwk(r#""alg":"HS256""#), "says an algorithm (`alg`) that its kind does not have"),
        (ES256.jwk(r#""alg":"RS256""#), "says an algorithm (`alg`) that its kind does not have"),
        (ES256.jwk(r#""alg":"none""#), "says an algorithm (`alg`) that its kind does not have"),
        (ES256.jwk(r#""alg":7"#), "has a member of the wrong type"),
        (ES256.jwk(r#""use":"enc""#), wrong_use),
        (ES256.jwk(r#""use":"jwt-svid""#), wrong_use),
        (ES256.jwk(r#""use":"""#), wrong_use),
        (ES256.jwk(r#""use":null"#), "has a member of the wrong type"),
        (ES256.jwk(r#""kid":7"#), "has a member of the wrong type"),
        (ES256.jwk(r#""key_ops":["sign"]"#), "is not for verifying (`key_ops`)"),
        (ES256.jwk(r#""key_ops":[]"#), "is not for verifying (`key_ops`)"),
        (ES256.jwk(r#""key_ops":"sign""#), "is not for verifying (`key_ops`)"),
        (ES256.jwk(r#""key_ops":{"verify":true}"#), "is not for verifying (`key_ops`)"),
        ("{}".into(), "lacks `kty`"),
        ("7".into(), "is no object"),
        (r#"{"kty":"ec"}"#.into(), kind),
        (r#"{"kty":"EC","crv":"P-521","x":"AAAA","y":"AAAA"}"#.into(), kind),
        (r#"{"kty":"OKP","crv":"X25519","x":"AAAA"}"#.into(), kind),
    ];
    for (jwk, why) in rows {
        assert_eq!(passed_over(&jwk), format!("the key at 0 {why}"), "{jwk}");
    }
}

/// A key of 1024 bits.
fn weak_rsa() -> String {
    let modulus = "9CF66C18715DFC3464132DEC485727BA7F1F6392F5653A2B9DA2150751B5B47CE2ED463588032A07EF6D894E31A26921923CA113\
                   3C61C6BE628FD23B703D6D21E2689079D63F782841EFBFC62E94C32A3E9959B5F560531425B6845399BB237B0B4E128A93CBC072\
                   22EA09E4981E8B28F4B172584EC9501BCC61FA6ABA1E12FB";
    let byte = |at: usize| u8::from_str_radix(&modulus[2 * at..2 * at + 2], 16).unwrap();
    let modulus: Vec<u8> = (0..modulus.len() / 2).map(byte).collect();
    assert_eq!(modulus.len() * 8, 1024);
    format!(r#"{{"kty":"RSA","n":"{}","e":"AQAB"}}"#, b64(modulus))
}

#[test]
fn coordinates_have_the_length_of_their_curve() {
    let wrong = "the key at 0 has a coordinate of the wrong length";
    for (curve, size) in [("P-256", 32), ("P-384", 48)] {
        for (x, y) in
            [(size - 1, size), (size + 1, size), (size, size - 1), (size, size + 1), (0, size), (size, 0)]
        {
            let (x, y) = (b64(vec![1; x]), b64(vec![1; y]));
            assert_eq!(passed_over(&format!(r#"{{"kty":"EC","crv":"{curve}","x":"{x}","y":"{y}"}}"#)), wrong);
        }
    }
    for x in [
        b64([1; 31]),
        b64([1; 33]),
        String::new(),
        format!("{}=", b64([1; 32])),
        b64([1; 32]).replace('A', "+"),
    ] {
        assert_eq!(passed_over(&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#)), wrong);
    }
}

#[test]
fn a_key_off_its_curve_verifies_nothing_and_panics_nowhere() {
    let points = [[0; 32], [1; 32], [7; 32], [0xff; 32]];
    for (x, y) in points.iter().flat_map(|x| points.iter().map(move |y| (b64(x), b64(y)))) {
        let set = jwks(&[format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}","kid":"es"}}"#)]);
        if let Ok(keys) = parse(set) {
            assert_eq!(verify(&keys, &signed(&header(), &claims())), Err(TokenFault::Signature), "{x} {y}");
        }
    }
    // What is no point, and a set that holds it, is passed over or verifies nothing.
    let ed_header = header().set("alg", r#""EdDSA""#).set("kid", r#""ed""#);
    for x in [[2; 32], [0xff; 32], [0x55; 32]] {
        let set = jwks(&[format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}","kid":"ed"}}"#, b64(x))]);
        let Ok(keys) = parse(set) else { continue };
        let good = ED.sign(Signs::EdDSA, ed_header.text(), claims().text());
        assert_eq!(verify(&keys, &good), Err(TokenFault::Signature));
        let (signed, _) = good.rsplit_once('.').unwrap();
        assert_eq!(verify(&keys, &format!("{signed}.{}", b64([0; 64]))), Err(TokenFault::Signature));
    }
}

/// With such a point a signature of zeros fits one token in eight or more, whoever writes it.
#[test]
fn an_ed25519_key_of_small_order_is_passed_over() {
    let hex = |text: &str| -> Vec<u8> {
        (0..32).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
    };
    let ends = |first: u8, middle: u8, last: u8| {
        let mut point = vec![middle; 32];
        (point[0], point[31]) = (first, last);
        point
    };
    let points = [
        ends(0, 0, 0),
        ends(1, 0, 0),
        ends(0xec, 0xff, 0x7f),
        ends(0xed, 0xff, 0x7f),
        ends(0xee, 0xff, 0x7f),
        hex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        hex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    ];
    for mut point in points {
        for sign in [0, 0x80] {
            point[31] = (point[31] & 0x7f) | sign;
            assert_eq!(
                passed_over(&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, b64(&point))),
                "the key at 0 is a point of small order: anybody could sign for it"
            );
        }
    }
    assert_eq!(parse(jwks(&[ED.jwk("")])).unwrap().len(), 1);
}

/// With an exponent of 1 the padded digest is its own signature.
#[test]
fn an_rsa_key_of_a_useless_exponent_verifies_nothing() {
    use sha2::{Digest, Sha256};
    let head = header().set("alg", r#""RS256""#).set("kid", r#""rs""#);
    let good = RSA.sign(Signs::RS256, head.text(), claims().text());
    let (signed, _) = good.rsplit_once('.').unwrap();
    let info = [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
    let info = [&info[..], &Sha256::digest(signed)].concat();
    let padded = [&[0, 1][..], &vec![0xff; 256 - 3 - info.len()], &[0], &info].concat();
    let own = format!("{signed}.{}", b64(padded));
    // The last would make each verification as slow as a signature: whoever sends a proof chooses its key.
    let long = b64([0xff; 256]);
    for exponent in ["", "AA", "AQ", "Ag", "BA", &long] {
        let modulus = b64([0xff; 256]);
        let set = jwks(&[format!(r#"{{"kty":"RSA","n":"{modulus}","e":"{exponent}","kid":"rs"}}"#)]);
        let Ok(keys) = parse(set) else { continue };
        for token in [&good, &own] {
            assert_eq!(verify(&keys, token), Err(TokenFault::Signature), "{exponent}");
        }
    }
}

#[test]
fn one_bad_key_does_not_spoil_a_good_one() {
    let set = jwks(&[
        r#"{"kty":"oct","k":"AAAA","kid":"es"}"#.into(),
        ES256.jwk(r#""kid":"es""#),
        r#"{"kty":"LMS","kid":"new"}"#.into(),
    ]);
    let keys = parse(set).unwrap();
    assert_eq!((keys.len(), keys.is_empty(), keys.passed_over().len()), (1, false, 2));
    assert!(keys.passed_over()[0].starts_with("the key at 0 is a secret"), "{:?}", keys.passed_over());
    assert_eq!(verify(&keys, &signed(&header(), &claims())), Ok(()));
    // What is printed of them is no key material.
    assert!(!format!("{keys:?}").contains(&ES256.members[30..60]));
}

#[test]
fn two_keys_of_one_name_are_both_tried() {
    let set = jwks(&[STRANGER.jwk(r#""kid":"es""#), ES256.jwk(r#""kid":"es""#), ES384.jwk(r#""kid":"es""#)]);
    let keys = parse(set).unwrap();
    let token = |pair: &super::maker::Pair| pair.sign(Signs::ES256, header().text(), claims().text());
    assert_eq!((verify(&keys, &token(&ES256)), verify(&keys, &token(&STRANGER))), (Ok(()), Ok(())));
    assert_eq!(verify(&keys, &token(&super::maker::HOLDER)), Err(TokenFault::Signature));
}

#[test]
fn a_token_without_kid_is_verified_where_only_one_key_can_be_meant() {
    let without = header().cut("kid");
    let token = signed(&without, &claims());
    for keys in [vec![ES256.jwk("")], vec![ES256.jwk(r#""kid":"x""#), RSA.jwk("")]] {
        assert_eq!(verify(&parse(jwks(&keys)).unwrap(), &token), Ok(()));
    }
    let two = jwks(&[ES256.jwk(""), STRANGER.jwk(r#""kid":"x""#)]);
    assert_eq!(verify(&parse(two).unwrap(), &token), Err(TokenFault::KeyNotNamed));
    // A key without a name is nobody's name.
    let unnamed = parse(jwks(&[ES256.jwk("")])).unwrap();
    assert_eq!(verify(&unnamed, &signed(&header(), &claims())), Err(TokenFault::UnknownKey));
    let empty = parse(jwks(&[ES256.jwk(r#""kid":"""#)])).unwrap();
    assert_eq!(verify(&empty, &signed(&header().set("kid", &quoted("")), &claims())), Ok(()));
}

#[test]
fn what_is_configured_narrows_what_a_key_may_sign_with() {
    let set = jwks(&[RSA.jwk(r#""kid":"rs""#)]);
    let keys = |algorithms: &[Algorithm]| Keys::parse(set.as_bytes(), Use::Signatures, algorithms);
    let rs = header().set("alg", r#""RS256""#).set("kid", r#""rs""#);
    let rs = RSA.sign(Signs::RS256, rs.text(), claims().text());
    assert_eq!(verify(&keys(&[Algorithm::Rs256]).unwrap(), &rs), Ok(()));
    let fault = TokenFault::WrongAlgorithm { algorithm: Algorithm::Rs256 };
    assert_eq!(verify(&keys(&[Algorithm::Ps256]).unwrap(), &rs), Err(fault));
    for none in [&[][..], &[Algorithm::Es256, Algorithm::EdDsa]] {
        let KeysFault::NoneUsable { passed_over } = keys(none).unwrap_err() else { panic!("{none:?}") };
        assert_eq!(passed_over, ["the key at 0 signs with no algorithm of the configured `algorithms`"]);
    }
}

#[test]
fn a_trust_domain_signs_with_its_keys_for_jwt_svids_alone() {
    let parse_for = |keys_use: Use, said: &str| {
        let set = jwks(&[ES256.jwk(said)]);
        Keys::parse(set.as_bytes(), keys_use, &Algorithm::ALL).map(|keys| keys.len()).ok()
    };
    let parse = |said: &str| parse_for(Use::JwtSvid, said);
    assert_eq!(parse(r#""use":"jwt-svid""#), Some(1));
    for said in ["", r#""use":"sig""#, r#""use":"x509-svid""#, r#""use":"JWT-SVID""#, r#""use":"wit-svid""#] {
        assert_eq!(parse(said), None, "{said}");
        // The Workload API says whose they are, and may leave out what for.
        assert_eq!(parse_for(Use::JwtBundle, said), said.is_empty().then_some(1), "{said}");
    }
    assert_eq!(parse_for(Use::JwtBundle, r#""use":"jwt-svid""#), Some(1));
}
