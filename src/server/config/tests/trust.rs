//! `trust`: what is refused, with the key, the line and what to do, and what a full one comes to.

use std::fmt::Write as _;

use super::super::super::keys::Source;
use super::*;
use crate::identity::{Algorithm, TokenKind};
use crate::value::Value;

/// The members of an issuer that is as it should be, each on a line of its own from the third on.
const ISSUER: [&str; 5] = [
    "issuer: https://as.acme.example",
    "keys: { file: jwks.json }",
    "algorithms: [ES256]",
    "human: { claim: sub }",
    "agent: client_id",
];
const FILE: &str = "keys: { file: bundle.json }";

/// `trust` with one issuer, in which the members that begin with the same key are these.
fn issuer_with(members: &[&str]) -> String {
    let key = |member: &str| member.split(':').next().unwrap().to_owned();
    let mut lines: Vec<&str> = ISSUER.to_vec();
    for member in members {
        match lines.iter_mut().find(|line| key(line) == key(member)) {
            Some(line) => *line = member,
            None => lines.push(member),
        }
    }
    format!("trust:\n  issuers:\n    - {}\n", lines.join("\n      "))
}

/// The same without some.
fn issuer_without(keys: &[&str]) -> String {
    let kept: Vec<_> =
        ISSUER.into_iter().filter(|line| !keys.iter().any(|key| line.starts_with(key))).collect();
    format!("trust:\n  issuers:\n    - {}\n", kept.join("\n      "))
}

fn domain_with(members: &[&str]) -> String {
    format!("trust:\n  spiffe:\n    - {}\n", members.join("\n      "))
}

/// Refused for this key in this line.
#[track_caller]
fn check(text: &str, key: &str, line: u64, words: &[&str]) {
    let said = refused(text);
    let place = format!("`{key}` (p.yaml:{line}): ");
    assert!(said.starts_with(&place), "`{place}` does not begin: {said}");
    for part in words {
        assert!(said.contains(part), "`{part}` in: {said}");
    }
}

/// Refused in this line as something that is not known, or of another type.
#[track_caller]
fn check_typed(text: &str, line: u64, words: &[&str]) {
    let said = refused(text);
    assert!(said.starts_with(&format!("`p.yaml:{line}`: ")), "{said}");
    for part in words {
        assert!(said.contains(part), "`{part}` in: {said}");
    }
}

#[test]
fn the_issuer_that_the_others_differ_from_is_taken() {
    assert_eq!(parsed(&issuer_with(&[])).unwrap().trust.config.issuers.len(), 1);
    assert!(parsed(&domain_with(&["trust_domain: acme.example", FILE])).is_ok());
}

#[test]
fn keys_that_are_unknown_or_of_another_type_are_named_with_those_that_would_do() {
    check_typed("trust: { isuers: [] }", 1, &["isuers", "issuers", "spiffe"]);
    check_typed(&issuer_with(&["audiense: [x]"]), 8, &["audiense", "audience"]);
    check_typed(&issuer_with(&["keys: { uri: x }"]), 4, &["uri", "url", "discovery"]);
    check_typed(&issuer_with(&["human: { claims: sub }"]), 6, &["claims", "claim", "unregistered"]);
    check_typed(&issuer_with(&["human: { unregistered: { parent: [] } }"]), 6, &["parent", "parents"]);
    let parents = "human: { unregistered: { parents: [{ claim: groups, kind: Team }] } }";
    check_typed(&issuer_with(&[parents]), 6, &["kind", "type"]);
    let parents = "human: { unregistered: { parents: [{ claim: groups }] } }";
    check_typed(&issuer_with(&[parents]), 6, &["type"]);
    check_typed(&domain_with(&["trust_domain: a.b", FILE, "issuer: x"]), 5, &["issuer", "trust_domain"]);
    check_typed(&domain_with(&["trust_domain: a.b"]), 3, &["keys"]);
    check_typed(&issuer_without(&["issuer"]), 6, &["missing field `issuer`"]);
    check_typed("trust: { leeway_s: soon }", 1, &["this is no whole number"]);
    check_typed("trust: { audience: https://x }", 1, &["sequence"]);
    check_typed(&issuer_with(&["algorithms: ES256"]), 5, &["sequence"]);
    check_typed(&issuer_with(&["keys: { file: a, file: b }"]), 4, &["file"]);
}

#[test]
fn numbers_have_bounds() {
    let number = |name: &str, value: &str, range: &str| {
        let said = format!("{value} is out of range; give a number from {range}");
        check(&format!("trust:\n  {name}: {value}\n"), &format!("trust.{name}"), 2, &[&said]);
    };
    number("leeway_s", "61", "0 to 60");
    number("actor_depth_max", "9", "0 to 8");
    number("refresh_s", "29", "30 to 86400");
    number("refresh_s", "86401", "30 to 86400");
    for wrong in ["0", "31536001"] {
        let key = "trust.issuers[0].lifetime_max_s";
        check(&issuer_with(&[&format!("lifetime_max_s: {wrong}")]), key, 8, &["from 1 to 31536000"]);
    }
    check_typed("trust: { leeway_s: -1 }", 1, &["this is no whole number", "column 20"]);
}

#[test]
fn an_issuer_is_named_once_and_not_emptily() {
    let key = "trust.issuers[0].issuer";
    check(&issuer_with(&["issuer: ''"]), key, 3, &["it is empty; write it exactly as its tokens have it"]);
    let one = issuer_with(&[]);
    let (_, again) = one.split_once("issuers:\n").unwrap();
    let words = "`https://as.acme.example` stands there twice; take one of them out";
    check(&format!("{one}{again}"), "trust.issuers[1].issuer", 8, &[words]);
    let domains = "trust:\n  spiffe:\n    - { trust_domain: a.b, keys: { file: x } }\n    - { trust_domain: a.b, keys: { file: y } }\n";
    check(domains, "trust.spiffe[1].trust_domain", 4, &["`a.b` stands there twice"]);
    let both = format!(
        "trust:\n  issuers: [{{ issuer: a.b, keys: {{ file: x }}, agent: azp }}]\n  spiffe: [{{ trust_domain: a.b, {FILE} }}]\n"
    );
    check(&both, "trust.spiffe[0].trust_domain", 3, &["`a.b` stands there twice"]);
}

#[test]
fn keys_come_from_one_place_that_can_be_trusted() {
    let keys = |text: &str, key: &str, words: &[&str]| {
        check(&issuer_with(&[text]), &format!("trust.issuers[0].keys{key}"), 4, words);
    };
    let plain =
        "keys are fetched by http only from this machine (a loopback address or `localhost`); use https";
    keys("keys: { url: 'http://as.acme.example/jwks' }", ".url", &[plain]);
    keys("keys: { url: 'ftp://as.acme.example/jwks' }", ".url", &["not fetched by `ftp`; use https"]);
    keys("keys: { url: as.acme.example/jwks }", ".url", &["not a URL", "write one like `https://"]);
    keys("keys: { url: 'https://me:pw@as.acme.example/' }", ".url", &["a password", "leave them out"]);
    let one = "say in one way where its keys come from: `url`, `file`, `discovery: true`";
    for two in
        ["url: 'https://x/', file: y", "url: 'https://x/', discovery: true", "file: y, discovery: true"]
    {
        keys(&format!("keys: {{ {two} }}"), "", &[one]);
    }
    keys("keys: { discovery: false }", "", &["`discovery: false` leaves no way", "`url` or `file`"]);
    keys("keys: { file: '' }", ".file", &["it is empty"]);
    for good in ["http://127.0.0.1:1/jwks", "http://localhost/jwks", "https://x.example/jwks?tenant=1"] {
        assert!(parsed(&issuer_with(&[&format!("keys: {{ url: '{good}' }}")])).is_ok(), "{good}");
    }
}

#[test]
fn an_issuer_without_keys_of_its_own_has_metadata() {
    for text in
        [issuer_without(&["keys"]), issuer_with(&["keys: { discovery: true }"]), issuer_with(&["keys: {}"])]
    {
        let settings = parsed(&text).unwrap();
        assert!(matches!(settings.trust.keys.sources[0].source, Source::Discovery(_)));
    }
    for (name, words) in [
        ("acme-login", "it is not a URL"),
        ("http://as.acme.example", "by http only from this machine"),
        ("'https://as.acme.example/?tenant=1'", "neither a query nor a fragment"),
    ] {
        let text = issuer_without(&["keys"]).replace("https://as.acme.example", name);
        check(&text, "trust.issuers[0].keys", 3, &[words, "or say where its keys are: `url` or `file`"]);
    }
    assert!(
        parsed(&issuer_with(&["issuer: acme-login"])).is_ok(),
        "a name need be no URL where its keys lie in a file"
    );
}

#[test]
fn algorithms_and_kinds_of_token_are_of_those_that_are_known() {
    for wrong in ["none", "HS256", "es256", "ES512", "RS1"] {
        let text = issuer_with(&[&format!("algorithms: [ES256, {wrong}]")]);
        let words = format!("`{wrong}` is not known; take some of ES256, ES384, RS256");
        check(&text, "trust.issuers[0].algorithms", 5, &[&words, "EdDSA"]);
    }
    check(
        &issuer_with(&["algorithms: []"]),
        "trust.issuers[0].algorithms",
        5,
        &["it is empty; take some of ES256"],
    );
    let kinds = "take some of access_token, id_jag, jwt";
    check(
        &issuer_with(&["tokens: [at+jwt]"]),
        "trust.issuers[0].tokens",
        8,
        &["`at+jwt` is not known", kinds],
    );
    check(&issuer_with(&["tokens: [jwt_svid]"]), "trust.issuers[0].tokens", 8, &["`jwt_svid` is not known"]);
    check(&issuer_with(&["tokens: []"]), "trust.issuers[0].tokens", 8, &["it is empty", kinds]);
}

#[test]
fn tokens_must_name_somebody() {
    let words = ["its tokens name nobody", "(`human`)", "(`agent`)", "or both"];
    check(&issuer_without(&["human", "agent"]), "trust.issuers[0]", 3, &words);
    assert!(parsed(&issuer_without(&["human"])).is_ok());
    assert!(parsed(&issuer_without(&["agent"])).is_ok());
    check(&issuer_with(&["agent: ''"]), "trust.issuers[0].agent", 7, &["it is empty", "`client_id`"]);
    check(
        &issuer_with(&["human: { claim: '' }"]),
        "trust.issuers[0].human.claim",
        6,
        &["it is empty", "`sub`"],
    );
    check(
        &issuer_with(&["human: { type: '' }"]),
        "trust.issuers[0].human.type",
        6,
        &["no entity type", "`Human`"],
    );
    check(
        &issuer_with(&["human: { type: 'a b' }"]),
        "trust.issuers[0].human.type",
        6,
        &["`a b` is no entity type"],
    );
}

#[test]
fn whoever_is_unregistered_is_described_by_values_of_cedar() {
    let described = |text: &str| issuer_with(&[&format!("human: {{ unregistered: {{ {text} }} }}")]);
    let attributes = "trust.issuers[0].human.unregistered.attributes";
    for (value, words) in [("~", "null"), ("[1, ~]", "null"), ("{ deep: ~ }", "null")] {
        let text = described(&format!("attributes: {{ level: {value} }}"));
        check(&text, &format!("{attributes}.level"), 6, &[words]);
    }
    let parents = "trust.issuers[0].human.unregistered.parents[0]";
    check(
        &described("parents: [{ claim: '', type: Team }]"),
        &format!("{parents}.claim"),
        6,
        &["it is empty"],
    );
    check(
        &described("parents: [{ claim: g, type: 'Te am' }]"),
        &format!("{parents}.type"),
        6,
        &["no entity type"],
    );
    assert!(parsed(&described("attributes: { a: true, b: 7, c: x, d: [x, y], e: { f: 1.5 } }")).is_ok());
}

#[test]
fn audiences_are_not_empty() {
    check("trust:\n  audience: [a, '']\n", "trust.audience[1]", 2, &["it is empty"]);
    check(&issuer_with(&["audience: ['']"]), "trust.issuers[0].audience[0]", 8, &["it is empty"]);
    let domain = domain_with(&["trust_domain: a.b", FILE, "audience: ['']"]);
    check(&domain, "trust.spiffe[0].audience[0]", 5, &["it is empty"]);
}

#[test]
fn a_trust_domain_is_a_name_with_a_way_to_its_keys() {
    for wrong in ["spiffe://acme.example", "ACME.example", "acme.example/bot", "''", "'a b'"] {
        let text = domain_with(&[&format!("trust_domain: {wrong}"), FILE]);
        let words = "it is no trust domain; write it in small letters and without `spiffe://`";
        check(&text, "trust.spiffe[0].trust_domain", 3, &[words]);
    }
    for none in ["{}", "{ discovery: true }", "{ file: a, url: 'https://b/' }"] {
        let text = domain_with(&["trust_domain: acme.example", &format!("keys: {none}")]);
        let words = "say in one way where its keys come from: `url`, `file`";
        check(&text, "trust.spiffe[0].keys", 4, &[words]);
    }
    let plain = domain_with(&["trust_domain: acme.example", "keys: { url: 'http://spire.example/' }"]);
    check(&plain, "trust.spiffe[0].keys.url", 4, &["by http only from this machine"]);
}

#[test]
fn issuers_and_trust_domains_are_1000_at_most() {
    let many = |issuers: usize, domains: usize| {
        let mut text = String::from("trust:\n  issuers:\n");
        for at in 0..issuers {
            writeln!(text, "    - {{ issuer: i{at}, keys: {{ file: k }}, agent: azp }}").unwrap();
        }
        text.push_str("  spiffe:\n");
        for at in 0..domains {
            writeln!(text, "    - {{ trust_domain: d{at}, keys: {{ file: k }} }}").unwrap();
        }
        text
    };
    assert_eq!(parsed(&many(900, 100)).unwrap().trust.keys.sources.len(), 1000);
    for (issuers, domains) in [(1001, 1), (900, 102)] {
        let said = refused(&many(issuers, domains));
        let words = format!("`trust`: {} issuers and trust domains are more than 1000", issuers + domains);
        assert!(said.starts_with(&words), "{said}");
    }
}

#[test]
fn a_full_trust_comes_to_plain_values() {
    let settings = parsed(
        r"
trust:
  audience: ['https://pdp.acme.example', pdp]
  leeway_s: 45
  actor_depth_max: 2
  refresh_s: 60
  ca_file: ca.pem
  issuers:
    - issuer: https://as.acme.example
      keys: { url: 'https://as.acme.example/jwks' }
      algorithms: [ES256, EdDSA]
      audience: ['api://clients']
      tokens: [access_token, id_jag, jwt]
      lifetime_max_s: 3600
      human:
        claim: email
        type: Acme::Human
        unregistered:
          parents: [{ claim: groups, type: Team }]
          attributes: { guest: true, level: 1 }
      agent: azp
    - issuer: https://login.acme.example
      human: {}
  spiffe:
    - trust_domain: acme.example
      keys: { file: bundle.json }
      audience: [spiffe-clients]
",
    )
    .unwrap();
    let Trust { config, keys } = settings.trust;
    assert_eq!(config.audience, ["https://pdp.acme.example", "pdp"]);
    assert_eq!((config.leeway_s, config.actor_depth_max), (45, 2));
    let [first, second] = config.issuers.as_slice() else { panic!("{config:?}") };
    assert_eq!(&*first.name, "https://as.acme.example");
    assert_eq!(first.algorithms, [Algorithm::Es256, Algorithm::EdDsa]);
    assert_eq!(first.audience, ["api://clients"]);
    assert_eq!(first.kinds, [TokenKind::AccessToken, TokenKind::IdJag, TokenKind::Jwt]);
    assert_eq!((first.lifetime_max_s, first.agent_claim.as_deref()), (Some(3600), Some("azp")));
    let human = first.human.as_ref().unwrap();
    assert_eq!((human.claim.as_str(), human.kind.as_str()), ("email", "Acme::Human"));
    let described = human.unregistered.as_ref().unwrap();
    assert_eq!((described.parents[0].claim.as_str(), described.parents[0].kind.as_str()), ("groups", "Team"));
    let attributes = [("guest".into(), Value::Bool(true)), ("level".into(), Value::Long(1))];
    assert_eq!(described.attributes, attributes.into_iter().collect());

    assert_eq!(second.algorithms, [Algorithm::Es256, Algorithm::Rs256]);
    assert_eq!((second.kinds.as_slice(), second.lifetime_max_s), (&[TokenKind::AccessToken][..], None));
    let human = second.human.as_ref().unwrap();
    assert_eq!((human.claim.as_str(), human.kind.as_str()), ("sub", "Human"));
    assert!(human.unregistered.is_none() && second.agent_claim.is_none() && second.audience.is_empty());
    assert_eq!(&*config.domains[0].name, "acme.example");
    assert_eq!(config.domains[0].audience, ["spiffe-clients"]);

    assert_eq!((keys.refresh, keys.ca_file), (Duration::from_mins(1), Some(PathBuf::from("ca.pem"))));
    let names: Vec<_> = keys.sources.iter().map(|source| &*source.name).collect();
    assert_eq!(names, ["https://as.acme.example", "https://login.acme.example", "acme.example"]);
    let shown: Vec<_> = keys
        .sources
        .iter()
        .map(|source| match &source.source {
            Source::Url(address) => address.to_string(),
            Source::Discovery(issuer) => issuer.name().to_owned(),
            Source::File(path) => path.display().to_string(),
            Source::WorkloadApi(agent) => agent.to_string(),
        })
        .collect();
    assert_eq!(shown, ["https://as.acme.example/jwks", "https://login.acme.example", "bundle.json"]);
    let nothing = parsed("").unwrap().trust;
    assert_eq!((nothing.config.leeway_s, nothing.config.actor_depth_max), (30, 4));
    assert!(nothing.keys.sources.is_empty() && nothing.config.audience.is_empty());
}

#[test]
fn who_trusts_tokens_believes_no_local_caller_unless_told_to() {
    assert!(parsed("").unwrap().callers.local().is_some());
    assert!(parsed(&issuer_with(&[])).unwrap().callers.local().is_none());
    let told = format!("local_caller: {{ enabled: true }}\n{}", issuer_with(&[]));
    assert!(parsed(&told).unwrap().callers.local().is_some());
}
