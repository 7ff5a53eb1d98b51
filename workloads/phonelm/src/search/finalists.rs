//! What predictions of many candidates say: the front, the candidates that
//! are worth timing and training, and where published shapes lie.

use std::collections::HashSet;

use assay_kernels::Activation;
use assay_schema::{Better, Metric};

use super::candidate::{Candidate, Layer};
use super::front::{distance, front, hypervolume};
use super::measure::spread;
use super::predict::{Predicted, Predicting, predict_all};
use super::space::Space;
use super::told::metric;
use crate::PhoneLmError;

/// The shapes that the authors published, by their names among the models.
const PUBLISHED: [&str; 2] = ["phonelm-0.5b", "phonelm-1.5b"];

/// A published shape is compared with candidates that have as many parameters,
/// or up to this share more: a smaller one is faster for no merit.
const AS_MANY: f64 = 0.01;

/// Candidates beside the front that the record keeps, for a plot.
const SHOWN: usize = 400;

/// One candidate in so many is drawn near the front of the others.
const NEAR: usize = 5;

/// All candidates, predicted.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// In the order in which they were drawn.
    pub(super) predicted: Vec<Predicted>,
    /// Indices of those that nobody dominates.
    pub(super) members: Vec<usize>,
    /// Published shapes of this budget.
    published: Vec<(&'static str, Predicted)>,
}

fn costs(predicted: &[Predicted]) -> Vec<[f64; 3]> {
    predicted.iter().map(Predicted::costs).collect()
}

/// What a shape is compared in with others that have as many parameters.
fn times(predicted: &Predicted) -> [f64; 2] {
    [predicted.prefill, predicted.decode]
}

impl Found {
    /// Draws `count` candidates: four in five anywhere in the space, the rest
    /// one step from the front of those; fewer where the space has no more.
    ///
    /// # Errors
    /// No candidate at all; what the scoring function refuses.
    pub(super) fn of(
        space: &Space,
        how: &Predicting<'_>,
        count: usize,
        seed: u64,
    ) -> Result<Self, PhoneLmError> {
        let anywhere = (count - count / NEAR).max(1);
        let drawn = space.sample(anywhere, seed)?;
        let mut predicted = predict_all(&drawn, how)?;
        let left = count.saturating_sub(predicted.len());
        let near = near_front(space, &predicted, left);
        predicted.extend(predict_all(&near, how)?);
        // Where the front has fewer neighbours than that, from anywhere again.
        let known: HashSet<Candidate> =
            predicted.iter().map(|one| one.candidate).collect();
        let more: Vec<Candidate> = space
            .sample(count, seed)?
            .into_iter()
            .filter(|candidate| !known.contains(candidate))
            .take(count.saturating_sub(predicted.len()))
            .collect();
        predicted.extend(predict_all(&more, how)?);
        let members = front(&costs(&predicted));
        let mut published = Vec::new();
        for name in PUBLISHED {
            let config = assay_slm::model_config(name)?;
            let candidate = Candidate::of_config(&config)?;
            if space.holds(candidate.parameters()) {
                let own = predict_all(&[candidate], how)?;
                published.extend(own.into_iter().map(|own| (name, own)));
            }
        }
        Ok(Self { predicted, members, published })
    }

    /// `count` candidates to be timed, spread over the predicted decode steps
    /// from the fastest to the slowest.
    pub(super) fn to_measure(&self, count: usize) -> Vec<Predicted> {
        let mut order: Vec<&Predicted> = self.predicted.iter().collect();
        order.sort_by(|a, b| a.decode.total_cmp(&b.decode));
        spread(order.len(), count).into_iter().map(|at| *order[at]).collect()
    }

    /// `count` shapes to be trained, spread over the depths of the front of
    /// those with a gate, from shallow to deep; others follow where the front
    /// has fewer. All have a gate with ReLU, as the authors' shapes: what is
    /// said of gates is judged on them, and what another activation costs and
    /// gives is asked of one shape apart.
    ///
    /// # Errors
    /// What the scoring function refuses.
    pub(super) fn finalists(
        &self,
        how: &Predicting<'_>,
        count: usize,
    ) -> Result<Vec<Predicted>, PhoneLmError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let all = 0..self.predicted.len();
        let gated: Vec<usize> = all
            .filter(|&at| self.predicted[at].candidate.layer.gated)
            .collect();
        let points: Vec<[f64; 3]> =
            gated.iter().map(|&at| self.predicted[at].costs()).collect();
        let members: Vec<usize> =
            front(&points).into_iter().map(|at| gated[at]).collect();
        let mut seen = HashSet::new();
        let mut different = |order: &mut dyn Iterator<Item = usize>| {
            let mut shapes: Vec<Candidate> = order
                .map(|at| {
                    with_activation(
                        self.predicted[at].candidate,
                        Activation::Relu,
                    )
                })
                .filter(|shape| seen.insert(*shape))
                .collect();
            shapes.sort_by_key(|shape| (shape.layers, shape.layer.width));
            shapes
        };
        let on_front = different(&mut members.iter().copied());
        let others = different(&mut gated.iter().copied());
        let pick = |from: &[Candidate], count: usize| -> Vec<Candidate> {
            let places = spread(from.len(), count).into_iter();
            places.map(|at| from[at]).collect()
        };
        let mut chosen = pick(&on_front, count);
        chosen.extend(pick(&others, count - chosen.len()));
        predict_all(&chosen, how)
    }

    /// What the predictions say, for the record.
    pub(super) fn metrics(&self, seconds: f64) -> Vec<Metric> {
        let (higher, neither) = (Better::Higher, Better::Neither);
        let count = self.predicted.len() as f64;
        let rate = count / seconds.max(f64::MIN_POSITIVE);
        let all = costs(&self.predicted);
        let size = self.members.len() as f64;
        let volume = hypervolume(&all);
        let mut told = vec![
            metric("candidates", "1", higher, count, &[]),
            metric("candidates_per_second", "1/s", higher, rate, &[]),
            metric("front_size", "1", neither, size, &[]),
            metric("hypervolume", "1", higher, volume, &[]),
        ];
        for &at in &self.members {
            let own = &self.predicted[at];
            told.extend(shown(own, &own.candidate.to_string(), "front"));
        }
        let on_front: HashSet<usize> = self.members.iter().copied().collect();
        let others: Vec<usize> = (0..self.predicted.len())
            .filter(|at| !on_front.contains(at))
            .collect();
        for at in spread(others.len(), SHOWN) {
            let own = &self.predicted[others[at]];
            told.extend(shown(own, &own.candidate.to_string(), "sample"));
        }
        for (name, own) in &self.published {
            told.extend(shown(own, name, "published"));
            told.extend(self.beside(name, own));
        }
        told
    }

    /// A published shape beside the candidates that have as many parameters,
    /// in prefill and decode: memory is nearly fixed by the parameters, so that
    /// a distance which counted it could never be large. Nothing where there
    /// are none.
    fn beside(&self, name: &str, own: &Predicted) -> Vec<Metric> {
        let count = own.candidate.parameters() as f64;
        let alike: Vec<&Predicted> = self
            .predicted
            .iter()
            .filter(|other| {
                let parameters = other.candidate.parameters() as f64;
                (count..=count * (1.0 + AS_MANY)).contains(&parameters)
            })
            .collect();
        if alike.is_empty() {
            return Vec::new();
        }
        let points: Vec<[f64; 2]> =
            alike.iter().map(|other| times(other)).collect();
        let members: Vec<[f64; 2]> =
            front(&points).into_iter().map(|at| points[at]).collect();
        let behind = distance(&members, &times(own));
        let faster = |time: fn(&Predicted) -> f64| {
            let faster =
                alike.iter().filter(|other| time(other) < time(own)).count();
            faster as f64 / alike.len() as f64
        };
        let at = |phase: &str| {
            [("candidate", name.to_owned()), ("phase", phase.to_owned())]
        };
        let (lower, neither) = (Better::Lower, Better::Neither);
        let share = "faster_share";
        let prefill = faster(|one| one.prefill);
        let decode = faster(|one| one.decode);
        let place = [("candidate", name.to_owned())];
        vec![
            metric("front_distance", "1", lower, behind, &place),
            metric(share, "1", neither, prefill, &at("prefill")),
            metric(share, "1", neither, decode, &at("decode")),
        ]
    }
}

/// The costs of finalists, for the record: with their activation they may be
/// no candidates that were drawn.
pub(super) fn of_finalists(finalists: &[Predicted]) -> Vec<Metric> {
    finalists
        .iter()
        .flat_map(|own| shown(own, &own.candidate.to_string(), "finalist"))
        .collect()
}

/// The costs of one candidate, for the record.
fn shown(own: &Predicted, name: &str, set: &str) -> [Metric; 4] {
    let at = [("candidate", name.to_owned()), ("set", set.to_owned())];
    let (lower, neither) = (Better::Lower, Better::Neither);
    let parameters = own.candidate.parameters() as f64;
    [
        metric("prefill", "s", lower, own.prefill, &at),
        metric("decode", "s", lower, own.decode, &at),
        metric("memory", "B", lower, own.memory, &at),
        metric("parameters", "1", neither, parameters, &at),
    ]
}

/// The candidate with another activation.
pub(super) fn with_activation(
    candidate: Candidate,
    activation: Activation,
) -> Candidate {
    let layer = Layer { activation, ..candidate.layer };
    Candidate { layer, ..candidate }
}

/// `count` candidates one step from the front of others, spread over all of
/// them; fewer where there are no more.
fn near_front(
    space: &Space,
    predicted: &[Predicted],
    count: usize,
) -> Vec<Candidate> {
    let mut seen: HashSet<Candidate> =
        predicted.iter().map(|one| one.candidate).collect();
    let mut near = Vec::new();
    for at in front(&costs(predicted)) {
        for layer in space.neighbours(predicted[at].candidate.layer) {
            let all = space.with_layer(layer).into_iter();
            near.extend(all.filter(|one| seen.insert(*one)));
        }
    }
    spread(near.len(), count).into_iter().map(|at| near[at]).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use assay_schema::Reading;

    use super::super::predict::tests::HERE;
    use super::*;

    /// A small search on the tests' machine.
    pub(crate) fn found(count: usize) -> Found {
        let space = Space::of(300_000, 32).unwrap();
        Found::of(&space, &HERE, count, 3).unwrap()
    }

    fn value(metrics: &[Metric], name: &str) -> f64 {
        let found = metrics.iter().find(|one| one.name == name).unwrap();
        match found.reading {
            Reading::Value(value) => value,
            Reading::Unavailable(_) => f64::NAN,
        }
    }

    #[test]
    fn a_search_tells_its_front_and_what_lies_behind_it() {
        let found = found(40);
        assert_eq!(found.predicted.len(), 40);
        let told = found.metrics(0.5);
        assert_eq!(value(&told, "candidates"), 40.0);
        assert_eq!(value(&told, "candidates_per_second"), 80.0);
        let size = value(&told, "front_size");
        assert!((1.0..40.0).contains(&size), "{size}");
        let volume = value(&told, "hypervolume");
        assert!(0.0 < volume && volume <= 1.0, "{volume}");
        let set = |set: &str| {
            let of_set = |one: &&Metric| {
                one.name == "decode" && one.at.get("set").unwrap() == set
            };
            told.iter().filter(of_set).count() as f64
        };
        assert_eq!(set("front"), size);
        assert_eq!(set("front") + set("sample"), 40.0);
        // No published shape is as small.
        assert_eq!(set("published"), 0.0);
    }

    #[test]
    fn finalists_are_different_shapes_with_a_gate_and_relu() {
        let found = found(40);
        let chosen = found.finalists(&HERE, 4).unwrap();
        let shapes: HashSet<Candidate> =
            chosen.iter().map(|one| one.candidate).collect();
        assert_eq!(shapes.len(), 4);
        for shape in shapes {
            assert_eq!(shape.layer.activation, Activation::Relu);
            assert!(shape.layer.gated, "{shape}");
        }
        let told = of_finalists(&chosen);
        assert_eq!(told.iter().filter(|one| one.name == "decode").count(), 4);
        assert!(found.finalists(&HERE, 0).unwrap().is_empty());
        let measured = found.to_measure(10);
        assert!(measured.windows(2).all(|two| two[0].decode <= two[1].decode));
        assert_eq!(found.to_measure(1_000).len(), 40);
    }

    #[test]
    fn a_published_shape_is_compared_with_those_as_large() {
        let config = assay_slm::model_config("phonelm-0.5b").unwrap();
        let candidate = Candidate::of_config(&config).unwrap();
        let space = Space::of(candidate.parameters(), 32).unwrap();
        let found = Found::of(&space, &HERE, 12, 1).unwrap();
        let (name, own) = &found.published[0];
        assert_eq!((*name, own.candidate), ("phonelm-0.5b", candidate));
        let told = found.metrics(1.0);
        let of_set =
            |one: &&Metric| one.at.values().any(|at| at == "published");
        assert_eq!(told.iter().filter(of_set).count(), 4);
        let behind = found.beside(name, own);
        // None of a dozen may be as large to one part in a hundred.
        assert!(behind.is_empty() || value(&behind, "front_distance") >= 0.0);
        // Against itself it lies on the front.
        let alone = Found {
            predicted: vec![*own],
            members: vec![0],
            published: found.published.clone(),
        };
        let told = alone.beside(name, own);
        assert_eq!(value(&told, "front_distance"), 0.0);
        assert_eq!(value(&told, "faster_share"), 0.0);
    }

    #[test]
    fn a_distance_is_of_times_alone_and_of_shapes_no_smaller() {
        let config = assay_slm::model_config("phonelm-0.5b").unwrap();
        let candidate = Candidate::of_config(&config).unwrap();
        let own =
            Predicted { candidate, prefill: 4.0, decode: 3.0, memory: 9.0 };
        // Twice as fast, in as much memory.
        let faster = Predicted { prefill: 2.0, decode: 1.5, ..own };
        let beside = |other: Predicted| {
            let (predicted, members) = (vec![other], vec![0]);
            let found = Found { predicted, members, published: Vec::new() };
            found.beside("phonelm-0.5b", &own)
        };
        assert_eq!(value(&beside(faster), "front_distance"), 1.0);
        let layers = candidate.layers - 1;
        let smaller = Candidate { layers, ..candidate };
        let smaller = Predicted { candidate: smaller, ..faster };
        assert!(beside(smaller).is_empty());
    }
}
