//! What is known of tokens that were verified, each by its exact bytes, within bounds.
//! Never by a digest: making one takes longer than all else that a known token costs.

use std::sync::Arc;

use foldhash::quality::RandomState;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::Token;

/// A token of up to this many bytes counts as one; a longer one counts by its length.
const BYTES_OF_ONE: usize = 2048;

/// What is known of tokens that were verified: only what a signature vouches for may be put in. So a fast hash with a seed will do:
/// what anybody else sends is looked up, and never added.
pub(crate) struct Seen<K>(Cache<Token, Arc<K>, Lengths, RandomState>);

#[derive(Clone)]
struct Lengths;

impl<K> Weighter<Token, Arc<K>> for Lengths {
    fn weight(&self, token: &Token, _known: &Arc<K>) -> u64 {
        token.expose().len().max(BYTES_OF_ONE) as u64
    }
}

impl<K> Seen<K> {
    /// Room for so many tokens of up to two kibibytes.
    pub fn new(tokens_max: usize) -> Self {
        let bytes_max = tokens_max.saturating_mul(BYTES_OF_ONE) as u64;
        Self(Cache::with(tokens_max, bytes_max, Lengths, RandomState::default(), DefaultLifecycle::default()))
    }

    /// What is known of this very token.
    pub fn get(&self, token: &Token) -> Option<Arc<K>> {
        self.0.get(token)
    }

    /// Remembers what was found out about a token, where there is room for it: a long one may need a second try.
    pub fn insert(&self, token: &Token, known: Arc<K>) {
        self.0.insert(token.clone(), known);
    }

    /// Forgets one.
    pub fn remove(&self, token: &Token) {
        self.0.remove(token);
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.0.clear();
    }

    /// Of how many tokens something is known.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_all_of_its_bytes() {
        let seen = Seen::new(100);
        let text = "a".repeat(1000);
        seen.insert(&Token::new(&*text), Arc::new(1));
        assert_eq!(seen.get(&Token::new(&*text)).as_deref(), Some(&1));
        for place in [0, 500, 999] {
            let mut other = text.clone();
            other.replace_range(place..=place, "b");
            assert_eq!(seen.get(&Token::new(other)), None, "{place}");
        }
        assert_eq!(seen.get(&Token::new(&text[1..])), None);
        seen.clear();
        assert_eq!(seen.get(&Token::new(text)), None);
    }

    #[test]
    fn long_tokens_take_room_by_their_length() {
        let (short, long) = (Seen::new(1000), Seen::new(1000));
        for number in 0..5000 {
            short.insert(&Token::new(format!("{number}.{}", "s".repeat(1000))), Arc::new(number));
            long.insert(&Token::new(format!("{number}.{}", "l".repeat(15_000))), Arc::new(number));
        }
        assert!((950..=1000).contains(&short.len()), "{}", short.len());
        assert!((100..=140).contains(&long.len()), "{}", long.len());
    }
}
