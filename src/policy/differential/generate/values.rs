//! Values: few of each type, written in policies and given in contexts and entities alike.

use cedar_policy::RestrictedExpression as Given;

use super::dice::Dice;
use super::names::{COLORS, Name, PEOPLE, Palette, literal, uid};

/// What an attribute holds by the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Long,
    Bool,
    Person,
    Hue,
    Texts,
    People,
    Task,
    Tool,
    Decimal,
    Address,
    Time,
    Span,
}

/// A value. It has no mind of its own about types.
#[derive(Clone, Debug)]
pub(super) enum Lit {
    Text(&'static str),
    Long(i64),
    Bool(bool),
    Entity(Name),
    Set(Vec<Lit>),
    Record(Vec<(&'static str, Lit)>),
    /// A constructor of an extension and its argument.
    Made(&'static str, &'static str),
}

/// An attribute: its name, its type, and whether it is always there.
pub(super) type Attr = (&'static str, Kind, bool);

pub(super) const CONTEXT: &[Attr] = &[
    ("a", Kind::Text, false),
    ("b", Kind::Text, true),
    ("n", Kind::Long, false),
    ("m", Kind::Long, true),
    ("on", Kind::Bool, false),
    ("off", Kind::Bool, true),
    ("who", Kind::Person, false),
    ("task", Kind::Task, false),
    ("labels", Kind::Texts, false),
    ("crew", Kind::People, false),
    ("cost", Kind::Decimal, false),
    ("addr", Kind::Address, false),
    ("now", Kind::Time, false),
    ("wait", Kind::Span, false),
    ("hue", Kind::Hue, false),
    ("odd key", Kind::Text, false),
    ("actor", Kind::Person, false),
    ("requester", Kind::Person, false),
];
pub(super) const PERSON: &[Attr] = &[
    ("name", Kind::Text, true),
    ("dept", Kind::Text, false),
    ("level", Kind::Long, true),
    ("active", Kind::Bool, true),
    ("manager", Kind::Person, false),
    ("home", Kind::Address, false),
    ("score", Kind::Decimal, false),
    ("joined", Kind::Time, false),
    ("shift", Kind::Span, false),
    ("labels", Kind::Texts, true),
    ("friends", Kind::People, true),
    ("card", Kind::Task, false),
    ("hue", Kind::Hue, false),
];
pub(super) const THING: &[Attr] = &[
    ("name", Kind::Text, true),
    ("dept", Kind::Text, false),
    ("level", Kind::Long, true),
    ("owner", Kind::Person, false),
    ("open", Kind::Bool, true),
    ("labels", Kind::Texts, true),
    ("meta", Kind::Task, false),
    ("net", Kind::Address, false),
    ("hue", Kind::Hue, false),
];
pub(super) const GROUP: &[Attr] = &[("dept", Kind::Text, false), ("level", Kind::Long, true)];
pub(super) const TASK: &[Attr] = &[
    ("purpose", Kind::Text, false),
    ("stage", Kind::Long, false),
    ("tool", Kind::Tool, false),
    ("owner", Kind::Person, false),
];
pub(super) const TOOL: &[Attr] = &[("name", Kind::Text, true), ("risk", Kind::Long, false)];
/// Names of tags.
pub(super) const TAGS: &[&str] = &["role", "x", "odd tag"];

const TEXTS: &[&str] = &["x", "y", "red", "finance", "", "X", "x*", "a \"q\" é\n"];
const LONGS: &[i64] = &[1, 3, 2, i64::MAX, 0, -1, i64::MIN, 7];
const KINDS: &[Kind] = &[
    Kind::Text,
    Kind::Long,
    Kind::Task,
    Kind::Bool,
    Kind::Person,
    Kind::Texts,
    Kind::Hue,
    Kind::Decimal,
    Kind::Tool,
    Kind::People,
    Kind::Address,
    Kind::Time,
    Kind::Span,
];
/// Of each extension some that are equal and written differently.
const DECIMALS: &[&str] = &["1.0", "1.00", "0.5", "10.25", "-1.0"];
const ADDRESSES: &[&str] = &["10.0.0.1", "10.0.0.1/32", "10.0.0.0/8", "127.0.0.1", "::1", "224.0.0.1"];
const TIMES: &[&str] = &["2024-01-01", "2024-01-01T00:00:00Z", "2024-01-01T12:30:00.500Z", "1969-12-31"];
const SPANS: &[&str] = &["1h", "60m", "90s", "-1h", "1d2h3m4s5ms"];

/// A value that fits the type.
pub(super) fn fitting(dice: &mut Dice, palette: &Palette, kind: Kind) -> Lit {
    match kind {
        Kind::Text => Lit::Text(dice.prefer::<&str>(TEXTS)),
        Kind::Long => Lit::Long(*dice.prefer(LONGS)),
        Kind::Bool => Lit::Bool(dice.chance(60)),
        Kind::Person => Lit::Entity(user(dice, palette)),
        Kind::Hue => Lit::Entity(*dice.favour(COLORS)),
        Kind::Texts => {
            let count = dice.between(1, 3);
            Lit::Set((0..count).map(|_| Lit::Text(dice.prefer::<&str>(TEXTS))).collect())
        }
        Kind::People => {
            let count = dice.between(1, 3);
            Lit::Set((0..count).map(|_| Lit::Entity(user(dice, palette))).collect())
        }
        Kind::Task => Lit::Record(record(dice, palette, TASK, 0)),
        Kind::Tool => Lit::Record(record(dice, palette, TOOL, 0)),
        Kind::Decimal => Lit::Made("decimal", dice.favour::<&str>(DECIMALS)),
        Kind::Address => Lit::Made("ip", dice.favour::<&str>(ADDRESSES)),
        Kind::Time => Lit::Made("datetime", dice.favour::<&str>(TIMES)),
        Kind::Span => Lit::Made("duration", dice.favour::<&str>(SPANS)),
    }
}

/// A value of whatever type.
pub(super) fn any(dice: &mut Dice, palette: &Palette) -> Lit {
    match dice.below(12) {
        0 => Lit::Set(Vec::new()),
        1 => Lit::Record(Vec::new()),
        2 => Lit::Set(vec![any(dice, palette), any(dice, palette)]),
        3 => Lit::Entity(palette.anything(dice)),
        _ => {
            let kind = *dice.favour(KINDS);
            fitting(dice, palette, kind)
        }
    }
}

/// Attributes by a table; of a hundred, `astray` are of another type, or missing though always there.
pub(super) fn record(
    dice: &mut Dice,
    palette: &Palette,
    table: &[Attr],
    astray: u64,
) -> Vec<(&'static str, Lit)> {
    let mut made = Vec::new();
    for (name, kind, always) in table {
        let there = if *always { !dice.chance(astray) } else { dice.chance(58) };
        if there {
            let fits = !dice.chance(astray);
            made.push((*name, if fits { fitting(dice, palette, *kind) } else { any(dice, palette) }));
        }
    }
    made
}

/// One of the type that attributes refer to, mostly.
fn user(dice: &mut Dice, palette: &Palette) -> Name {
    let one = palette.person(dice);
    if one.0 == "Org::User" {
        one
    } else {
        *dice.pick(&[PEOPLE[0], PEOPLE[1], PEOPLE[4], ("Org::User", "ghost")])
    }
}

impl Lit {
    /// How it is written in a policy.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) => format!("{text:?}"),
            // Without brackets its digits would be read before its sign in front of a dot.
            Self::Long(i64::MIN) => format!("({})", i64::MIN),
            Self::Long(long) => long.to_string(),
            Self::Bool(is) => is.to_string(),
            Self::Entity(name) => literal(*name),
            Self::Set(all) => format!("[{}]", all.iter().map(Self::text).collect::<Vec<_>>().join(", ")),
            Self::Record(all) => {
                let pairs: Vec<_> =
                    all.iter().map(|(name, one)| format!("{name:?}: {}", one.text())).collect();
                format!("{{{}}}", pairs.join(", "))
            }
            Self::Made(maker, from) => format!("{maker}({from:?})"),
        }
    }

    /// As it is given in a context or an attribute.
    pub(super) fn given(&self) -> Given {
        match self {
            Self::Text(text) => Given::new_string((*text).to_owned()),
            Self::Long(long) => Given::new_long(*long),
            Self::Bool(is) => Given::new_bool(*is),
            Self::Entity(name) => Given::new_entity_uid(uid(*name)),
            Self::Set(all) => Given::new_set(all.iter().map(Self::given)),
            Self::Record(all) => Given::new_record(pairs(all)).unwrap(),
            Self::Made("decimal", from) => Given::new_decimal(from),
            Self::Made("ip", from) => Given::new_ip(from),
            Self::Made("datetime", from) => Given::new_datetime(from),
            Self::Made(_, from) => Given::new_duration(from),
        }
    }
}

/// Attributes as they are given.
pub(super) fn pairs(all: &[(&'static str, Lit)]) -> Vec<(String, Given)> {
    all.iter().map(|(name, one)| ((*name).to_owned(), one.given())).collect()
}
