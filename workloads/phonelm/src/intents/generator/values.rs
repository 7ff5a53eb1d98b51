//! What parameters' values are, and what is said for them.

use assay_kit::Draws;

use super::super::families::{Slot, Values};
use super::super::schema::Value;
use super::super::times::{NUMBERS, time};
use super::{Generator, Split, words};

/// Words of a made-up value at most.
pub(super) const MADE_UP: usize = 3;

impl Generator {
    /// Words of a pool: in held-out requests half are those that no training
    /// saw. In training half of the values of such a pool are made up: few
    /// names are soon known by heart, and who knows them need not read.
    fn of_pool(&self, draws: &mut Draws, pool: &str, split: Split) -> String {
        let Some(pool) = self.families.pools.get(pool) else {
            return String::new();
        };
        let new = !pool.held_out.is_empty() && draws.chance(1, 2);
        if new && split == Split::Training {
            return self.made_up(draws);
        }
        let from = if new { &pool.held_out } else { &pool.train };
        match draws.pick(from) {
            Some(template) => template.words(draws),
            None => String::new(),
        }
    }

    /// Up to [`MADE_UP`] words that mean nothing together: some that training
    /// knows, some that nobody does.
    fn made_up(&self, draws: &mut Draws) -> String {
        let words: Vec<String> = (0..1 + draws.below(MADE_UP))
            .map(|_| {
                let known = draws.chance(1, 2);
                let word = if known { self.known_word(draws) } else { None };
                word.unwrap_or_else(|| self.unknown_word(draws))
            })
            .collect();
        words.join(" ")
    }

    /// A word of a value of training.
    pub(super) fn known_word(&self, draws: &mut Draws) -> Option<String> {
        let pools: Vec<_> = self.families.pools.values().collect();
        let pool = *draws.pick(&pools)?;
        let value = draws.pick(&pool.train)?.words(draws);
        draws.pick(&words(&value)).cloned()
    }

    /// A word that stands nowhere in the file: of training it would not be
    /// new, and of the held-out words it must not be.
    fn unknown_word(&self, draws: &mut Draws) -> String {
        loop {
            let word = syllables(draws);
            if !self.known.contains(&word) {
                return word;
            }
        }
    }

    /// A value, and what is said for it.
    pub(super) fn value(
        &self,
        draws: &mut Draws,
        slot: &Slot,
        split: Split,
    ) -> (Value, String) {
        match &slot.values {
            Values::Pool { pool } => {
                let words = self.of_pool(draws, pool, split);
                (Value::Text(words.clone()), words)
            }
            Values::List { pool } => {
                // One drawn twice counts once.
                let count = 1 + draws.below(3);
                let mut items: Vec<String> = Vec::new();
                for _ in 0..count {
                    let item = self.of_pool(draws, pool, split);
                    if !items.contains(&item) {
                        items.push(item);
                    }
                }
                let spoken = match items.split_last() {
                    Some((last, before)) if !before.is_empty() => {
                        format!("{} and {last}", before.join(" , "))
                    }
                    _ => items.join(""),
                };
                (Value::Items(items), spoken)
            }
            Values::Integer { low, high } => {
                let range = usize::try_from(high - low).unwrap_or(0) + 1;
                let number = low + draws.below(range) as i64;
                let word = usize::try_from(number)
                    .ok()
                    .and_then(|n| NUMBERS.get(n))
                    .filter(|_| draws.chance(1, 4));
                let spoken =
                    word.map_or(number.to_string(), |w| (*w).to_owned());
                (Value::Integer(number), spoken)
            }
            Values::Digits { count } => {
                let digit = |place| if place == 0 { 9 } else { 10 };
                let digits: String = (0..*count)
                    .map(|place| 10 - digit(place) + draws.below(digit(place)))
                    .map(|digit| digit.to_string())
                    .collect();
                (Value::Text(digits.clone()), digits)
            }
            Values::Time => {
                let (time, spoken) = time(draws);
                (Value::Text(time), spoken)
            }
            Values::Choice { options } => {
                let option = draws.pick(options).cloned().unwrap_or_default();
                (Value::Text(option.clone()), option)
            }
            Values::Boolean { .. } => {
                let truth = draws.chance(1, 2);
                let said = draws.pick(&slot.spoken[usize::from(truth)]);
                let said = said.map(|template| template.words(draws));
                (Value::Boolean(truth), said.unwrap_or_default())
            }
        }
    }
}

/// A word of one to three syllables, with a consonant behind them half of the
/// time.
fn syllables(draws: &mut Draws) -> String {
    const CONSONANTS: [char; 20] = [
        'b', 'c', 'd', 'f', 'g', 'h', 'j', 'k', 'l', 'm', 'n', 'p', 'q', 'r',
        's', 't', 'v', 'w', 'x', 'z',
    ];
    const VOWELS: [char; 6] = ['a', 'e', 'i', 'o', 'u', 'y'];
    let mut word = String::new();
    for _ in 0..1 + draws.below(3) {
        word.extend(draws.pick(&CONSONANTS));
        word.extend(draws.pick(&VOWELS));
    }
    if draws.chance(1, 2) {
        word.extend(draws.pick(&CONSONANTS));
    }
    word
}
