//! The tools in a server's answer to `tools/list`.
//! Never takes a tool whose arguments it could not check.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;

use super::place;
use crate::catalog::facts::{FactsFile, ToolFacts};
use crate::catalog::{Tool, arguments, digest, headers, mapping, typing};
use crate::diagnostic::{Diagnostic, File};
use crate::json;
use crate::value::{Members, Value, format_smolstr};

/// What one catalog file may hold.
const LIMITS: json::Limits = json::Limits { bytes_max: 32 << 20, depth_max: 96, nodes_max: 1 << 21 };

/// How long the name of a tool may be, in characters (MCP 2025-11-25, "Tool names").
const NAME_CHARS_MAX: usize = 128;

type Object = Members;

/// The definitions of a catalog file, good and bad.
pub(super) struct Definitions {
    list: Vec<Value>,
    /// Whether the server had more to tell.
    more: bool,
}

impl Definitions {
    /// Reads a `tools/list` result, or the whole JSON-RPC reply that carries one.
    pub(super) fn read(file: &File) -> Result<Self, Box<Diagnostic>> {
        const HELP: &str =
            "save the server's answer to tools/list: `{\"tools\": […]}`, or the whole JSON-RPC reply";
        let value = json::parse(file.text.as_bytes(), LIMITS).map_err(|error| {
            let finding = Diagnostic::error("catalog::json", format!("not strict JSON: {error}")).help(HELP);
            match error.offset() {
                Some(offset) => finding.at(file, place::of_offset(file, offset), "here"),
                None => finding.in_file(file),
            }
        })?;
        let missing = || Diagnostic::error("catalog::tools", "no list of tools").help(HELP).in_file(file);
        let Value::Record(mut reply) = value else { return Err(Box::new(missing())) };
        if let Some(Value::Record(result)) = reply.remove("result") {
            reply = result;
        }
        let more = matches!(reply.get("nextCursor"), Some(Value::String(_)));
        match reply.remove("tools") {
            Some(Value::Set(list)) => Ok(Self { list, more }),
            _ => Err(Box::new(missing())),
        }
    }

    /// The names of all tools, good or bad.
    pub(super) fn names(&self) -> BTreeSet<&str> {
        self.list.iter().filter_map(|tool| text(object(tool)?, "name")).collect()
    }

    /// The tools that can be used.
    pub(super) fn tools(&self, source: Source<'_>, findings: &mut Vec<Diagnostic>) -> BTreeMap<String, Tool> {
        if self.more {
            let message = "the server had more tools to list than are in this file";
            let help = "ask again with the `nextCursor`, put all pages into one list, and remove the cursor";
            findings.push(Diagnostic::warning("catalog::tools", message).help(help).in_file(source.file));
        }
        let mut reader = Reader { source, findings, seen: BTreeMap::new() };
        let tools = self.list.iter().enumerate().filter_map(|(index, tool)| reader.tool(index, tool));
        tools.map(|tool| (tool.name.clone(), tool)).collect()
    }
}

/// Where definitions come from, and what is said about them.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) server: &'a str,
    pub(super) file: &'a File,
    pub(super) facts: &'a FactsFile,
    pub(super) facts_file: Option<&'a File>,
}

struct Reader<'a> {
    source: Source<'a>,
    findings: &'a mut Vec<Diagnostic>,
    /// How often each name has come.
    seen: BTreeMap<String, usize>,
}

impl Reader<'_> {
    fn tool(&mut self, index: usize, value: &Value) -> Option<Tool> {
        let Source { server, file, facts, facts_file: _ } = self.source;
        let definition = object(value);
        let Some((definition, name)) = definition.and_then(|d| Some((d, text(d, "name")?))) else {
            let message = format!("tool number {} of the list has no name", index + 1);
            let help = "each tool is an object with a `name` and an `inputSchema`";
            self.findings.push(Diagnostic::error("catalog::tool", message).help(help).in_file(file));
            return None;
        };
        let nth = self.seen.entry(name.to_owned()).or_default();
        let place = place::of_tool(file, name, *nth);
        *nth += 1;
        let twice = *nth > 1;
        let mut error = |message: String, help: &str| {
            let finding = Diagnostic::error("catalog::tool", message).help(help);
            self.findings.push(finding.at(file, place.clone(), "this tool"));
        };
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
            let message = format!("`{}` cannot be the name of a tool", name.escape_debug());
            error(message, "MCP allows 1 to 128 letters, digits, `_`, `-`, `.` and `/`");
            return None;
        }
        if twice {
            error(
                format!("tool `{name}` stands twice in the list"),
                "keep the definition that the server uses",
            );
            return None;
        }
        let Some(schema) = definition.get("inputSchema").filter(|schema| object(schema).is_some()) else {
            let help = "a tool without arguments says `\"inputSchema\": {\"type\": \"object\"}`";
            error(format!("tool `{name}` has no inputSchema"), help);
            return None;
        };
        let entry = facts.tools.get(name).cloned().unwrap_or_default();
        let validator = match arguments::compile(&json::to_serde(schema)) {
            Ok(validator) => validator,
            Err(fault) => {
                let (message, help) = schema_fault(name, &fault);
                error(message, help);
                return None;
            }
        };
        let typing = match typing::of(schema, &entry.untyped) {
            Ok(typing) => typing,
            Err(why) => {
                let help =
                    "MCP wants an inputSchema of `\"type\": \"object\"` with the arguments as `properties`";
                error(format!("the inputSchema of tool `{name}` does not describe arguments: {why}"), help);
                return None;
            }
        };
        self.look_at_mapping(name, &place, definition, schema);
        self.warn(name, &place, &typing, schema);
        Some(Tool {
            server: server.to_owned(),
            name: name.to_owned(),
            id: format_smolstr!("{server}/{name}"),
            title: text(definition, "title").map(str::to_owned),
            description: text(definition, "description").map(str::to_owned),
            digest: digest::of(value),
            arguments: typing.shape,
            untyped: typing.untyped,
            facts: ToolFacts::of(&entry, definition.get("annotations")),
            open: entry.open,
            headers: headers::of(schema).found,
            declared: typing.declared,
            validator,
        })
    }

    fn look_at_mapping(&mut self, name: &str, place: &Range<usize>, definition: &Object, schema: &Value) {
        for (level, message, help) in mapping::faults(definition, schema) {
            let message = format!("tool `{name}`: {message}");
            let finding = Diagnostic { level, ..Diagnostic::error("catalog::mapping", message) };
            self.findings.push(finding.help(help).at(self.source.file, place.clone(), "this tool"));
        }
    }

    fn warn(&mut self, name: &str, place: &Range<usize>, typing: &typing::Typing, schema: &Value) {
        for (path, why) in headers::of(schema).refused {
            let message = format!("`x-mcp-header` at `{path}` of tool `{name}` is not valid: {why}");
            let help = "the header is not compared; clients that keep to MCP 2026-07-28 refuse the tool";
            let finding = Diagnostic::warning("catalog::header", message).help(help);
            self.findings.push(finding.at(self.source.file, place.clone(), "this tool"));
        }
        for path in &typing.unknown {
            let message = format!("tool `{name}` has no argument `{path}` to leave untyped");
            let help = "write the names from the inputSchema, joined by dots; what is inside an untyped argument \
                        is untyped already";
            let finding = Diagnostic::warning("catalog::facts", message).help(help);
            self.findings.extend(self.source.facts_file.map(|file| {
                let span = place::of_text(file, path);
                finding.at(file, span, "unknown")
            }));
        }
    }
}

fn schema_fault(name: &str, fault: &ValidationError<'_>) -> (String, &'static str) {
    let at = fault.instance_path();
    match fault.kind() {
        ValidationErrorKind::Referencing(error) => (
            format!("the inputSchema of tool `{name}` refers to what is not in it: {error}"),
            "put the schema that is referred to into `$defs`, and refer to it as `#/$defs/…`: nothing is fetched",
        ),
        _ => (
            format!("the inputSchema of tool `{name}` is not a valid JSON Schema, at `{at}`: {fault}"),
            "correct the schema with the server's author; `$schema` names its draft, 2020-12 when it is absent",
        ),
    }
}

fn object(value: &Value) -> Option<&Object> {
    match value {
        Value::Record(members) => Some(members),
        _ => None,
    }
}

fn text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    match object.get(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}
