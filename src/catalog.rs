//! The tools of MCP servers as the bundle pins them, and what the operator says about them.
//! Never believes a live server: what is not in the catalog does not exist, and hints never loosen.

mod arguments;
pub mod digest;
mod facts;
mod files;
mod headers;
mod mapping;
mod tool;
mod typing;

use std::collections::{BTreeMap, BTreeSet};

pub use arguments::{Admitted, ArgumentFault};
pub use facts::{ToolFacts, UNCLASSIFIED};
pub use files::{RESERVED_SERVER_IDS, server_id_fault};
pub use tool::{INPUT, INPUT_UNSEEN, Tool};
pub use typing::Untyped;

use crate::diagnostic::{Diagnostic, File};
use crate::value::Uid;
use facts::{FactsFile, PromptEntry, ResourceEntry};

/// All servers of a bundle.
#[derive(Debug, Default)]
pub struct Catalog {
    servers: BTreeMap<String, Server>,
}

impl Catalog {
    /// Reads the files below `tools/`: `tools/<server>.json`, the answer of the server to `tools/list`, and
    /// `tools/<server>.facts.yaml`, what the operator says about it. Returns all findings about all files; a catalog
    /// with an error among them is not to be used.
    pub fn load(files: &[File]) -> (Self, Vec<Diagnostic>) {
        let (servers, findings) = files::load(files);
        (Self { servers }, findings)
    }

    /// The server with this id.
    pub fn server(&self, id: &str) -> Option<&Server> {
        self.servers.get(id)
    }

    /// A tool of a server.
    pub fn tool(&self, server: &str, name: &str) -> Option<&Tool> {
        self.server(server)?.tools.get(name)
    }

    /// The data classes of a tool, resource or prompt; none of anything else.
    pub fn classes_of(&self, uid: &Uid) -> BTreeSet<String> {
        let of = |server: &str, name: &str| match uid.kind.as_str() {
            "Tool" => self.tool(server, name).map(|tool| tool.facts.data_classes.clone()),
            "Resource" => self.server(server).map(|server| server.resource_classes(name)),
            "Prompt" => self.server(server).map(|server| server.prompt_classes(name)),
            _ => None,
        };
        let named = uid.id.split_once('/').and_then(|(server, name)| of(server, name));
        match (named, uid.kind.as_str()) {
            (Some(classes), _) => facts::classes(&classes),
            (None, "Tool" | "Resource" | "Prompt") => facts::classes(&BTreeSet::new()),
            (None, _) => BTreeSet::new(),
        }
    }

    /// All servers, by id.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.servers.values()
    }
}

/// The id of the server that an entity of the agent model belongs to.
pub fn server_of(uid: &Uid) -> Option<&str> {
    match uid.kind.as_str() {
        "Server" => Some(&uid.id),
        "Tool" | "Resource" | "Prompt" | "McpTask" => {
            Some(uid.id.split_once('/').map_or(&uid.id, |(server, _)| server))
        }
        _ => None,
    }
}

/// An MCP server.
#[derive(Debug)]
pub struct Server {
    /// Its id in this bundle; the name of its files.
    pub id: String,
    /// Its resource identifier (RFC 8707), the audience of the tokens that it takes.
    pub audience: Option<String>,
    /// Its `ServerGroup` parents.
    pub groups: BTreeSet<String>,
    /// Its tools, by name.
    pub tools: BTreeMap<String, Tool>,
    resources: Vec<ResourceEntry>,
    prompts: BTreeMap<String, PromptEntry>,
}

impl Server {
    fn new(id: &str, facts: FactsFile, tools: BTreeMap<String, Tool>) -> Self {
        let FactsFile { audience, groups, tools: _, resources, prompts } = facts;
        Self { id: id.to_owned(), audience, groups, tools, resources, prompts }
    }

    /// `Server::"<id>"`.
    pub fn uid(&self) -> Uid {
        Uid::new("Server", &self.id)
    }

    /// The data classes of a resource, given its canonical URI: those of the entry that names most of it.
    pub fn resource_classes(&self, canonical_uri: &str) -> BTreeSet<String> {
        let named =
            self.resources.iter().filter_map(|entry| Some((entry.specificity(canonical_uri)?, entry)));
        let best = named.max_by_key(|(specificity, _)| *specificity);
        facts::classes(&best.map(|(_, entry)| entry.data_classes.clone()).unwrap_or_default())
    }

    /// The URIs of the resources that the operator named; a `*` at the end stands for any rest.
    pub fn resource_names(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().map(|entry| entry.uri.as_str())
    }

    /// The names of the prompts that the operator named.
    pub fn prompt_names(&self) -> impl Iterator<Item = &str> {
        self.prompts.keys().map(String::as_str)
    }

    /// What the operator put into data classes, in words, with the classes: tools, resources and prompts.
    pub fn classified(&self) -> impl Iterator<Item = (String, &BTreeSet<String>)> {
        let id = &self.id;
        let tools =
            self.tools.values().map(|tool| (format!("`{}`", tool.action().id), &tool.facts.data_classes));
        let resources = self.resources.iter();
        let resources = resources
            .map(move |entry| (format!("the resource `{}` of `{id}`", entry.uri), &entry.data_classes));
        let prompts = self.prompts.iter();
        let prompts =
            prompts.map(move |(name, entry)| (format!("the prompt `{name}` of `{id}`"), &entry.data_classes));
        tools.chain(resources).chain(prompts)
    }

    /// The data classes of a prompt.
    pub fn prompt_classes(&self, name: &str) -> BTreeSet<String> {
        facts::classes(&self.prompts.get(name).map(|entry| entry.data_classes.clone()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
