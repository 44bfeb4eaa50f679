//! The result: one Markdown table with its conditions, and the figures of every round as JSON.
//! Never leaves out a scenario that failed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use prost::Message as _;
use serde::Serialize;

use crate::bench::Finding;
use crate::cerbos;
use crate::options::{Effort, Scenario};
use crate::procfs::{Machine, Others};
use crate::question;
use crate::quiet::disturbed;
use crate::rows::{Bound, Row, Verdict, median};
use crate::trouble::{Attempt as _, Outcome};

/// Everything that was found.
#[derive(Serialize)]
pub struct Report {
    conditions: Conditions,
    lines: Vec<Line>,
}

/// Under which it was found.
#[derive(Serialize)]
struct Conditions {
    machine: Machine,
    effort: Effort,
    quick: bool,
    /// Worker threads of both servers; none when each has one for each core.
    workers: Option<u32>,
    request_bytes: usize,
    answer_bytes: Option<usize>,
    cerbos_request_bytes: usize,
    /// What others used of the processors meanwhile.
    others_per_cent: Option<f64>,
}

/// One line of the table.
#[derive(Serialize)]
struct Line {
    scenario: Scenario,
    #[serde(flatten)]
    content: Content,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Content {
    Figure { row: Row, verdict: Option<Verdict> },
    Failed { conditions: String, reason: String },
}

impl Report {
    /// Nothing found yet.
    pub fn new(effort: Effort, quick: bool, workers: Option<u32>, answer_bytes: Option<usize>) -> Self {
        let conditions = Conditions {
            machine: Machine::here(),
            effort,
            quick,
            workers,
            request_bytes: question::request().encoded_len(),
            answer_bytes,
            cerbos_request_bytes: cerbos::request().encoded_len(),
            others_per_cent: None,
        };
        Self { conditions, lines: vec![] }
    }

    /// What a scenario found.
    pub fn add(&mut self, scenario: Scenario, findings: Vec<Finding>) {
        self.lines.extend(findings.into_iter().map(|finding| {
            let content = match finding {
                Finding::Row(row) => Content::Figure { verdict: row.verdict(), row },
                Finding::Failed { conditions, trouble } => {
                    Content::Failed { conditions, reason: trouble.to_string() }
                }
            };
            Line { scenario, content }
        }));
    }

    /// How much of the processors others used meanwhile.
    pub fn close(&mut self, others: &Others) -> Outcome<()> {
        let Conditions { machine, others_per_cent, .. } = &mut self.conditions;
        *others_per_cent = Some(others.share(machine.cores)?);
        Ok(())
    }

    /// How many scenarios, or parts of one, have no figures.
    pub fn failures(&self) -> usize {
        self.lines.iter().filter(|line| matches!(line.content, Content::Failed { .. })).count()
    }

    /// The conditions and the table.
    pub fn markdown(&self) -> String {
        let mut text = self.conditions.markdown();
        text.push_str(
            "| scenario | conditions | figure | of | | against | | ratio by round, median (least–most) | budget | |\n\
             |---|---|---|---|--:|---|--:|--:|---|---|\n",
        );
        for line in &self.lines {
            text.push_str(&line.markdown());
        }
        text
    }

    /// Writes the table, and beside it the figures of every round.
    pub fn write(&self, path: &Path) -> Outcome<PathBuf> {
        let beside = path.with_extension("json");
        write(path, &self.markdown())?;
        let json = serde_json::to_string_pretty(self).map_err(std::io::Error::other);
        write(&beside, &json.to("cannot write the figures as JSON")?)?;
        Ok(beside)
    }
}

/// Writes a file, and the folders that it is in.
pub fn write(path: &Path, text: &str) -> Outcome<()> {
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    folder.and_then(|()| std::fs::write(path, text)).to(format!("cannot write {}", path.display()))
}

impl Conditions {
    fn markdown(&self) -> String {
        let Self {
            machine,
            effort,
            quick,
            workers,
            request_bytes,
            answer_bytes,
            cerbos_request_bytes,
            others_per_cent,
        } = self;
        let Machine { cores, cpu, kernel, rustc, profile } = machine;
        let Effort { rounds, settle_s, measured_s, policies_reload: _, policies_many: _ } = effort;
        let workers = workers.map_or(format!("{cores}, one a core"), |workers| workers.to_string());
        let answer = answer_bytes.map_or("unknown".to_owned(), |bytes| bytes.to_string());
        let mut text = String::new();
        if *quick {
            text.push_str("**`--quick`: this shows that the benchmark works, and no figure counts.**\n\n");
        }
        let _ = write!(
            text,
            "{cores} cores shared by client and server, {cpu}, Linux {kernel}, {rustc}, {profile}.\n\
             {rounds} rounds; in each both sides in turn, {settle_s} s unrecorded and {measured_s} s recorded. \
             Worker threads of a server: {workers}.\n\
             Request {request_bytes} bytes, answer {answer} bytes of protobuf (Cerbos's request \
             {cerbos_request_bytes}). Audit on.\n\
             Other processes used {:.0} % of the processors meanwhile.\n\n",
            others_per_cent.unwrap_or(f64::NAN),
        );
        text
    }
}

impl Line {
    fn markdown(&self) -> String {
        let scenario = format!("{:?}", self.scenario).to_lowercase();
        match &self.content {
            Content::Failed { conditions, reason } => {
                format!("| {scenario} | {conditions} | **failed** | {} | | | | | | |\n", cell(reason))
            }
            Content::Figure { row, verdict } => {
                let Row {
                    conditions,
                    figure,
                    unit,
                    subject,
                    values,
                    against,
                    against_values,
                    ratios,
                    stolen,
                    budget,
                } = row;
                let theirs = match against {
                    Some(_) => unit.text(median(against_values)),
                    None => String::new(),
                };
                let mut ratio = spread(ratios, |ratio| format!("{ratio:.2}"));
                ratio.extend(disturbed(stolen).map(|words| format!("; {words}")));
                let budget = budget.map_or(String::new(), |budget| match budget.bound {
                    Bound::RatioAtMost(most) => format!("{} ratio ≤ {most}", budget.name),
                    Bound::RatioAtLeast(least) => format!("{} ratio ≥ {least}", budget.name),
                    Bound::AtMost(most) => format!("{} ≤ {}", budget.name, unit.text(most)),
                    Bound::AtLeast(least) => format!("{} ≥ {}", budget.name, unit.text(least)),
                });
                format!(
                    "| {scenario} | {conditions} | {figure} | {subject} | {} | {} | {theirs} | {} | {budget} | {} |\n",
                    spread(values, |value| unit.text(value)),
                    against.unwrap_or_default(),
                    ratio,
                    verdict.map_or(String::new(), Verdict::text),
                )
            }
        }
    }
}

/// The median, and the least and the most when there are several.
fn spread(values: &[f64], text: impl Fn(f64) -> String) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match values {
        [] => String::new(),
        [one] => text(*one),
        _ => format!("{} ({}–{})", text(median(values)), text(least), text(most)),
    }
}

/// Text that does not break a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
