//! What can be run: models and parts, phases, and the axes that a case fixes.

use assay_kit::precision_axis;
use assay_schema::{AxisSpec, WorkloadInfo};

use crate::request::{
    KEPT, LARGE, Phase, ROLLOUTS, ROWS, SMALL, Sharding, model_names, phases_of,
};

/// Phases in which several ranks may share the work.
const SHARED: [&str; 2] = ["train-step", "iteration"];

/// The models that train here, as globs over them and their parts.
const TRAINED: [&str; 2] = ["small*", "tiny*"];

/// What the workload says of itself.
pub(crate) fn info() -> WorkloadInfo {
    let models: Vec<String> = model_names().collect();
    let phases_by_model = models
        .iter()
        .map(|name| {
            let phases = phases_of(name).into_iter().map(str::to_owned);
            (name.clone(), phases.collect())
        })
        .collect();
    WorkloadInfo {
        workload: "mstar".to_owned(),
        doc: "self-evolving training of models that see (M-STaR, arXiv \
              2412.17451)"
            .to_owned(),
        phases: Phase::NAMES.map(|(name, _)| name.to_owned()).to_vec(),
        phases_by_model,
        models,
        axes: axes(),
    }
}

/// Every axis, with its default for each model and phase.
pub(crate) fn axes() -> Vec<AxisSpec> {
    let mut axes = of_networks();
    axes.extend(of_loops());
    axes.extend(of_studies());
    axes
}

/// A count whose default differs for the models that train here.
fn sized(name: &str, large: usize, small: usize, doc: &str) -> AxisSpec {
    let axis = AxisSpec::integer(name, 1, large as u64, doc);
    TRAINED.iter().fold(axis, |axis, model| axis.defaulting(*model, small))
}

/// A default of a phase, and that of the models that train here: an exact name
/// counts before a glob.
fn trained(
    axis: AxisSpec,
    phase: &str,
    large: usize,
    small: usize,
) -> AxisSpec {
    let axis = axis.defaulting(format!("*/{phase}"), large);
    model_names()
        .filter(|name| {
            ["small", "tiny"].iter().any(|one| name.starts_with(one))
        })
        .fold(axis, |axis, name| {
            axis.defaulting(format!("{name}/{phase}"), small)
        })
}

/// Axes of encoding, prefill, decode and training steps.
fn of_networks() -> Vec<AxisSpec> {
    let batch = AxisSpec::integer(
        "batch",
        1,
        1,
        "pictures (encode), rows (prefill, decode), examples of an update",
    );
    let batch = trained(batch, "train-step", LARGE.examples, SMALL.examples);
    let batch = trained(batch, "iteration", LARGE.update, SMALL.update)
        .defaulting("study", SMALL.update);
    vec![
        batch.listing([1, 8, 16, 64, 128]),
        AxisSpec::integer("tiles", 1, 1, "tiles of a picture")
            .only_for(["encode", "prefill", "train-step", "iteration"])
            .listing([1, 5, 10, 13]),
        sized("prompt", LARGE.prompt, SMALL.prompt, "words of a question")
            .only_for(["prefill", "train-step", "iteration"]),
        sized(
            "context",
            LARGE.context,
            SMALL.context,
            "tokens already in the cache, visual ones included",
        )
        .only_for(["decode"]),
        sized("tokens", LARGE.tokens, SMALL.tokens, "words of a reply")
            .only_for(SHARED),
        precision_axis("number format").only_for([
            "encode",
            "prefill",
            "decode",
            "train-step",
            "iteration",
        ]),
        AxisSpec::integer("ranks", 1, 1, "devices that share an update")
            .only_for(SHARED)
            .listing([1, 8]),
        AxisSpec::words(
            "sharding",
            Sharding::NAMES.map(|(name, _)| name),
            "what of the training state the ranks share (ZeRO, stage 1)",
        )
        .only_for(SHARED),
    ]
}

/// Axes of an iteration, some of which a study has too.
fn of_loops() -> Vec<AxisSpec> {
    let both = ["iteration", "study"];
    vec![
        AxisSpec::integer("prompts", 1, 512, "labelled prompts of every arm")
            .only_for(["study"])
            .defaulting("tiny", 256),
        sized(
            "prompts",
            LARGE.prompts,
            SMALL.prompts,
            "prompts of an iteration",
        )
        .only_for(["iteration"]),
        AxisSpec::integer(
            "rollouts",
            1,
            ROLLOUTS as u64,
            "rollouts of a prompt",
        )
        .only_for(both),
        AxisSpec::integer(
            "rows",
            1,
            ROWS as u64,
            "rollouts decoded at once, a multiple of `rollouts`",
        )
        .only_for(both),
        AxisSpec::integer("kept", 1, KEPT as u64, "replies kept a prompt")
            .only_for(both)
            .listing([1, 2, 4]),
        sized(
            "micro",
            LARGE.micro,
            SMALL.micro,
            "examples of an update that a rank holds at once",
        )
        .only_for(["iteration"]),
    ]
}

/// Axes of the whole loop, trained and judged.
fn of_studies() -> Vec<AxisSpec> {
    let only = |axis: AxisSpec| axis.only_for(["study"]);
    vec![
        only(AxisSpec::words(
            "arms",
            ["headline", "all", "own"],
            "which runs of the loop start from the case's one warm-up: the \
             paper's methods, its other factors too, or what `method`, \
             `interval`, `selection`, `kept`, `balance` and `unlabelled` say",
        )),
        only(AxisSpec::words(
            "method",
            ["continuous", "rft", "rest-em"],
            "what an iteration starts from: all of the last one, its model, \
             the warm-up",
        )),
        only(AxisSpec::number(
            "interval",
            0.0625,
            1.0,
            0.25,
            "share of the prompts that an iteration traverses, one part of a \
             whole number",
        ))
        .listing(["0.0625", "0.125", "0.5", "1"]),
        only(AxisSpec::words(
            "selection",
            ["top", "none", "random", "threshold"],
            "which right replies train, by the process reward model",
        )),
        only(AxisSpec::words(
            "balance",
            ["reward-pass", "pass", "none"],
            "what the temperature maximises, every two iterations",
        )),
        only(AxisSpec::number(
            "unlabelled",
            0.0,
            1.0,
            1.0,
            "share of the training after which prompts without an answer \
             join; 1: never",
        ))
        .listing(["0", "0.25", "0.5", "0.75"]),
        only(AxisSpec::number(
            "temperature",
            0.1,
            2.0,
            1.0,
            "of rollouts, until it is balanced",
        )),
        only(AxisSpec::integer(
            "passes",
            1,
            2,
            "times that an arm goes through its prompts",
        )),
        only(AxisSpec::integer(
            "updates",
            1,
            160,
            "updates of an arm in all, at most: the same for every arm; few \
             right replies are not learnt by heart to fill them",
        )),
        only(AxisSpec::integer("warm_up", 1, 1500, "updates of the warm-up")),
        only(AxisSpec::integer(
            "labelled",
            1,
            128,
            "prompts whose steps are labelled for the process reward model",
        ))
        .defaulting("tiny", 64),
        only(AxisSpec::integer(
            "tested",
            1,
            300,
            "test problems of a family; for validation as many in all, 500 \
             at most, and up to 128 more to choose temperatures by",
        )),
        only(AxisSpec::integer(
            "seed",
            1,
            1,
            "of all that is random: weights, problems to learn from and to \
             be judged on, draws",
        ))
        .listing([1, 2, 3]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Request;

    /// A case with every axis at its default, as plans complete it.
    fn completed(info: &WorkloadInfo, model: &str, phase: &str) -> String {
        info.axes_of(model, Some(phase)).iter().fold(
            format!("mstar/{model}/{phase}"),
            |text, axis| {
                let value = axis.default_of(model, Some(phase));
                format!("{text} {}={value}", axis.name)
            },
        )
    }

    #[test]
    fn defaults_that_are_listed_are_those_that_are_taken() {
        let info = info();
        assert!(info.models.len() >= 15);
        for model in &info.models {
            for phase in info.phases_of(model) {
                let bare = format!("mstar/{model}/{phase}").parse().unwrap();
                let full = completed(&info, model, phase).parse().unwrap();
                let mut bare = Request::new(&bare, None).unwrap();
                let full = Request::new(&full, None).unwrap();
                if phase == "study" {
                    // The study reads its prompts itself.
                    bare.prompts = full.prompts;
                }
                assert_eq!(bare, full, "{model}/{phase}");
            }
        }
    }

    #[test]
    fn a_studys_factors_are_axes_of_studies_alone() {
        let info = info();
        let axes = |phase| -> Vec<&str> {
            let axes = info.axes_of("tiny", Some(phase));
            axes.into_iter().map(|axis| axis.name.as_str()).collect()
        };
        for factor in ["method", "interval", "selection", "kept", "balance"] {
            assert!(axes("study").contains(&factor), "{factor}");
            let elsewhere = axes("prefill").contains(&factor);
            assert!(!elsewhere, "{factor}");
        }
        assert!(!axes("study").contains(&"context"));
    }
}
