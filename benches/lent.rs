//! A refund under a task, without what begins tasks in a server: the task is simply there.
//! Never one that is denied, and never one whose calls come to an end.

use std::sync::Arc;

use palisade::diagnostic::File;
use palisade::identity::{Algorithm, Assurance, Credentials, OwnIssuer, Proof, SigningKey, Token};
use palisade::pdp::{Pdp, Request};
use palisade::task::{
    Asking, Basis, Bound, CALLS_MAX, Calls, Ceiling, For, Grant, Head, Lent, Limit, Only, Parties, Required,
    Rules, Scope, TaskId, Tasks, sign,
};
use palisade::value::Uid;

use crate::refund::{Lines, decide, pdp, refund, snapshot};

/// When the task began, in seconds: a minute before the instant of every decision.
const STARTED_S: i64 = 1_795_255_140;
const KEY: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
/// Who we are as an issuer.
pub const ISSUER: &str = "https://pdp.acme.example";
const TOOL: &str = "crm/issue_refund";

/// A PDP of these files that is known to permit the refund under a task, and the refund.
pub fn permitting(files: &[File]) -> (Pdp<Lines>, Request) {
    let issuer = issuer();
    let snapshot = snapshot(files);
    let lent = lent(snapshot.revision().0.clone());
    let token = sign(&lent, For::Us, &issuer).expect("a token");
    let calls = Calls::new(CALLS_MAX, CALLS_MAX, 0);
    let kid = issuer.signing().kid().to_owned();
    let tasks = Tasks::new(rules(), issuer, |_wanted| {});
    tasks.open(Arc::new(Head::new(Arc::new(lent), vec![], calls, &[].into(), kid)));
    let pdp = pdp(snapshot).with_tasks(Arc::new(tasks));
    let proof = Some(Proof::Key(KEY.to_owned()));
    let credentials = Credentials { task: Some(Token::new(token)), proof, ..Credentials::default() };
    let request = Request { claim: None, credentials, ..refund("support-bot") };
    let answer = decide(&pdp, &request).expect("an answer");
    assert!(answer.decision.outcome.is_permit(), "the probe is permitted: {answer:?}");
    (pdp, request)
}

fn lent(revision: Arc<str>) -> Lent {
    let parties = Parties {
        principal: Uid::new("Human", "ana"),
        actor: Some(Uid::new("Agent", "support-bot")),
        earlier_actors: vec![],
    };
    let bound = Bound { tool: TOOL.into(), argument: vec!["amount".into()], limit: Limit::AtMost(1_000_000) };
    let grant = Grant {
        id: TaskId(0x01a1_fcae_0000_7000_8000_0000_0000_0001),
        ancestors: vec![],
        parties,
        purpose: Uid::new("Purpose", "refund"),
        scope: Scope { tools: Only::these([TOOL]), bounds: vec![bound], ..Scope::default() },
        calls_max: Some(CALLS_MAX),
        started_s: STARTED_S,
        expires_s: STARTED_S + 600,
        ceiling_s: STARTED_S + 600,
        key: Some(KEY.to_owned()),
    };
    let basis = Basis {
        revision,
        at_ms: STARTED_S * 1000,
        asking: Asking::Start,
        ttl_s: 600,
        assurance: Assurance::Asserted,
        actor_assurance: Some(Assurance::Asserted),
        token: None,
        described: None,
        caller: "bench".into(),
        session: None,
        parent: None,
    };
    Lent { grant, basis }
}

/// A fresh key that signs tokens of tasks.
pub fn issuer() -> Arc<OwnIssuer> {
    let der = SigningKey::generate(Algorithm::Es256).expect("a key");
    let key = SigningKey::from_pkcs8(Algorithm::Es256, &der).expect("a key");
    Arc::new(OwnIssuer::new(ISSUER, Arc::new(key), []).expect("an issuer"))
}

/// Nothing here comes to an end that a benchmark does not end.
pub fn rules() -> Rules {
    Rules {
        ceiling: Ceiling { ttl_max_s: 8 * 3600, depth_max: 3 },
        ttl_default_s: 900,
        calls_max: 1 << 40,
        calls_window_max: 1 << 50,
        calls_window_s: 86_400,
        bearer: false,
        asserted: true,
        required: Required::Never,
        open_max: 10_000_000,
    }
}
