//! Answers of the model: greedy, with a cache of keys and values, freely or
//! among the tokens that the grammar allows; and the latency of a whole call.
//!
//! Prompts of one length are answered together: a row of a batch then stands
//! at the same position as its neighbours, and nothing need be masked.

use std::collections::BTreeMap;
use std::hint::black_box;

use assay_kernels::with_plain_twins;
use assay_kit::{Checkpoint, Parameters, compare, floats};
use assay_measure::{Context, Pace, Progress, Session, Watch, WorkloadError};
use assay_schema::{Better, Verification};
use assay_slm::{Config, Decoder, decode, seen};
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde_json::Value as Json;

use super::generator::{Generator, HeldOut};
use super::grammar::Grammar;
use super::kept::with_weights;
use super::language::{Language, glue};
use super::lessons::{called, prose};
use super::model::{self, LONGEST};
use super::schema::Tool;
use crate::PhoneLmError;
use crate::request::Call;

/// Tokens of an answer at most; what is longer is cut, and no call.
pub(crate) const ANSWER: usize = 64;

/// Rows that are answered together at most.
const ROWS: usize = 32;

/// Requests that a session takes in turn, all of one length.
const TURNS: usize = 8;

/// Held-out requests among which those are found.
const FOUND_AMONG: usize = 200;

/// The relative tolerance of an answer in `f32`.
const TOLERANCE: f64 = 1e-4;

/// A prompt, and the tools whose calls alone may answer it, if so.
#[derive(Clone, Debug)]
pub(crate) struct Prompt<'a> {
    /// Ids, at least one.
    pub(crate) tokens: Vec<u32>,
    /// `None`: any token may come.
    pub(crate) tools: Option<&'a [Tool]>,
}

/// Tokens `[B, T]` of rows of one length.
fn tensor(rows: &[&[u32]], device: &Device) -> Tensor<2, Int> {
    let length = rows.first().map_or(0, |row| row.len());
    let ids: Vec<i64> = rows
        .iter()
        .flat_map(|row| row.iter().map(|id| i64::from(*id)))
        .collect();
    Tensor::from_data(TensorData::new(ids, [rows.len(), length]), device)
}

/// The likeliest token, among those that a grammar allows.
fn likeliest(logits: &[f32], grammar: Option<&Grammar<'_>>) -> u32 {
    let mut best = (f32::NEG_INFINITY, glue::END);
    for (token, logit) in (0..).zip(logits) {
        // The grammar is asked of what would win alone.
        if *logit > best.0 && grammar.is_none_or(|g| g.allows(token)) {
            best = (*logit, token);
        }
    }
    best.1
}

/// The answers to prompts, in their order, each without its end.
///
/// # Errors
/// A prompt that leaves no room for an answer.
pub(crate) fn answers(
    model: &Decoder,
    config: &Config,
    language: &Language,
    prompts: &[Prompt<'_>],
) -> Result<Vec<Vec<u32>>, PhoneLmError> {
    let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, prompt) in prompts.iter().enumerate() {
        check_length(prompt.tokens.len())?;
        by_length.entry(prompt.tokens.len()).or_default().push(place);
    }
    let mut found = vec![Vec::new(); prompts.len()];
    for places in by_length.values() {
        for places in places.chunks(ROWS) {
            let group: Vec<&Prompt<'_>> =
                places.iter().map(|place| &prompts[*place]).collect();
            let answers = of_one_length(model, config, language, &group);
            for (place, answer) in places.iter().zip(answers) {
                found[*place] = answer;
            }
        }
    }
    Ok(found)
}

fn check_length(tokens: usize) -> Result<(), PhoneLmError> {
    if tokens == 0 || tokens + ANSWER > LONGEST {
        return Err(PhoneLmError::Data(format!(
            "a prompt of {tokens} tokens; the model reads from 1 to {}",
            LONGEST - ANSWER
        )));
    }
    Ok(())
}

fn of_one_length(
    model: &Decoder,
    config: &Config,
    language: &Language,
    group: &[&Prompt<'_>],
) -> Vec<Vec<u32>> {
    let device = Device::flex();
    let rows: Vec<&[u32]> =
        group.iter().map(|prompt| prompt.tokens.as_slice()).collect();
    let length = rows.first().map_or(0, |row| row.len());
    let mut grammars: Vec<Option<Grammar<'_>>> = group
        .iter()
        .map(|prompt| prompt.tools.map(|t| Grammar::new(language, t)))
        .collect();
    let mut answers = vec![Vec::new(); group.len()];
    let mut ended = vec![false; group.len()];
    let prompt = tensor(&rows, &device); // [B, T]
    let (mut logits, mut cache) = seen(model, config, prompt, length + ANSWER);
    for step in 0..ANSWER {
        let [_, _, vocab] = logits.dims();
        let values = floats(logits.clone()); // [B, 1, V]
        let mut next = Vec::with_capacity(group.len());
        for (row, logits) in values.chunks_exact(vocab).enumerate() {
            if ended[row] {
                next.push([glue::PAD]);
                continue;
            }
            let token = likeliest(logits, grammars[row].as_ref());
            if let Some(grammar) = &mut grammars[row] {
                grammar.take(token);
            }
            ended[row] = token == glue::END;
            if !ended[row] {
                answers[row].push(token);
            }
            next.push([token]);
        }
        if step + 1 == ANSWER || ended.iter().all(|ended| *ended) {
            break;
        }
        let next: Vec<&[u32]> = next.iter().map(|row| &row[..]).collect();
        let next = tensor(&next, &device); // [B, 1]
        logits = decode(model, next, length + step, &mut cache);
    }
    answers
}

/// One request of a session: its prompt, and the tokens that answer it.
#[derive(Clone, Debug)]
struct Turn {
    prompt: Vec<u32>,
    answer: Vec<u32>,
    tools: Vec<Tool>,
}

/// Whole calls in turn: the prompt is read, then the call is written token by
/// token, each chosen among those that the grammar allows. What is fed back is
/// the right call, so that every iteration does the same work whatever the
/// weights are.
#[derive(Debug)]
pub(crate) struct CallSession {
    config: Config,
    language: Language,
    model: Decoder,
    turns: Vec<Turn>,
    turn: usize,
}

impl CallSession {
    /// Prepares calls. `context.data` is a JSON file of `tools`, as function
    /// calling describes them, and a `request`; else requests are drawn.
    /// `context.weights` is a stage's file of a study; else weights are
    /// random.
    ///
    /// # Errors
    /// A malformed schema, a file that does not read, a prompt that is too
    /// long, weights of another shape.
    pub(crate) fn new(
        request: Call,
        context: &Context,
    ) -> Result<Self, PhoneLmError> {
        let generator = Generator::new(request.offered)?;
        let prose = prose()?;
        let texts = generator.texts();
        let language = Language::new(&texts, &prose)?;
        let config = model::config();
        let mut start = Parameters::random(&Device::flex(), request.seed);
        let model = Decoder::new(&mut start, &config, LONGEST);
        let model = match &context.weights {
            Some(path) => with_weights(model, &Checkpoint::open(path)?)?,
            None => model,
        };
        let turns = match &context.data {
            Some(path) => {
                let (tools, request) = asked(path)?;
                let prompt = language.prompt(&tools, &request);
                let offered = Some(tools.as_slice());
                let asked = Prompt { tokens: prompt, tools: offered };
                let prompts = [asked];
                let answers = answers(&model, &config, &language, &prompts)?;
                let [asked] = prompts;
                let prompt = asked.tokens;
                let mut answer = answers.concat();
                answer.push(glue::END);
                vec![Turn { prompt, answer, tools }]
            }
            None => {
                let held = generator.held_out(request.seed, FOUND_AMONG)?;
                alike(&language, &held)
            }
        };
        for turn in &turns {
            check_length(turn.prompt.len())?;
        }
        Ok(Self { config, language, model, turns, turn: 0 })
    }
}

/// Requests of one length of prompt and of call: the commonest.
fn alike(language: &Language, held: &HeldOut) -> Vec<Turn> {
    let mut by_lengths: BTreeMap<(usize, usize), Vec<Turn>> = BTreeMap::new();
    for example in &held.examples {
        let row = called(language, example);
        let (mut prompt, answers) = (row.tokens, row.answers);
        let start = answers.first().map_or(0, |answer| answer.start);
        let answer = prompt.split_off(start);
        let tools = example.tools.clone();
        by_lengths
            .entry((prompt.len(), answer.len()))
            .or_default()
            .push(Turn { prompt, answer, tools });
    }
    let commonest = by_lengths.into_values().max_by_key(Vec::len);
    let mut turns = commonest.unwrap_or_default();
    turns.truncate(TURNS);
    turns
}

/// Tools and a request from a file.
fn asked(path: &std::path::Path) -> Result<(Vec<Tool>, String), PhoneLmError> {
    let bad =
        |why: String| PhoneLmError::Data(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path)
        .map_err(|error| bad(error.to_string()))?;
    let json: Json = serde_json::from_str(&text)
        .map_err(|error| bad(format!("no JSON ({error})")))?;
    let request = json.get("request").and_then(Json::as_str);
    let request = request.filter(|text| !text.trim().is_empty());
    let request =
        request.ok_or_else(|| bad("`request` is missing or empty".into()))?;
    let tools = json.get("tools").and_then(Json::as_array);
    let tools = tools
        .filter(|tools| !tools.is_empty())
        .ok_or_else(|| bad("`tools` is no list of tools".into()))?
        .iter()
        .map(Tool::from_json)
        .collect::<Result<Vec<_>, _>>()?;
    for (i, tool) in tools.iter().enumerate() {
        if tools[..i].iter().any(|other| other.name == tool.name) {
            return Err(PhoneLmError::Schema {
                tool: tool.name.clone(),
                reason: "it stands twice".to_owned(),
            });
        }
    }
    Ok((tools, request.to_owned()))
}

/// The cached, fused forward of a call's last token against the plain,
/// uncached one.
pub(crate) fn check(
    model: &Decoder,
    config: &Config,
    tokens: &[u32],
) -> Result<Verification, WorkloadError> {
    let Some((last, past)) = tokens.split_last() else {
        return Err(WorkloadError::other("a call without a token"));
    };
    let device = Device::flex();
    let count = tokens.len();
    let past = tensor(&[past], &device);
    let last = tensor(&[std::slice::from_ref(last)], &device);
    let (_, mut cache) = seen(model, config, past, count);
    let fused = decode(model, last, count - 1, &mut cache); // [1, 1, V]
    let plain = with_plain_twins(|| {
        let hidden = model.hidden(tensor(&[tokens], &device), 0, None);
        let [b, t, d] = hidden.dims();
        model.logits(hidden.slice([0..b, t - 1..t, 0..d])) // [1, 1, V]
    });
    let (fused, plain) = (floats(fused), floats(plain));
    let what = "plain, uncached forward of a call";
    Ok(compare(what, &fused, &plain, TOLERANCE))
}

fn no_turn() -> WorkloadError {
    WorkloadError::other("there is no request to answer")
}

impl Session for CallSession {
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        let turn = self.turns.first().ok_or_else(no_turn)?;
        // Without the end, which is never read.
        let answer = turn.answer.len().saturating_sub(1);
        let tokens = [&turn.prompt[..], &turn.answer[..answer]].concat();
        check(&self.model, &self.config, &tokens)
    }

    fn pace(&self) -> Pace {
        Pace::Steady
    }

    fn iterate(
        &mut self,
        watch: &mut Watch<'_>,
    ) -> Result<Progress, WorkloadError> {
        self.turn = (self.turn + 1) % self.turns.len().max(1);
        let turn = self.turns.get(self.turn).ok_or_else(no_turn)?;
        let (model, config) = (&self.model, &self.config);
        let (length, device) = (turn.prompt.len(), Device::flex());
        let mut grammar = Grammar::new(&self.language, &turn.tools);
        let mut cache = watch.part("prefill", |_| {
            let prompt = tensor(&[turn.prompt.as_slice()], &device);
            let room = length + turn.answer.len();
            let (logits, cache) = seen(model, config, prompt, room);
            black_box(likeliest(&floats(logits), Some(&grammar)));
            cache
        });
        watch.part("decode", |_| {
            // The end is chosen, and not read.
            let read = turn.answer.len().saturating_sub(1);
            for (i, token) in turn.answer.iter().take(read).enumerate() {
                grammar.take(*token);
                let next = tensor(&[std::slice::from_ref(token)], &device);
                let logits = decode(model, next, length + i, &mut cache);
                black_box(likeliest(&floats(logits), Some(&grammar)));
            }
        });
        for (name, count) in
            [("prompt_tokens", length), ("call_tokens", turn.answer.len())]
        {
            watch.quality(name, "1", Better::Neither, count as f64);
        }
        Ok(Progress::More)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intents::generator::Example;
    use crate::intents::judge::Mark;

    fn session(data: Option<&str>) -> Result<CallSession, PhoneLmError> {
        let seed = 1;
        let precision = assay_schema::Precision::F32;
        let request = Call { precision, seed, offered: 4 };
        let mut context = Context::new("cpu", seed);
        let own = format!("assay-call-{}.json", std::process::id());
        let path = std::env::temp_dir().join(own);
        if let Some(text) = data {
            std::fs::write(&path, text).unwrap();
            context.data = Some(path.clone());
        }
        let session = CallSession::new(request, &context);
        if data.is_some() {
            std::fs::remove_file(path).unwrap();
        }
        session
    }

    #[test]
    fn answers_come_back_in_order_whatever_their_company() {
        let session = session(None).unwrap();
        let generator = Generator::new(4).unwrap();
        let held = generator.held_out(1, 6).unwrap();
        let language = &session.language;
        let prompt = |one: &'_ Example| {
            let tokens = language.prompt(&one.tools, &one.request);
            Prompt { tokens, tools: None }
        };
        let prompts: Vec<Prompt<'_>> =
            held.examples.iter().map(prompt).collect();
        let of = |prompts: &[Prompt<'_>]| {
            answers(&session.model, &session.config, language, prompts).unwrap()
        };
        let together = of(&prompts);
        for (prompt, answer) in prompts.iter().zip(&together) {
            assert_eq!(of(std::slice::from_ref(prompt))[0], *answer);
        }
    }

    #[test]
    fn constrained_answers_of_random_weights_are_calls_unless_cut() {
        let session = session(None).unwrap();
        let held = Generator::new(4).unwrap().held_out(1, 6).unwrap();
        let language = &session.language;
        let prompts: Vec<Prompt<'_>> = held
            .examples
            .iter()
            .map(|one| Prompt {
                tokens: language.prompt(&one.tools, &one.request),
                tools: Some(one.tools.as_slice()),
            })
            .collect();
        let found =
            answers(&session.model, &session.config, language, &prompts);
        for (answer, example) in found.unwrap().iter().zip(&held.examples) {
            let mark =
                Mark::of(language, answer, &example.tools, &example.call);
            assert!(mark.is_well_formed || answer.len() == ANSWER);
        }
    }

    #[test]
    fn a_session_takes_requests_of_one_length_and_verifies() {
        let mut session = session(None).unwrap();
        let lengths = |turn: &Turn| (turn.prompt.len(), turn.answer.len());
        let first = lengths(&session.turns[0]);
        assert!(session.turns.iter().all(|turn| lengths(turn) == first));
        assert!(session.verify().unwrap().passed());
        assert_eq!(session.pace(), Pace::Steady);
    }

    #[test]
    fn tools_of_a_file_are_offered_and_bad_ones_refused() {
        let tool = r#"{"name": "open_door", "parameters": {"type": "object",
            "properties": {"wide": {"type": "boolean"}}}}"#;
        let file = |tools: &str, request: &str| {
            format!("{{\"tools\": [{tools}], \"request\": \"{request}\"}}")
        };
        let good = session(Some(&file(tool, "open the door"))).unwrap();
        assert_eq!(good.turns.len(), 1);
        let answer = good.language.render(&good.turns[0].answer);
        assert!(answer.starts_with("{\"name\":\"open_door\""), "{answer}");
        let twice = format!("{tool},{tool}");
        let named = tool.replace("open_door", "openDoor");
        for (text, words) in [
            (file("", "open"), "`tools`"),
            (file(tool, " "), "`request`"),
            (file(&twice, "open"), "stands twice"),
            (file(&named, "open"), "`openDoor`"),
            (file(tool, &"open the door ".repeat(200)), "reads from 1 to"),
            ("{".to_owned(), "no JSON"),
        ] {
            let error = session(Some(&text)).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
