//! Dice that fall the same way each time: whatever is made from one seed can be made again, so that a part of a
//! world can be left out while the others stay as they were.

/// A stream of numbers from a seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number: a Weyl sequence, mixed.
    pub(super) fn seed(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn seeds(&mut self, count: usize) -> Vec<u64> {
        (0..count).map(|_| self.seed()).collect()
    }

    /// A number below `end`, each as likely as any other.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.seed() % u64::try_from(end).unwrap()).unwrap()
    }

    pub(super) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.seed() % 100 < percent
    }

    /// One of `all`, each as likely as any other.
    pub(super) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// One of `all`, the first ones much likelier than the last: what is picked twice is often the same.
    pub(super) fn favour<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let first = self.below(all.len());
        &all[first.min(self.below(all.len()))]
    }

    /// The same, the first ones likelier still.
    pub(super) fn prefer<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let first = self.below(all.len()).min(self.below(all.len()));
        &all[first.min(self.below(all.len()))]
    }

    /// One of `all` by its weight.
    pub(super) fn weigh<T: Copy>(&mut self, all: &[(usize, T)]) -> T {
        let mut left = self.below(all.iter().map(|(weight, _)| weight).sum());
        for (weight, one) in all {
            if left < *weight {
                return *one;
            }
            left -= weight;
        }
        unreachable!("below the sum of the weights")
    }
}
