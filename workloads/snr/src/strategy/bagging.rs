//! SNR bagging (arXiv 1912.11896, section V): three networks, each trained on
//! its own uniform sample of the examples at the test's SNR and its two
//! neighbours; they vote.
//!
//! Left open by the paper, chosen here: each network's sample is `fraction`
//! of a single-SNR training set, drawn without replacement; the target's own
//! validation examples choose its epoch; beyond an end of
//! the range there is no neighbour; of a tie the first network's answer
//! counts.

use assay_kit::classification::{Evaluation, predictions};
use assay_measure::{Watch, WorkloadError};
use assay_radio::Random;

use super::{Study, Trained};

/// Networks that vote.
const NETWORKS: u64 = 3;

impl Study<'_> {
    /// Three networks around a target.
    pub(super) fn bag(
        &self,
        target: i8,
        watch: &mut Watch<'_>,
    ) -> Result<Trained, WorkloadError> {
        let group = &self.examples.group;
        let near = |place: usize| (group[place] - target).abs() <= 2;
        let own = |place: usize| group[place] == target;
        let mut around =
            self.split.clone().testing_only(own).training_only(near);
        // The network answers at the target, so that chooses its epoch.
        around.validation.retain(|&place| own(place));
        let single = self.split.train.iter().filter(|&&place| own(place));
        let share = self.request.fraction;
        let wanted = (single.count() as f64 * share).round().max(1.0) as usize;
        let mut votes: Vec<Vec<u8>> = Vec::new();
        let mut all = Trained::default();
        for which in 0..NETWORKS {
            let mut split = around.clone();
            let mut random = Random::new(self.request.seed, which);
            sample(&mut split.train, wanted, &mut random);
            let fit = self.fit(&split, which)?;
            let (best, trained) = self.finish(fit, &split, watch)?;
            votes.push(watch.part("evaluation", |_| {
                predictions(&best.model, self.examples, &split.test)
            }));
            all.epochs += trained.epochs;
            all.seconds += trained.seconds;
            all.all.0 += trained.all.0;
            all.all.1 += trained.all.1;
            all.examples += trained.examples;
        }
        let answers: Vec<u8> =
            (0..around.test.len()).map(|i| vote(&votes, i)).collect();
        let test =
            Evaluation::of_predictions(self.examples, &around.test, &answers);
        Ok(Trained { test, ..all })
    }
}

/// Keeps `count` of the places, drawn without replacement.
fn sample(places: &mut Vec<usize>, count: usize, random: &mut Random) {
    for place in 0..count.min(places.len()) {
        let other = place + random.below(places.len() - place);
        places.swap(place, other);
    }
    places.truncate(count);
}

/// The majority of the votes on one example.
fn vote(votes: &[Vec<u8>], example: usize) -> u8 {
    let own: Vec<u8> = votes.iter().map(|vote| vote[example]).collect();
    own.iter()
        .find(|&&class| own.iter().filter(|&&c| c == class).count() > 1)
        .copied()
        .unwrap_or(own[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_three_win_and_the_first_breaks_a_tie() {
        let votes = [vec![1, 1, 4], vec![2, 2, 5], vec![2, 1, 6]];
        assert_eq!([0, 1, 2].map(|i| vote(&votes, i)), [2, 1, 4]);
    }

    #[test]
    fn a_sample_holds_each_place_at_most_once() {
        let mut places: Vec<usize> = (0..50).collect();
        sample(&mut places, 20, &mut Random::new(3, 1));
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 20);
        let mut few = vec![1, 2];
        sample(&mut few, 9, &mut Random::new(3, 1));
        assert_eq!(few.len(), 2);
    }
}
