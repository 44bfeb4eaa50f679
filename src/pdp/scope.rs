//! What a task is wanted for, held against the bundle: every name must be one of it.
//! Never widens what was asked for.

use std::collections::BTreeSet;

use crate::policy::Snapshot;
use crate::task::{Bound, Only, Scope};
use crate::value::Shape;

/// A scope with everything that its names stand for: the servers of its tools where it names none, and the classes below its
/// classes. Every name must be one of the bundle.
pub(super) fn complete(snapshot: &Snapshot, scope: Scope) -> Result<Scope, String> {
    let Scope { servers, tools, classes, bounds } = scope;
    let catalog = snapshot.catalog();
    let tool = |name: &str| name.split_once('/').and_then(|(server, tool)| catalog.tool(server, tool));
    if let Only::These(names) = &servers
        && let Some(name) = names.iter().find(|name| catalog.server(name).is_none())
    {
        return Err(format!("the catalog has no server `{}`", name.escape_debug()));
    }
    if let Only::These(names) = &tools
        && let Some(name) = names.iter().find(|name| tool(name).is_none())
    {
        return Err(format!("the catalog has no tool `{}`; write `<server>/<tool>`", name.escape_debug()));
    }
    let classes = match classes {
        Only::All => Only::All,
        Only::These(names) => {
            let mut below = BTreeSet::new();
            for name in &names {
                let known = snapshot.classes_below(name);
                below.extend(
                    known.ok_or_else(|| format!("there is no data class `{}`", name.escape_debug()))?.clone(),
                );
            }
            Only::These(below)
        }
    };
    for Bound { tool: name, argument, .. } in &bounds {
        let declared =
            tool(name).ok_or_else(|| format!("the catalog has no tool `{}`", name.escape_debug()))?;
        if !has_argument(&declared.arguments, argument) {
            let path = argument.join(".");
            return Err(format!("`{name}` has no argument `{}` that could be bounded", path.escape_debug()));
        }
    }
    let servers = match (servers, &tools) {
        (Only::All, Only::These(names)) => {
            Only::these(names.iter().filter_map(|name| name.split_once('/')).map(|(server, _)| server))
        }
        (servers, _) => servers,
    };
    Ok(Scope { servers, tools, classes, bounds })
}

/// Whether a shape has a typed member at the end of this path.
fn has_argument(shape: &Shape, path: &[String]) -> bool {
    let mut at = shape;
    for name in path {
        let Shape::Record(members) = at else { return false };
        let Some(member) = members.get(name.as_str()) else { return false };
        at = &member.shape;
    }
    !path.is_empty()
}
