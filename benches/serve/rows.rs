//! The rows of the result: figures of both sides round by round, and the ratio of each round.
//! Never a ratio of two medians: what drifts between rounds would be in it.

use serde::Serialize;

use crate::tally::Slot;

/// What a figure is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// µs
    Microseconds,
    /// ms
    Milliseconds,
    /// per second
    PerSecond,
    /// MiB
    Mebibytes,
    /// A plain number.
    Count,
}

impl Unit {
    /// A figure with its unit.
    pub fn text(self, value: f64) -> String {
        let digits = usize::from(value.abs() < 10.0);
        match self {
            Self::Microseconds => format!("{value:.digits$} µs"),
            Self::Milliseconds => format!("{value:.1} ms"),
            Self::PerSecond => format!("{value:.0}/s"),
            Self::Mebibytes => format!("{value:.1} MiB"),
            Self::Count => format!("{value:.0}"),
        }
    }
}

/// What a figure is held against.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Budget {
    /// Its name.
    pub name: &'static str,
    /// What is bounded.
    pub bound: Bound,
}

/// What is bounded, and by what.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The ratio is at most this.
    RatioAtMost(f64),
    /// The ratio is at least this.
    RatioAtLeast(f64),
    /// The figure is at most this, in its unit.
    AtMost(f64),
    /// The figure is at least this, in its unit.
    AtLeast(f64),
}

/// One figure of one side, and of the other side if there is one.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Under which conditions.
    pub conditions: String,
    /// What was measured.
    pub figure: &'static str,
    /// In what it is counted.
    pub unit: Unit,
    /// Whose figure it is.
    pub subject: &'static str,
    /// One figure a round.
    pub values: Vec<f64>,
    /// What it is compared with.
    pub against: Option<&'static str>,
    /// One figure a round.
    pub against_values: Vec<f64>,
    /// One ratio a round.
    pub ratios: Vec<f64>,
    /// Which share of the processors' time a hypervisor gave to others, of both sides' turns; one figure a round, where
    /// there are two sides.
    pub stolen: Vec<f64>,
    /// What it is held against.
    pub budget: Option<Budget>,
}

impl Row {
    /// A figure with nothing to compare it with.
    pub fn alone(
        subject: &'static str,
        conditions: impl Into<String>,
        figure: &'static str,
        unit: Unit,
        values: Vec<f64>,
    ) -> Self {
        Self {
            conditions: conditions.into(),
            figure,
            unit,
            subject,
            values,
            against: None,
            against_values: vec![],
            ratios: vec![],
            stolen: vec![],
            budget: None,
        }
    }

    /// Compares it, round by round.
    pub fn against(mut self, name: &'static str, values: Vec<f64>) -> Self {
        self.ratios = self.values.iter().zip(&values).map(|(ours, theirs)| ours / theirs).collect();
        self.against = Some(name);
        self.against_values = values;
        self
    }

    /// Holds it against a budget.
    pub fn within(mut self, name: &'static str, bound: Bound) -> Self {
        self.budget = Some(Budget { name, bound });
        self
    }

    /// Whether the median meets the budget, and how many of the single figures do; none without a budget.
    pub fn verdict(&self) -> Option<Verdict> {
        let bound = self.budget?.bound;
        let figures = match bound {
            Bound::RatioAtMost(_) | Bound::RatioAtLeast(_) => &self.ratios,
            Bound::AtMost(_) | Bound::AtLeast(_) => &self.values,
        };
        let within = |figure: f64| match bound {
            Bound::RatioAtMost(most) | Bound::AtMost(most) => figure <= most,
            Bound::RatioAtLeast(least) | Bound::AtLeast(least) => figure >= least,
        };
        let meeting = figures.iter().filter(|figure| within(**figure)).count();
        Some(Verdict { met: within(median(figures)), meeting, figures: figures.len() })
    }
}

/// How a row stands to its budget.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Verdict {
    /// Whether the median meets it.
    pub met: bool,
    /// How many single figures meet it.
    pub meeting: usize,
    /// Of how many.
    pub figures: usize,
}

impl Verdict {
    /// In words; when the figures disagree, how many of them meet the budget.
    pub fn text(self) -> String {
        let Self { met, meeting, figures } = self;
        let word = if met { "met" } else { "**missed**" };
        if meeting == 0 || meeting == figures {
            return word.to_owned();
        }
        format!("{word} ({meeting} of {figures} meet it)")
    }
}

/// Both sides, round by round.
pub struct Pair {
    /// The side that is named first.
    pub ours: Vec<Slot>,
    /// The other.
    pub theirs: Vec<Slot>,
    /// What a hypervisor took away meanwhile.
    pub stolen: Vec<f64>,
}

impl Pair {
    /// One figure of both.
    pub fn row(
        &self,
        names: [&'static str; 2],
        conditions: &str,
        figure: &'static str,
        unit: Unit,
        of: fn(&Slot) -> f64,
    ) -> Row {
        let [ours, theirs] = [&self.ours, &self.theirs].map(|slots| slots.iter().map(of).collect());
        let [name, other] = names;
        let row = Row::alone(name, conditions, figure, unit, ours).against(other, theirs);
        Row { stolen: self.stolen.clone(), ..row }
    }

    /// The usual four: p50, p99, answers a second, processor time for a call.
    pub fn rows(&self, names: [&'static str; 2], conditions: &str) -> [Row; 4] {
        [
            self.row(names, conditions, "p50", Unit::Microseconds, |slot| slot.p50_us),
            self.row(names, conditions, "p99", Unit::Microseconds, |slot| slot.p99_us),
            self.row(names, conditions, "answers", Unit::PerSecond, |slot| slot.per_second),
            self.row(names, conditions, "CPU per call", Unit::Microseconds, |slot| slot.cpu_us),
        ]
    }
}

/// The one in the middle; the mean of the two in the middle; NaN of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 { at(middle) } else { f64::midpoint(at(middle.wrapping_sub(1)), at(middle)) }
}
