//! Whole requests with tokens: what is decided of them, and what of them is on record.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};

use crate::access::{DecisionId, DenyReason, Outcome, Question, Timestamp};
use crate::audit::{Administered, Administration, DigestKey, Face, Memory, OpenDecisions};
use crate::diagnostic::File;
use crate::identity::{
    Algorithm, Caller, Claim, Credentials, Describe, HumanClaims, Issuer, KeySet, Keys, ParentClaim, Role,
    Servers, Token, TokenKind, Trust, TrustConfig, Use,
};
use crate::mcp;
use crate::pdp::{Answer, Ask, Occasion, Pdp, Request};
use crate::policy::compile;
use crate::value::{Uid, Value};

const SCHEMA: &str = r#"
entity DataClass in [DataClass];
entity Team;
entity Human in [Team] = { active: Bool, clearances: Set<DataClass> };
entity Agent = { active: Bool, clearances: Set<DataClass>, client_ids?: Set<String> };
entity Server;
entity ToolGroup;
entity Tool in [Server, ToolGroup, DataClass] = { data_classes: Set<DataClass>, destructive: Bool };
type Token = { issuer: String, audience: String, scopes: Set<String>, binding: String,
  acr?: String, amr?: Set<String>, issued?: datetime };
type Call = { @source("pdp") requester?: Human, @source("pdp") actor?: Agent, @source("pdp") now: datetime,
  @source("pdp") token?: Token };
action "tools/call";
action "tools/list" appliesTo { principal: [Human, Agent], resource: [Server], context: Call };
"#;

const ENTITIES: &str = r#"[
  {"uid": {"type": "Team", "id": "guests"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Human", "id": "ana"}, "attrs": {"active": true, "clearances": []}, "parents": []},
  {"uid": {"type": "Agent", "id": "bot"}, "attrs": {"active": true, "clearances": [], "client_ids": ["bot"]}, "parents": []}
]"#;

/// Everything that a rule can see of a token is asked for.
const POLICY: &str = r#"
permit(principal, action, resource) when { context has token && context.token.scopes.contains("crm.read")
  && context.token.issuer == "https://as.acme.example" && context.token.binding == "none"
  && context.token has acr && context.token.acr == "2" && context.token has amr && context.token.amr.contains("mfa")
  && context.token has issued && context.token.issued < context.now };
permit(principal in Team::"guests", action, resource);
permit(principal is Agent, action, resource);
"#;

const TOOLS: &str = r#"{"tools": [{"name": "find", "description": "d", "inputSchema": {"type": "object"}}]}"#;
const AS: &str = "https://as.acme.example";
const CRM: &str = "https://crm.acme.example/mcp";
const NOW: i64 = 1_795_255_200;

/// Its public JWK, and what signs.
static KEY: LazyLock<(String, EncodingKey)> = LazyLock::new(|| {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let point = pair.public_key_raw();
    let (x, y) = (BASE64_URL_SAFE_NO_PAD.encode(&point[1..33]), BASE64_URL_SAFE_NO_PAD.encode(&point[33..]));
    let jwk = format!(r#"{{"kty":"EC","crv":"P-256","kid":"a","x":"{x}","y":"{y}"}}"#);
    (jwk, EncodingKey::from_ec_der(&pair.serialize_der()))
});

fn trust() -> Trust {
    let attributes = [("active", Value::Bool(true)), ("clearances", Value::Set(vec![]))];
    let unregistered = Describe {
        parents: vec![ParentClaim { claim: "groups".into(), kind: "Team".into() }],
        attributes: attributes.into_iter().map(|(name, value)| (name.into(), value)).collect(),
    };
    let issuer = Issuer {
        name: AS.into(),
        algorithms: vec![Algorithm::Es256],
        audience: vec![],
        kinds: vec![TokenKind::AccessToken, TokenKind::Jwt],
        lifetime_max_s: None,
        human: Some(HumanClaims {
            claim: "sub".into(),
            kind: "Human".into(),
            unregistered: Some(unregistered),
        }),
        agent_claim: Some("client_id".into()),
    };
    let config =
        TrustConfig { leeway_s: 0, actor_depth_max: 4, issuers: vec![issuer], ..TrustConfig::default() };
    let set = format!(r#"{{"keys":[{}]}}"#, KEY.0);
    let keys = Arc::new(Keys::parse(set.as_bytes(), Use::Signatures, &Algorithm::ALL).unwrap());
    Trust::new(Arc::new(config), &BTreeMap::from([(AS.into(), KeySet { keys, digest: [0; 32] })]))
}

fn pdp() -> Pdp<Memory> {
    pdp_of(SCHEMA, POLICY)
}

fn pdp_of(schema: &str, policy: &str) -> Pdp<Memory> {
    let files = [
        File::new("schemas/s.cedarschema", schema),
        File::new("entities/e.json", ENTITIES),
        File::new("tools/crm.json", TOOLS),
        File::new("tools/crm.facts.yaml", format!("audience: {CRM}\n")),
        File::new("tools/mail.json", TOOLS),
        File::new("policies/p.cedar", policy),
    ];
    let snapshot = compile(&files).unwrap_or_else(|findings| panic!("{findings:?}")).snapshot;
    let open = Arc::new(OpenDecisions::new(10));
    let pdp = Pdp::new(
        Arc::new(snapshot),
        Memory::new(100),
        open,
        DigestKey::new(&[1; 32]),
        mcp::Limits::default(),
    );
    pdp.trust(Arc::new(trust()));
    pdp
}

/// A token of these further claims.
fn token(sub: &str, more: &str) -> String {
    let (iat, exp) = (NOW - 60, NOW + 60);
    signed(
        "at+jwt",
        &format!(
            r#"{{"iss":"{AS}","sub":"{sub}","aud":"{CRM}","client_id":"bot","jti":"at-1","iat":{iat},"exp":{exp},
              "acr":"2","amr":["mfa"]{more}}}"#
        ),
    )
}

/// Whether a session was open that is ended now.
fn ends(pdp: &Pdp<Memory>, caller: &Caller, session: &str) -> bool {
    let ended = Administered {
        time: Timestamp(NOW * 1000),
        face: Face::Embedded,
        caller: &caller.name,
        call: "end_session",
        outcome: Administration::Done,
        reason: "",
        session: Some(session),
    };
    pdp.end_session(&ended, caller, session).unwrap()
}

/// What an issuer must say at least.
fn plain_token() -> String {
    signed("JWT", &format!(r#"{{"iss":"{AS}","sub":"ana","aud":"{CRM}","exp":{}}}"#, NOW + 60))
}

fn signed(typ: &str, claims: &str) -> String {
    let head = BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"ES256","typ":"{typ}","kid":"a"}}"#));
    let text = format!("{head}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims));
    let signature =
        jsonwebtoken::crypto::sign(text.as_bytes(), &KEY.1, jsonwebtoken::Algorithm::ES256).unwrap();
    format!("{text}.{signature}")
}

const READS: &str = r#","scope":"crm.read""#;

fn request(server: &str, token: &str) -> Request {
    let caller = Caller {
        name: "gw".into(),
        roles: [Role::Authorize].into(),
        servers: Servers::All,
        agentless: true,
        authenticated: true,
    };
    let question = Question::new(Uid::new("Action", "tools/list"), Uid::new("Server", server));
    Request {
        credentials: Credentials { subject: Some(Token::new(token)), ..Credentials::default() },
        ..Request::new(Arc::new(caller), Ask::Access(question))
    }
}

fn answer(pdp: &Pdp<Memory>, request: &Request, now_s: i64) -> Answer {
    let id = DecisionId("d".into());
    let occasion = Occasion { id, now: Timestamp(now_s * 1000), elapsed_us: &|| 0 };
    pdp.evaluate(request, occasion).settle().unwrap()
}

/// What is decided of a token for `crm`.
fn decided(token: &str) -> Outcome {
    answer(&pdp(), &request("crm", token), NOW).decision.outcome
}

#[test]
fn rules_see_what_a_token_says_and_records_name_it_without_holding_it() {
    let (pdp, token) = (pdp(), token("ana", READS));
    let answer = answer(&pdp, &request("crm", &token), NOW);
    assert_eq!(answer.decision.outcome, Outcome::Permit, "{}", answer.decision.reason);
    let [record] = &pdp.sink().records()[..] else { panic!("one record") };
    let text = record.to_string();
    for part in token.split('.') {
        assert!(!text.contains(part), "{text}");
    }
    assert_eq!(record["token"]["issuer"], AS, "{text}");
    assert_eq!((&record["token"]["id"], &record["token"]["binding"]), (&"at-1".into(), &"none".into()));
    assert_eq!((&record["assurance"], &record["actor_assurance"]), (&"verified".into(), &"verified".into()));
}

#[test]
fn a_token_without_what_a_rule_asks_for_is_good_and_the_answer_no() {
    assert_eq!(decided(&token("ana", "")), Outcome::Deny(DenyReason::NoPermit));
    assert_eq!(decided(&token("ana", r#","scope":"crm.readers""#)), Outcome::Deny(DenyReason::NoPermit));
}

#[test]
fn a_guest_is_who_the_claims_say_and_in_their_groups() {
    assert_eq!(decided(&token("eve", r#","groups":["guests"]"#)), Outcome::Permit);
    assert_eq!(decided(&token("eve", r#","groups":["others"]"#)), Outcome::Deny(DenyReason::NoPermit));
    // Claims give a registered person no groups.
    assert_eq!(decided(&token("ana", r#","groups":["guests"]"#)), Outcome::Deny(DenyReason::NoPermit));
}

#[test]
fn a_token_that_is_not_accepted_denies_and_is_not_on_record() {
    let good = token("ana", READS);
    let (signed, _) = good.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode([7; 64]));
    let bound = token("ana", r#","scope":"crm.read","cnf":{"jkt":"AAAA"}"#);
    for (token, now_s, reason, words) in [
        (&forged, NOW, DenyReason::Unauthenticated, "the subject's token has a signature that is not valid"),
        (&good, NOW + 60, DenyReason::Unauthenticated, "the subject's token expired 0 s ago (`exp`)"),
        (
            &bound,
            NOW,
            DenyReason::BindingMissing,
            "the subject's token is bound to a key, and the request brings no proof of it",
        ),
    ] {
        let pdp = pdp();
        let answer = answer(&pdp, &request("crm", token), now_s);
        assert_eq!(
            (answer.decision.outcome, answer.decision.reason.as_str()),
            (Outcome::Deny(reason), words)
        );
        let [record] = &pdp.sink().records()[..] else { panic!("one record") };
        assert!(record.get("principal").is_none_or(serde_json::Value::is_null), "{record}");
        // Whose it was, as far as its issuer has said so.
        let signed = *token != forged;
        assert_eq!(record.get("refused_token").is_some(), signed, "{record}");
        assert!(!signed || record["refused_token"]["issuer"] == AS, "{record}");
        assert!(token.split('.').all(|part| !record.to_string().contains(part)), "{record}");
    }
}

#[test]
fn a_token_for_one_server_is_good_for_no_other() {
    let (pdp, token) = (pdp(), token("ana", READS));
    assert_eq!(answer(&pdp, &request("crm", &token), NOW).decision.outcome, Outcome::Permit);
    // `mail` says no audience, and `nowhere` is no server.
    for server in ["mail", "nowhere"] {
        let decision = answer(&pdp, &request(server, &token), NOW).decision;
        assert_eq!(decision.outcome, Outcome::Deny(DenyReason::Unauthenticated), "{server}");
        assert!(decision.reason.contains("for another audience"), "{server}: {}", decision.reason);
    }
}

#[test]
fn a_session_is_begun_by_who_was_established_and_by_nobody_who_was_not() {
    let pdp = pdp();
    let in_session = |token: &str| Request { session: Some("s".into()), ..request("crm", token) };
    // Whoever is refused begins nothing.
    let stranger = answer(&pdp, &in_session("x.y.z"), NOW).decision.outcome;
    assert_eq!(stranger, Outcome::Deny(DenyReason::Unauthenticated));
    assert_eq!(answer(&pdp, &in_session(&token("ana", READS)), NOW).decision.outcome, Outcome::Permit);
    let other = answer(&pdp, &in_session(&token("eve", r#","groups":["guests"]"#)), NOW).decision;
    assert_eq!(other.outcome, Outcome::Deny(DenyReason::SessionMismatch));
    assert!(!other.reason.contains("ana") && !other.reason.contains("eve"), "{}", other.reason);
    let record = pdp.sink().records().pop().unwrap();
    assert_eq!(
        (&record["principal"]["id"], &record["assurance"]),
        (&"eve".into(), &"verified".into()),
        "{record}"
    );
    assert!(record["token"].is_object(), "{record}");
    // Another token of the same parties goes on; when it has ended, nobody does.
    let again = in_session(&token("ana", READS));
    assert_eq!(answer(&pdp, &again, NOW).decision.outcome, Outcome::Permit);
    assert!(ends(&pdp, &again.caller, "s"));
    let ended = answer(&pdp, &again, NOW).decision.outcome;
    assert_eq!(ended, Outcome::Deny(DenyReason::SessionMismatch));
}

#[test]
fn keys_that_are_taken_away_end_what_they_signed() {
    let (pdp, token) = (pdp(), token("ana", READS));
    assert_eq!(answer(&pdp, &request("crm", &token), NOW).decision.outcome, Outcome::Permit);
    pdp.trust(Arc::new(Trust::nobody()));
    assert_eq!(
        answer(&pdp, &request("crm", &token), NOW).decision.outcome,
        Outcome::Deny(DenyReason::Unauthenticated)
    );
    pdp.trust(Arc::new(trust()));
    assert_eq!(answer(&pdp, &request("crm", &token), NOW).decision.outcome, Outcome::Permit);
}

/// `iat` is optional in a plain JWT and in a JWT-SVID.
#[test]
fn a_token_that_says_nothing_of_its_issue_is_decided_on_where_the_shipped_schema_holds() {
    let shipped = std::fs::read_to_string("schemas/agent.cedarschema").unwrap();
    let (_, declared) = shipped.split_once("type Token = {").unwrap();
    let declared = format!("type Token = {{{}}};", declared.split_once("};").unwrap().0);
    let (before, rest) = SCHEMA.split_once("type Token = {").unwrap();
    let schema = format!("{before}{declared}{}", rest.split_once("};").unwrap().1);
    let pdp = pdp_of(&schema, "permit(principal, action, resource) when { context has token };");
    let answer = answer(&pdp, &request("crm", &plain_token()), NOW);
    assert_eq!(answer.decision.outcome, Outcome::Permit, "{}", answer.decision.reason);
}

#[test]
fn a_claim_beside_a_token_contradicts_nothing() {
    let (pdp, token) = (pdp(), token("ana", READS));
    let claiming = |person: &str| {
        let claim = Claim { principal: Uid::new("Human", person), actor: None, earlier_actors: vec![] };
        Request { claim: Some(claim), ..request("crm", &token) }
    };
    assert_eq!(answer(&pdp, &claiming("ana"), NOW).decision.outcome, Outcome::Permit);
    let decision = answer(&pdp, &claiming("eve"), NOW).decision;
    assert_eq!(decision.outcome, Outcome::Deny(DenyReason::Unauthenticated));
    assert_eq!(decision.reason, "the principal of the request is another than that of its credentials");
}
