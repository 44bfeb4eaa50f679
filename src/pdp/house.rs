//! What callers may ask of this server itself: a Cedar policy of its own, on the engine that decides everything else.
//! Never changed by a bundle, a configuration or a call.

use std::collections::BTreeSet;

use crate::access::{Entity, Facts, Question, Timestamp};
use crate::diagnostic::File;
use crate::identity::{Caller, Role};
use crate::policy::{Snapshot, compile, decide};
use crate::value::{Members, Uid, Value};

/// The built-in policy.
pub struct HouseRules(Option<Snapshot>);

impl Default for HouseRules {
    fn default() -> Self {
        Self::new()
    }
}

impl HouseRules {
    /// The rules, compiled. Should they not compile, nobody may do anything.
    pub fn new() -> Self {
        let this_server = r#"[{"uid": {"type": "Pdp", "id": "this"}, "attrs": {}, "parents": []}]"#;
        let files = [
            File::new("schemas/house.cedarschema", include_str!("house/rules.cedarschema")),
            File::new("policies/house.cedar", include_str!("house/rules.cedar")),
            File::new("entities/house.json", this_server),
        ];
        Self(compile(&files).ok().map(|compiled| compiled.snapshot))
    }

    /// The caller with those of its roles that the rules grant it. A pure function of the caller, so that it is asked once
    /// for each and not at every call.
    #[must_use]
    pub fn admit(&self, caller: Caller) -> Caller {
        let granted =
            Role::ALL.into_iter().filter(|role| self.grants(&caller, *role)).collect::<BTreeSet<_>>();
        Caller { roles: granted, ..caller }
    }

    fn grants(&self, caller: &Caller, role: Role) -> bool {
        let Some(snapshot) = &self.0 else { return false };
        let principal = Uid::new("Caller", &*caller.name);
        let roles = caller.roles.iter().map(|role| Value::String(role.name().into())).collect();
        let described = Entity {
            uid: principal.clone(),
            attributes: Members::from_iter([("roles".into(), Value::Set(roles))]),
            parents: vec![],
        };
        let facts = Facts {
            principal,
            actor: None,
            actor_depth: 0,
            session: None,
            described: Some(described),
            token: None,
            task: None,
            established: Members::new(),
            now: Timestamp(0),
        };
        let question = Question::new(Uid::new("Action", role.name()), Uid::new("Pdp", "this"));
        decide(snapshot, &question, &facts).outcome.is_permit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{LOCAL, OPERATOR, Servers};

    fn granted(name: &str, roles: &[Role]) -> Vec<Role> {
        let roles = roles.iter().copied().collect();
        let caller =
            Caller { name: name.into(), roles, servers: Servers::All, agentless: false, authenticated: true };
        HouseRules::new().admit(caller).roles.into_iter().collect()
    }

    #[test]
    fn a_caller_may_do_what_it_has_a_role_for() {
        for role in Role::ALL {
            assert_eq!(granted("gw", &[role]), [role]);
        }
        assert_eq!(granted(OPERATOR, &Role::ALL), Role::ALL);
        assert_eq!(granted("gw", &[]), []);
    }

    #[test]
    fn the_local_caller_asks_for_decisions_and_no_more() {
        assert_eq!(granted(LOCAL, &Role::ALL), [Role::Authorize, Role::Assert]);
    }

    #[test]
    fn without_rules_nobody_may_do_anything() {
        let caller = Caller {
            name: "gw".into(),
            roles: Role::ALL.into(),
            servers: Servers::All,
            agentless: false,
            authenticated: true,
        };
        assert!(HouseRules(None).admit(caller).roles.is_empty());
    }
}
