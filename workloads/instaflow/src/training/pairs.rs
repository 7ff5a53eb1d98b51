//! Triplets of caption, noise and latent that a teacher draws: the data of
//! reflow and of distillation. No picture of the generator is among them, as
//! in the paper.

use assay_kit::{Checkpoint, Named, StudyFileError, floats};
use burn::Tensor;
use burn::tensor::{Device, TensorData};

use super::draws::Draws;
use super::flow::{gathered, noise_of};
use super::generate::{Drawing, generate};
use super::words::TextStates;
use crate::InstaFlowError;
use crate::unet::Velocity;

/// Triplets in the order in which they were drawn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pairs {
    captions: Vec<usize>,
    noise: Vec<f32>,
    latents: Vec<f32>,
    shape: [usize; 3],
}

/// Who draws, of what.
pub(crate) struct Teaching<'a> {
    /// The teacher, on the device without gradients.
    pub(crate) teacher: &'a Velocity,
    /// States of captions.
    pub(crate) states: &'a TextStates,
    /// Captions that may be drawn: those that are trained on.
    pub(crate) captions: &'a [usize],
    /// Of a latent, `[h, w, C]`.
    pub(crate) shape: [usize; 3],
    /// How the teacher draws.
    pub(crate) how: Drawing,
}

/// Triplets drawn at once.
const AT_ONCE: usize = 64;

impl Pairs {
    /// As many triplets as `count`, by the random numbers of `seed` and
    /// `name`: a triplet depends on these and its number alone.
    ///
    /// # Errors
    /// A teacher that takes no step.
    pub(crate) fn draw(
        teaching: &Teaching<'_>,
        count: usize,
        seed: u64,
        name: &str,
    ) -> Result<Self, InstaFlowError> {
        let shape = teaching.shape;
        let size = shape.iter().product::<usize>();
        let purpose = format!("{name} captions");
        let known = teaching.captions;
        let mut draws = Draws::new(seed, &purpose, 0);
        let captions: Vec<usize> =
            (0..count).map(|_| known[draws.below(known.len())]).collect();
        let mut pairs =
            Self { captions, noise: Vec::new(), latents: Vec::new(), shape };
        for item in 0..count {
            pairs.noise.extend(noise_of(seed, name, item, size));
        }
        let [h, w, c] = shape;
        for first in (0..count).step_by(AT_ONCE) {
            let some = first..count.min(first + AT_ONCE);
            let values = some.start * size..some.end * size;
            let noise = pairs.noise[values].to_vec();
            let noise = TensorData::new(noise, [some.len(), h, w, c]);
            let noise = Tensor::<4>::from_data(noise, &Device::flex());
            let latents = generate(
                teaching.teacher,
                teaching.states,
                &pairs.captions[some],
                &noise,
                teaching.how,
            )?;
            pairs.latents.extend(floats(latents));
        }
        Ok(pairs)
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.captions.len()
    }

    /// Captions, and noise and latents `[B, h, w, C]`, of some.
    pub(crate) fn batch(
        &self,
        picks: &[usize],
        device: &Device,
    ) -> (Vec<usize>, [Tensor<4>; 2]) {
        let captions = picks.iter().map(|&pick| self.captions[pick]).collect();
        let both = [&self.noise, &self.latents]
            .map(|values| gathered(values, self.shape, picks, device));
        (captions, both)
    }

    /// For a file.
    pub(crate) fn tensors(&self) -> Vec<Named> {
        let count = self.len();
        let [h, w, c] = self.shape;
        let whole = vec![count, h, w, c];
        // Indices are far below 2^24: exact in f32.
        let captions = self.captions.iter().map(|&index| index as f32);
        vec![
            ("captions".to_owned(), vec![count], captions.collect()),
            ("noise".to_owned(), whole.clone(), self.noise.clone()),
            ("latents".to_owned(), whole, self.latents.clone()),
        ]
    }

    /// From a file that [`tensors`](Self::tensors) went into.
    ///
    /// # Errors
    /// Tensors that are missing or of other shapes.
    pub(crate) fn from_file(
        file: &Checkpoint,
        shape: [usize; 3],
    ) -> Result<Self, InstaFlowError> {
        let captions = file.floats("captions")?.values;
        let (noise, latents) = (file.floats("noise")?, file.floats("latents")?);
        let mut whole = vec![captions.len()];
        whole.extend(shape);
        for (name, found) in [("noise", &noise), ("latents", &latents)] {
            if found.shape != whole {
                let what = format!(
                    "`{name}` has shape {:?}, expected {whole:?}",
                    found.shape
                );
                let path = file.path().to_owned();
                return Err(StudyFileError::Refused { path, what }.into());
            }
        }
        Ok(Self {
            captions: captions.iter().map(|&index| index as usize).collect(),
            noise: noise.values,
            latents: latents.values,
            shape,
        })
    }
}
