//! What an enforcement point must do beside letting a step pass or stopping it (AuthZEN obligations).
//! Never a permission: an obligation only adds to a decision.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// The kinds of obligations: those of AuthZEN's obligations profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ObligationType {
    /// The user authenticates again, or more strongly: `acr_value`, `amr_values`.
    #[serde(rename = "step-up")]
    StepUp,
    /// Somebody is told: `to`, `body`, `topic`.
    Notification,
    /// A session ends: `subject`.
    SessionTermination,
    /// What the author and the enforcement point agreed on.
    Custom,
}

impl ObligationType {
    /// Every type.
    pub const ALL: [Self; 4] = [Self::StepUp, Self::Notification, Self::SessionTermination, Self::Custom];

    /// As it stands in policies, on the wire and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::StepUp => "step-up",
            Self::Notification => "notification",
            Self::SessionTermination => "session_termination",
            Self::Custom => "custom",
        }
    }

    /// The type of this name, if it is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for ObligationType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One duty. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obligation {
    /// The policy's id, `#`, and the number of the obligation in that policy, from 1.
    pub id: Arc<str>,
    /// What kind of duty.
    pub kind: ObligationType,
    /// What exactly; by name.
    pub properties: Arc<serde_json::Map<String, serde_json::Value>>,
}

impl Obligation {
    /// The id of the policy that demands it.
    pub fn policy(&self) -> &str {
        self.id.rsplit_once('#').map_or(&self.id, |(policy, _)| policy)
    }
}
