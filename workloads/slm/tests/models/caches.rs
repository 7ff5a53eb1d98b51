//! Caches of many rows made from one prompt, and of some rows of a batch; and
//! the decoder in two halves.

use assay_kit::{Parameters, compare, floats};
use assay_slm::{Config, Decoder, decode, model_config, prefill, seen};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::variants::variants;

/// Tokens of a prompt, and of a whole row.
const PROMPT: usize = 7;
const TOKENS: usize = 9;

fn models() -> Vec<(String, Config, Decoder)> {
    let mut configs = variants();
    configs.push(("tiny".to_owned(), model_config("tiny").unwrap()));
    configs
        .into_iter()
        .map(|(name, config)| {
            let mut random = Parameters::random(&Device::flex(), 31);
            let model = Decoder::new(&mut random, &config, TOKENS);
            (name, config, model)
        })
        .collect()
}

fn tensor(rows: &[Vec<i64>]) -> Tensor<2, Int> {
    let shape = [rows.len(), rows[0].len()];
    let data = TensorData::new(rows.concat(), shape);
    Tensor::from_data(data, &Device::flex())
}

/// Rows of tokens that share their first `shared`.
fn rows(count: usize, shared: usize) -> Vec<Vec<i64>> {
    let row = |row: usize| {
        let id = |i: usize| {
            let own = if i < shared { 0 } else { 53 * row };
            (3 + i * 31 + own) as i64 % 250
        };
        (0..TOKENS).map(id).collect()
    };
    (0..count).map(row).collect()
}

fn column(rows: &[Vec<i64>], at: usize) -> Tensor<2, Int> {
    let column: Vec<Vec<i64>> = rows.iter().map(|row| vec![row[at]]).collect();
    tensor(&column)
}

#[test]
fn a_prompt_that_is_spread_goes_on_as_rows_of_their_own() {
    let rows = rows(3, PROMPT);
    for (name, config, model) in models() {
        let prompt = tensor(&[rows[0][..PROMPT].to_vec()]);
        let (_, as_it_is) = prefill(&model, &config, prompt.clone());
        let (_, with_room) = seen(&model, &config, prompt, TOKENS + 4);
        for (kind, cache) in [("as it is", as_it_is), ("roomy", with_room)] {
            let mut cache = cache.spread(&config, 3, TOKENS);
            for at in PROMPT..TOKENS {
                let next = column(&rows, at);
                let found = floats(decode(&model, next, at, &mut cache));
                let whole: Vec<Vec<i64>> =
                    rows.iter().map(|row| row[..=at].to_vec()).collect();
                let right = prefill(&model, &config, tensor(&whole)).0;
                let found = compare("rows", &found, &floats(right), 1e-5);
                assert!(found.passed(), "{name} {kind} {at}: {found:?}");
            }
        }
    }
}

#[test]
fn selected_rows_go_on_as_they_would_have_in_their_new_order() {
    let rows = rows(3, 0);
    let last = TOKENS - 1;
    for (name, config, model) in models() {
        let past: Vec<Vec<i64>> =
            rows.iter().map(|row| row[..last].to_vec()).collect();
        let (_, cache) = seen(&model, &config, tensor(&past), TOKENS);
        for picked in [&[2, 0][..], &[1], &[0, 1, 1, 2]] {
            let whole: Vec<Vec<i64>> =
                picked.iter().map(|&row| rows[row].clone()).collect();
            let mut cache = cache.select(picked);
            let next = column(&whole, last);
            let found = floats(decode(&model, next, last, &mut cache));
            let right = prefill(&model, &config, tensor(&whole)).0;
            let found = compare("rows", &found, &floats(right), 1e-5);
            assert!(found.passed(), "{name} {picked:?}: {found:?}");
        }
    }
}

#[test]
#[should_panic(expected = "a row of a cache of 2 rows")]
fn a_row_that_is_not_there_cannot_be_selected() {
    let (_, config, model) = models().remove(0);
    let (_, cache) = seen(&model, &config, tensor(&rows(2, 0)), TOKENS);
    let _ = cache.select(&[0, 2]);
}

#[test]
#[should_panic(expected = "a cache of 2 rows, expected 1")]
fn only_one_row_can_be_spread() {
    let (_, config, model) = models().remove(0);
    let (_, cache) = seen(&model, &config, tensor(&rows(2, 0)), TOKENS);
    let _ = cache.spread(&config, 4, TOKENS);
}

#[test]
fn a_row_put_together_from_embeddings_is_the_row_of_its_tokens() {
    let rows = rows(1, 0);
    let row = &rows[0];
    for (name, _, model) in models() {
        let right = model.hidden(tensor(&rows), 0, None);
        let front = model.embed(tensor(&[row[..PROMPT].to_vec()]), 0);
        let back = model.embed(tensor(&[row[PROMPT..].to_vec()]), PROMPT);
        let both = Tensor::cat(vec![front, back], 1); // [1, TOKENS, D]
        let found = floats(model.transform(both, 0, None));
        let found = compare("hidden", &found, &floats(right), 1e-6);
        assert!(found.passed(), "{name}: {found:?}");
    }
}
