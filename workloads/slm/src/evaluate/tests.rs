//! The evaluator on models whose answers are known.

use assay_kit::Parameters;

use super::*;

/// A tiny model whose every logit is 0.
fn uniform(longest: usize) -> (Config, Decoder) {
    let config = crate::model_config("tiny").unwrap();
    let mut zeros = Parameters::shapes(&Device::flex());
    let model = Decoder::new(&mut zeros, &config, longest);
    (config, model)
}

fn random(longest: usize) -> (Config, Decoder) {
    let config = crate::model_config("tiny").unwrap();
    let mut parameters = Parameters::random(&Device::flex(), 5);
    let model = Decoder::new(&mut parameters, &config, longest);
    (config, model)
}

fn evaluator(
    (config, model): &(Config, Decoder),
    longest: usize,
) -> Evaluator<'_> {
    let tokenizer = crate::tokenizer().unwrap();
    Evaluator::new(model, config, tokenizer, &Device::flex(), longest).unwrap()
}

/// Ten questions whose right choice is the shorter or the longer one.
fn by_length(shorter: bool) -> Task {
    let questions = (0..10)
        .map(|i| {
            let pair = ["cat".to_owned(), "cat and dog and hare".to_owned()];
            let answer = usize::from(!shorter);
            Question::new(&format!("{i} is for the"), pair, answer)
        })
        .collect();
    Task::new("by-length", "none", questions).unwrap()
}

#[test]
fn a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary() {
    let model = uniform(64);
    let found =
        evaluator(&model, 64).perplexity(crate::text::held_out(), 64).unwrap();
    assert!((found.nats.point - 2048.0_f64.ln()).abs() < 1e-5, "{found:?}");
    let perplexity = found.perplexity();
    assert!((perplexity.point - 2048.0).abs() < 0.1);
    assert!(perplexity.low <= perplexity.high);
    // 11 bits a token, 3.4 bytes a token.
    assert!((2.8..3.8).contains(&found.bits_per_byte), "{found:?}");
}

#[test]
fn every_token_is_judged_once() {
    let model = uniform(16);
    let judge = evaluator(&model, 16);
    let text = "a cat sat on a mat and ate a rat ".repeat(8);
    let found = judge.perplexity(&text, 16).unwrap();
    let tokens = judge.encode(&text).unwrap();
    assert_eq!(found.tokens, tokens.len() - 1);
    let total = found.bits_per_byte * text.len() as f64;
    assert!((total / 11.0 - found.tokens as f64).abs() < 1e-2, "{total}");
}

#[test]
fn the_likelier_choice_is_taken() {
    let model = uniform(64);
    let judge = evaluator(&model, 64);
    // Every token costs 11 bits: the shorter choice is the likelier.
    let short = judge.choose(&by_length(true), 0).unwrap();
    assert!((short.accuracy.point - 1.0).abs() < 1e-12);
    let long = judge.choose(&by_length(false), 0).unwrap();
    assert!(long.accuracy.point.abs() < 1e-12);
    assert!((long.chance - 0.5).abs() < 1e-12);
    assert_eq!(short.accuracy.n, 5);
}

#[test]
fn a_tie_is_no_right_answer() {
    assert!(leads(&[-2.0, -1.0], 1));
    assert!(!leads(&[-1.0, -1.0], 1));
    assert!(!leads(&[f64::NAN, -1.0], 1));
}

#[test]
fn examples_stand_before_the_question_and_are_cut_to_fit() {
    let model = random(512);
    let judge = evaluator(&model, 512);
    let task = by_length(true);
    let five = task.examples(5);
    assert!(five.starts_with("0 is for the cat\n\n1 is for the cat\n\n"));
    let choice = &task.judged()[0].choices[0];
    let (row, cut) = judge.row(&five, choice).unwrap();
    assert!(!cut);
    let tight = evaluator(&model, row.tokens.len() - 3);
    let (shorter, cut) = tight.row(&five, choice).unwrap();
    assert!(cut);
    assert_eq!(shorter.tokens, row.tokens[3..]);
    assert_eq!(shorter.start, row.start - 3);
}

#[test]
fn shipped_sets_are_judged_near_chance_by_random_weights() {
    let model = random(512);
    let judge = evaluator(&model, 512);
    let all = tasks().unwrap();
    assert_eq!(all.len(), 4);
    let everyday = &all[0];
    for shots in [0, 2] {
        let found = judge.choose(everyday, shots).unwrap();
        assert!(found.accuracy.low < 0.5, "{found:?}");
        assert_eq!(found.shots, shots);
    }
}

#[test]
fn what_cannot_be_judged_is_refused() {
    let model = uniform(64);
    let judge = evaluator(&model, 64);
    let say = |error: SlmError| error.to_string();
    let shots = judge.choose(&by_length(true), 6).unwrap_err();
    assert!(say(shots).contains("`shots`"));
    let short = judge.perplexity("a cat", 64).unwrap_err();
    assert!(say(short).contains("two windows"));
    let window = judge.perplexity("a cat", 65).unwrap_err();
    assert!(say(window).contains("even number of 4 to 64"));
    let mut small = model.0.clone();
    small.vocab = 100;
    let tokenizer = crate::tokenizer().unwrap();
    let device = Device::flex();
    let error = Evaluator::new(&model.1, &small, tokenizer, &device, 64);
    let message = error.err().map(say).unwrap_or_default();
    assert!(message.contains("not the tokenizer"), "{message}");
    let longest = Evaluator::new(&model.1, &model.0, tokenizer, &device, 513);
    let message = longest.err().map(say).unwrap_or_default();
    assert!(message.contains("2 to 512"), "{message}");
}

#[test]
fn a_bad_line_is_named_with_its_file_and_number() {
    let line = r#"{"prompt": "p", "choices": ["a", "b"], "answer": 0}"#;
    for (bad, words) in [
        ("{", "EOF"),
        ("[]", "JSON object"),
        (r#"{"prompt": "p", "choices": "a", "answer": 0}"#, "`choices`"),
        (r#"{"prompt": "p", "choices": ["a"], "answer": 0}"#, "at least 2"),
        (r#"{"prompt": "p", "choices": ["a", ""], "answer": 0}"#, "empty"),
        (r#"{"prompt": "p", "choices": ["a", "b"], "answer": 2}"#, "choice 2"),
    ] {
        let text = format!("{line}\n\n{bad}\n");
        let error = Task::from_json_lines("t", "none", "t.jsonl", &text);
        let message = error.unwrap_err().to_string();
        assert!(message.starts_with("t.jsonl:3: "), "{message}");
        assert!(message.contains(words), "{message}");
    }
    let few = Task::from_json_lines("t", "none", "t.jsonl", line);
    assert!(few.unwrap_err().to_string().contains("kept as examples"));
}
