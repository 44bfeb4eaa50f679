//! Tokens that somebody would like to be believed, one row each with the fault that it must be refused with.
//! Never only "an error": a token that is refused for a wrong reason is a hole with a lid on it.

mod claims;
mod headers;
mod parties;
mod proofs;
mod shapes;
mod svids;

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Part, Proof, TokenFault, Unauthenticated, Which};
use super::maker::Object;
use super::world::{Brings, CANARY, World, brings, header, signed};
use crate::json::JsonError;

/// What is brought, and what it must be refused with.
pub(super) struct Row {
    name: String,
    brings: Brings,
    want: Unauthenticated,
    /// What the same world has accepted before.
    before: Option<Brings>,
}

/// A subject's token that is not accepted.
fn token(name: impl Into<String>, token: impl Into<String>, fault: TokenFault) -> Row {
    request(name, brings(token), Unauthenticated::Token { which: Which::Subject, fault })
}

/// A request that is not accepted.
fn request(name: impl Into<String>, brings: Brings, want: Unauthenticated) -> Row {
    Row { name: name.into(), brings, want, before: None }
}

/// Claims under a good header, with a good signature.
fn of_claims(name: impl Into<String>, claims: &Object, fault: TokenFault) -> Row {
    token(name, signed(&header(), claims), fault)
}

/// Bad JSON. Where it is bad is of no account here.
fn json(part: Part, source: fn(usize) -> JsonError) -> TokenFault {
    TokenFault::Json { part, source: source(0) }
}

/// Rows of tokens that are no good to anybody: refused as the subject's and as the actor's.
fn tokens() -> Vec<Row> {
    [headers::rows(), shapes::rows(), claims::rows(), svids::rows()].into_iter().flatten().collect()
}

/// The same token as the actor's, beside a good token of the subject.
fn as_the_actors(row: &Row) -> Option<Row> {
    let Unauthenticated::Token { which: Which::Subject, fault } = &row.want else { return None };
    let mut brings = brings(signed(&header(), &super::world::claims()));
    brings.actor.clone_from(&row.brings.subject);
    let want = Unauthenticated::Token { which: Which::Actor, fault: fault.clone() };
    Some(request(format!("{} (as the actor's)", row.name), brings, want))
}

fn every_row() -> Vec<Row> {
    let tokens = tokens();
    let actors: Vec<Row> = tokens.iter().filter_map(as_the_actors).collect();
    tokens.into_iter().chain(actors).chain(parties::rows()).chain(proofs::rows()).collect()
}

/// Whether a fault is the wanted one; for bad JSON, of the wanted kind in the wanted part.
fn is_wanted(got: &Unauthenticated, want: &Unauthenticated) -> bool {
    let kind = |fault: &Unauthenticated| match fault {
        Unauthenticated::Token { which, fault: TokenFault::Json { part, source } } => {
            Some((*which, *part, std::mem::discriminant(source)))
        }
        _ => None,
    };
    match (kind(got), kind(want)) {
        (Some(got), Some(want)) => got == want,
        _ => got == want,
    }
}

/// Whether a message holds 12 letters in a row of anything that was brought, or a claim that nobody should see.
fn gives_away(message: &str, brings: &Brings) -> bool {
    let proof = match &brings.proof {
        Some(Proof::Dpop { proof, .. }) => Some(proof.expose()),
        Some(Proof::Key(text) | Proof::Certificate(text)) => Some(text.as_str()),
        None => None,
    };
    let secrets: Vec<&str> =
        [brings.subject.as_deref(), brings.actor.as_deref(), proof].into_iter().flatten().collect();
    // Behind the first 64 KiB of what is too long, there is nothing new.
    let secrets: Vec<&str> = secrets.into_iter().map(|text| text.get(..1 << 16).unwrap_or(text)).collect();
    let windows = message.char_indices().filter_map(|(at, _)| message.get(at..at + 12));
    message.contains(CANARY) || windows.into_iter().any(|part| secrets.iter().any(|text| text.contains(part)))
}

#[test]
fn every_hostile_token_is_refused_with_its_own_fault() {
    let (mut wrong, rows) = (Vec::new(), every_row());
    let world = World::new();
    for row in &rows {
        // A world of its own only where something was brought before: keys are slow to read.
        let own = row.before.is_some().then(World::new);
        let world = own.as_ref().unwrap_or(&world);
        if let Some(before) = &row.before {
            world.authenticate(before).unwrap_or_else(|fault| panic!("{}: before: {fault}", row.name));
        }
        match world.authenticate(&row.brings) {
            Err(got) if is_wanted(&got, &row.want) => {}
            got => wrong.push(format!("{}\n  got  {got:?}\n  want {:?}", row.name, row.want)),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    let names: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names.len(), rows.len(), "each row has a name of its own: {:?}", twice(&rows));
    let once = tokens().len() + parties::rows().len() + proofs::rows().len();
    assert!(once >= 400 && rows.len() >= 700, "{once} rows, {} with those as the actor's", rows.len());
}

fn twice(rows: &[Row]) -> Vec<&str> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row.name.as_str()).or_insert(0) += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect()
}

#[test]
fn no_fault_gives_away_what_was_brought() {
    let world = World::new();
    let mut told = Vec::new();
    for row in every_row() {
        let Err(fault) = world.authenticate(&row.brings) else { continue };
        for message in [fault.to_string(), format!("{fault:?}"), format!("{fault:#?}")] {
            if gives_away(&message, &row.brings) {
                told.push(format!("{}: {message}", row.name));
            }
        }
    }
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[test]
fn what_gives_something_away_is_noticed() {
    let good = signed(&header(), &super::world::claims());
    let part = &good[40..52];
    assert!(gives_away(&format!("the token {part} is bad"), &brings(good.clone())));
    assert!(gives_away(&format!("no such person: x-{CANARY}"), &brings(good.clone())));
    assert!(!gives_away("the subject's token has a signature that is not valid", &brings(good)));
}

#[test]
fn credentials_are_never_printed() {
    let good = signed(&header(), &super::world::claims());
    let shown = format!("{:?}", super::super::Token::new(good.clone()));
    assert!(!gives_away(&shown, &brings(good)), "{shown}");
}
