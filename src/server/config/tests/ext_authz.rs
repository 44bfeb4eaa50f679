//! `ext_authz`.

use super::*;
use crate::api::ext_authz::Telling;

const TRUST: &str = "trust: { issuers: [{ issuer: 'https://idp.example', human: {} }] }\n";

#[test]
fn gateways_deny_with_403_and_believe_no_claims_unless_told_to() {
    let usual = parsed("").unwrap().ext_authz;
    assert_eq!(usual.telling, Telling { deny_status: 403, deny_code: -32001 });
    assert!(usual.issuers.is_empty());
    let told = "ext_authz: { deny_status: 200, deny_code: -32050, claims_of: ['https://idp.example'] }\n";
    let told = parsed(&format!("{TRUST}{told}")).unwrap().ext_authz;
    assert_eq!(told.telling, Telling { deny_status: 200, deny_code: -32050 });
    assert_eq!(told.issuers, ["https://idp.example".to_owned()].into());
}

#[test]
fn what_would_let_a_denied_request_on_or_believe_a_stranger_is_refused() {
    for (text, parts) in [
        ("deny_status: 302", ["ext_authz.deny_status", "403"]),
        ("deny_status: 100", ["ext_authz.deny_status", "403"]),
        ("deny_status: 65739", ["ext_authz.deny_status", "403"]),
        ("deny_code: 0", ["ext_authz.deny_code", "-32000"]),
        ("deny_code: -32600", ["ext_authz.deny_code", "-32000"]),
        ("claims_of: ['https://other.example']", ["ext_authz.claims_of[0]", "trust.issuers"]),
        ("allow: true", ["p.yaml:2", "allow"]),
    ] {
        check_refused(&format!("{TRUST}ext_authz: {{ {text} }}\n"), &parts);
    }
}
