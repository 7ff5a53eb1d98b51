//! Log-probabilities of tokens, through the decoder's logits alone.

use assay_kit::floats;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::Decoder;

/// Positions whose logits are held at once: 64 of the largest vocabulary here
/// are 66 MB.
const POSITIONS: usize = 64;

/// A row of tokens, judged from `start` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Ids.
    pub(super) tokens: Vec<i64>,
    /// First token that is judged; at least 1.
    pub(super) start: usize,
}

/// `log softmax(logits)[token]`, in nats. A token past the vocabulary has no
/// probability.
pub(super) fn log_probability(logits: &[f32], token: usize) -> f64 {
    let largest = logits.iter().fold(f32::NEG_INFINITY, |most, x| most.max(*x));
    let largest = f64::from(largest);
    let sum: f64 = logits.iter().map(|x| (f64::from(*x) - largest).exp()).sum();
    match logits.get(token) {
        Some(own) => f64::from(*own) - largest - sum.ln(),
        None => f64::NEG_INFINITY,
    }
}

/// Log-probabilities of the judged tokens of each row. Rows run together,
/// padded on the right: a decoder never looks there.
pub(super) fn log_probabilities(
    model: &Decoder,
    device: &Device,
    rows: &[Row],
) -> Vec<Vec<f64>> {
    let longest = rows.iter().map(|row| row.tokens.len()).max().unwrap_or(0);
    if longest < 2 {
        return rows.iter().map(|_| Vec::new()).collect();
    }
    let ids: Vec<i64> = rows
        .iter()
        .flat_map(|row| {
            let padding = longest - row.tokens.len();
            let tokens = row.tokens.iter().copied();
            tokens.chain(std::iter::repeat_n(0, padding))
        })
        .collect();
    let ids = TensorData::new(ids, [rows.len(), longest]);
    let tokens = Tensor::<2, Int>::from_data(ids, device); // [B, T]
    let hidden = model.hidden(tokens, 0, None); // [B, T, D]
    rows.iter()
        .enumerate()
        .map(|(i, row)| of_row(model, &hidden, i, row))
        .collect()
}

fn of_row(
    model: &Decoder,
    hidden: &Tensor<3>,
    index: usize,
    row: &Row,
) -> Vec<f64> {
    let end = row.tokens.len();
    let mut found = Vec::with_capacity(end.saturating_sub(row.start));
    let mut first = row.start.max(1);
    while first < end {
        let last = (first + POSITIONS).min(end);
        // The logits of position p are about token p + 1.
        let places = [index..index + 1, first - 1..last - 1];
        let logits = model.logits(hidden.clone().slice(places)); // [1, n, V]
        let [_, _, vocab] = logits.dims();
        let logits = floats(logits);
        let judged = row.tokens[first..last].iter();
        for (token, logits) in judged.zip(logits.chunks_exact(vocab)) {
            let token = usize::try_from(*token).unwrap_or(usize::MAX);
            found.push(log_probability(logits, token));
        }
        first = last;
    }
    found
}

#[cfg(test)]
mod tests {
    use assay_kit::Parameters;

    use super::*;

    #[test]
    fn a_log_probability_is_that_of_softmax() {
        let logits = [1000.0, 1000.0 + 3.0_f32.ln(), 990.0];
        let share = (-10.0_f64).exp();
        let right = (3.0 / (4.0 + share)).ln();
        assert!((log_probability(&logits, 1) - right).abs() < 1e-4);
        let unknown = log_probability(&logits, 3);
        assert!(unknown.is_infinite() && unknown < 0.0);
    }

    #[test]
    fn a_row_among_longer_ones_is_judged_as_alone() {
        let config = crate::model_config("tiny").unwrap();
        let device = Device::flex();
        let mut parameters = Parameters::random(&device, 1);
        let model = Decoder::new(&mut parameters, &config, 90);
        let row = |count: i64, start| Row {
            tokens: (0..count).map(|i| 7 * i % 2048).collect(),
            start,
        };
        let rows = [row(9, 3), row(90, 1), row(30, 29)];
        let together = log_probabilities(&model, &device, &rows);
        for (row, found) in rows.iter().zip(&together) {
            assert_eq!(found.len(), row.tokens.len() - row.start);
            let alone =
                log_probabilities(&model, &device, std::slice::from_ref(row));
            for (a, b) in alone[0].iter().zip(found) {
                assert!((a - b).abs() < 1e-4, "{a} {b}");
            }
        }
    }

    #[test]
    fn the_loss_is_the_mean_of_what_is_judged() {
        let config = crate::model_config("tiny").unwrap();
        let device = Device::flex();
        let mut parameters = Parameters::random(&device, 2);
        let model = Decoder::new(&mut parameters, &config, 20);
        let ids: Vec<i64> = (0..20).map(|i| 31 * i % 2048).collect();
        let tokens = TensorData::new(ids.clone(), [1, 20]);
        let loss = model.loss(Tensor::<2, Int>::from_data(tokens, &device));
        let loss = f64::from(floats(loss)[0]);
        let row = Row { tokens: ids, start: 1 };
        let all = log_probabilities(&model, &device, &[row]);
        let mean = -all[0].iter().sum::<f64>() / 19.0;
        assert!((mean - loss).abs() < 1e-3, "{mean} {loss}");
    }
}
