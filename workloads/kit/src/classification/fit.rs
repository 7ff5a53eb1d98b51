//! Training with early stopping, twice over: as the papers' authors did it,
//! and honestly.
//!
//! The authors stop by the test set and report the best test accuracy of any
//! epoch, which is an optimistic choice. Beside it stands the honest split:
//! a validation set chooses the epoch, the test set judges that epoch alone.
//! One run serves both; it ends when both would have ended.

use assay_kernels::AdamW;

use super::split::ORDER;
use super::{Classifier, Evaluation, Examples, Split, evaluate, training_step};
use crate::{Draws, Optimizer, Training, floats};
use burn::tensor::Device;

/// How a fit goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Examples a step.
    pub batch: usize,
    /// Adam's step size.
    pub learning_rate: f64,
    /// Epochs without a better accuracy or a better loss that end it.
    pub patience: usize,
    /// Most epochs.
    pub most_epochs: usize,
    /// Of the order of examples and of what is dropped.
    pub seed: u64,
    /// Whether the authors' protocol is followed too: it needs the test set
    /// at every epoch.
    pub authors: bool,
}

/// Adam (Kingma and Ba, 2015) as PyTorch and Keras have it.
pub fn adam(learning_rate: f64) -> AdamW {
    AdamW {
        learning_rate,
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.0,
    }
}

/// The best epoch so far.
#[derive(Clone, Debug)]
pub struct Best<M> {
    /// From 1.
    pub epoch: usize,
    /// Training time up to it, seconds; evaluation is not counted.
    pub seconds: f64,
    /// The model after it.
    pub model: M,
    /// Its answers on the test set.
    pub test: Evaluation,
    /// Its accuracy on the validation set.
    pub validation: f64,
}

/// What decides when to stop: the best accuracy and the best loss so far.
#[derive(Clone, Debug)]
struct Patience {
    accuracy: f64,
    loss: f64,
    idle: usize,
    limit: usize,
}

impl Patience {
    fn new(limit: usize) -> Self {
        Self {
            accuracy: f64::NEG_INFINITY,
            loss: f64::INFINITY,
            idle: 0,
            limit,
        }
    }

    /// Takes an epoch; whether its accuracy is the best so far. Patience that
    /// is spent stays spent: the other protocol may go on alone.
    fn better(&mut self, evaluation: &Evaluation) -> bool {
        if self.is_spent() {
            return false;
        }
        let accuracy = evaluation.accuracy();
        let better = accuracy > self.accuracy;
        if better || evaluation.loss < self.loss {
            self.idle = 0;
        } else {
            self.idle += 1;
        }
        self.accuracy = self.accuracy.max(accuracy);
        self.loss = self.loss.min(evaluation.loss);
        better
    }

    fn is_spent(&self) -> bool {
        self.idle >= self.limit
    }
}

/// A training run under way.
pub struct Fit<M> {
    model: Option<M>,
    optimizer: Optimizer,
    training: Training,
    draws: Draws,
    schedule: Schedule,
    order: Vec<usize>,
    epoch: usize,
    seconds: f64,
    honest: Patience,
    authors: Patience,
    best: Option<Best<M>>,
    best_of_authors: Option<(f64, usize, f64)>,
}

impl<M: Classifier> Fit<M> {
    /// A fit of `model`, which lives on a device with gradients, to the
    /// training examples of `split`.
    pub fn new(model: M, split: &Split, schedule: Schedule) -> Self {
        let mut optimizer = Optimizer::new(adam(schedule.learning_rate));
        optimizer.prepare(&model);
        Self {
            model: Some(model),
            optimizer,
            training: Training::new(schedule.seed),
            draws: Draws::new(schedule.seed, ORDER),
            schedule,
            order: split.train.clone(),
            epoch: 0,
            seconds: 0.0,
            honest: Patience::new(schedule.patience),
            authors: Patience::new(schedule.patience),
            best: None,
            best_of_authors: None,
        }
    }

    /// One epoch over the training examples in a new order; the mean loss,
    /// nats an example. NaN is a finding: [`is_done`](Self::is_done) then.
    pub fn train(&mut self, examples: &Examples) -> f64 {
        let device = Device::flex().autodiff();
        self.draws.shuffle(&mut self.order);
        let mut losses = Vec::new();
        for picks in self.order.chunks(self.schedule.batch.max(1)) {
            let Some(model) = self.model.take() else { break };
            let (x, class) = examples.batch(picks, &device);
            let (loss, model) = training_step(
                model,
                &mut self.optimizer,
                &mut self.training,
                x,
                class,
            );
            self.model = Some(model);
            losses.push((loss, picks.len()));
        }
        self.epoch += 1;
        let all: usize = losses.iter().map(|(_, count)| count).sum();
        let sum: f64 = losses
            .into_iter()
            .map(|(loss, count)| {
                let loss = floats(loss).first().copied().unwrap_or(f32::NAN);
                f64::from(loss) * count as f64
            })
            .sum();
        sum / all.max(1) as f64
    }

    /// Judges the epoch that [`train`](Self::train) just made in `seconds`;
    /// the validation set's evaluation.
    pub fn judge(
        &mut self,
        examples: &Examples,
        split: &Split,
        seconds: f64,
    ) -> Evaluation {
        self.seconds += seconds;
        let Some(model) = &self.model else { return Evaluation::default() };
        let validation = evaluate(model, examples, &split.validation);
        let better = self.honest.better(&validation);
        let authors = self.schedule.authors && !self.authors.is_spent();
        if !(better || authors) {
            return validation;
        }
        let test = evaluate(model, examples, &split.test);
        if authors && self.authors.better(&test) {
            let accuracy = test.accuracy();
            self.best_of_authors = Some((accuracy, self.epoch, self.seconds));
        }
        if better {
            self.best = Some(Best {
                epoch: self.epoch,
                seconds: self.seconds,
                model: model.clone(),
                test,
                validation: validation.accuracy(),
            });
        }
        validation
    }

    /// Whether both protocols have stopped, or the epochs are spent.
    pub fn is_done(&self) -> bool {
        let authors = !self.schedule.authors || self.authors.is_spent();
        self.epoch >= self.schedule.most_epochs
            || (self.honest.is_spent() && authors)
    }

    /// Epochs made.
    pub fn epoch(&self) -> usize {
        self.epoch
    }

    /// Training time of all epochs, seconds.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Training examples.
    pub fn examples(&self) -> usize {
        self.order.len()
    }

    /// The epoch that the validation set chooses; `None` before the first.
    pub fn best(&self) -> Option<&Best<M>> {
        self.best.as_ref()
    }

    /// By the authors' protocol: best test accuracy, its epoch, training time
    /// up to it in seconds.
    pub fn best_of_authors(&self) -> Option<(f64, usize, f64)> {
        self.best_of_authors
    }

    /// The model as the last epoch left it.
    pub fn into_model(self) -> Option<M> {
        self.model
    }

    /// The optimizer's and the graph's memory go; the best epoch stays.
    pub fn into_best(self) -> Option<Best<M>> {
        self.best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(accuracy: f64, loss: f64) -> Evaluation {
        let right = (accuracy * 100.0) as u64;
        Evaluation {
            counts: [((0, 0, 0), right), ((0, 0, 1), 100 - right)].into(),
            loss,
        }
    }

    #[test]
    fn patience_ends_only_when_neither_accuracy_nor_loss_improves() {
        let mut patience = Patience::new(2);
        assert!(patience.better(&evaluation(0.5, 1.0)));
        assert!(!patience.better(&evaluation(0.5, 0.9)));
        assert!(!patience.better(&evaluation(0.4, 0.95)));
        assert!(!patience.is_spent());
        assert!(!patience.better(&evaluation(0.5, 0.9)));
        assert!(patience.is_spent());
        // Later epochs are the other protocol's.
        assert!(!patience.better(&evaluation(0.6, 0.1)));
        assert!(patience.is_spent());
    }
}
