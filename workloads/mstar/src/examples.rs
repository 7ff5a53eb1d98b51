//! Rows as tensors: a picture's visual tokens, a question, a reply. Questions
//! are padded in front to one length, so that all rows of a batch go on from
//! the same position, in training as in rollouts; replies are padded behind,
//! where nothing that is scored sees it.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::MstarError;
use crate::config::Model;
use crate::vision::CHANNELS;

/// How rows are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Tokens of a question, padding in front included.
    pub prompt: usize,
    /// Tokens of a reply at most, its end included.
    pub reply: usize,
    /// The token that fills.
    pub padding: u32,
}

impl Layout {
    /// A question padded in front.
    ///
    /// # Errors
    /// It is longer than the layout's questions.
    pub fn question(&self, question: &[u32]) -> Result<Vec<u32>, MstarError> {
        let (tokens, context) = (question.len(), self.prompt);
        if tokens > context {
            return Err(MstarError::TooLong { tokens, context });
        }
        let mut row = vec![self.padding; context - tokens];
        row.extend_from_slice(question);
        Ok(row)
    }

    /// Questions, each padded in front: `[B, prompt]`.
    ///
    /// # Errors
    /// As [`Layout::question`]; no question at all.
    pub fn questions(
        &self,
        questions: &[&[u32]],
        device: &Device,
    ) -> Result<Tensor<2, Int>, MstarError> {
        let rows = questions
            .iter()
            .map(|question| self.question(question))
            .collect::<Result<Vec<_>, _>>()?;
        some(rows.len(), "questions")?;
        Ok(tokens(&rows.concat(), [rows.len(), self.prompt], device))
    }

    /// Whether the longest row of this layout can be read by a model, behind
    /// a picture of so many tiles.
    ///
    /// # Errors
    /// It is longer than the model's context.
    pub fn check(&self, model: &Model, tiles: usize) -> Result<(), MstarError> {
        model.check_length(self.longest(model, tiles))
    }

    /// Tokens of its longest row, visual ones included.
    pub fn longest(&self, model: &Model, tiles: usize) -> usize {
        let text = self.prompt.saturating_add(self.reply);
        model.visual(tiles).saturating_add(text)
    }
}

/// A batch with its right replies.
#[derive(Clone, Debug)]
pub struct Examples {
    /// Tiles, those of a row one behind the other, `[N, C, S, S]`.
    pub pictures: Tensor<4>,
    /// Questions and replies but for their last token, `[B, T]`.
    pub tokens: Tensor<2, Int>,
    /// Places in the rows laid end to end, visual tokens included, whose next
    /// token is of a reply, `[1, R]`.
    pub places: Tensor<2, Int>,
    /// Those next tokens, `[R]`.
    pub targets: Tensor<1, Int>,
}

impl Examples {
    /// A batch of tiles `[N, C, S, S]`, as many of each row, with a question
    /// and a reply a row; the end of a reply is a token of it.
    ///
    /// # Errors
    /// A question or a reply longer than the layout's, an empty reply, rows
    /// that do not agree in number, a row longer than the model's context,
    /// a word that the model does not have.
    pub fn new(
        layout: &Layout,
        model: &Model,
        pictures: Tensor<4>,
        questions: &[&[u32]],
        replies: &[&[u32]],
    ) -> Result<Self, MstarError> {
        let [tiles, ..] = pictures.dims();
        let rows = replies.len();
        some(rows, "replies")?;
        if questions.len() != rows || !tiles.is_multiple_of(rows) || tiles == 0
        {
            return Err(MstarError::Shape(format!(
                "{} question(s), {rows} reply(ies) and {tiles} tile(s): \
                 expected one question and as many tiles for each reply",
                questions.len()
            )));
        }
        let visual = model.visual(tiles / rows);
        let longest = replies.iter().map(|reply| reply.len()).max();
        let longest = longest.unwrap_or_default();
        if longest > layout.reply {
            return Err(MstarError::TooLong {
                tokens: longest,
                context: layout.reply,
            });
        }
        // The last token of a reply predicts nothing.
        let text = layout.prompt + longest.saturating_sub(1);
        model.check_length(visual + text)?;
        let width = visual + text;
        let (mut all, mut places, mut targets) = (vec![], vec![], vec![]);
        for (row, (question, reply)) in
            questions.iter().zip(replies).enumerate()
        {
            some(reply.len(), "tokens of a reply")?;
            known(question, model)?;
            known(reply, model)?;
            all.extend(layout.question(question)?);
            let seen = &reply[..reply.len() - 1];
            all.extend_from_slice(seen);
            all.resize((row + 1) * text, layout.padding);
            let before = row * width + visual + layout.prompt;
            places.extend((0..reply.len()).map(|i| before + i - 1));
            targets.extend(reply.iter().map(|&word| i64::from(word)));
        }
        let device = pictures.device();
        let places: Vec<i64> = places.into_iter().map(|p| p as i64).collect();
        let scored = targets.len();
        Ok(Self {
            tokens: tokens(&all, [rows, text], &device),
            places: Tensor::from_data(
                TensorData::new(places, [1, scored]),
                &device,
            ),
            targets: Tensor::from_data(
                TensorData::new(targets, [scored]),
                &device,
            ),
            pictures,
        })
    }

    /// Tokens that are scored: those of the replies.
    pub fn scored(&self) -> usize {
        let [scored] = self.targets.dims();
        scored
    }
}

/// Tiles `[N, C, S, S]` of pixels, each channel by channel and row by row.
///
/// # Errors
/// No tile; one of another size than the model's.
pub fn pictures(
    model: &Model,
    pixels: &[&[f32]],
    device: &Device,
) -> Result<Tensor<4>, MstarError> {
    some(pixels.len(), "pictures")?;
    let side = model.picture();
    let expected = CHANNELS * side * side;
    if let Some(other) = pixels.iter().find(|one| one.len() != expected) {
        return Err(MstarError::Shape(format!(
            "a picture of {} values, expected {expected}: {CHANNELS} channels \
             of {side} x {side} pixels, as `{}` reads them",
            other.len(),
            model.name
        )));
    }
    let data =
        TensorData::new(pixels.concat(), [pixels.len(), CHANNELS, side, side]);
    Ok(Tensor::from_data(data, device))
}

fn tokens(ids: &[u32], shape: [usize; 2], device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
    Tensor::from_data(TensorData::new(ids, shape), device)
}

fn some(count: usize, of: &str) -> Result<(), MstarError> {
    if count == 0 {
        return Err(MstarError::Shape(format!("no {of}: expected some")));
    }
    Ok(())
}

/// Whether the model has all of these words.
fn known(words: &[u32], model: &Model) -> Result<(), MstarError> {
    let vocab = model.language.vocab;
    match words.iter().find(|&&word| word as usize >= vocab) {
        Some(word) => Err(MstarError::Shape(format!(
            "word {word}, expected one below the {vocab} that `{}` has",
            model.name
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model;

    const LAYOUT: Layout = Layout { prompt: 4, reply: 3, padding: 0 };

    fn integers<const D: usize>(x: &Tensor<D, Int>) -> Vec<i64> {
        let data = x.clone().into_data().convert::<i64>();
        data.try_into_vec::<i64>().unwrap()
    }

    fn blank(model: &Model, tiles: usize) -> Tensor<4> {
        let pixels = vec![0.0; CHANNELS * model.picture().pow(2)];
        let all = vec![pixels.as_slice(); tiles];
        pictures(model, &all, &Device::flex()).unwrap()
    }

    #[test]
    fn what_predicts_a_reply_is_scored_and_nothing_else() {
        let tiny = model("tiny").unwrap();
        let made = Examples::new(
            &LAYOUT,
            &tiny,
            blank(&tiny, 2),
            &[&[5, 6], &[7, 8, 9]],
            &[&[11, 12, 1], &[13, 1]],
        )
        .unwrap();
        assert_eq!(made.tokens.dims(), [2, 6]);
        assert_eq!(
            integers(&made.tokens),
            [0, 0, 5, 6, 11, 12, 0, 7, 8, 9, 13, 0]
        );
        assert_eq!(integers(&made.targets), [11, 12, 1, 13, 1]);
        // 16 visual tokens, then the question: its last token says the first
        // of the reply.
        let row = 16 + 6;
        assert_eq!(integers(&made.places), [19, 20, 21, row + 19, row + 20]);
        assert_eq!(made.scored(), 5);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let tiny = model("tiny").unwrap();
        let of = |tiles: usize, question: &[u32], replies: &[&[u32]]| {
            let pictures = blank(&tiny, tiles);
            Examples::new(&LAYOUT, &tiny, pictures, &[question], replies)
                .map(|made| made.scored())
                .map_err(|error| error.to_string())
        };
        assert_eq!(of(1, &[5], &[&[6, 1]]), Ok(2));
        let refused = |found: Result<usize, String>, word: &str| {
            let message = found.unwrap_err();
            assert!(message.contains(word), "{message}");
        };
        refused(of(1, &[5; 5], &[&[6, 1]]), "5");
        refused(of(1, &[5], &[&[6; 4]]), "4");
        refused(of(1, &[5], &[&[]]), "no tokens of a reply");
        refused(of(1, &[5], &[]), "no replies");
        refused(of(1, &[5], &[&[6], &[7]]), "one question");
        refused(of(6, &[5], &[&[6, 1]]), "96");
        refused(of(1, &[40], &[&[6, 1]]), "below the 40");
        let one = [0.0; 5];
        let error = pictures(&tiny, &[&one], &Device::flex()).unwrap_err();
        assert!(error.to_string().contains("5 values"), "{error}");
        let long = Layout { prompt: 60, reply: 30, padding: 0 };
        assert!(long.check(&tiny, 1).is_err());
        assert!(LAYOUT.check(&tiny, 1).is_ok());
    }
}
