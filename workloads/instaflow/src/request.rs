//! A case of this workload, read: which network or pipeline, which phase,
//! which sizes.

use std::path::Path;

use assay_kit::{AxisError, named, parsed};
use assay_schema::{Case, Precision};

use crate::InstaFlowError;
use crate::config::{self, Architecture, Pipeline};
use crate::samplers::Sampler;
use crate::steps::is_guided;

/// What a case runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A network, forward.
    Forward,
    /// One step of a U-Net's training: the loss of rectified flow, backward,
    /// optimizer.
    TrainStep,
    /// Captions to pictures: text encoder, U-Net `steps` times, decoder.
    Sample,
    /// The whole recipe, trained and judged.
    Study,
}

impl Phase {
    /// Names, in the order in which they are listed.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("forward", Self::Forward),
        ("train-step", Self::TrainStep),
        ("sample", Self::Sample),
        ("study", Self::Study),
    ];
}

/// Which methods a study trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    /// What the paper's ordering needs: 1-flow, 2-flow and its distillation,
    /// direct and progressive distillation.
    Headline,
    /// Also the 3-flow and the stacked network.
    All,
}

impl Methods {
    /// Names, the default first.
    pub const NAMES: [(&'static str, Self); 2] =
        [("headline", Self::Headline), ("all", Self::All)];
}

/// Most of anything that an axis counts.
const LARGEST: usize = 1 << 20;

/// A case with its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The model as it was named.
    pub model: String,
    /// The phase.
    pub phase: Phase,
    /// The pipeline, or the one that the network belongs to.
    pub pipeline: Pipeline,
    /// The network, where the case is of one alone.
    pub network: Option<Architecture>,
    /// Pictures at once.
    pub batch: usize,
    /// Side of a picture, pixels.
    pub picture: usize,
    /// Number format.
    pub precision: Precision,
    /// Calls of the U-Net for a picture (pairs of calls where guided).
    pub steps: usize,
    /// How the flow is followed.
    pub sampler: Sampler,
    /// Scale of classifier-free guidance; 1: none.
    pub guidance: f64,
    /// Of a study: what is trained.
    pub methods: Methods,
    /// Of a study: steps of the 1-flow's training; later stages have half.
    pub train_steps: usize,
    /// Of a study: triplets for reflow.
    pub pairs: usize,
    /// Of a study: pictures that a method is judged on.
    pub evaluated: usize,
    /// Of a study: seed of weights, noise and order.
    pub seed: u64,
}

/// The pipeline that a network belongs to: its latents, its text.
fn pipeline_of(network: &str) -> &'static str {
    match network {
        "stacked-1.7b-unet" => "instaflow-1.7b",
        name if name.starts_with("small-") => "small",
        name if name.starts_with("tiny-") => "tiny",
        _ => "sd15",
    }
}

impl Request {
    /// Reads a case; `file` is a network's shape in place of the named one.
    ///
    /// # Errors
    /// An unknown model; a phase that the model does not have; an axis
    /// without a lawful value; guidance on a one-step model.
    pub fn new(
        case: &Case,
        file: Option<&Path>,
    ) -> Result<Self, InstaFlowError> {
        let phase = case.phase.as_deref().unwrap_or_default();
        let known = Phase::NAMES.iter().find(|(name, _)| *name == phase);
        let phase = known.map(|(_, phase)| *phase).ok_or_else(|| {
            let all = Phase::NAMES.map(|(name, _)| name);
            AxisError::new("phase", phase, all.join(", "))
        })?;
        let is_pipeline =
            config::pipeline_names().any(|name| name == case.model);
        let of_networks = matches!(phase, Phase::Forward | Phase::TrainStep);
        let (pipeline, network) = match (of_networks, file) {
            (true, Some(file)) => {
                let network = config::architecture_from_file(file)?;
                (config::pipeline(pipeline_of(&case.model))?, Some(network))
            }
            (true, None) if is_pipeline => {
                let phases = "sample or study: a pipeline has no other";
                return Err(
                    AxisError::new("phase", phase.name(), phases).into()
                );
            }
            (true, None) => {
                let network = config::architecture(&case.model)?;
                (config::pipeline(pipeline_of(&case.model))?, Some(network))
            }
            (false, Some(file)) => {
                return Err(InstaFlowError::Config {
                    file: file.display().to_string(),
                    why: "a file describes one network; run its `forward` or \
                          `train-step`, not a pipeline"
                        .into(),
                });
            }
            (false, None) => (config::pipeline(&case.model)?, None),
        };
        let request = Self::read(case, phase, pipeline, network)?;
        request.check()?;
        Ok(request)
    }

    fn read(
        case: &Case,
        phase: Phase,
        pipeline: Pipeline,
        network: Option<Architecture>,
    ) -> Result<Self, InstaFlowError> {
        let count = |axis, default: usize, least: usize| {
            let expected = format!("a whole number from {least} to {LARGEST}");
            parsed(case, axis, default, &expected, |n| {
                (least..=LARGEST).contains(n)
            })
        };
        let study = phase == Phase::Study;
        let precision = parsed(
            case,
            "precision",
            Precision::F32,
            "a number format",
            |_| true,
        )?;
        let sampler = match case.axis("sampler") {
            None => pipeline.sampler,
            Some(_) => named(case, "sampler", &Sampler::NAMES)?,
        };
        Ok(Self {
            model: case.model.clone(),
            phase,
            batch: count("batch", if study { 64 } else { 1 }, 1)?,
            picture: count("picture", pipeline.picture, 1)?,
            precision,
            steps: count("steps", pipeline.steps, 1)?,
            sampler,
            guidance: parsed(
                case,
                "guidance",
                pipeline.guidance,
                "a scale from 0 to 100",
                |scale| (0.0..=100.0).contains(scale),
            )?,
            methods: named(case, "methods", &Methods::NAMES)?,
            train_steps: count("train_steps", TRAIN_STEPS, 8)?,
            pairs: count("pairs", PAIRS, 64)?,
            evaluated: count("evaluated", EVALUATED, 64)?,
            seed: parsed(case, "seed", 1, "a whole number from 1", |seed| {
                *seed > 0
            })?,
            pipeline,
            network,
        })
    }

    /// What no single axis can say.
    fn check(&self) -> Result<(), InstaFlowError> {
        let multiple = self.multiple();
        if !self.picture.is_multiple_of(multiple) {
            let expected = format!(
                "a multiple of {multiple}: {} pixels are one latent, and the \
                 network halves its planes",
                self.pipeline.vae.factor()
            );
            let error = AxisError::new("picture", self.picture, expected);
            return Err(error.into());
        }
        if self.phase == Phase::Sample && self.sampler == Sampler::Rk45 {
            return Err(InstaFlowError::Sampling(
                "axis `sampler`: rk45 chooses its steps by the pictures, so \
                 that no trace knows them; it is the reference of the \
                 samplers' tests"
                    .into(),
            ));
        }
        if self.pipeline.one_step && self.phase == Phase::Sample {
            if self.is_guided() {
                return Err(InstaFlowError::Sampling(format!(
                    "axis `guidance`: `{}` draws in one step without \
                     guidance, which was distilled into it; found {}, \
                     expected 1 (or leave it out)",
                    self.model, self.guidance
                )));
            }
            if self.sampler != Sampler::Euler {
                return Err(InstaFlowError::Sampling(format!(
                    "axis `sampler`: `{}` draws by steps of Euler; leave it \
                     out",
                    self.model
                )));
            }
        }
        if self.phase == Phase::TrainStep {
            match &self.network {
                Some(Architecture::UNet(_) | Architecture::Stacked(_)) => {}
                _ => {
                    return Err(AxisError::new(
                        "phase",
                        "train-step",
                        "forward: the paper trains the U-Net alone, text \
                         encoder and VAE are frozen",
                    )
                    .into());
                }
            }
        }
        if self.phase == Phase::Study && self.picture != self.pipeline.picture {
            let expected = format!(
                "{}: the pictures that a study draws",
                self.pipeline.picture
            );
            let error = AxisError::new("picture", self.picture, expected);
            return Err(error.into());
        }
        let small = ["small", "tiny"].contains(&self.pipeline.name.as_str());
        if self.phase == Phase::Study && !small {
            return Err(InstaFlowError::Sampling(format!(
                "`{}` is not trained here: its training took 199 A100 days; \
                 `small` and `tiny` are",
                self.model
            )));
        }
        Ok(())
    }

    /// The pixels by which a picture's side must be divisible.
    pub(crate) fn multiple(&self) -> usize {
        let halvings = match &self.network {
            Some(Architecture::UNet(unet) | Architecture::Stacked(unet)) => {
                unet.block_out_channels.len() - 1
            }
            Some(Architecture::Text(_)) => return 1,
            Some(Architecture::Vae(vae) | Architecture::VaeDecoder(vae)) => {
                return vae.factor();
            }
            None => self.pipeline.unet.block_out_channels.len() - 1,
        };
        self.pipeline.vae.factor() << halvings
    }

    /// Side of the latents, places.
    pub fn latent(&self) -> usize {
        self.picture / self.pipeline.vae.factor()
    }

    /// Whether each step calls the U-Net with and without the caption.
    pub fn is_guided(&self) -> bool {
        is_guided(self.guidance)
    }

    /// Tokens of a caption.
    pub fn tokens(&self) -> usize {
        self.pipeline.tokens
    }
}

impl Phase {
    /// Its name in a case.
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, phase)| *phase == self);
        found.map_or("", |(name, _)| name)
    }
}

/// Defaults of a study, for two cores.
pub(crate) const TRAIN_STEPS: usize = 1200;
pub(crate) const PAIRS: usize = 2048;
pub(crate) const EVALUATED: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Request, InstaFlowError> {
        Request::new(&text.parse().unwrap(), None)
    }

    #[test]
    fn defaults_are_the_pipelines() {
        let teacher = read("instaflow/sd15/sample").unwrap();
        assert_eq!((teacher.steps, teacher.latent()), (25, 64));
        assert!(teacher.is_guided());
        let student = read("instaflow/instaflow-0.9b/sample").unwrap();
        assert_eq!((student.steps, student.is_guided()), (1, false));
        let unet = read("instaflow/small-unet/train-step batch=64").unwrap();
        assert_eq!((unet.latent(), unet.tokens()), (8, 16));
    }

    #[test]
    fn what_is_not_lawful_is_refused_by_name() {
        for (text, word) in [
            ("instaflow/sd15/sample steps=0", "`steps`"),
            ("instaflow/instaflow-0.9b/sample guidance=7.5", "one step"),
            ("instaflow/instaflow-0.9b/sample sampler=heun", "Euler"),
            ("instaflow/sd15/sample sampler=ddpm", "dpm-solver++"),
            ("instaflow/sd15/sample sampler=rk45", "no trace"),
            ("instaflow/sd15/sample picture=500", "multiple of 64"),
            ("instaflow/sd15/study", "199 A100 days"),
            ("instaflow/sd15/forward", "`phase`"),
            ("instaflow/small/study picture=64", "`picture`"),
            ("instaflow/sd15-vae/train-step", "frozen"),
            ("instaflow/sd15-unt/forward", "nearest valid: `sd15-unet`"),
            ("instaflow/small/study methods=some", "headline, all"),
            ("instaflow/small/study seed=0", "`seed`"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
