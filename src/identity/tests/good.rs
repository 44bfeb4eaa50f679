//! Good tokens and what is established of them: without these, refusing everything would pass for safety.
//! Never one thing wrong; where a limit is tested, the last value that is accepted.

use jsonwebtoken::Algorithm as Signs;

use super::super::*;
use super::maker::{ED, ES384, HOLDER, Object, Pair, RSA, quoted};
use super::world::{
    AGENTS, ANA, AS, AS_AUDIENCE, BOT, Brings, CANARY, JAG, NOW, PDP, PLAIN, PLANNER, SERVER, World,
    agent_token, bound_token, brings, claims, dpop, dpop_claims, dpop_header, good_proof, header,
    plain_token, signed, svid_claims, svid_header,
};
use crate::value::Value;

fn established(brings: &Brings) -> Principal {
    World::new().authenticate(brings).unwrap_or_else(|fault| panic!("{fault}"))
}

fn agent(id: &str) -> Uid {
    Uid::new("Agent", id)
}

fn ana() -> Uid {
    Uid::new("Human", ANA)
}

fn facts(principal: &Principal) -> &TokenFacts {
    principal.token().unwrap()
}

/// That a token of Ana's, issued to `close-bot`, is accepted.
fn accepted(token: String) -> Principal {
    let principal = established(&brings(token));
    assert_eq!((principal.subject(), principal.actor()), (&ana(), Some(&agent("close-bot"))));
    principal
}

#[test]
fn an_access_token_names_the_person_and_the_client_that_it_was_issued_to() {
    let claims = claims()
        .set("nbf", &(NOW - 60).to_string())
        .set("acr", r#""urn:acme:loa:2""#)
        .set("amr", r#"["mfa","pwd"]"#)
        .set("scope", r#""b a  a""#);
    let principal = accepted(signed(&header(), &claims));
    assert_eq!(
        (principal.assurance(), principal.actor_assurance()),
        (Assurance::Verified, Some(Assurance::Verified))
    );
    assert_eq!((principal.described(), principal.key()), (None, None));
    assert!(principal.earlier_actors().is_empty());
    let TokenFacts { token, audience, binding, actor } = facts(&principal);
    assert_eq!(*actor, principal.actor_assurance());
    assert_eq!((audience.as_str(), *binding), (PDP, Binding::None));
    assert_eq!(
        (token.issuer.as_ref(), token.kind, token.subject.as_str()),
        (AS, TokenKind::AccessToken, ANA)
    );
    assert_eq!(token.id, Some(format!("at-{CANARY}")));
    assert_eq!(
        (token.expires_s, token.not_before_s, token.issued_s),
        (NOW + 300, Some(NOW - 60), Some(NOW - 60))
    );
    assert_eq!((token.scopes.join(" "), token.acr.as_deref()), ("a b".into(), Some("urn:acme:loa:2")));
    assert_eq!(token.amr, ["mfa", "pwd"]);
}

#[test]
fn every_kind_of_key_signs_with_its_own_algorithm() {
    let rows: [(&str, &str, &Pair, Signs); 7] = [
        ("ES384", "es-384", &ES384, Signs::ES384),
        ("RS256", "rs", &RSA, Signs::RS256),
        ("RS256", "rsa", &RSA, Signs::RS256),
        ("PS256", "ps", &RSA, Signs::PS256),
        ("PS256", "rsa", &RSA, Signs::PS256),
        ("EdDSA", "ed", &ED, Signs::EdDSA),
        ("ES256", "es", &super::maker::ES256, Signs::ES256),
    ];
    for (alg, kid, pair, how) in rows {
        let header = header().set("alg", &quoted(alg)).set("kid", &quoted(kid));
        accepted(pair.sign(how, header.text(), claims().text()));
    }
    accepted(signed(&header().cut("kid"), &claims()));
}

#[test]
fn what_means_nothing_here_is_passed_over() {
    accepted(signed(&header().set("x5t", r#""AAAA""#).set("nonce", "7"), &claims()));
    let task = claims()
        .set("txn", r#""tsk_01J9""#)
        .set("auth_time", "1795252200")
        .set("authorization_details", r#"[{"type":"mcp_tool","max_amount_eur":500.25}]"#)
        .set("status", r#"{"status_list":{"idx":4711,"uri":"https://as.acme.example/statuslists/7"}}"#)
        .set("acr", "null")
        .set("act", "null")
        .set("may_act", "7");
    accepted(signed(&header(), &task));
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        accepted(signed(&header().set("typ", &quoted(typ)), &claims()));
    }
    // White space and the order of members are the issuer's.
    let spaced = format!(" {} ", claims().text().replace(r#"":"#, "\" :\n\t"));
    accepted(super::maker::ES256.sign(Signs::ES256, header().text(), spaced));
}

#[test]
fn a_token_is_for_us_by_any_of_our_names() {
    for (aud, ours) in [
        (quoted(PDP), PDP),
        (format!("[{}]", quoted(PDP)), PDP),
        (format!(r#"["https://other.example",{}]"#, quoted(PDP)), PDP),
        (quoted(SERVER), SERVER),
        (quoted(AS_AUDIENCE), AS_AUDIENCE),
        (format!("[{},{}]", quoted(SERVER), quoted(PDP)), SERVER),
        (format!("[{}]", vec![quoted(PDP); 64].join(",")), PDP),
    ] {
        assert_eq!(facts(&accepted(signed(&header(), &claims().set("aud", &aud)))).audience, ours, "{aud}");
    }
}

#[test]
fn times_hold_to_their_last_second() {
    let at = |name: &str, seconds: i64| signed(&header(), &claims().set(name, &seconds.to_string()));
    accepted(at("exp", NOW - 29));
    accepted(at("nbf", NOW + 30));
    accepted(at("iat", NOW + 30));
    accepted(at("exp", NOW - 60 + 3600));
    // One token through the seconds of its life.
    let world = World::new();
    let token = signed(&header(), &claims().set("nbf", &NOW.to_string()).set("exp", &(NOW + 10).to_string()));
    for (now_s, valid) in
        [(-31, false), (-30, true), (0, true), (10, true), (39, true), (40, false), (41, false)]
    {
        let got = world.authenticate(&Brings { now_s: NOW + now_s, ..brings(token.clone()) });
        assert_eq!(got.is_ok(), valid, "{now_s}");
    }
    for now_s in [i64::MAX, i64::MIN, 0] {
        assert!(world.authenticate(&Brings { now_s, ..brings(token.clone()) }).is_err());
    }
}

#[test]
fn act_names_the_actor_and_earlier_ones_in_order() {
    let act =
        format!(r#"{{"sub":"{PLANNER}","iss":"x","act":{{"sub":"mailer","act":{{"sub":"close-bot"}}}}}}"#);
    let principal = established(&brings(signed(&header(), &claims().set("act", &act))));
    assert_eq!((principal.subject(), principal.actor()), (&ana(), Some(&agent("planner"))));
    assert_eq!(principal.earlier_actors(), [agent("mailer"), agent("close-bot")]);
    // Who acts is who `act` names, whoever the client is.
    let ghost = claims().set("act", r#"{"sub":"mailer"}"#).set("client_id", r#""ghost""#);
    assert_eq!(established(&brings(signed(&header(), &ghost))).actor(), Some(&agent("mailer")));
}

#[test]
fn a_client_of_its_own_is_the_agent() {
    let own = claims().set("sub", r#""close-bot""#);
    let principal = established(&brings(signed(&header(), &own)));
    assert_eq!((principal.subject(), principal.actor()), (&agent("close-bot"), None));
    assert_eq!(principal.acting(), &agent("close-bot"));
    let of_agents = established(&brings(agent_token(|claims| claims)));
    assert_eq!((of_agents.subject(), of_agents.actor()), (&agent("close-bot"), None));
    assert_eq!(facts(&of_agents).token.issuer.as_ref(), AGENTS);
    // An issuer that says the client in `azp` alone; and it may write no scope as an empty one.
    let of_azp =
        own.cut("client_id").set("azp", r#""close-bot""#).set("scope", r#""""#).set("iss", &quoted(PLAIN));
    let of_azp = brings(signed(&header().cut("typ").set("kid", r#""of-plain""#), &of_azp));
    assert_eq!(established(&of_azp).subject(), &agent("close-bot"));
    // Another agent may act for it.
    let acted = own.set("act", r#"{"sub":"mailer"}"#);
    let acted = established(&brings(signed(&header(), &acted)));
    assert_eq!((acted.subject(), acted.acting()), (&agent("close-bot"), &agent("mailer")));
    // A SPIFFE ID as the client is the workload.
    let workload = agent_token(|claims| claims.set("azp", &quoted(PLANNER)));
    assert_eq!(established(&brings(workload)).subject(), &agent("planner"));
}

#[test]
fn a_jwt_svid_names_the_agent() {
    for (header, claims) in [
        (svid_header(), svid_claims()),
        (svid_header().cut("typ"), svid_claims().set("aud", &quoted(SERVER))),
        (svid_header().set("typ", r#""JOSE""#), svid_claims().set("aud", r#"["spiffe-clients"]"#)),
        (svid_header(), svid_claims().set("iss", r#""https://oidc.acme.example""#)),
        (svid_header(), svid_claims().set("sub", r#""SPIFFE://ACME.example/agent/close-bot""#)),
    ] {
        let principal = established(&brings(signed(&header, &claims)));
        assert_eq!((principal.subject(), principal.actor()), (&agent("close-bot"), None));
        let token = &facts(&principal).token;
        assert_eq!((token.kind, token.subject.as_str()), (TokenKind::JwtSvid, BOT));
        assert_eq!(token.issuer.as_ref(), "acme.example");
    }
    // It carries no authority of others.
    let acted = svid_claims().set("act", r#"{"sub":"mailer"}"#).set("scope", r#""admin""#);
    let principal = established(&brings(signed(&svid_header(), &acted)));
    assert_eq!((principal.actor(), facts(&principal).token.scopes.len()), (None, 0));
}

#[test]
fn an_actors_token_names_the_actor_or_agrees_with_the_subjects() {
    let svid = signed(&svid_header(), &svid_claims());
    let with = |subject: String| established(&Brings { actor: Some(svid.clone()), ..brings(subject) });
    let acted = signed(&header(), &claims().set("act", r#"{"sub":"close-bot"}"#));
    for subject in [plain_token(|claims| claims), acted, signed(&header(), &claims())] {
        let principal = with(subject);
        assert_eq!(principal.actor(), Some(&agent("close-bot")));
        assert_eq!(principal.actor_assurance(), Some(Assurance::Verified));
    }
    let by_token =
        Brings { actor: Some(agent_token(|claims| claims)), ..brings(plain_token(|claims| claims)) };
    assert_eq!(established(&by_token).actor(), Some(&agent("close-bot")));
}

#[test]
fn an_id_jag_is_as_good_as_its_issuer() {
    let header = header().set("typ", r#""oauth-id-jag+jwt""#);
    assert_eq!(facts(&accepted(signed(&header, &claims()))).token.kind, TokenKind::IdJag);
    let of_jag = signed(&header.set("kid", r#""of-jag""#), &claims().set("iss", &quoted(JAG)));
    assert_eq!(facts(&accepted(of_jag)).token.issuer.as_ref(), JAG);
}

#[test]
fn scopes_are_taken_as_they_are_written() {
    let of = |name: &str, raw: &str| {
        let token = signed(&header(), &claims().cut("scope").set(name, raw));
        facts(&established(&brings(token))).token.scopes.join(" ")
    };
    assert_eq!(of("scp", r#"["b","a"]"#), "a b");
    assert_eq!(of("scp", r#""b a""#), "a b");
    assert_eq!(of("scope", r#""""#), "");
    let both = signed(&header(), &claims().set("scp", r#""admin""#));
    assert_eq!(facts(&established(&brings(both))).token.scopes, ["ledger.post", "ledger.read"]);
}

#[test]
fn a_guest_is_described_by_the_claims_that_are_configured() {
    let token = |groups: &str| plain_token(|claims| claims.set("groups", groups).set("azp", r#""mailer""#));
    for (groups, teams) in [(r#"["a","b"]"#, &["a", "b"][..]), (r#""a""#, &["a"]), ("[]", &[]), ("null", &[])]
    {
        let principal = established(&brings(token(groups)));
        assert_eq!(principal.subject(), &Uid::new("Human", format!("eva-{CANARY}@acme.example")));
        assert_eq!(principal.actor(), Some(&agent("mailer")));
        let Description { parents, attributes } = principal.described().unwrap();
        assert_eq!(*parents, teams.iter().map(|team| Uid::new("Team", *team)).collect::<Vec<_>>());
        assert_eq!(attributes.get("guest"), Some(&Value::Bool(true)));
        let Verified { kind, issuer, .. } = facts(&principal).token.as_ref();
        assert_eq!((*kind, issuer.as_ref()), (TokenKind::Jwt, PLAIN));
    }
    // Whom the bundle has is what the bundle says, whatever the claims say.
    let registered = established(&brings(plain_token(|claims| claims.set("email", &quoted(ANA)))));
    assert_eq!((registered.subject(), registered.described()), (&ana(), None));
}

#[test]
fn a_claim_may_say_what_is_shown_and_add_what_is_not() {
    let claim = |actor: Option<&str>, earlier: &[&str]| Claim {
        principal: Uid::new("Human", format!("eva-{CANARY}@acme.example")),
        actor: actor.map(agent),
        earlier_actors: earlier.iter().copied().map(agent).collect(),
    };
    let said = |claim, roles: &[Role]| Brings {
        claim: Some(claim),
        roles: roles.to_vec(),
        ..brings(plain_token(|claims| claims))
    };
    assert_eq!(established(&said(claim(None, &[]), &[])).actor(), None);
    let asserted = established(&said(claim(Some("mailer"), &["planner"]), &[Role::Assert]));
    assert_eq!((asserted.assurance(), asserted.actor()), (Assurance::Verified, Some(&agent("mailer"))));
    assert_eq!(asserted.actor_assurance(), Some(Assurance::Asserted));
    assert_eq!(asserted.earlier_actors(), [agent("planner")]);
    // What is shown needs no right to be said.
    let mut same = said(claim(Some("mailer"), &[]), &[]);
    same.subject = Some(plain_token(|claims| claims.set("azp", r#""mailer""#)));
    assert_eq!(established(&same).actor_assurance(), Some(Assurance::Verified));
}

#[test]
fn a_bound_token_is_good_with_a_proof_of_its_key() {
    let token = bound_token();
    let made = |claims: &Object| dpop(HOLDER.sign(Signs::ES256, dpop_header(&HOLDER).text(), claims.text()));
    let proofs = [
        good_proof(&token),
        made(&dpop_claims(&token).set("iat", &(NOW - 60).to_string())),
        made(&dpop_claims(&token).set("iat", &(NOW + 5).to_string())),
        made(&dpop_claims(&token).set("htu", r#""HTTPS://MCP.acme.example:443/ledger/./mcp""#)),
        made(&dpop_claims(&token).set("jti", &quoted(&"j".repeat(256)))),
    ];
    for proof in proofs {
        let principal = established(&Brings { proof: Some(proof), ..brings(token.clone()) });
        assert_eq!(facts(&principal).binding, Binding::Pdp);
        assert_eq!(principal.key(), Some(HOLDER.thumbprint().as_str()));
    }
    // The request's own URL may have a query.
    let Proof::Dpop { proof, method, url } = good_proof(&token) else { unreachable!() };
    let asked = Proof::Dpop { proof, method, url: format!("{url}?page=2#x") };
    assert_eq!(facts(&established(&Brings { proof: Some(asked), ..brings(token) })).binding, Binding::Pdp);
}

#[test]
fn a_proof_of_every_kind_of_key_is_understood() {
    // Thumbprints of RSA and Ed25519 keys, made here from their members in the order of RFC 7638.
    let of = |pair: &Pair| {
        let part = |name: &str| {
            let (_, rest) = pair.members.split_once(&format!(r#""{name}":""#)).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        if pair.members.contains("RSA") {
            super::maker::sha256(&format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, part("e"), part("n")))
        } else {
            super::maker::sha256(&format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, part("x")))
        }
    };
    let pairs: [(&Pair, &str, Signs, String); 4] = [
        (&RSA, "RS256", Signs::RS256, of(&RSA)),
        (&RSA, "PS512", Signs::PS512, of(&RSA)),
        (&ED, "EdDSA", Signs::EdDSA, of(&ED)),
        (&ES384, "ES384", Signs::ES384, ES384.thumbprint()),
    ];
    for (pair, alg, how, jkt) in pairs {
        let token = signed(&header(), &claims().set("cnf", &format!(r#"{{"jkt":"{jkt}"}}"#)));
        let header = dpop_header(pair).set("alg", &quoted(alg));
        let proof = dpop(pair.sign(how, header.text(), dpop_claims(&token).text()));
        let principal = established(&Brings { proof: Some(proof), ..brings(token) });
        assert_eq!(facts(&principal).binding, Binding::Pdp, "{alg}");
    }
}

#[test]
fn a_proof_is_used_once_and_others_beside_it() {
    let (world, token) = (World::new(), bound_token());
    let with = |jti: &str, iat: i64| {
        let claims = dpop_claims(&token).set("jti", &quoted(jti)).set("iat", &iat.to_string());
        dpop(HOLDER.sign(Signs::ES256, dpop_header(&HOLDER).text(), claims.text()))
    };
    let enter = |proof: Proof, now_s| {
        world.authenticate(&Brings { proof: Some(proof), now_s, ..brings(token.clone()) })
    };
    assert!(enter(with("a", NOW), NOW).is_ok());
    assert!(enter(with("b", NOW), NOW).is_ok());
    assert_eq!(enter(with("a", NOW), NOW).unwrap_err(), Unauthenticated::Proof(ProofFault::Replayed));
    // A proof that was refused for another reason is not used up.
    let early = enter(with("c", NOW + 6), NOW).unwrap_err();
    assert!(matches!(early, Unauthenticated::Proof(ProofFault::Token(TokenFault::NotYetValid { .. }))));
    assert!(enter(with("c", NOW + 6), NOW + 1).is_ok());
    // Beyond the window its name is free, and the proof itself is stale.
    assert!(enter(with("a", NOW + 61), NOW + 61).is_ok());
    let stale = ProofFault::Stale { ago_s: 61, window_s: PROOF_WINDOW_S };
    assert_eq!(enter(with("b", NOW), NOW + 61).unwrap_err(), Unauthenticated::Proof(stale));
}

#[test]
fn what_an_attesting_gateway_saw_is_its_word() {
    let roles = vec![Role::Authorize, Role::Attest];
    let certified = signed(&header(), &claims().set("cnf", r#"{"x5t#S256":"Y2VydA"}"#));
    for (token, proof, key) in [
        (bound_token(), Proof::Key(HOLDER.thumbprint()), HOLDER.thumbprint()),
        (certified, Proof::Certificate("Y2VydA".into()), "Y2VydA".into()),
    ] {
        let brings = Brings { proof: Some(proof), roles: roles.clone(), ..brings(token) };
        let principal = established(&brings);
        assert_eq!((facts(&principal).binding, principal.key()), (Binding::Pep, Some(key.as_str())));
    }
}

#[test]
fn a_free_token_stays_a_bearers_whatever_is_proven() {
    let token = signed(&header(), &claims());
    let roles = vec![Role::Authorize, Role::Attest];
    for proof in [good_proof(&token), Proof::Key("x".into()), Proof::Certificate("x".into())] {
        let brings = Brings { proof: Some(proof), roles: roles.clone(), ..brings(token.clone()) };
        let principal = established(&brings);
        assert_eq!((facts(&principal).binding, principal.key()), (Binding::None, None));
    }
}

#[test]
fn a_token_of_just_the_greatest_length_is_read() {
    // Base64 has no text of some lengths: a letter more in the header finds the rest.
    let padded = |of: Object, pad: usize| of.set("pad", &quoted(&"p".repeat(pad)));
    let length = |head, pad| signed(&padded(header(), head), &padded(claims(), pad)).len();
    let about = (TOKEN_BYTES_MAX - length(0, 0)) * 3 / 4;
    let sizes = (0..3).flat_map(|head| (about - 8..about + 8).map(move |pad| (head, pad)));
    let (head, pad) = sizes.into_iter().find(|(head, pad)| length(*head, *pad) == TOKEN_BYTES_MAX).unwrap();
    accepted(signed(&padded(header(), head), &padded(claims(), pad)));
}
