//! Constrained decoding: which tokens may follow, so that whatever is written
//! is a call of an offered tool with arguments of the right types.
//!
//! The grammar knows the offered tools' schemas and nothing of the request.
//! Names and choices follow the tokens that the prompt writes them with;
//! strings are any words, up to [`LONGEST`] tokens, so that every call ends.

use std::collections::BTreeSet;

use super::language::{Language, Sort, glue};
use super::schema::{Kind, Tool};

/// Tokens of a string, or of an item of a list, at most.
const LONGEST: usize = 24;

/// Items of a list at most.
const ITEMS: usize = 4;

/// Where a call stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Before everything.
    Start,
    /// In a tool's name: its tokens so far.
    Tool(Vec<u32>),
    /// In a parameter's name.
    Name(Vec<u32>),
    /// In the value of a parameter, by place: its tokens so far, and the
    /// items before this one.
    Value(usize, Vec<u32>, usize),
    /// After the call, before the end.
    Closed,
    /// After the end.
    Over,
}

/// A parameter by tokens.
#[derive(Clone, Debug)]
struct Slot {
    name: Vec<u32>,
    kind: Kind,
    /// Tokens of the choices.
    choices: Vec<Vec<u32>>,
    required: bool,
}

/// A call under way.
#[derive(Clone, Debug)]
pub(crate) struct Grammar<'a> {
    language: &'a Language,
    tools: Vec<(Vec<u32>, Vec<Slot>)>,
    place: Place,
    /// The tool whose name is written.
    tool: Option<usize>,
    /// Parameters that are given.
    given: BTreeSet<usize>,
}

impl<'a> Grammar<'a> {
    /// The grammar of calls of these tools, before the first token.
    pub(crate) fn new(language: &'a Language, tools: &[Tool]) -> Self {
        let slots = |tool: &Tool| -> Vec<Slot> {
            let slot = |parameter: &super::schema::Parameter| Slot {
                name: language.tokens(&parameter.name),
                kind: parameter.kind.clone(),
                choices: match &parameter.kind {
                    Kind::Choice(options) => {
                        options.iter().map(|o| language.tokens(o)).collect()
                    }
                    Kind::Boolean => {
                        ["true", "false"].map(|t| language.tokens(t)).into()
                    }
                    Kind::String | Kind::Integer | Kind::Time | Kind::List => {
                        Vec::new()
                    }
                },
                required: parameter.required,
            };
            tool.parameters.iter().map(slot).collect()
        };
        let tools = tools
            .iter()
            .map(|tool| (language.tokens(&tool.name), slots(tool)))
            .collect();
        Self {
            language,
            tools,
            place: Place::Start,
            tool: None,
            given: BTreeSet::new(),
        }
    }

    /// Whether a token may come next. Some token always may, until the end.
    pub(crate) fn allows(&self, token: u32) -> bool {
        match &self.place {
            Place::Start => token == glue::OPEN,
            Place::Tool(prefix) => self.tools.iter().any(|(name, slots)| {
                if name == prefix {
                    let bare = slots.iter().all(|slot| !slot.required);
                    return (token == glue::FIRST && !slots.is_empty())
                        || (token == glue::NONE && bare);
                }
                follows(name, prefix, token)
            }),
            Place::Name(prefix) => {
                self.slots().iter().enumerate().any(|(place, slot)| {
                    if self.given.contains(&place) {
                        return false;
                    }
                    if slot.name == *prefix {
                        return token == opener(&slot.kind);
                    }
                    follows(&slot.name, prefix, token)
                })
            }
            Place::Value(place, prefix, items) => {
                let Some(slot) = self.slots().get(*place) else { return false };
                self.goes_on(slot, prefix, token)
                    || (self.is_whole(slot, prefix)
                        && self.closes(slot, *items, token))
            }
            Place::Closed => token == glue::END,
            Place::Over => false,
        }
    }

    /// Takes a token that is allowed.
    pub(crate) fn take(&mut self, token: u32) {
        let place = std::mem::replace(&mut self.place, Place::Over);
        self.place = match place {
            Place::Start => Place::Tool(Vec::new()),
            Place::Tool(prefix) if token == glue::FIRST => {
                self.tool =
                    self.tools.iter().position(|(name, _)| *name == prefix);
                Place::Name(Vec::new())
            }
            Place::Tool(_) if token == glue::NONE => Place::Closed,
            Place::Tool(prefix) => Place::Tool(with(prefix, token)),
            Place::Name(prefix) => {
                let found = self.slots().iter().position(|slot| {
                    slot.name == prefix && token == opener(&slot.kind)
                });
                match found {
                    Some(place) => {
                        self.given.insert(place);
                        Place::Value(place, Vec::new(), 0)
                    }
                    None => Place::Name(with(prefix, token)),
                }
            }
            Place::Value(place, prefix, items) => match token {
                glue::ITEM => Place::Value(place, Vec::new(), items + 1),
                glue::NEXT | glue::BARE_NEXT | glue::ITEMS_NEXT => {
                    Place::Name(Vec::new())
                }
                glue::CLOSE | glue::BARE_CLOSE | glue::ITEMS_CLOSE => {
                    Place::Closed
                }
                _ => Place::Value(place, with(prefix, token), items),
            },
            Place::Closed | Place::Over => Place::Over,
        };
    }

    /// The parameters of the tool whose name is written.
    fn slots(&self) -> &[Slot] {
        match self.tool.and_then(|tool| self.tools.get(tool)) {
            Some((_, slots)) => slots,
            None => &[],
        }
    }

    /// Whether a value may go on with a token.
    fn goes_on(&self, slot: &Slot, prefix: &[u32], token: u32) -> bool {
        let sort = self.language.sort(token);
        match &slot.kind {
            Kind::Choice(_) | Kind::Boolean => {
                slot.choices.iter().any(|all| follows(all, prefix, token))
            }
            Kind::Time => match prefix {
                [] => self.is_below(token, 24),
                [_] => token == glue::COLON,
                [_, _] => self.is_below(token, 60),
                _ => false,
            },
            Kind::Integer => match prefix {
                [] => {
                    token == glue::SPELL
                        || (sort == Sort::Number && !self.has_zero(token))
                }
                // No number begins with 0, but 0 itself.
                [glue::SPELL] => {
                    sort == Sort::Digits
                        && !self.language.text(token).starts_with('0')
                }
                [glue::SPELL, rest @ ..] => {
                    // 18 digits always fit 64 bits.
                    sort == Sort::Digits && rest.len() < 9
                }
                _ => false,
            },
            Kind::String | Kind::List => {
                let last = prefix.last().copied();
                let spelled =
                    last.is_some_and(|last| self.is_spelling(last, prefix));
                // The mark before a spelled word needs a piece behind it.
                let room = prefix.len() + 1 < LONGEST;
                match sort {
                    Sort::Letters | Sort::Digits => {
                        spelled && prefix.len() < LONGEST
                    }
                    Sort::Word | Sort::Number => {
                        last != Some(glue::SPELL) && prefix.len() < LONGEST
                    }
                    Sort::Glue => {
                        token == glue::SPELL
                            && last != Some(glue::SPELL)
                            && room
                    }
                }
            }
        }
    }

    /// Whether what is written is a value that could end here.
    fn is_whole(&self, slot: &Slot, prefix: &[u32]) -> bool {
        match &slot.kind {
            Kind::Choice(_) | Kind::Boolean => {
                slot.choices.iter().any(|all| all == prefix)
            }
            Kind::Time => prefix.len() == 3,
            Kind::Integer | Kind::String | Kind::List => {
                prefix.last().is_some_and(|last| *last != glue::SPELL)
            }
        }
    }

    /// Whether a token closes the value of that kind here.
    fn closes(&self, slot: &Slot, items: usize, token: u32) -> bool {
        let slots = self.slots();
        let more = self.given.len() < slots.len();
        let done = slots
            .iter()
            .enumerate()
            .all(|(place, slot)| !slot.required || self.given.contains(&place));
        let [next, close] = match slot.kind {
            Kind::Integer | Kind::Boolean => {
                [glue::BARE_NEXT, glue::BARE_CLOSE]
            }
            Kind::List => [glue::ITEMS_NEXT, glue::ITEMS_CLOSE],
            Kind::String | Kind::Time | Kind::Choice(_) => {
                [glue::NEXT, glue::CLOSE]
            }
        };
        let item = slot.kind == Kind::List && items + 1 < ITEMS;
        (token == next && more)
            || (token == close && done)
            || (token == glue::ITEM && item)
    }

    /// Whether a token is two digits below a bound.
    fn is_below(&self, token: u32, bound: u32) -> bool {
        let text = self.language.text(token);
        self.language.sort(token) == Sort::Number
            && text.len() == 2
            && text.parse::<u32>().is_ok_and(|n| n < bound)
    }

    /// Whether a number is written with a needless zero.
    fn has_zero(&self, token: u32) -> bool {
        let text = self.language.text(token);
        text.len() > 1 && text.starts_with('0')
    }

    /// Whether a spelled word is under way: behind its mark, or behind pieces
    /// of it.
    fn is_spelling(&self, last: u32, prefix: &[u32]) -> bool {
        let is_piece =
            matches!(self.language.sort(last), Sort::Letters | Sort::Digits);
        last == glue::SPELL || (is_piece && prefix.contains(&glue::SPELL))
    }
}

/// The glue between a parameter's name and its value.
fn opener(kind: &Kind) -> u32 {
    match kind {
        Kind::Integer | Kind::Boolean => glue::BARE,
        Kind::List => glue::ITEMS,
        Kind::String | Kind::Time | Kind::Choice(_) => glue::TEXT,
    }
}

/// Whether `token` stands in `whole` right behind `prefix`.
fn follows(whole: &[u32], prefix: &[u32], token: u32) -> bool {
    whole.strip_prefix(prefix).is_some_and(|rest| rest.first() == Some(&token))
}

fn with(mut prefix: Vec<u32>, token: u32) -> Vec<u32> {
    prefix.push(token);
    prefix
}

#[cfg(test)]
mod tests {
    use assay_kit::Draws;

    use super::*;
    use crate::intents::generator::Generator;
    use crate::intents::language::VOCABULARY;
    use crate::intents::schema::ToolCall;

    #[test]
    fn every_right_call_is_allowed() {
        let generator = Generator::new(4).unwrap();
        let texts = generator.texts();
        let language = Language::new(&texts, "").unwrap();
        let held = generator.held_out(1, 60).unwrap();
        for example in &held.examples {
            let mut grammar = Grammar::new(&language, &example.tools);
            let tool = &example.tools[example.right];
            for token in language.call(tool, &example.call) {
                assert!(
                    grammar.allows(token),
                    "{:?}: {token} ({}) at {:?}",
                    example.call,
                    language.text(token),
                    grammar.place
                );
                grammar.take(token);
            }
            assert_eq!(grammar.place, Place::Over);
            assert!((0..VOCABULARY as u32).all(|t| !grammar.allows(t)));
        }
    }

    #[test]
    fn whatever_is_drawn_among_allowed_tokens_is_a_call() {
        let generator = Generator::new(4).unwrap();
        let texts = generator.texts();
        let language = Language::new(&texts, "").unwrap();
        let held = generator.held_out(1, 20).unwrap();
        for (stream, example) in held.examples.iter().enumerate() {
            let draws = &mut Draws::new(1, stream as u64);
            let mut grammar = Grammar::new(&language, &example.tools);
            let mut tokens = Vec::new();
            while grammar.place != Place::Over {
                let allowed: Vec<u32> = (0..VOCABULARY as u32)
                    .filter(|token| grammar.allows(*token))
                    .collect();
                let token = *draws.pick(&allowed).unwrap();
                grammar.take(token);
                tokens.push(token);
                assert!(tokens.len() < 1000);
            }
            let text = language.render(&tokens);
            let read = ToolCall::from_text(text.trim(), &example.tools);
            assert!(read.is_ok(), "{read:?}: {text}");
        }
    }

    #[test]
    fn what_is_no_call_is_not_allowed() {
        let tool = serde_json::json!({
            "name": "set_alarm",
            "parameters": {
                "type": "object",
                "properties": {
                    "time": {"type": "string", "format": "time"},
                    "volume": {"type": "integer"},
                },
                "required": ["time"],
            },
        });
        let tools = [Tool::from_json(&tool).unwrap()];
        let own = ["set alarm volume open".to_owned()];
        let language = Language::new(&own, "").unwrap();
        let refused = |written: &[u32], next: u32| {
            let mut grammar = Grammar::new(&language, &tools);
            for token in written {
                assert!(grammar.allows(*token), "{token}");
                grammar.take(*token);
            }
            !grammar.allows(next)
        };
        let token = |text: &str| language.tokens(text)[0];
        let name = [glue::OPEN, token("set"), token("alarm")];
        let then = |rest: &[u32]| [&name[..], rest].concat();
        assert!(refused(&[], token("set")));
        assert!(refused(&[glue::OPEN], token("open")));
        // The time is required.
        assert!(refused(&name, glue::NONE));
        let volume = then(&[glue::FIRST, token("volume")]);
        assert!(refused(&volume, glue::TEXT));
        let loud = [&volume[..], &[glue::BARE, token("7")]].concat();
        assert!(refused(&loud, glue::BARE_CLOSE));
        assert!(!refused(&loud, glue::BARE_NEXT));
        assert!(refused(&[&volume[..], &[glue::BARE]].concat(), token("07")));
        let time = then(&[glue::FIRST, token("time"), glue::TEXT]);
        assert!(refused(&time, token("24")));
        assert!(refused(&time, token("7")));
        assert!(!refused(&time, token("07")));
        // A parameter is given once.
        let rung = [glue::COLON, token("30"), glue::NEXT];
        let rung = [&time[..], &[token("07")], &rung].concat();
        assert!(refused(&rung, token("time")));
        assert!(!refused(&rung, token("volume")));
    }
}
