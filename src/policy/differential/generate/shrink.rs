//! How proptest draws a world, and makes one smaller that went wrong: it leaves parts out, many at once and then
//! each alone, and never draws anew.

use proptest::prelude::any;
use proptest::strategy::{NewTree, Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::World;
use super::dice::Dice;
use super::sketch::{Cut, Sketch};

/// Draws worlds of that many requests.
#[derive(Clone, Debug)]
pub(super) struct Worlds {
    pub(super) requests: usize,
}

/// A world that can be cut.
pub(super) struct Tree {
    pub(super) now: Sketch,
    before: Option<Sketch>,
    /// What is still to be tried, last first.
    cuts: Vec<Cut>,
}

impl Strategy for Worlds {
    type Tree = Tree;
    type Value = World;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let seed = any::<u64>().new_tree(runner)?.current();
        let now = Sketch::new(&mut Dice::new(seed), self.requests);
        let mut cuts = now.cuts();
        cuts.reverse();
        Ok(Tree { now, before: None, cuts })
    }
}

impl ValueTree for Tree {
    type Value = World;

    fn current(&self) -> World {
        self.now.world()
    }

    fn simplify(&mut self) -> bool {
        while let Some(cut) = self.cuts.pop() {
            let mut smaller = self.now.clone();
            if smaller.cut(&cut) {
                self.before = Some(std::mem::replace(&mut self.now, smaller));
                return true;
            }
        }
        self.before = None;
        false
    }

    /// Puts back what was cut last, as it was needed, and cuts the next.
    fn complicate(&mut self) -> bool {
        let Some(before) = self.before.take() else { return false };
        self.now = before;
        self.simplify()
    }
}
