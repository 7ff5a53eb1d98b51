//! The tools' families and wordings, read from `data/intents.toml`.
//!
//! A family is one of Android's intents: a tool under several names, its
//! parameters under several names, and phrasings of requests. A phrasing is
//! a small template: `{slot}` is a parameter's spoken value, `(a|b)` one of
//! several, `[..]` a part that may be left out.

use std::collections::{BTreeMap, BTreeSet};

use assay_kit::Draws;
use assay_schema::TextError;
use serde::Deserialize;

use crate::PhoneLmError;

/// The file's name in messages.
const FILE: &str = "data/intents.toml";

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Words(String),
    Slot(String),
    Choice(Vec<Template>),
    Optional(Template),
}

/// A text with choices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

/// A part of a drawn text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// As it is.
    Words(String),
    /// The spoken value of a parameter.
    Slot(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// A sentence: a bracket that is not closed, or not opened.
    fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text;
        let found = Self::sequence(&mut rest)?;
        match rest.chars().next() {
            None => Ok(found),
            Some(c) => Err(format!("`{text}`: `{c}` closes or parts nothing")),
        }
    }

    /// Reads up to the end, or up to what closes or parts a bracket.
    fn sequence(rest: &mut &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let ends = ['(', ')', '[', ']', '{', '}', '|'];
        loop {
            let end = rest.find(ends).unwrap_or(rest.len());
            let (words, after) = rest.split_at(end);
            if !words.trim().is_empty() {
                parts.push(Part::Words(words.trim().to_owned()));
            }
            *rest = after;
            let inner = after.get(1..).unwrap_or_default();
            match after.chars().next() {
                Some('{') => {
                    let (slot, after) = inner
                        .split_once('}')
                        .ok_or_else(|| format!("`{{{inner}`: no `}}`"))?;
                    parts.push(Part::Slot(slot.to_owned()));
                    *rest = after;
                }
                Some('[') => {
                    *rest = inner;
                    let optional = Self::sequence(rest)?;
                    Self::close(rest, ']')?;
                    parts.push(Part::Optional(optional));
                }
                Some('(') => {
                    *rest = inner;
                    let mut choices = vec![Self::sequence(rest)?];
                    while let Some(after) = rest.strip_prefix('|') {
                        *rest = after;
                        choices.push(Self::sequence(rest)?);
                    }
                    Self::close(rest, ')')?;
                    parts.push(Part::Choice(choices));
                }
                _ => return Ok(Self(parts)),
            }
        }
    }

    fn close(rest: &mut &str, bracket: char) -> Result<(), String> {
        match rest.strip_prefix(bracket) {
            Some(after) => {
                *rest = after;
                Ok(())
            }
            None => Err(format!("`{bracket}` is missing before `{rest}`")),
        }
    }

    /// Draws a text.
    pub(crate) fn draw(&self, draws: &mut Draws, spans: &mut Vec<Span>) {
        for part in &self.0 {
            match part {
                Part::Words(words) => spans.push(Span::Words(words.clone())),
                Part::Slot(slot) => spans.push(Span::Slot(slot.clone())),
                Part::Choice(choices) => {
                    if let Some(choice) = draws.pick(choices) {
                        choice.draw(draws, spans);
                    }
                }
                Part::Optional(template) => {
                    if draws.chance(1, 2) {
                        template.draw(draws, spans);
                    }
                }
            }
        }
    }

    /// Draws a text without slots.
    pub(crate) fn words(&self, draws: &mut Draws) -> String {
        let mut spans = Vec::new();
        self.draw(draws, &mut spans);
        let words: Vec<String> = spans
            .into_iter()
            .map(|span| match span {
                Span::Words(words) | Span::Slot(words) => words,
            })
            .collect();
        words.join(" ")
    }

    /// Calls `see` with every slot and whether it is outside of brackets.
    fn slots(&self, always: bool, see: &mut impl FnMut(&str, bool)) {
        for part in &self.0 {
            match part {
                Part::Words(_) => {}
                Part::Slot(slot) => see(slot, always),
                Part::Choice(choices) => {
                    for choice in choices {
                        choice.slots(false, see);
                    }
                }
                Part::Optional(template) => template.slots(false, see),
            }
        }
    }

    /// Appends all words that a drawn text may have, in order.
    fn vocabulary(&self, texts: &mut Vec<String>) {
        for part in &self.0 {
            match part {
                Part::Words(words) => texts.push(words.clone()),
                Part::Slot(_) => {}
                Part::Choice(choices) => {
                    for choice in choices {
                        choice.vocabulary(texts);
                    }
                }
                Part::Optional(template) => template.vocabulary(texts),
            }
        }
    }
}

/// Where a parameter's values come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Values {
    /// Words of a pool.
    Pool {
        /// Which.
        pool: String,
    },
    /// One to three words of a pool.
    List {
        /// Which.
        pool: String,
    },
    /// A whole number.
    Integer {
        /// The least.
        low: i64,
        /// The greatest.
        high: i64,
    },
    /// So many random digits, as words are.
    Digits {
        /// How many.
        count: usize,
    },
    /// A time of the day.
    Time,
    /// One of these words.
    Choice {
        /// Which.
        options: Vec<String>,
    },
    /// A truth, by what is said of it.
    Boolean {
        /// Said for `true`.
        yes: Vec<String>,
        /// Said for `false`.
        no: Vec<String>,
    },
}

/// A parameter of a family.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    /// In phrasings.
    pub(crate) slot: String,
    /// Names in schemas.
    pub(crate) names: Vec<String>,
    /// Where its values come from.
    pub(crate) values: Values,
    /// Said for `false` and for `true`.
    pub(crate) spoken: [Vec<Template>; 2],
    /// Whether every request gives it.
    pub(crate) required: bool,
}

/// A family of tools.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    /// Whether no training sees it.
    pub(crate) held_out: bool,
    /// Names in schemas.
    pub(crate) names: Vec<String>,
    /// What it takes.
    pub(crate) slots: Vec<Slot>,
    /// How people ask for it.
    pub(crate) phrasings: Vec<Template>,
}

/// Words that values are drawn from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    /// Of training.
    pub(crate) train: Vec<Template>,
    /// Of held-out requests alone.
    pub(crate) held_out: Vec<Template>,
}

/// All families.
#[derive(Clone, Debug)]
pub(crate) struct Families {
    /// Said before a request.
    pub(crate) front: Vec<Template>,
    /// Said behind it.
    pub(crate) back: Vec<Template>,
    /// By name.
    pub(crate) pools: BTreeMap<String, Pool>,
    /// In the file's order.
    pub(crate) families: Vec<Family>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    format_version: u32,
    front: Vec<String>,
    back: Vec<String>,
    pools: BTreeMap<String, PoolText>,
    tools: Vec<FamilyText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PoolText {
    train: Vec<String>,
    held_out: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FamilyText {
    #[serde(default)]
    held_out: bool,
    names: Vec<String>,
    parameters: Vec<SlotText>,
    phrasings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlotText {
    slot: String,
    names: Vec<String>,
    values: Values,
}

fn templates(texts: &[String]) -> Result<Vec<Template>, String> {
    texts.iter().map(|text| Template::parse(text)).collect()
}

impl Slot {
    fn new(
        text: SlotText,
        phrasings: &[Template],
        pools: &BTreeMap<String, Pool>,
    ) -> Result<Self, String> {
        let SlotText { slot, names, values } = text;
        if names.is_empty() {
            return Err(format!("`{slot}` has no `names`"));
        }
        if let Values::Pool { pool } | Values::List { pool } = &values
            && pools.get(pool).is_none_or(|pool| pool.train.is_empty())
        {
            let all = pools.keys().map(String::as_str);
            let nearest = assay_schema::nearest(pool, all);
            return Err(format!(
                "`{slot}`: no pool `{pool}` with words; nearest valid: `{}`",
                nearest.unwrap_or_default()
            ));
        }
        let spoken = match &values {
            Values::Boolean { yes, no } => [templates(no)?, templates(yes)?],
            _ => [Vec::new(), Vec::new()],
        };
        // Required: outside of brackets in every phrasing.
        let required = phrasings.iter().all(|phrasing| {
            let mut found = false;
            phrasing.slots(true, &mut |name: &str, always: bool| {
                found |= always && name == slot;
            });
            found
        });
        Ok(Self { slot, names, values, spoken, required })
    }
}

impl Family {
    fn new(
        text: FamilyText,
        pools: &BTreeMap<String, Pool>,
    ) -> Result<Self, String> {
        let FamilyText { held_out, names, parameters, phrasings } = text;
        let Some(first) = names.first().cloned() else {
            return Err("a tool has no `names`".to_owned());
        };
        let own = |why: String| format!("tool `{first}`: {why}");
        let phrasings = templates(&phrasings).map_err(own)?;
        if phrasings.is_empty() {
            return Err(own("it has no `phrasings`".to_owned()));
        }
        let slots = parameters
            .into_iter()
            .map(|text| Slot::new(text, &phrasings, pools).map_err(own))
            .collect::<Result<Vec<_>, _>>()?;
        let mut unknown = None;
        for phrasing in &phrasings {
            phrasing.slots(true, &mut |name: &str, _: bool| {
                if !slots.iter().any(|slot| slot.slot == name) {
                    unknown = Some(name.to_owned());
                }
            });
        }
        match unknown {
            Some(name) => Err(own(format!("`{{{name}}}` is no parameter"))),
            None => Ok(Self { held_out, names, slots, phrasings }),
        }
    }
}

impl Family {
    /// Appends all texts that a request for it or its sheet may have.
    fn texts(&self, texts: &mut Vec<String>) {
        texts.extend(self.names.iter().cloned());
        for phrasing in &self.phrasings {
            phrasing.vocabulary(texts);
        }
        for slot in &self.slots {
            texts.extend(slot.names.iter().cloned());
            for spoken in slot.spoken.iter().flatten() {
                spoken.vocabulary(texts);
            }
            if let Values::Choice { options } = &slot.values {
                texts.extend(options.iter().cloned());
            }
        }
    }
}

impl Families {
    /// Those of the embedded file.
    ///
    /// # Errors
    /// A mistake in the file: a bug of this crate.
    pub(crate) fn embedded() -> Result<Self, PhoneLmError> {
        Self::from_toml(include_str!("../../data/intents.toml"))
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// Bad TOML, an unknown key, a bad template, a pool or a parameter that
    /// is not there, a tool's name that stands twice.
    fn from_toml(text: &str) -> Result<Self, PhoneLmError> {
        let read: Text = toml::from_str(text).map_err(|error| {
            TextError::new(FILE, text, error.span(), error.message())
        })?;
        Self::from_text(read)
            .map_err(|why| TextError::new(FILE, text, None, &why).into())
    }

    fn from_text(text: Text) -> Result<Self, String> {
        if text.format_version != 1 {
            return Err(format!(
                "`format_version` {} is not read by this build, expected 1",
                text.format_version
            ));
        }
        let pools = text
            .pools
            .into_iter()
            .map(|(name, pool)| {
                let train = templates(&pool.train)?;
                let held_out = templates(&pool.held_out)?;
                Ok((name, Pool { train, held_out }))
            })
            .collect::<Result<BTreeMap<_, _>, String>>()?;
        let families = text
            .tools
            .into_iter()
            .map(|family| Family::new(family, &pools))
            .collect::<Result<Vec<_>, String>>()?;
        let mut names: Vec<&str> = families
            .iter()
            .flat_map(|family| family.names.iter().map(String::as_str))
            .collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("two tools are named `{}`", pair[0]));
        }
        Ok(Self {
            front: templates(&text.front)?,
            back: templates(&text.back)?,
            pools,
            families,
        })
    }

    /// All words of the file.
    pub(crate) fn words(&self) -> BTreeSet<String> {
        let mut texts = Vec::new();
        for template in self.front.iter().chain(&self.back) {
            template.vocabulary(&mut texts);
        }
        for pool in self.pools.values() {
            for template in pool.train.iter().chain(&pool.held_out) {
                template.vocabulary(&mut texts);
            }
        }
        for family in &self.families {
            family.texts(&mut texts);
        }
        texts
            .iter()
            .flat_map(|text| text.split([' ', '_']))
            .map(str::to_owned)
            .collect()
    }

    /// All texts that training may see, but for the words of open pools, which
    /// are those that have words beside them that it does not see.
    pub(crate) fn training_texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for template in self.front.iter().chain(&self.back) {
            template.vocabulary(&mut texts);
        }
        let closed = self.pools.values().filter(|one| one.held_out.is_empty());
        for template in closed.flat_map(|pool| &pool.train) {
            template.vocabulary(&mut texts);
        }
        for family in self.families.iter().filter(|one| !one.held_out) {
            family.texts(&mut texts);
        }
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_draws_what_it_says() {
        let template = Template::parse("(set|make|) it to {n}[ for {w}] !");
        let template = template.unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for stream in 0..200 {
            let draws = &mut Draws::new(1, stream);
            seen.insert(template.words(draws));
        }
        let all: Vec<&str> = seen.iter().map(String::as_str).collect();
        assert_eq!(
            all,
            [
                "it to n !",
                "it to n for w !",
                "make it to n !",
                "make it to n for w !",
                "set it to n !",
                "set it to n for w !",
            ]
        );
    }

    #[test]
    fn bad_templates_are_refused() {
        for text in ["(a|b", "a)", "[a", "a]", "{a", "a|b", "(a]"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_embedded_families_are_sound_and_some_are_held_out() {
        let families = Families::embedded().unwrap();
        let held_out = families.families.iter().filter(|one| one.held_out);
        let held_out = held_out.count();
        assert!(held_out >= 5, "{held_out}");
        assert!(families.families.len() - held_out >= 20);
        let alarm = &families.families[0];
        assert!(alarm.slots[0].required && !alarm.slots[1].required);
        assert!(alarm.phrasings.len() > 3);
        // No name of a tool that is held out is a training text.
        let texts = families.training_texts();
        for family in families.families.iter().filter(|one| one.held_out) {
            assert!(family.names.iter().all(|name| !texts.contains(name)));
        }
    }

    #[test]
    fn mistakes_in_the_file_are_named() {
        let text = include_str!("../../data/intents.toml");
        for (from, to, words) in [
            ("format_version = 1", "format_version = 2", "expected 1"),
            ("pool = \"errand\"", "pool = \"errnd\"", "`errand`"),
            ("wake me up at {time}", "wake me up at {tme}", "`{tme}`"),
            ("wake me up at {time}[", "wake me up at {time}(", "is missing"),
            ("\"create_alarm\"", "\"set_timer\"", "`set_timer`"),
            ("front = [", "frnt = [", "frnt"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(text, changed, "{from}");
            let error = Families::from_toml(&changed).unwrap_err().to_string();
            assert!(error.starts_with(FILE), "{error}");
            assert!(error.contains(words), "{to}: {error}");
        }
    }
}
