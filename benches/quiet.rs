//! Rounds in which the processors were this machine's own: a hypervisor counts what it gives to other guests meanwhile
//! (`steal` of proc(5)). Never throws a disturbed round away where there is no better one.

/// Which share of the processors' time may be taken away: half of what a 99th percentile looks at.
const STOLEN_MAX: f64 = 0.005;

/// How many rounds are done at most for each that is wanted.
const TRIES: usize = 4;

/// As many rounds as are wanted in which the processors were this machine's own; with the least disturbed of the others,
/// where there are not enough. The quietest come first.
///
/// # Errors
/// That of the first round which has one.
pub fn quietest<T, E>(
    wanted: usize,
    stolen: impl Fn(&T) -> f64,
    mut round: impl FnMut() -> Result<T, E>,
) -> Result<Vec<T>, E> {
    let mut done: Vec<T> = Vec::new();
    let mut quiet = 0;
    while quiet < wanted && done.len() < TRIES * wanted {
        let next = round()?;
        quiet += usize::from(is_quiet(stolen(&next)));
        done.push(next);
    }
    done.sort_by(|one, other| stolen(one).total_cmp(&stolen(other)));
    done.truncate(wanted);
    Ok(done)
}

/// What is to be said of rounds in which such shares were taken away; none when all were quiet.
pub fn disturbed(stolen: &[f64]) -> Option<String> {
    let count = stolen.iter().filter(|stolen| !is_quiet(**stolen)).count();
    let most = 100.0 * stolen.iter().copied().fold(0.0, f64::max);
    let rounds = stolen.len();
    (count > 0).then(|| {
        format!(
            "**disturbed**: {count} of {rounds} rounds had up to {most:.1} % of the processors taken away"
        )
    })
}

fn is_quiet(stolen: f64) -> bool {
    stolen <= STOLEN_MAX
}

/// The time of all processors until an instant, in clock ticks (proc(5), `/proc/stat`).
#[derive(Clone, Copy, Default)]
pub struct Processors {
    all: u64,
    stolen: u64,
}

impl Processors {
    /// Until now. All zero where the system does not tell.
    pub fn now() -> Self {
        let told = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        // user nice system idle iowait irq softirq steal
        let fields = told.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8);
        let ticks: Vec<u64> = fields.filter_map(|ticks| ticks.parse().ok()).collect();
        Self { all: ticks.iter().sum(), stolen: ticks.get(7).copied().unwrap_or_default() }
    }

    /// Which share of the time since then a hypervisor gave to others.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    pub fn stolen_since(self) -> f64 {
        let now = Self::now();
        let all = now.all.saturating_sub(self.all).max(1);
        now.stolen.saturating_sub(self.stolen) as f64 / all as f64
    }
}
