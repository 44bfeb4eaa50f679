//! Policies put together from scopes and conditions that meet the bundles' tools and schemas, and some that do not.
//! Never takes care that a policy is valid: those at the ends of the lists hardly ever are.

use std::fmt::Write as _;

use proptest::prelude::*;

/// A policy by the places of its parts.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    forbids: bool,
    id: Option<u8>,
    principal: usize,
    action: usize,
    resource: usize,
    clauses: Vec<Clause>,
}

#[derive(Debug, Clone)]
struct Clause {
    unless: bool,
    joint: usize,
    atoms: Vec<usize>,
}

const PRINCIPALS: &[&str] = &[
    "principal",
    "principal is Agent",
    "principal is Human",
    "principal == Human::\"ana\"",
    "principal in Team::\"support\"",
    "principal is Human in Team::\"support\"",
    "principal == Agent::\"bot\"",
    "principal is Server",
    "principal in Server::\"crm\"",
    "principal is Team",
    "principal == Team::\"support\"",
    "principal is Ghost",
];

const ACTIONS: &[&str] = &[
    "action in Action::\"tools/call\"",
    "action == Action::\"crm/refund\"",
    "action",
    "action == Action::\"crm/lookup\"",
    "action in [Action::\"crm/refund\", Action::\"crm/lookup\"]",
    "action in [Action::\"git/push\", Action::\"tools/call\"]",
    "action == Action::\"tools/list\"",
    "action in [Action::\"tools/list\", Action::\"tools/call\"]",
    "action in Action::\"crm/refund\"",
    "action == Action::\"git/refund\"",
    "action == Action::\"crm/gone\"",
    "action in [Action::\"crm/gone\", Action::\"crm/refund\"]",
    "action in Action::\"all\"",
    "action in Action::\"discover\"",
    "action == Action::\"audit\"",
    "action == Action::\"read\"",
    "action == Acme::Action::\"c\"",
    "action == Action::\"tools/call\"",
    "action in []",
    "action in [Action::\"gone/one\", Action::\"gone/two\"]",
    "action == Action::\"resources/read\"",
    "action == Action::\"nope\"",
];

const RESOURCES: &[&str] = &[
    "resource",
    "resource is Tool",
    "resource in Server::\"crm\"",
    "resource == Tool::\"crm/refund\"",
    "resource in DataClass::\"internal\"",
    "resource is Server",
    "resource is Tool in ToolGroup::\"destructive\"",
    "resource == Server::\"crm\"",
    "resource in Team::\"support\"",
    "resource is Human",
    "resource is Ghost",
];

/// How many of the conditions are of use to a bundle that is to compile.
const TAME: usize = 35;

const ATOMS: &[&str] = &[
    "context.input.amount < 100",
    "context.input has amount && context.input.amount < 100",
    "action == Action::\"crm/refund\"",
    "context has input.amount && context.input.amount == 3",
    "resource is Tool && resource.destructive",
    "context.input.amount == 3",
    "principal.active",
    "action != Action::\"crm/lookup\"",
    "context.input has amount",
    "context has input",
    "context.input_unseen.isEmpty()",
    "principal is Human && principal.active",
    "action == Action::\"crm/refund\" && context.input.amount < 7",
    "context.input has order && context.input has amount",
    "if action == Action::\"crm/lookup\" then context.input.amount < 9 else true",
    "(action == Action::\"crm/refund\" || action == Action::\"git/push\") && context.input.amount < 7",
    "context has actor && context.actor == Agent::\"bot\"",
    "[context.input].contains(context.input)",
    "action in Action::\"crm/refund\"",
    "context == context",
    "action in [Action::\"tools/call\"]",
    "!(action == Action::\"crm/gone\")",
    "[Action::\"crm/refund\", Action::\"git/push\"].contains(action)",
    "(if true then context else context).input.amount > 1",
    "{\"c\": context}.c.input has amount",
    "context[\"input\"][\"amount\"] > 1",
    "context.now > datetime(\"2020-01-01\")",
    "true",
    "principal.clearances.containsAll(resource.data_classes)",
    "resource in DataClass::\"internal\"",
    "context has input.order && context.input has note",
    "Human::\"ana\".active",
    "context has note && context.note == \"x\"",
    "resource == Tool::\"crm/refund\"",
    "context has input_unseen && context.input_unseen.contains(\"x\")",
    "false",
    "context.input.order == \"o\"",
    "context has input && context.input.order == \"o\"",
    "context has input.order.id && context.input.order.id == \"x\"",
    "context.input == {\"order\": \"o\", \"amount\": 1}",
    "context.input == {}",
    "context.actor.active",
    "action in Action::\"all\"",
    "principal in resource",
    "principal == resource",
    "principal has owner && principal.owner.active",
    "context.input.amount.lessThan(decimal(\"1.0\"))",
    "resource.owner == principal",
    "action == Acme::Action::\"c\"",
    "context.task.purpose == Purpose::\"x\"",
    "principal.nonsense",
    "1 < \"x\"",
    "Color::\"purple\" != Color::\"red\"",
    "action == Action::\"crm/lookup\" || principal.nonsense",
    "if action == Action::\"crm/refund\" then true else context.nonsense",
    "\"say p\u{0430}ypal\" != \"x\"",
    "\"a\u{202e}b\" != \"x\"",
    "action == Action::\"crm/gone\" && context.input.amount < 7",
    "Ghost::\"x\" == Ghost::\"y\"",
    "action == Action::\"nope\"",
    "principal like \"x\"",
];

/// Places in a list, the first ones likelier.
fn first(end: usize) -> impl Strategy<Value = usize> {
    (0..end, 0..end).prop_map(|(one, other)| one.min(other))
}

fn clause() -> impl Strategy<Value = Clause> {
    let atom = prop_oneof![5 => first(TAME), 2 => 0..ATOMS.len()];
    let atoms = proptest::collection::vec(atom, 1..3);
    (prop::bool::weighted(0.2), first(5), atoms).prop_map(|(unless, joint, atoms)| Clause {
        unless,
        joint,
        atoms,
    })
}

pub(super) fn policy() -> impl Strategy<Value = Policy> {
    let principal = prop_oneof![4 => Just(0), 4 => first(PRINCIPALS.len())];
    let resource = prop_oneof![4 => Just(0), 3 => first(RESOURCES.len())];
    let id = prop::option::weighted(0.1, 0..12_u8);
    let clauses = proptest::collection::vec(clause(), 0..3);
    (any::<bool>(), id, principal, first(ACTIONS.len()), resource, clauses).prop_map(
        |(forbids, id, principal, action, resource, clauses)| Policy {
            forbids,
            id,
            principal,
            action,
            resource,
            clauses,
        },
    )
}

impl Policy {
    /// Its text. A tame one keeps to the conditions that most bundles have the types for.
    pub(super) fn text(&self, tame: bool) -> String {
        let mut text = self.id.map(|id| format!("@id(\"{id}\") ")).unwrap_or_default();
        let within = |place: usize, tame_end: usize| if tame { place % tame_end } else { place };
        let effect = if self.forbids { "forbid" } else { "permit" };
        let (principal, action) = (PRINCIPALS[within(self.principal, 6)], ACTIONS[within(self.action, 12)]);
        let resource = RESOURCES[within(self.resource, 3)];
        write!(text, "{effect}({principal}, {action}, {resource})").unwrap();
        for Clause { unless, joint, atoms } in &self.clauses {
            let word = if *unless { "unless" } else { "when" };
            let mut atoms = atoms.iter().map(|place| ATOMS[within(*place, TAME)]);
            let one = atoms.next().unwrap_or("true");
            let both = atoms.next().map_or(one.to_owned(), |other| match joint {
                0 | 1 => format!("({one}) && ({other})"),
                2 => format!("({one}) || ({other})"),
                3 => format!("!({one} && {other})"),
                _ => format!("if {one} then {other} else true"),
            });
            write!(text, " {word} {{ {both} }}").unwrap();
        }
        text + ";\n"
    }
}
