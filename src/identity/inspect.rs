//! A token, looked at check by check, for the person who wonders why it is refused.
//! Never shows the token, its signature or a claim that no check looks at.

use super::credential::Token;
use super::fault::TokenFault;
use super::jwt::{self, Jws, KeyInHeader};
use super::spiffe::SpiffeId;
use super::trust::Trust;
use super::verify::{AgentName, Verified};

/// How long a text of a token may be shown.
const SHOWN_CHARS_MAX: usize = 120;

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// Whether it is as it should be; none when it could not be looked at.
    pub passed: Option<bool>,
    /// What was found, in words.
    pub words: String,
}

impl Check {
    fn passed(name: &'static str, words: impl Into<String>) -> Self {
        Self { name, passed: Some(true), words: words.into() }
    }

    fn failed(name: &'static str, words: impl Into<String>) -> Self {
        Self { name, passed: Some(false), words: words.into() }
    }

    fn skipped(name: &'static str, words: impl Into<String>) -> Self {
        Self { name, passed: None, words: words.into() }
    }
}

/// Looks at a token as a request about a server with this audience would be at this instant, in the order in which it would
/// be refused.
pub fn inspect(trust: &Trust, token: &Token, server_audience: Option<&str>, now_s: i64) -> Vec<Check> {
    let jws = match jwt::parse(token.expose(), KeyInHeader::Refused) {
        Ok(jws) => jws,
        Err(fault) => return vec![Check::failed("form", fault.to_string())],
    };
    let header = &jws.header;
    let kid =
        header.kid.as_deref().map_or_else(|| "no key".to_owned(), |kid| format!("the key `{}`", shown(kid)));
    let mut checks = vec![
        Check::passed("form", "three parts, strict JSON, no key of its own"),
        Check::passed("header", format!("`alg` {}, {kid}, `typ` {}", header.algorithm, typ(&jws))),
        issuer(trust, &jws),
    ];
    let verified = match trust.verify(token) {
        Ok(verified) => verified,
        Err(fault) => {
            let name = place(&fault);
            if checks.iter().all(|check| check.passed == Some(true)) {
                checks.push(match fault {
                    TokenFault::NoKeys => Check::skipped(
                        name,
                        "there are no keys of its issuer here that fit; give its own with `--keys`",
                    ),
                    fault => Check::failed(name, fault.to_string()),
                });
            }
            return checks;
        }
    };
    checks.push(Check::passed("signature", format!("valid, by a key of `{}`", shown(&verified.issuer))));
    checks.push(Check::passed("type", format!("it is taken as `{}`", verified.kind.name())));
    let expected: Vec<&str> = trust.audiences(&verified, server_audience).collect();
    checks.push(match verified.check_audience(&expected) {
        Ok(audience) => Check::passed("audience", format!("for `{}`", shown(audience))),
        Err(fault) => {
            let said: Vec<String> =
                verified.audience.iter().map(|audience| format!("`{}`", shown(audience))).collect();
            Check::failed("audience", format!("{fault}; it says {}", said.join(", ")))
        }
    });
    checks.push(match verified.check_time(now_s, trust.leeway_s()) {
        Ok(()) => {
            let left_s = verified.expires_s.saturating_sub(now_s);
            Check::passed(
                "time",
                if left_s > 0 {
                    format!("valid for {} more", lasting(left_s))
                } else {
                    format!("expired, but within the leeway of {} s", trust.leeway_s())
                },
            )
        }
        Err(TokenFault::Expired { ago_s }) => {
            let expires_s = verified.expires_s;
            Check::failed("time", format!("expired {} ago (`exp` is {expires_s})", lasting(ago_s)))
        }
        Err(fault) => Check::failed("time", fault.to_string()),
    });
    checks.push(match trust.check_revoked(&verified) {
        Ok(()) => Check::passed("revocation", "it is not on the list of revoked tokens"),
        Err(fault) => Check::failed("revocation", fault.to_string()),
    });
    checks.push(binding(&verified));
    checks.push(parties(&verified));
    checks
}

/// Which check a fault belongs to.
fn place(fault: &TokenFault) -> &'static str {
    match fault {
        TokenFault::WrongType { .. } => "type",
        TokenFault::NoKeys
        | TokenFault::UnknownKey
        | TokenFault::KeyNotNamed
        | TokenFault::WrongAlgorithm { .. } => "key",
        TokenFault::Signature => "signature",
        TokenFault::UnknownIssuer => "issuer",
        _ => "claims",
    }
}

fn typ(jws: &Jws<'_>) -> String {
    jws.header.typ.as_deref().map_or_else(|| "none".to_owned(), |typ| format!("`{}`", shown(typ)))
}

fn issuer(trust: &Trust, jws: &Jws<'_>) -> Check {
    let named = jws.claims.text("iss").ok().flatten();
    let domain = jws.claims.text("sub").ok().flatten().and_then(|sub| SpiffeId::parse(sub).ok());
    match (named, domain) {
        (Some(name), _) if trust.issuer(name).is_some() => {
            Check::passed("issuer", format!("`{}` is trusted", shown(name)))
        }
        (_, Some(id)) if trust.domain(id.trust_domain()).is_some() => {
            Check::passed("issuer", format!("the trust domain `{}` is trusted", shown(id.trust_domain())))
        }
        (Some(name), _) => Check::failed(
            "issuer",
            format!("`{}` is not in `trust.issuers`; names are compared letter by letter", shown(name)),
        ),
        (None, Some(id)) => Check::failed(
            "issuer",
            format!("the trust domain `{}` is not in `trust.spiffe`", shown(id.trust_domain())),
        ),
        (None, None) => Check::failed("issuer", "it names neither an issuer (`iss`) nor a SPIFFE ID (`sub`)"),
    }
}

fn binding(token: &Verified) -> Check {
    let confirmation = &token.confirmation;
    let words = match (&confirmation.jkt, &confirmation.x5t) {
        (Some(_), Some(_)) => "bound to two keys: no single proof will do",
        (Some(_), None) => {
            "bound to a key: each request must bring a DPoP proof, or a PEP with the role `attest` its thumbprint"
        }
        (None, Some(_)) => {
            "bound to a client certificate: a PEP with the role `attest` must say its thumbprint"
        }
        (None, None) => "a bearer token: whoever has it can use it",
    };
    Check {
        name: "binding",
        passed: Some(!(confirmation.jkt.is_some() && confirmation.x5t.is_some())),
        words: words.into(),
    }
}

fn parties(token: &Verified) -> Check {
    let agent = |name: &AgentName| match name {
        AgentName::Spiffe(id) => format!("the agent with the SPIFFE ID `{}`", shown(id.as_str())),
        AgentName::Client(id) => format!("the agent with the client id `{}`", shown(id)),
    };
    let actor = token.actors.first().or(token.agent.as_ref());
    let words = match (&token.person, actor) {
        (Some(person), Some(actor)) => {
            format!("{} acts for {}::\"{}\"", agent(actor), person.uid.kind, shown(&person.uid.id))
        }
        (Some(person), None) => {
            format!("{}::\"{}\"; it names no agent, so a caller must", person.uid.kind, shown(&person.uid.id))
        }
        (None, Some(name)) => format!("{} on its own", agent(token.agent.as_ref().unwrap_or(name))),
        (None, None) => {
            return Check::failed("parties", "it names nobody that its issuer is trusted to name");
        }
    };
    Check::passed("parties", words)
}

/// Seconds, in units that people read.
fn lasting(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0 | 1) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {} min", minutes % 60),
        (days, hours, _) => format!("{days} d {} h", hours % 24),
    }
}

/// A text of the token, made harmless and short.
fn shown(text: &str) -> String {
    let mut shown: String = text.escape_debug().take(SHOWN_CHARS_MAX).collect();
    if text.escape_debug().count() > SHOWN_CHARS_MAX {
        shown.push('…');
    }
    shown
}
