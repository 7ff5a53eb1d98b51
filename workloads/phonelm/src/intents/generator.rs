//! Seeded requests with the right call, after DroidCall (facts, section 6.6).
//!
//! A prompt offers a few tools; a request asks for one of them in a drawn
//! wording. A tool has one sheet, as DroidCall's functions have: the first
//! name of everything in the file, in the file's order. Half of the prompts of
//! training offer tools under other names, some of which mean nothing, and with
//! their parameters in another order, so that sheets are read and not learned
//! by heart: of tools that no training sees the sheet is all there is.
//! Held-out requests have the tools as they are, and stand apart from training
//! in three ways: some ask for tools that no training sees, half of the values
//! of open parameters (names, places, texts) are phrases that no request of
//! training has, and training draws that are near-duplicates of a held-out
//! request of the same family (ROUGE-L of 0.75 or more, DroidCall's bound) are
//! drawn again.

mod values;

use std::collections::{BTreeMap, BTreeSet};

use assay_kit::Draws;

use super::families::{Families, Family, Span, Template, Values};
use super::schema::{Kind, Parameter, Tool, ToolCall};
use super::times::{NUMBERS, TIME_WORDS};
use crate::PhoneLmError;

/// ROUGE-L from which two requests are near-duplicates.
const NEAR: f64 = 0.75;

/// Draws in a row without a new request after which it is given up.
const ATTEMPTS: u64 = 400;

/// One in so many held-out requests asks for a tool that no training saw.
const UNSEEN: usize = 5;

/// Streams of a seed: held-out requests, then those of training.
const TEST_STREAMS: u64 = 1 << 40;

/// A request with the right call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Example {
    /// Tools that the prompt offers.
    pub(crate) tools: Vec<Tool>,
    /// Which of them is asked for.
    pub(crate) right: usize,
    /// What is asked.
    pub(crate) request: String,
    /// The right answer.
    pub(crate) call: ToolCall,
    /// Family of the tool, by place.
    pub(crate) family: usize,
    /// Whether training sees the tool.
    pub(crate) is_seen: bool,
}

/// Which requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    /// Of training: its tools, its words.
    Training,
    /// Held out, of tools that training sees.
    Seen,
    /// Held out, of tools that it does not see.
    Unseen,
}

/// Draws requests.
#[derive(Clone, Debug)]
pub(crate) struct Generator {
    families: Families,
    /// All words that a request or a sheet may have, held-out ones too.
    known: BTreeSet<String>,
    /// Tools that a prompt offers.
    offered: usize,
}

/// Held-out requests.
#[derive(Clone, Debug)]
pub(crate) struct HeldOut {
    /// In the order in which they were drawn.
    pub(crate) examples: Vec<Example>,
    /// Words of the requests, by family.
    words: BTreeMap<usize, Vec<Vec<String>>>,
}

/// ROUGE-L of two texts: the harmonic mean of the shares that their longest
/// common subsequence of words has of each (Lin, 2004).
pub(crate) fn rouge_l(a: &[String], b: &[String]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return 0.0;
    }
    // One row of the table: common words of a's start and b's first `j`.
    let mut row = vec![0_usize; b.len() + 1];
    for word in a {
        let mut diagonal = 0;
        for (j, other) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] =
                if word == other { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    2.0 * row[b.len()] as f64 / (a.len() + b.len()) as f64
}

/// The words of a request.
fn words(request: &str) -> Vec<String> {
    request.split_whitespace().map(str::to_owned).collect()
}

impl HeldOut {
    /// Whether a request is a near-duplicate of one that is held out.
    fn is_near(&self, family: usize, request: &[String]) -> bool {
        let own = self.words.get(&family);
        own.is_some_and(|all| {
            all.iter().any(|other| rouge_l(other, request) >= NEAR)
        })
    }

    fn push(&mut self, example: Example, words: Vec<String>) {
        self.words.entry(example.family).or_default().push(words);
        self.examples.push(example);
    }
}

/// Half of all requests have something said before, and as many behind.
fn aside(draws: &mut Draws, from: &[Template], spans: &mut Vec<Span>) {
    if draws.chance(1, 2)
        && let Some(template) = draws.pick(from)
    {
        template.draw(draws, spans);
    }
}

impl Generator {
    /// Draws prompts that offer so many tools.
    ///
    /// # Errors
    /// More tools than training has, or none; a mistake in the embedded file.
    pub(crate) fn new(offered: usize) -> Result<Self, PhoneLmError> {
        let families = Families::embedded()?;
        let known = families.families.iter().filter(|one| !one.held_out);
        let most = known.count();
        if !(1..=most).contains(&offered) {
            return Err(PhoneLmError::Axis {
                axis: "offered",
                found: offered.to_string(),
                expected: format!("a whole number from 1 to {most}"),
            });
        }
        let known = families.words();
        Ok(Self { families, known, offered })
    }

    /// All texts that training may see, but for the words of open pools:
    /// those of the language's own vocabulary.
    pub(crate) fn texts(&self) -> Vec<String> {
        let mut texts = self.families.training_texts();
        texts.extend(NUMBERS.map(str::to_owned));
        texts.push(TIME_WORDS.to_owned());
        texts
    }

    /// So many held-out requests of a seed; no two of them are
    /// near-duplicates. Every seed has its own, so that repetitions of a
    /// study are judged on requests that are independent.
    ///
    /// # Errors
    /// More than the wordings give.
    pub(crate) fn held_out(
        &self,
        seed: u64,
        count: usize,
    ) -> Result<HeldOut, PhoneLmError> {
        let mut held = HeldOut { examples: Vec::new(), words: BTreeMap::new() };
        let (mut attempt, mut in_vain) = (0, 0);
        while held.examples.len() < count && in_vain < ATTEMPTS {
            let found = held.examples.len();
            let last = (found + 1).is_multiple_of(UNSEEN);
            let split = if last { Split::Unseen } else { Split::Seen };
            let draws = &mut Draws::new(seed, TEST_STREAMS + attempt);
            let example = self.draw(draws, split);
            let words = words(&example.request);
            attempt += 1;
            in_vain += 1;
            if !held.is_near(example.family, &words) {
                held.push(example, words);
                in_vain = 0;
            }
        }
        let found = held.examples.len();
        if found < count {
            return Err(PhoneLmError::Axis {
                axis: "tested",
                found: count.to_string(),
                expected: format!(
                    "at most {found}: no more wordings that are no \
                     near-duplicates of each other were found"
                ),
            });
        }
        Ok(held)
    }

    /// The request number `index` of a seed's training.
    ///
    /// # Errors
    /// The held-out requests leave nothing to train on.
    pub(crate) fn training(
        &self,
        seed: u64,
        index: u64,
        held: &HeldOut,
    ) -> Result<Example, PhoneLmError> {
        let draws = &mut Draws::new(seed, index);
        for _ in 0..ATTEMPTS {
            let example = self.draw(draws, Split::Training);
            if !held.is_near(example.family, &words(&example.request)) {
                return Ok(example);
            }
        }
        Err(PhoneLmError::Data(format!(
            "{ATTEMPTS} requests drawn for training are all near-duplicates \
             of the {} that are held out; hold out fewer",
            held.examples.len()
        )))
    }

    fn draw(&self, draws: &mut Draws, split: Split) -> Example {
        let all = self.families.families.iter().enumerate();
        let (unseen, seen): (Vec<_>, Vec<_>) =
            all.partition(|(_, family)| family.held_out);
        let asked = if split == Split::Unseen { &unseen } else { &seen };
        // The file has tools of both kinds: `new` has counted them.
        let Some(&(family, of)) = draws.pick(asked) else {
            unreachable!("a file of tools has some")
        };
        let mut others: Vec<&Family> = seen
            .iter()
            .chain(if split == Split::Unseen { &unseen[..] } else { &[] })
            .filter(|(other, _)| *other != family)
            .map(|(_, other)| *other)
            .collect();
        draws.shuffle(&mut others);
        others.truncate(self.offered - 1);
        let right = draws.below(others.len() + 1);
        let renamed = split == Split::Training && draws.chance(1, 2);
        others.insert(right, of);
        let mut sheets = |renamed| -> Vec<(Tool, Vec<String>)> {
            let all = others.iter();
            all.map(|tool| self.sheet(draws, tool, renamed)).collect()
        };
        let mut offered = sheets(renamed);
        // Names that were drawn may be the same; a tool's own are not.
        let names: BTreeSet<&str> =
            offered.iter().map(|(tool, _)| tool.name.as_str()).collect();
        if names.len() < offered.len() {
            offered = sheets(false);
        }
        let slots = offered[right].1.clone();
        let tools: Vec<Tool> =
            offered.into_iter().map(|(tool, _)| tool).collect();

        let mut spans = Vec::new();
        aside(draws, &self.families.front, &mut spans);
        if let Some(phrasing) = draws.pick(&of.phrasings) {
            phrasing.draw(draws, &mut spans);
        }
        aside(draws, &self.families.back, &mut spans);
        let mut arguments = BTreeMap::new();
        let mut said = Vec::new();
        for span in spans {
            let slot = match span {
                Span::Words(words) => {
                    said.push(words);
                    continue;
                }
                Span::Slot(slot) => slot,
            };
            // `Families` has checked that every slot is a parameter.
            let mut pairs = of.slots.iter().zip(&slots);
            let found = pairs.find(|(own, _)| own.slot == slot);
            let Some((own, name)) = found else { continue };
            let (value, spoken) = self.value(draws, own, split);
            arguments.insert(name.clone(), value);
            said.push(spoken);
        }
        let name = tools[right].name.clone();
        Example {
            right,
            call: ToolCall { name, arguments },
            request: said.join(" "),
            family,
            is_seen: split != Split::Unseen,
            tools,
        }
    }

    /// A family's tool, or the tool under drawn names and its parameters in a
    /// drawn order; and the names of its parameters in the family's order.
    fn sheet(
        &self,
        draws: &mut Draws,
        family: &Family,
        renamed: bool,
    ) -> (Tool, Vec<String>) {
        let mut pick = |names: &[String]| {
            let name = if renamed { draws.pick(names) } else { names.first() };
            name.cloned().unwrap_or_default()
        };
        let mut name = pick(&family.names);
        let mut names: Vec<String> = Vec::new();
        for slot in &family.slots {
            // Two parameters of a tool may share a name's word: the first in the
            // list is its own.
            let drawn = pick(&slot.names);
            let free = |name: &String| !names.contains(name);
            let name = Some(drawn).filter(free);
            let own = || slot.names.iter().find(|name| free(name)).cloned();
            let name = name.or_else(own).unwrap_or_else(|| slot.slot.clone());
            names.push(name);
        }
        let mut parameters: Vec<Parameter> = family
            .slots
            .iter()
            .zip(&names)
            .map(|(slot, name)| Parameter {
                name: name.clone(),
                kind: match &slot.values {
                    Values::Pool { .. } | Values::Digits { .. } => Kind::String,
                    Values::List { .. } => Kind::List,
                    Values::Integer { .. } => Kind::Integer,
                    Values::Time => Kind::Time,
                    Values::Choice { options } => Kind::Choice(options.clone()),
                    Values::Boolean { .. } => Kind::Boolean,
                },
                required: slot.required,
            })
            .collect();
        if renamed {
            draws.shuffle(&mut parameters);
            // A name that nobody could know: all but its last word is another.
            if draws.chance(1, 2)
                && let Some((_, last)) = name.rsplit_once('_')
                && let Some(word) = self.known_word(draws)
            {
                name = format!("{word}_{last}");
            }
        }
        (Tool { name, parameters }, names)
    }
}

#[cfg(test)]
mod tests {
    use super::values::MADE_UP;
    use super::*;
    use crate::intents::language::Language;

    fn generator() -> Generator {
        Generator::new(4).unwrap()
    }

    #[test]
    fn rouge_l_is_the_share_of_a_common_subsequence() {
        let of = |a: &str, b: &str| rouge_l(&words(a), &words(b));
        assert_eq!(of("a b c d", "a b c d"), 1.0);
        assert_eq!(of("a b c d", "a x c y"), 0.5);
        assert_eq!(of("a b", "b a"), 0.5);
        assert_eq!(of("a b c", "a b c d e"), 0.75);
        assert_eq!(of("a", "b"), 0.0);
        assert_eq!(of("", "b"), 0.0);
    }

    #[test]
    fn held_out_requests_are_apart_from_each_other_and_from_training() {
        let generator = generator();
        let held = generator.held_out(1, 200).unwrap();
        assert_eq!(held.examples.len(), 200);
        let unseen = held.examples.iter().filter(|one| !one.is_seen).count();
        assert_eq!(unseen, 40);
        let all: Vec<_> =
            held.examples.iter().map(|e| words(&e.request)).collect();
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate().skip(i + 1) {
                let same = held.examples[i].family == held.examples[j].family;
                assert!(!same || rouge_l(a, b) < NEAR, "{a:?} {b:?}");
            }
        }
        let mut families = std::collections::BTreeSet::new();
        for index in 0..400 {
            let example = generator.training(1, index, &held).unwrap();
            assert!(example.is_seen);
            let own = words(&example.request);
            assert!(!held.is_near(example.family, &own));
            families.insert(example.family);
        }
        // Every family is still trained on.
        assert_eq!(families.len(), 23);
    }

    #[test]
    fn no_request_of_training_has_a_held_out_value() {
        let generator = generator();
        let held = generator.held_out(1, 10).unwrap();
        let requests: Vec<String> = (0..3_000)
            .map(|index| generator.training(1, index, &held).unwrap())
            .map(|example| format!(" {} ", example.request))
            .collect();
        let trained: BTreeSet<String> =
            requests.iter().flat_map(|request| words(request)).collect();
        let mut values = BTreeSet::new();
        for pool in generator.families.pools.values() {
            for template in &pool.held_out {
                let draw = |stream| template.words(&mut Draws::new(1, stream));
                values.extend((0..20).map(draw));
            }
        }
        assert!(values.len() > 50);
        for value in values {
            let phrase = format!(" {value} ");
            let seen = requests.iter().any(|one| one.contains(&phrase));
            assert!(!seen, "`{value}`");
            // What is as short as a made-up value must not be one by chance.
            let own = words(&value);
            let new = own.iter().any(|word| !trained.contains(word));
            assert!(new || own.len() > MADE_UP, "`{value}`");
        }
    }

    #[test]
    fn no_prompt_offers_two_tools_of_one_name() {
        let generator = generator();
        let held = generator.held_out(1, 10).unwrap();
        for index in 0..2_000 {
            let example = generator.training(2, index, &held).unwrap();
            let names: BTreeSet<&str> =
                example.tools.iter().map(|tool| tool.name.as_str()).collect();
            assert_eq!(names.len(), example.tools.len(), "{names:?}");
        }
    }

    #[test]
    fn held_out_tools_are_as_they_are_and_training_renames_some() {
        let generator = generator();
        let held = generator.held_out(1, 60).unwrap();
        let families = &generator.families.families;
        let own = |example: &Example| {
            let tool = &example.tools[example.right];
            let family = &families[example.family];
            let first = |names: &[String]| names[0].clone();
            let names: Vec<String> =
                family.slots.iter().map(|slot| first(&slot.names)).collect();
            tool.name == first(&family.names)
                && tool.parameters.iter().map(|p| &p.name).eq(&names)
        };
        assert!(held.examples.iter().all(own));
        let renamed = (0..400)
            .map(|index| generator.training(1, index, &held).unwrap())
            .filter(|example| !own(example))
            .count();
        // Half are drawn anew, and a few of those come out the same.
        assert!((150..210).contains(&renamed), "{renamed}");
    }

    #[test]
    fn every_call_is_one_of_an_offered_tool_and_reads_back() {
        let generator = generator();
        let texts = generator.texts();
        let language = Language::new(&texts, "").unwrap();
        let held = generator.held_out(1, 60).unwrap();
        let training = (0..200).map(|i| generator.training(3, i, &held));
        let examples = held.examples.iter().cloned();
        for example in examples.chain(training.map(Result::unwrap)) {
            assert_eq!(example.tools.len(), 4);
            for tool in &example.tools {
                tool.check().unwrap();
            }
            let tool = &example.tools[example.right];
            let tokens = language.call(tool, &example.call);
            let text = language.render(&tokens);
            let read = ToolCall::from_text(text.trim(), &example.tools);
            assert_eq!(read.as_ref(), Ok(&example.call), "{text}");
            // Nothing is said that the language cannot write.
            let back = language.render(&language.tokens(&example.request));
            let same = |text: &str| text.replace([' ', ',', ':'], "");
            assert_eq!(same(&back), same(&example.request));
        }
    }

    #[test]
    fn a_request_is_the_same_when_it_is_drawn_again() {
        let generator = generator();
        let held = generator.held_out(1, 10).unwrap();
        let draw = |seed, index| generator.training(seed, index, &held);
        assert_eq!(draw(1, 5).unwrap(), draw(1, 5).unwrap());
        assert_ne!(draw(1, 5).unwrap(), draw(1, 6).unwrap());
        assert_ne!(draw(1, 5).unwrap(), draw(2, 5).unwrap());
        let again = generator.held_out(1, 10).unwrap();
        assert_eq!(held.examples, again.examples);
    }

    #[test]
    fn more_than_there_is_is_refused() {
        let error = Generator::new(0).unwrap_err().to_string();
        assert!(error.contains("`offered`"), "{error}");
        assert!(Generator::new(1000).is_err());
    }
}
