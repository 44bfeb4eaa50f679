//! The schemas of the worlds: the same types, the actions grouped in different ways.

use std::str::FromStr;
use std::sync::LazyLock;

use cedar_policy::{Entity, Schema};

pub(super) const VARIANTS: usize = 3;

const TEXT: &str = r#"
type Used = { name: String, risk?: Long };
type Task = { purpose?: String, stage?: Long, tool?: Used, owner?: Org::User };
type Asked = {
    a?: String, b: String, n?: Long, m: Long, on?: Bool, off: Bool, who?: Org::User, task?: Task,
    labels?: Set<String>, crew?: Set<Org::User>, cost?: decimal, addr?: ipaddr, now?: datetime,
    wait?: duration, hue?: Color, "odd key"?: String, actor?: Org::User, requester?: Org::User,
};
entity Color enum ["red", "green", "blue"];
entity Team in [Team, Org::Unit] { dept?: String, level: Long } tags String;
entity Folder in [Folder, Team] {
    name: String, dept?: String, level: Long, owner?: Org::User, open: Bool, labels: Set<String>, meta?: Task,
    net?: ipaddr, hue?: Color,
} tags String;
entity Doc in [Folder] {
    name: String, dept?: String, level: Long, owner?: Org::User, open: Bool, labels: Set<String>, meta?: Task,
    net?: ipaddr, hue?: Color,
} tags String;
action all;
action view@VIEW@;
action edit@EDIT@;
action read@READ@ appliesTo { principal: [Org::User, Lab::User, Org::Agent],
    resource: [Doc, Folder, Org::Tool], context: Asked };
action write@WRITE@ appliesTo { principal: [Org::User, Lab::User, Org::Agent],
    resource: [Doc, Folder, Org::Tool], context: Asked };
action list in [view] appliesTo { principal: [Org::User, Lab::User, Org::Agent],
    resource: [Doc, Folder, Org::Tool], context: Asked };
action "tools/call"@CALL@ appliesTo { principal: [Org::User, Lab::User, Org::Agent],
    resource: [Doc, Folder, Org::Tool], context: Asked };
namespace Org {
    entity Unit { level: Long };
    entity User in [Team, Unit] {
        name: String, dept?: String, level: Long, active: Bool, manager?: Org::User, home?: ipaddr,
        score?: decimal, joined?: datetime, shift?: duration, labels: Set<String>, friends: Set<Org::User>,
        card?: Task, hue?: Color,
    } tags String;
    entity Agent in [Team, User] {
        name: String, dept?: String, level: Long, active: Bool, manager?: Org::User, home?: ipaddr,
        score?: decimal, joined?: datetime, shift?: duration, labels: Set<String>, friends: Set<Org::User>,
        card?: Task, hue?: Color,
    } tags String;
    entity Tool in [Folder] {
        name: String, dept?: String, level: Long, owner?: Org::User, open: Bool, labels: Set<String>,
        meta?: Task, net?: ipaddr, hue?: Color,
    } tags String;
    action tools@TOOLS@;
    action invoke in [tools] appliesTo { principal: [Org::User, Lab::User, Org::Agent],
        resource: [Doc, Folder, Org::Tool], context: Asked };
}
namespace Lab {
    entity User in [Team] {
        name: String, dept?: String, level: Long, active: Bool, manager?: Org::User, home?: ipaddr,
        score?: decimal, joined?: datetime, shift?: duration, labels: Set<String>, friends: Set<Org::User>,
        card?: Task, hue?: Color,
    } tags String;
    action invoke@LAB@ appliesTo { principal: [Org::User, Lab::User, Org::Agent],
        resource: [Doc, Folder, Org::Tool], context: Asked };
}
"#;

/// What stands for each mark, in each variant: flat, a tree three deep, diamonds.
const MARKS: [(&str, [&str; VARIANTS]); 7] = [
    ("@VIEW@", ["", "all", "all, edit"]),
    ("@EDIT@", ["", "view", "all"]),
    ("@READ@", ["view", "view", "view, all, Org::Action::\"tools\""]),
    ("@WRITE@", ["edit", "edit", "view, edit"]),
    ("@CALL@", ["", "Org::Action::\"tools\"", "edit, Org::Action::\"tools\""]),
    ("@TOOLS@", ["", "Action::\"all\"", "Action::\"view\", Action::\"all\""]),
    ("@LAB@", ["Org::Action::\"tools\"", "", "Org::Action::\"invoke\""]),
];

/// A schema's text and the entities of its actions.
pub(super) struct Known {
    pub(super) text: String,
    pub(super) actions: Vec<Entity>,
}

/// The schema of a variant.
pub(super) fn known(variant: usize) -> &'static Known {
    static ALL: LazyLock<Vec<Known>> = LazyLock::new(|| (0..VARIANTS).map(build).collect());
    &ALL[variant]
}

fn build(variant: usize) -> Known {
    let group = |with: &str| if with.is_empty() { String::new() } else { format!(" in [{with}]") };
    let text =
        MARKS.iter().fold(TEXT.to_owned(), |text, (mark, with)| text.replace(mark, &group(with[variant])));
    let schema = Schema::from_str(&text).unwrap_or_else(|error| panic!("{text}\n{error:?}"));
    let mut actions: Vec<Entity> = schema.action_entities().unwrap().iter().cloned().collect();
    // Cedar gives them in another order each time.
    actions.sort_by_key(|action| action.uid().to_string());
    Known { text, actions }
}
