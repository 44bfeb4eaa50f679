//! Types a tool's arguments from its pinned `inputSchema` (JSON Schema 2020-12 and draft-07).
//! Never types a part it is not sure of: that part is left untyped, with the reason.

mod keywords;

use std::collections::{BTreeMap, BTreeSet};

use crate::value::{Extension, Member, Shape, SmolStr, Value};
use keywords::{
    Object, has_members, is_null, may_be_null, only_alternative, record, resolve, scalar_shape, strings,
    type_names,
};

/// How deep a schema is followed; a part below is untyped.
const DEPTH_MAX: usize = 16;

/// How many parts of one schema are typed, references followed; a part beyond is untyped.
const PARTS_MAX: usize = 1024;

/// A part of a tool's arguments that policies cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untyped {
    /// Where: member names joined by dots, arrays passed over in silence: `lines.price`.
    pub path: String,
    /// Why it has no type.
    pub why: String,
}

/// The parts that a schema declares, typed or not: what decides about undeclared and unseen members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Declared {
    /// Typed, and nothing below it.
    Scalar,
    /// Declared without a type.
    Untyped {
        /// Whether the schema names null beside something else, so that null means absent.
        nullable: bool,
    },
    /// A typed array of such items.
    Set(Box<Declared>),
    /// A typed object with these members.
    Record(BTreeMap<SmolStr, Declared>),
}

/// What the arguments of a tool look like.
#[derive(Debug)]
pub(super) struct Typing {
    /// The typed part, always a [`Shape::Record`].
    pub(super) shape: Shape,
    /// Everything declared.
    pub(super) declared: Declared,
    /// What has no type, by path.
    pub(super) untyped: Vec<Untyped>,
    /// Paths that were to be left untyped and do not exist.
    pub(super) unknown: Vec<String>,
}

/// Types the arguments that `schema` describes; `left_untyped` are paths to leave alone.
///
/// # Errors
/// Why this cannot be the schema of a tool's arguments.
pub(super) fn of(schema: &Value, left_untyped: &BTreeSet<String>) -> Result<Typing, String> {
    let mut typist = Typist {
        root: schema,
        left_untyped,
        met: BTreeSet::new(),
        untyped: Vec::new(),
        path: Vec::new(),
        following: vec!["#"],
        depth: 0,
        parts: 0,
    };
    let core = typist.core(schema).map_err(|doubt| doubt.why)?;
    let types = type_names(core.object);
    if !(types == ["object"] || types.is_empty() && core.object.contains_key("properties")) {
        return Err("its `type` is not `object`".into());
    }
    let (shape, declared) = typist.object(core.object);
    let unknown = left_untyped.difference(&typist.met).cloned().collect();
    let mut untyped = typist.untyped;
    untyped.sort_by(|a, b| a.path.cmp(&b.path));
    untyped.dedup_by(|a, b| a.path == b.path);
    Ok(Typing { shape, declared, untyped, unknown })
}

/// A schema behind its references and its alternative `null`.
struct Core<'a> {
    object: &'a Object,
    nullable: bool,
}

/// Why a part has no type, and whether it may be null all the same.
struct Doubt {
    why: String,
    nullable: bool,
}

impl Doubt {
    fn new(why: impl Into<String>, nullable: bool) -> Self {
        Self { why: why.into(), nullable }
    }
}

struct Typist<'a> {
    root: &'a Value,
    left_untyped: &'a BTreeSet<String>,
    met: BTreeSet<String>,
    untyped: Vec<Untyped>,
    path: Vec<&'a str>,
    /// The references between the root and here: meeting one again is a recursion.
    following: Vec<&'a str>,
    depth: usize,
    parts: usize,
}

impl<'a> Typist<'a> {
    fn object(&mut self, object: &'a Object) -> (Shape, Declared) {
        let required: BTreeSet<&str> = strings(object.get("required")).collect();
        let mut shapes = BTreeMap::new();
        let mut declared = BTreeMap::new();
        for (name, schema) in record(object.get("properties")).into_iter().flatten() {
            self.path.push(name);
            let (shape, nullable, part) = self.member(schema);
            self.path.pop();
            if let Some(shape) = shape {
                let required = required.contains(name.as_str()) && !nullable;
                shapes.insert(name.clone(), Member { shape, required });
            }
            declared.insert(name.clone(), part);
        }
        let mut conditional = BTreeSet::new();
        self.names_in_branches(object, 0, &mut conditional);
        for name in conditional {
            if !declared.contains_key(name) {
                self.path.push(name);
                self.leave("it is declared only in a branch of the schema");
                self.path.pop();
                declared.insert(name.into(), Declared::Untyped { nullable: false });
            }
        }
        (Shape::Record(shapes), Declared::Record(declared))
    }

    /// The shape of a member when it has one, whether it may be null, and what is declared by it.
    fn member(&mut self, schema: &'a Value) -> (Option<Shape>, bool, Declared) {
        let path = self.path.join(".");
        let findings = self.untyped.len();
        let part = self.part(schema);
        let doubt = match part {
            Ok((shape, nullable, declared)) if !self.left_untyped.contains(&path) => {
                return (Some(shape), nullable, declared);
            }
            Ok((_, nullable, _)) => Doubt::new("the facts file leaves it untyped", nullable),
            Err(doubt) => doubt,
        };
        self.met.insert(path);
        // What was found below no longer matters: the whole is untyped.
        self.untyped.truncate(findings);
        self.leave(doubt.why);
        (None, doubt.nullable, Declared::Untyped { nullable: doubt.nullable })
    }

    fn leave(&mut self, why: impl Into<String>) {
        self.untyped.push(Untyped { path: self.path.join("."), why: why.into() });
    }

    /// The shape of any schema, whether it may be null, and what is declared by it.
    fn part(&mut self, schema: &'a Value) -> Result<(Shape, bool, Declared), Doubt> {
        let following = self.following.len();
        self.depth += 1;
        let part = self.core(schema).and_then(|core| {
            let nullable = core.nullable;
            match self.typed(core.object) {
                Ok((shape, declared)) => Ok((shape, nullable, declared)),
                Err(why) => Err(Doubt { why, nullable }),
            }
        });
        self.depth -= 1;
        self.following.truncate(following);
        part
    }

    /// Follows references and drops the alternative `null`, until a schema says something itself.
    fn core(&mut self, schema: &'a Value) -> Result<Core<'a>, Doubt> {
        let mut schema = schema;
        let mut nullable = false;
        loop {
            self.parts += 1;
            if self.parts > PARTS_MAX {
                return Err(Doubt::new(format!("the schema has more than {PARTS_MAX} parts"), nullable));
            }
            if self.depth > DEPTH_MAX {
                return Err(Doubt::new(format!("it nests deeper than {DEPTH_MAX} levels"), nullable));
            }
            let Value::Record(object) = schema else {
                return Err(Doubt::new("its schema is true or false", nullable));
            };
            if object.contains_key("$id") && !std::ptr::eq(schema, self.root) {
                return Err(Doubt::new("it is a schema document of its own (`$id`)", nullable));
            }
            nullable |= may_be_null(object);
            if let Some(reference) = object.get("$ref") {
                schema = self.follow(reference).map_err(|why| Doubt::new(why, nullable))?;
            } else if let Some(only) = only_alternative(object) {
                schema = only;
            } else {
                return Ok(Core { object, nullable });
            }
        }
    }

    fn follow(&mut self, reference: &'a Value) -> Result<&'a Value, String> {
        let Value::String(reference) = reference else { return Err("its `$ref` is not a text".into()) };
        if self.following.contains(&reference.as_str()) {
            return Err("it refers to itself".into());
        }
        let target = resolve(self.root, reference).ok_or("its `$ref` is not of the form `#/…`")?;
        self.following.push(reference);
        Ok(target)
    }

    fn typed(&mut self, object: &'a Object) -> Result<(Shape, Declared), String> {
        let mut types = type_names(object);
        types.retain(|name| *name != "null");
        match types.as_slice() {
            ["string"] => Ok((Shape::String, Declared::Scalar)),
            ["integer"] => Ok((Shape::Long, Declared::Scalar)),
            ["boolean"] => Ok((Shape::Bool, Declared::Scalar)),
            ["number"] | ["integer", "number"] | ["number", "integer"] => {
                Ok((Shape::Extension(Extension::Decimal), Declared::Scalar))
            }
            ["array"] => self.array(object),
            ["object"] if has_members(object) => Ok(self.object(object)),
            ["object"] => Err("it is an object that does not declare its members".into()),
            [] if object.contains_key("type") => Err("it is always null".into()),
            [] => self.typed_by_values(object).map(|shape| (shape, Declared::Scalar)),
            several => Err(format!("it may be of several types: {}", several.join(", "))),
        }
    }

    fn array(&mut self, object: &'a Object) -> Result<(Shape, Declared), String> {
        if object.contains_key("prefixItems") || matches!(object.get("items"), Some(Value::Set(_))) {
            return Err("it is a tuple".into());
        }
        let items = object.get("items").ok_or("it is an array that does not declare its items")?;
        match self.part(items) {
            Ok((_, true, _)) => Err("its items may be null".into()),
            Ok((shape, false, declared)) => Ok((Shape::Set(shape.into()), Declared::Set(declared.into()))),
            Err(doubt) => Err(format!("of its items: {}", doubt.why)),
        }
    }

    /// A schema without `type`: its values, or those of its alternatives, may all be of one scalar shape.
    fn typed_by_values(&mut self, object: &'a Object) -> Result<Shape, String> {
        let values: Vec<&Value> = match (object.get("const"), object.get("enum")) {
            (Some(value), _) => vec![value],
            (None, Some(Value::Set(values))) => values.iter().filter(|v| **v != Value::Null).collect(),
            (None, _) => return self.typed_by_alternatives(object),
        };
        let mut shapes = values.into_iter().map(scalar_shape);
        let first = shapes.next().flatten().ok_or("its values are not of one scalar type")?;
        if shapes.all(|shape| shape.as_ref() == Some(&first)) {
            Ok(first)
        } else {
            Err("its values are of several types".into())
        }
    }

    fn typed_by_alternatives(&mut self, object: &'a Object) -> Result<Shape, String> {
        let key = ["anyOf", "oneOf"].into_iter().find(|key| object.contains_key(*key));
        let Some(Value::Set(branches)) = key.and_then(|key| object.get(key)) else {
            let several = object.contains_key("allOf");
            return Err(if several {
                "it is an `allOf` of several schemas"
            } else {
                "its schema names no type"
            }
            .into());
        };
        let mut common = None;
        for branch in branches.iter().filter(|branch| !is_null(branch)) {
            let Ok((shape, false, Declared::Scalar)) = self.part(branch) else {
                return Err("it is a union".into());
            };
            if common.get_or_insert_with(|| shape.clone()) != &shape {
                return Err("it is a union".into());
            }
        }
        common.ok_or_else(|| "it is a union of nothing".into())
    }

    /// Members that only a branch of the schema declares: their type depends on the branch.
    fn names_in_branches(&mut self, object: &'a Object, depth: usize, names: &mut BTreeSet<&'a str>) {
        let alternatives = ["allOf", "anyOf", "oneOf"]
            .into_iter()
            .filter_map(|key| object.get(key))
            .flat_map(|all| match all {
                Value::Set(branches) => branches.as_slice(),
                _ => &[],
            });
        let dependent = record(object.get("dependentSchemas")).into_iter().flat_map(Object::values);
        let conditional = ["then", "else"].into_iter().filter_map(|key| object.get(key));
        for branch in alternatives.chain(dependent).chain(conditional) {
            self.parts += 1;
            if self.parts > PARTS_MAX {
                // What is not found here is undeclared, so refused.
                return;
            }
            let target = match record(Some(branch)).and_then(|branch| branch.get("$ref")) {
                Some(Value::String(reference)) => resolve(self.root, reference),
                _ => Some(branch),
            };
            let Some(branch) = record(target) else { continue };
            names.extend(
                record(branch.get("properties")).into_iter().flat_map(Object::keys).map(SmolStr::as_str),
            );
            if depth < BRANCH_DEPTH_MAX {
                self.names_in_branches(branch, depth + 1, names);
            }
        }
    }
}

/// How deep branches within branches are searched for members. A member below is undeclared, so refused.
const BRANCH_DEPTH_MAX: usize = 3;

#[cfg(test)]
mod tests;
