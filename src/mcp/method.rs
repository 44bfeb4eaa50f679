//! The methods of the Model Context Protocol as data: in which era each is spoken, who sends it, what it is about.
//! Never reads a message: a name and a protocol version go in, a row of the table comes out.

use std::fmt;

/// A published revision of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 2024-11-05, the first.
    V20241105,
    /// 2025-03-26, the one in force when a message names none.
    V20250326,
    /// 2025-06-18.
    V20250618,
    /// 2025-11-25, the last with sessions.
    V20251125,
    /// 2026-07-28, stateless.
    V20260728,
}

impl Version {
    /// Every revision, oldest first.
    pub const ALL: [Self; 5] =
        [Self::V20241105, Self::V20250326, Self::V20250618, Self::V20251125, Self::V20260728];

    /// The revision in force when a message names none (MCP 2025-06-18, "Protocol Version Header").
    pub const ASSUMED: Self = Self::V20250326;

    /// The revision with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.name() == name)
    }

    /// The revision's name: its date.
    pub fn name(self) -> &'static str {
        match self {
            Self::V20241105 => "2024-11-05",
            Self::V20250326 => "2025-03-26",
            Self::V20250618 => "2025-06-18",
            Self::V20251125 => "2025-11-25",
            Self::V20260728 => "2026-07-28",
        }
    }

    /// The era that it belongs to.
    pub fn era(self) -> Era {
        match self {
            Self::V20241105 | Self::V20250326 | Self::V20250618 | Self::V20251125 => Era::Legacy,
            Self::V20260728 => Era::Modern,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The two ways in which the protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// With a handshake and sessions: up to 2025-11-25.
    Legacy,
    /// Stateless: 2026-07-28 and later.
    Modern,
}

/// The eras in which a method is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eras {
    /// The older one only.
    Legacy,
    /// The newer one only.
    Modern,
    /// Both.
    Both,
}

impl Eras {
    /// Whether `era` is among them.
    pub fn include(self, era: Era) -> bool {
        match self {
            Self::Both => true,
            Self::Legacy => era == Era::Legacy,
            Self::Modern => era == Era::Modern,
        }
    }
}

/// Who sends a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The agent's side asks the server.
    FromClient,
    /// The server asks the agent's side, within a stream or within `inputRequests`.
    FromServer,
    /// Either side; nothing is asked of a policy.
    Either,
}

/// What a method is about, and which member of `params` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Nothing that a policy governs: it passes.
    Nothing,
    /// The server.
    Server,
    /// The tool `params.name`.
    Tool,
    /// The resource `params.uri`.
    Resource,
    /// The prompt `params.name`.
    Prompt,
    /// The prompt or the resource of `params.ref`.
    Completion,
    /// The MCP task `params.taskId`.
    Task,
    /// The server, and each resource of `params.notifications.resourceSubscriptions`.
    Subscriptions,
    /// The agent's side, asked by the server.
    Client,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// As it stands in a message; also the name of the Cedar action, except for tools, which have their own.
    pub name: &'static str,
    /// When it is spoken.
    pub eras: Eras,
    /// What it is about.
    pub target: Target,
}

impl Method {
    /// Who sends it.
    pub fn direction(&self) -> Direction {
        match self.target {
            Target::Nothing => Direction::Either,
            Target::Client => Direction::FromServer,
            Target::Server
            | Target::Tool
            | Target::Resource
            | Target::Prompt
            | Target::Completion
            | Target::Task
            | Target::Subscriptions => Direction::FromClient,
        }
    }
}

const fn row(name: &'static str, eras: Eras, target: Target) -> Method {
    Method { name, eras, target }
}

/// Every method that has a name of its own; notifications share [`NOTIFICATION`].
pub const METHODS: [Method; 24] = [
    row("initialize", Eras::Legacy, Target::Server),
    row("server/discover", Eras::Modern, Target::Server),
    row("ping", Eras::Legacy, Target::Nothing),
    row("tools/list", Eras::Both, Target::Server),
    row("tools/call", Eras::Both, Target::Tool),
    row("resources/list", Eras::Both, Target::Server),
    row("resources/templates/list", Eras::Both, Target::Server),
    row("resources/read", Eras::Both, Target::Resource),
    row("resources/subscribe", Eras::Legacy, Target::Resource),
    row("resources/unsubscribe", Eras::Legacy, Target::Resource),
    row("subscriptions/listen", Eras::Modern, Target::Subscriptions),
    row("prompts/list", Eras::Both, Target::Server),
    row("prompts/get", Eras::Both, Target::Prompt),
    row("completion/complete", Eras::Both, Target::Completion),
    row("logging/setLevel", Eras::Legacy, Target::Server),
    row("tasks/list", Eras::Legacy, Target::Server),
    row("tasks/get", Eras::Both, Target::Task),
    row("tasks/result", Eras::Legacy, Target::Task),
    row("tasks/cancel", Eras::Both, Target::Task),
    row("tasks/update", Eras::Modern, Target::Task),
    // A legacy server sends these three as requests; a modern one puts them into `inputRequests` of a result, and
    // the PEP asks about each by its method.
    row("sampling/createMessage", Eras::Both, Target::Client),
    row("elicitation/create", Eras::Both, Target::Client),
    row("roots/list", Eras::Both, Target::Client),
    NOTIFICATION,
];

/// The row that all notifications share.
pub const NOTIFICATION: Method = row("notifications/*", Eras::Both, Target::Nothing);

const NOTIFICATION_PREFIX: &str = "notifications/";

/// The row of the method with this name. Names are case-sensitive.
pub fn method(name: &str) -> Option<Method> {
    if let Some(rest) = name.strip_prefix(NOTIFICATION_PREFIX) {
        return is_plain(rest).then_some(NOTIFICATION);
    }
    METHODS.into_iter().find(|method| method.name == name)
}

/// What the name of a notification may be made of. A router that lets a method through without asking a policy must
/// not be talked into more than one.
fn is_plain(rest: &str) -> bool {
    !rest.is_empty()
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> String {
        let spoken = |method: &Method, era| if method.eras.include(era) { "yes" } else { "-" };
        let mut lines = Vec::new();
        for method in METHODS {
            lines.push(format!(
                "{:<25} {:<4} {:<4} {:<11} {:?}\n",
                method.name,
                spoken(&method, Era::Legacy),
                spoken(&method, Era::Modern),
                format!("{:?}", method.direction()),
                method.target
            ));
        }
        lines.concat()
    }

    #[test]
    fn the_table_is_the_one_of_the_protocol() {
        assert_same(&listing(), include_str!("methods.golden"));
    }

    fn assert_same(found: &str, wanted: &str) {
        assert!(found == wanted, "{}", similar::TextDiff::from_lines(wanted, found).unified_diff());
    }

    #[test]
    fn method_names_are_exact() {
        for name in [
            "",
            "Tools/call",
            "tools/call ",
            "tools/call\0",
            "tools//call",
            "tools",
            "notifications",
            "Ping",
            "*",
        ] {
            assert_eq!(method(name), None, "{name:?}");
        }
        for method_of_table in METHODS.iter().filter(|method| **method != NOTIFICATION) {
            assert_eq!(method(method_of_table.name), Some(*method_of_table));
        }
    }

    #[test]
    fn notifications_pass_by_prefix_and_only_with_plain_names() {
        for name in
            ["notifications/initialized", "notifications/tools/list_changed", "notifications/cancelled"]
        {
            assert_eq!(method(name), Some(NOTIFICATION), "{name}");
        }
        for name in ["notifications/", "notifications/*", "notifications/ x", "notifications/a\ntools/call"] {
            assert_eq!(method(name), None, "{name:?}");
        }
    }

    #[test]
    fn versions_are_known_by_their_exact_dates() {
        for version in Version::ALL {
            assert_eq!(Version::named(version.name()), Some(version));
        }
        for name in ["", "2025-06-19", "2026-07-28 ", "draft", "DRAFT-2026-v1"] {
            assert_eq!(Version::named(name), None, "{name:?}");
        }
        assert_eq!(Version::ALL.map(Version::era).iter().filter(|era| **era == Era::Modern).count(), 1);
    }
}
