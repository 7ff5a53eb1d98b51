//! What the architecture promises: no token sees a later one, and the cache
//! changes no answer.

use assay_kit::{Parameters, compare, floats};
use assay_slm::{
    Config, Decoder, decode, model_config, of_family, prefill, seen,
};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::variants::variants;
use crate::weights::FAMILIES;

const TOKENS: usize = 21;

/// The four families' tiny shapes, our own, and one of each variation, with
/// random weights.
fn models() -> Vec<(String, Config, Decoder)> {
    let mut configs: Vec<(String, Config)> = FAMILIES
        .iter()
        .map(|(family, name)| {
            ((*name).to_owned(), of_family(*family).unwrap().0)
        })
        .collect();
    configs.push(("tiny".to_owned(), model_config("tiny").unwrap()));
    configs.extend(variants());
    configs
        .into_iter()
        .map(|(name, config)| {
            let mut random = Parameters::random(&Device::flex(), 11);
            let model = Decoder::new(&mut random, &config, TOKENS);
            (name, config, model)
        })
        .collect()
}

fn tokens(
    rows: usize,
    count: usize,
    ids: impl Fn(usize) -> usize,
) -> Tensor<2, Int> {
    let ids: Vec<i64> = (0..rows * count).map(|i| ids(i) as i64).collect();
    let data = TensorData::new(ids, [rows, count]);
    Tensor::from_data(data, &Device::flex())
}

#[test]
fn a_changed_token_leaves_what_stands_before_it_as_it_was() {
    for (name, config, model) in models() {
        let width = config.width;
        let plain = |i: usize| 3 + i * 17 % 200;
        let before = floats(model.hidden(tokens(1, TOKENS, plain), 0, None));
        for changed in [1, TOKENS / 2, TOKENS - 1] {
            let other = |i: usize| plain(i) + usize::from(i == changed);
            let after = floats(model.hidden(tokens(1, TOKENS, other), 0, None));
            let border = changed * width;
            assert_eq!(before[..border], after[..border], "{name} {changed}");
            let moved = &before[border..border + width];
            assert_ne!(moved, &after[border..border + width], "{name}");
            let last = before.len() - width;
            assert_ne!(before[last..], after[last..], "{name} {changed}");
        }
    }
}

#[test]
fn decode_through_the_cache_equals_prefill_of_all_tokens() {
    for (name, config, model) in models() {
        for (rows, count) in [(2, TOKENS), (1, 2), (3, 5)] {
            let ids = |i: usize| 3 + i * 31 % 250;
            let all = tokens(rows, count, ids);
            let (right, _) = prefill(&model, &config, all.clone());
            let past = all.clone().slice([0..rows, 0..count - 1]);
            let last = all.slice([0..rows, count - 1..count]);
            let (_, mut cache) = seen(&model, &config, past, count);
            let found = decode(&model, last, count - 1, &mut cache);
            let found =
                compare("prefill", &floats(found), &floats(right), 1e-5);
            assert!(found.passed(), "{name} {rows} x {count}: {found:?}");
        }
    }
}

#[test]
fn rows_of_a_batch_do_not_see_each_other() {
    for (name, config, model) in models() {
        let ids = |i: usize| 3 + i * 13 % 240;
        let both = tokens(2, 6, ids);
        let second = both.clone().slice([1..2, 0..6]);
        let both = floats(prefill(&model, &config, both).0);
        let alone = floats(prefill(&model, &config, second).0);
        let found = compare("alone", &both[config.vocab..], &alone, 1e-5);
        assert!(found.passed(), "{name}: {found:?}");
    }
}
