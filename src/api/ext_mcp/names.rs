//! The names that agentgateway shows its clients where several servers stand behind one address, as it makes them and takes
//! them apart itself (`crates/agentgateway/src/mcp/handler.rs`).
//! Never takes a name apart in another way than the gateway would when the thing is used.

use crate::api::gateway::Unreadable;
use crate::mcp::Offered;
use crate::mcp::method::Target as About;

use super::setting::Target;

/// What stands between a target and the name of a tool or prompt.
const NAME: char = '_';
/// What stands between a target and a URI or the id of a task.
const URI: char = '+';
/// URIs of user interfaces keep their scheme in front.
const UI: &str = "ui://";

/// When names have their target in front: `prefixMode` of the gateway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Names {
    /// With several targets.
    #[default]
    Conditional,
    /// With one, too.
    Always,
    /// For URIs alone.
    Never,
}

impl Names {
    pub(super) fn named(mode: &str) -> Option<Self> {
        match mode {
            "conditional" => Some(Self::Conditional),
            "always" => Some(Self::Always),
            "never" => Some(Self::Never),
            _ => None,
        }
    }

    /// The target that a thing on a list of all of them belongs to, and what that one calls it. None for a name by which the
    /// gateway would reach nothing.
    pub(super) fn owner<'t>(
        self,
        targets: &'t [Target],
        offered: Offered,
        shown: &str,
    ) -> Result<Option<(&'t Target, String)>, Unreadable> {
        let is_uri = match offered {
            Offered::Tools | Offered::Prompts => false,
            Offered::Resources | Offered::Templates => true,
        };
        let (name, own) = match (self, targets) {
            (Self::Conditional | Self::Never, [only]) => return Ok(Some((only, shown.to_owned()))),
            (Self::Never, _) if !is_uri => {
                return Err(Unreadable::result(
                    "nothing tells whose the things on this list are: `prefixMode: never` before several targets",
                ));
            }
            (Self::Conditional | Self::Always | Self::Never, _) => {
                let apart = if is_uri { uri(shown) } else { split(shown, NAME) };
                let Some(apart) = apart else { return Ok(None) };
                apart
            }
        };
        let target = targets.iter().find(|target| target.name == name);
        Ok(target.map(|target| (target, own)))
    }
}

/// What clients call a thing of this target that the target itself calls so.
pub(super) fn shown(target: &str, about: About, own: &str) -> Option<String> {
    match about {
        About::Tool | About::Prompt => Some(format!("{target}{NAME}{own}")),
        About::Resource => Some(match own.strip_prefix(UI) {
            Some(rest) => format!("{UI}{target}{URI}{rest}"),
            None => format!("{target}{URI}{own}"),
        }),
        About::Task => Some(format!("{target}{URI}{own}")),
        About::Nothing | About::Server | About::Completion | About::Subscriptions | About::Client => None,
    }
}

fn uri(shown: &str) -> Option<(String, String)> {
    match shown.strip_prefix(UI) {
        Some(rest) => split(rest, URI).map(|(target, rest)| (target, format!("{UI}{rest}"))),
        None => split(shown, URI).filter(|(_, own)| !own.starts_with(UI)),
    }
}

fn split(shown: &str, at: char) -> Option<(String, String)> {
    shown.split_once(at).map(|(target, own)| (target.to_owned(), own.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(names: &[&str]) -> Vec<Target> {
        names.iter().map(|&name| Target { name: name.into(), server: name.into() }).collect()
    }

    fn owner(names: Names, targets: &[Target], offered: Offered, shown: &str) -> Option<(String, String)> {
        let found = names.owner(targets, offered, shown).unwrap();
        found.map(|(target, own)| (target.name.clone(), own))
    }

    #[test]
    fn a_name_that_is_shown_leads_back_to_the_thing() {
        let two = targets(&["crm", "git"]);
        for (offered, about, own) in [
            (Offered::Tools, About::Tool, "lookup_customer"),
            (Offered::Prompts, About::Prompt, "a+b"),
            (Offered::Resources, About::Resource, "svn+ssh://host/x"),
            (Offered::Resources, About::Resource, "urn:uuid:1"),
            (Offered::Resources, About::Resource, "ui://panel/a+b.html"),
            (Offered::Templates, About::Resource, "file:///{path}"),
        ] {
            let shown = shown("crm", about, own).unwrap();
            let back = Some(("crm".to_owned(), own.to_owned()));
            assert_eq!(owner(Names::Conditional, &two, offered, &shown), back, "{shown}");
            assert_eq!(owner(Names::Always, &two[..1], offered, &shown), back, "{shown}");
            let plain = Some(("crm".to_owned(), shown.clone()));
            assert_eq!(owner(Names::Conditional, &two[..1], offered, &shown), plain, "{shown}");
        }
    }

    #[test]
    fn the_first_mark_ends_the_target_as_it_does_for_the_gateway() {
        let odd = targets(&["a", "a_b"]);
        let back = Some(("a".to_owned(), "b_c".to_owned()));
        assert_eq!(owner(Names::Conditional, &odd, Offered::Tools, "a_b_c"), back);
        for nobody in ["c_a", "a", "_a", "", "A_b"] {
            assert_eq!(owner(Names::Conditional, &odd, Offered::Tools, nobody), None, "{nobody}");
        }
        for nobody in ["a+ui://x", "c+x:y", "x:y", "ui://x", "ui://c+x"] {
            assert_eq!(owner(Names::Never, &odd, Offered::Resources, nobody), None, "{nobody}");
        }
        assert!(Names::Never.owner(&odd, Offered::Tools, "a_b").is_err());
    }
}
