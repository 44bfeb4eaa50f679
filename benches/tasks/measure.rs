//! Two things that are measured in turn, and times that are kept.
//! Never a mean over the whole run: what the machine does to one turn it does to its neighbour.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// The medians of two things in microseconds, and the median of how much more the second takes than the first.
#[expect(clippy::struct_field_names, reason = "units come last")]
pub struct Beside {
    pub first_us: f64,
    pub second_us: f64,
    pub more_us: f64,
}

/// Does both in turn, in blocks.
pub fn beside(rounds: usize, block: u32, mut first: impl FnMut(), mut second: impl FnMut()) -> Beside {
    // Nobody is the first to warm the caches.
    let _warm = (each_us(block, &mut first), each_us(block, &mut second));
    let (mut firsts, mut seconds, mut mores) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let (one, other) = if round % 2 == 0 {
            let one = each_us(block, &mut first);
            (one, each_us(block, &mut second))
        } else {
            let other = each_us(block, &mut second);
            (each_us(block, &mut first), other)
        };
        firsts.push(one);
        seconds.push(other);
        mores.push(other - one);
    }
    Beside { first_us: median(firsts), second_us: median(seconds), more_us: median(mores) }
}

fn each_us(times: u32, once: &mut impl FnMut()) -> f64 {
    let began = Instant::now();
    for _ in 0..times {
        once();
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(times)
}

/// The value in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Times, to three digits.
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        // Up to ten minutes, in nanoseconds.
        Self(Histogram::new_with_max(600_000_000_000, 3).expect("three digits"))
    }
}

impl Times {
    /// One more.
    pub fn add(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Those of another, too.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("the same digits");
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// A quantile in microseconds.
    pub fn us(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1000.0
    }
}
