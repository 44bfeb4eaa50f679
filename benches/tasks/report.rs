//! What was measured, beside what may be needed.
//! Never a verdict where there is no goal.

use std::fmt::Write as _;

/// A figure.
struct Row {
    what: String,
    goal: String,
    today: String,
    met: Option<bool>,
}

/// All of them, in the order in which they came.
#[derive(Default)]
pub struct Report(Vec<Row>);

impl Report {
    /// A figure that has a goal.
    pub fn held(&mut self, what: impl Into<String>, goal: &str, today: impl Into<String>, met: bool) {
        self.add(Row { what: what.into(), goal: goal.into(), today: today.into(), met: Some(met) });
    }

    /// A figure that has none.
    pub fn told(&mut self, what: impl Into<String>, today: impl Into<String>) {
        self.add(Row { what: what.into(), goal: String::new(), today: today.into(), met: None });
    }

    fn add(&mut self, row: Row) {
        eprintln!("  {}: {}", row.what, row.today);
        self.0.push(row);
    }

    /// The table.
    pub fn markdown(&self) -> String {
        let mut text = String::from("| what | goal | today | |\n|---|--:|--:|---|\n");
        for Row { what, goal, today, met } in &self.0 {
            let verdict = match met {
                Some(true) => "met",
                Some(false) => "**missed**",
                None => "",
            };
            let _ = writeln!(text, "| {what} | {goal} | {today} | {verdict} |");
        }
        text
    }
}
