//! What a server lists beside its tools, as the question whether it may be used.
//! Never asks about a name that could mean two things.

use crate::access::Question;
use crate::catalog::Server;
use crate::uri;
use crate::value::{Uid, format_smolstr};

use super::{Limits, action, target};

/// What a list of a server holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// `tools/list`.
    Tools,
    /// `resources/list`.
    Resources,
    /// `resources/templates/list`.
    Templates,
    /// `prompts/list`.
    Prompts,
}

impl Offered {
    /// The list that this method asks for.
    pub fn by(method: &str) -> Option<Self> {
        match method {
            "tools/list" => Some(Self::Tools),
            "resources/list" => Some(Self::Resources),
            "resources/templates/list" => Some(Self::Templates),
            "prompts/list" => Some(Self::Prompts),
            _ => None,
        }
    }

    /// The member of the result that holds the list, and the member of each item that names it.
    pub fn members(self) -> (&'static str, &'static str) {
        match self {
            Self::Tools => ("tools", "name"),
            Self::Resources => ("resources", "uri"),
            Self::Templates => ("resourceTemplates", "uriTemplate"),
            Self::Prompts => ("prompts", "name"),
        }
    }

    /// The entity type of what is listed.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Tools => "Tool",
            Self::Resources | Self::Templates => "Resource",
            Self::Prompts => "Prompt",
        }
    }

    /// The method by which it is used.
    pub fn use_of(self) -> &'static str {
        match self {
            Self::Tools => "tools/call",
            Self::Resources | Self::Templates => "resources/read",
            Self::Prompts => "prompts/get",
        }
    }

    /// The question whether what a server lists by this name may be used. None for a name that nothing is used by, and for
    /// tools, which are actions of their own. A template is asked about as if it were itself a resource: what is permitted
    /// for single URIs alone does not show it.
    pub fn question(self, server: &Server, name: &str, limits: &Limits) -> Option<Question> {
        let (name, classes) = match self {
            Self::Tools => return None,
            Self::Resources => {
                let uri = uri::canonical(name, limits.uri_bytes_max).ok()?;
                let classes = server.resource_classes(&uri);
                (uri, classes)
            }
            Self::Templates => {
                let uri = uri::canonical_template(name, limits.uri_bytes_max).ok()?;
                let classes = server.resource_classes(&uri);
                (uri, classes)
            }
            Self::Prompts => {
                let is_name = (1..=limits.name_bytes_max).contains(&name.len());
                if !is_name || name.chars().any(char::is_control) {
                    return None;
                }
                (name.to_owned(), server.prompt_classes(name))
            }
        };
        let uid = Uid::new(self.kind(), format_smolstr!("{}/{name}", server.id));
        let mut question = Question::new(action(self.use_of()), uid.clone());
        question.derived.push(target::entity(server, uid, Some(&classes)));
        Some(question)
    }
}
