//! The models that are shipped, by name.

use crate::{Config, SlmError};

/// Names with the texts of their files.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../models/", $name, ".toml")))),*]
    };
}

/// A name and the text of its file.
type File = (&'static str, &'static str);

/// This project's own.
const OWN: [File; 1] = files!["tiny"];

/// The 59 models of the survey, in the order of `slm_models.csv`.
const SURVEY: [File; 59] = files![
    "opt-125m",
    "opt-350m",
    "opt-1.3b",
    "opt-2.7b",
    "galactica-125m",
    "galactica-1.3b",
    "bloom-560m",
    "bloom-1b1",
    "bloomz-560m",
    "bloomz-1b1",
    "pythia-160m",
    "pythia-410m",
    "pythia-1b",
    "pythia-1.4b",
    "pythia-2.8b",
    "cerebras-gpt-111m",
    "cerebras-gpt-256m",
    "cerebras-gpt-590m",
    "cerebras-gpt-1.3b",
    "cerebras-gpt-2.7b",
    "lamini-gpt-774m",
    "lamini-gpt-1.5b",
    "phi-1",
    "phi-1.5",
    "phi-2",
    "phi-3-mini-4k-instruct",
    "phi-3.5-mini-instruct",
    "stablelm-zephyr-3b",
    "stablelm-2-zephyr-1.6b",
    "qwen-1.8b",
    "qwen1.5-0.5b",
    "qwen1.5-1.8b",
    "qwen1.5-4b",
    "qwen2-0.5b",
    "qwen2-1.5b",
    "qwen2.5-0.5b",
    "qwen2.5-1.5b",
    "qwen2.5-3b",
    "tinyllama-1.1b",
    "mobilellama-1.4b",
    "mobillama-05b",
    "mobillama-1b",
    "gemma-2b",
    "recurrentgemma-2b",
    "gemma-2-2b",
    "minicpm-1b-sft-bf16",
    "minicpm-2b-128k",
    "minicpm3-4b",
    "openelm-270m",
    "openelm-450m",
    "openelm-1.1b",
    "openelm-3b",
    "smollm-135m",
    "smollm-360m",
    "smollm-1.7b",
    "h2o-danube3-500m-base",
    "h2o-danube3-4b-base",
    "fox-1-1.6b",
    "dclm-1b",
];

/// Models beside the 59: of later versions of the survey, of comparisons, and
/// two that most published timings are of.
const OTHERS: [File; 24] = files![
    "dolly-v2-3b",
    "olmo-1b-hf",
    "gpt2",
    "gpt2-medium",
    "gpt2-large",
    "gpt2-xl",
    "h2o-danube2-1.8b-base",
    "llama-3.2-1b",
    "llama-3.2-3b",
    "smollm2-135m",
    "smollm2-360m",
    "smollm2-1.7b",
    "sheared-llama-1.3b",
    "sheared-llama-2.7b",
    "amd-llama-135m",
    "minitron-4b-base",
    "mobilellm-125m",
    "mobilellm-600m",
    "mobilellm-1b",
    "mobilellm-1.5b",
    "phonelm-0.5b",
    "phonelm-1.5b",
    "llama-2-7b",
    "llama-3-8b",
];

fn files() -> impl Iterator<Item = File> {
    OWN.into_iter().chain(SURVEY).chain(OTHERS)
}

/// Names, in the order in which they are listed: our own, the survey's 59, the
/// others.
pub fn names() -> impl Iterator<Item = &'static str> {
    files().map(|(name, _)| name)
}

/// Names of the survey's 59 models, in its order.
pub fn survey() -> impl Iterator<Item = &'static str> {
    SURVEY.into_iter().map(|(name, _)| name)
}

/// The text of a model's file.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    files().find(|(own, _)| *own == name).map(|(_, text)| text)
}

/// A model's shape.
///
/// # Errors
///
/// No model of that name: the nearest is given.
pub fn config(name: &str) -> Result<Config, SlmError> {
    let text = text(name).ok_or_else(|| SlmError::UnknownModel {
        found: name.to_owned(),
        nearest: assay_schema::nearest(name, names())
            .unwrap_or("tiny")
            .to_owned(),
    })?;
    Config::from_toml(text, &format!("{name}.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_named_as_it_is_called() {
        for name in names() {
            assert_eq!(config(name).unwrap().name, name);
        }
    }

    #[test]
    fn no_name_is_listed_twice() {
        let mut all: Vec<_> = names().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), OWN.len() + SURVEY.len() + OTHERS.len());
    }
}
