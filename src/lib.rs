//! Palisade decides each step of an AI agent at the moment of use.
//!
//! This library is the policy decision point that the binary `palisade` serves. The list of modules below is the map
//! of the house: it reads in the order in which a request travels, and a module uses only modules below it.
//! `ARCHITECTURE.md` tells the reasons.
//!
//! # Vocabulary
//! A *policy enforcement point* (PEP) asks; the *policy decision point* (PDP) answers. A question names a *principal*
//! (whose authority is used), an *actor* (the agent that uses it), an *action* and a *resource*, in a *context*. The
//! answer is permit, or deny with a reason, and names the *determining policies*. Everything that decides at one
//! instant is a *snapshot* of a *bundle*, named by its *revision*.
//!
//! # Embedding
//! The core needs no runtime, file or clock (`default-features = false`): the caller brings the bundle's files, the
//! instant, an id, and a sink for the records.
//!
//! ```
//! use std::sync::Arc;
//!
//! use palisade::access::{DecisionId, Question, Timestamp};
//! use palisade::audit::{DigestKey, Memory, OpenDecisions};
//! use palisade::diagnostic::File;
//! use palisade::identity::{Caller, Claim, Role, Servers};
//! use palisade::pdp::{Ask, Occasion, Pdp, Request};
//! use palisade::policy::compile;
//! use palisade::value::Uid;
//!
//! let files = [
//!     File::new("schemas/doc.cedarschema", "entity User; entity Doc;
//!         action read appliesTo { principal: [User], resource: [Doc] };"),
//!     File::new("entities/doc.json", r#"[
//!         {"uid": {"type": "User", "id": "ana"}, "attrs": {}, "parents": []},
//!         {"uid": {"type": "User", "id": "bo"}, "attrs": {}, "parents": []},
//!         {"uid": {"type": "Doc", "id": "plan"}, "attrs": {}, "parents": []}]"#),
//!     File::new("policies/doc.cedar", r#"permit (principal == User::"ana", action, resource);"#),
//! ];
//! let snapshot = compile(&files).expect("the bundle has no errors").snapshot;
//! let pdp = Pdp::new(
//!     Arc::new(snapshot),
//!     Memory::new(100),
//!     Arc::new(OpenDecisions::new(100)),
//!     DigestKey::new(&[7; 32]),
//!     palisade::mcp::Limits::default(),
//! );
//! let caller = Caller {
//!     name: "my gateway".into(),
//!     roles: [Role::Authorize, Role::Assert].into(),
//!     servers: Servers::All,
//!     agentless: true,
//!     authenticated: true,
//! };
//! let caller = Arc::new(caller);
//! let ask = |user: &str| Request {
//!     claim: Some(Claim { principal: Uid::new("User", user), actor: None, earlier_actors: vec![] }),
//!     ..Request::new(
//!         caller.clone(),
//!         Ask::Access(Question::new(Uid::new("Action", "read"), Uid::new("Doc", "plan"))),
//!     )
//! };
//! let occasion = |id: &str| Occasion {
//!     id: DecisionId(id.into()),
//!     now: Timestamp(1_795_255_200_000),
//!     elapsed_us: &|| 0,
//! };
//! let answer = pdp.evaluate(&ask("ana"), occasion("1")).settle()?;
//! assert!(answer.decision.outcome.is_permit());
//! let answer = pdp.evaluate(&ask("bo"), occasion("2")).settle()?;
//! assert!(!answer.decision.outcome.is_permit());
//! assert_eq!(pdp.sink().records().len(), 2);
//! # Ok::<(), palisade::pdp::Error>(())
//! ```

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod api;
#[cfg(feature = "server")]
pub mod lifecycle;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "server")]
pub mod source;
// ── below this line: no tokio, no files, no sockets, no clock, no environment ──
pub mod suite;
pub mod pdp;
pub mod mcp;
pub mod audit;
pub mod policy;
pub mod catalog;
pub mod access;
pub mod task;
pub mod identity;
pub mod json;
pub mod uri;
pub mod diagnostic;
pub mod value;
