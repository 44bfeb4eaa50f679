//! Bundles of a given size: the shipped one, and generated policies in its shape.
//! Never one whose generated policies touch the question: the candidates of a request stay the same.

use std::fmt::Write as _;

/// Policies in one generated file.
pub const PER_FILE: usize = 100;

/// Generated policies of one team.
const PER_TEAM: usize = 10;

/// The file whose first policy is the switch.
pub const SWITCHED: &str = "policies/generated/0000.cedar";

/// Files that, beside a bundle of `shipped` policies, make it one of `policies`: path and text of each.
pub fn files(policies: usize, shipped: usize) -> Vec<(String, String)> {
    let generated = policies.saturating_sub(shipped);
    if generated == 0 {
        return Vec::new();
    }
    let mut files = vec![("entities/generated.json".to_owned(), teams(generated))];
    for first in (0..generated).step_by(PER_FILE) {
        let path = format!("policies/generated/{:04}.cedar", first / PER_FILE);
        let text = if first == 0 { switched(policies, shipped, 0) } else { file(first, generated, None) };
        files.push((path, text));
    }
    files
}

/// The text of [`SWITCHED`] whose switch forbids refunds of that amount to the support team.
pub fn switched(policies: usize, shipped: usize, amount: u32) -> String {
    file(0, policies.saturating_sub(shipped), Some(amount))
}

/// How many policies a text in Cedar's syntax holds, as they are formatted in this repository.
pub fn count(text: &str) -> usize {
    text.lines().filter(|line| line.starts_with("permit (") || line.starts_with("forbid (")).count()
}

fn file(first: usize, generated: usize, switch: Option<u32>) -> String {
    let mut text = String::from("// Generated for the benchmark.\n");
    let mut at = first;
    if let Some(amount) = switch {
        let _ = write!(
            text,
            "\n@id(\"generated/switch\")\n@control(\"NIST-AC-3\")\n\
             forbid (principal in Team::\"support\", action == Action::\"crm/issue_refund\", \
             resource in Server::\"crm\")\nwhen {{ context.input.amount == {amount} }};\n",
        );
        at += 1;
    }
    for at in at..generated.min(first + PER_FILE) {
        text.push_str(&policy(at));
    }
    text
}

/// Four shapes, after `policies/org/`: tools of a team with a bound on an argument, several tools at once, a role, and
/// tools of a group of servers.
fn policy(at: usize) -> String {
    let team = at / PER_TEAM;
    let amount = 100 + at % 900;
    let (head, condition) = match at % 4 {
        0 => (
            format!(
                "principal in Team::\"t{team}\", action == Action::\"crm/issue_refund\", \
                 resource in Server::\"crm\""
            ),
            format!("when {{ 0 < context.input.amount && context.input.amount <= {amount} }}"),
        ),
        1 => (
            format!(
                "principal in Team::\"t{team}\", action in [Action::\"crm/lookup_customer\", \
                 Action::\"crm/send_email\"], resource in Server::\"crm\""
            ),
            "when { context has actor }".to_owned(),
        ),
        2 => (
            format!(
                "principal in Role::\"r{team}\", action == Action::\"fetch/fetch\", \
                 resource in Server::\"fetch\""
            ),
            format!("when {{ context.input.url like \"https://docs-{at}.example/*\" }}"),
        ),
        _ => (
            format!(
                "principal in Team::\"t{team}\", action == Action::\"git/git_log\", \
                 resource in ServerGroup::\"developer-tools\""
            ),
            "unless { resource in ToolGroup::\"open-world\" }".to_owned(),
        ),
    };
    format!("\n@id(\"generated/{at:05}\")\n@control(\"NIST-AC-6\")\npermit ({head})\n{condition};\n")
}

fn teams(generated: usize) -> String {
    let groups = (0..generated.div_ceil(PER_TEAM)).flat_map(|team| {
        [("Team", 't'), ("Role", 'r')].map(|(kind, letter)| {
            format!(
                "  {{ \"uid\": {{ \"type\": \"{kind}\", \"id\": \"{letter}{team}\" }}, \
                 \"attrs\": {{}}, \"parents\": [] }}"
            )
        })
    });
    format!("[\n{}\n]\n", groups.collect::<Vec<_>>().join(",\n"))
}
