//! Each claim of a file through every ruling, with evidence that its own
//! statistic makes of made-up runs: whatever a paper says, data must be able
//! to support it, to contradict it, and to leave it open.

use assay_schema::{Claim, ClaimFile, Evidence, Ruling};

use crate::{allowed_region, rule};

/// Evidence of one value a seed.
type OverSeeds<'a> = dyn Fn(&[f64]) -> Vec<Evidence> + 'a;

/// Evidence in which a statistic is a value, with parts or a band that far to
/// either side of it, as a share of it, from so many repetitions.
type AtValues<'a> = dyn Fn(f64, f64, usize) -> Vec<Evidence> + 'a;

/// Seeds of a trial, where a claim does not ask for more.
const SEEDS: u64 = 5;

/// Repetitions of a trial at values, where a claim does not ask for more:
/// fewer have no interval of a median.
const REPETITIONS: u64 = 6;

/// Shares to either side of a value.
const SPREADS: [f64; 3] = [0.0, 0.05, 0.3];

/// How far past a border is certainly past it, beside noise and a part of the
/// border, where a value is no mean over seeds.
const APART: f64 = 0.3;

/// With what a claim is driven through the rulings.
pub enum Trial<'a> {
    /// By records of several seeds.
    OverSeeds {
        /// How far past a border is certainly past it, in the claim's unit,
        /// beside noise and a part of the border: what a value stands on
        /// (requests, pictures) may widen its interval by as much.
        apart: f64,
        /// Evidence of one value a seed: one piece.
        made: Box<OverSeeds<'a>>,
    },
    /// By runs that have no seeds.
    AtValues(Box<AtValues<'a>>),
    /// By evidence that is there already, each alone.
    Each(Vec<Evidence>),
}

impl<'a> Trial<'a> {
    /// By records of several seeds: see [`Trial::OverSeeds`].
    pub fn over_seeds(
        apart: f64,
        made: impl Fn(&[f64]) -> Vec<Evidence> + 'a,
    ) -> Self {
        Self::OverSeeds { apart, made: Box::new(made) }
    }

    /// By runs without seeds: `made` gets a value, how far to either side of
    /// it its parts or its band reach (as a share of it), and the number of
    /// repetitions.
    pub fn at_values(
        made: impl Fn(f64, f64, usize) -> Vec<Evidence> + 'a,
    ) -> Self {
        Self::AtValues(Box::new(made))
    }

    /// Evidence at the claim's own value that stands on one seed or repetition
    /// less than it asks for; `None` where there is none to take away.
    fn too_few(&self, claim: &Claim) -> Option<Vec<Evidence>> {
        let few = claim.least_seeds.checked_sub(1).filter(|few| *few > 0)?;
        let few = few as usize;
        match self {
            Self::OverSeeds { made, .. } => {
                let values = vec![claim.value; few];
                Some(made(values.as_slice()))
            }
            Self::AtValues(made) => Some(made(claim.value, 0.0, few)),
            Self::Each(_) => None,
        }
    }

    /// Evidence of one run after another.
    fn runs(
        &self,
        claim: &Claim,
    ) -> Box<dyn Iterator<Item = Vec<Evidence>> + '_> {
        match self {
            Self::OverSeeds { apart, made } => {
                let all = values_over_seeds(claim, *apart).into_iter();
                Box::new(all.map(move |values| made(values.as_slice())))
            }
            Self::AtValues(made) => {
                let enough = claim.least_seeds.max(REPETITIONS) as usize;
                let all = values_with_spreads(claim);
                Box::new(
                    all.into_iter().map(move |(value, spread)| {
                        made(value, spread, enough)
                    }),
                )
            }
            Self::Each(all) => {
                Box::new(all.iter().map(|one| vec![one.clone()]))
            }
        }
    }
}

/// What is wrong with how claims are ruled on, one sentence each. `trial` says
/// with what a claim is driven; `None` for one that nothing judges.
///
/// Without evidence, and on too few seeds, a claim is not tested. One that
/// something judges meets supported, contradicted and inside-noise; one that
/// nothing judges says that it is untestable.
pub fn drill<'a>(
    file: &'a ClaimFile,
    trial: impl Fn(&'a Claim) -> Option<Trial<'a>>,
) -> Vec<String> {
    let mut faults = Vec::new();
    for claim in &file.claim {
        let id = &claim.id;
        let ruled =
            |evidence: &[Evidence]| rule(&file.paper, claim, evidence).ruling;
        if ruled(&[]) != Ruling::NotTested {
            faults.push(format!("{id} is ruled on without evidence"));
        }
        let Some(trial) = trial(claim) else {
            if claim.untestable.is_none() {
                faults.push(format!("{id} has nothing that judges it"));
            }
            continue;
        };
        if let Some(few) = trial.too_few(claim) {
            if few.len() != 1 {
                let pieces = few.len();
                faults.push(format!(
                    "{id} has {pieces} pieces of evidence on few seeds, not 1"
                ));
            }
            if ruled(&few) != Ruling::NotTested {
                faults.push(format!("{id} is ruled on by too few seeds"));
            }
        }
        let mut missed =
            vec![Ruling::Supported, Ruling::Contradicted, Ruling::InsideNoise];
        for evidence in trial.runs(claim) {
            let met = ruled(&evidence);
            missed.retain(|wanted| *wanted != met);
            if missed.is_empty() {
                break;
            }
        }
        faults.extend(
            missed.iter().map(|one| format!("{id} is never {}", one.name())),
        );
    }
    faults
}

/// The borders of what a claim allows.
fn borders(claim: &Claim) -> impl Iterator<Item = f64> {
    allowed_region(claim).into_iter().filter(|border| border.is_finite())
}

/// Values of a statistic: the claim's, no effect, well inside and well outside
/// of what it allows, and close to either border.
fn values(claim: &Claim, apart: f64) -> Vec<f64> {
    let (value, null, noise) = (claim.value, claim.null, claim.noise);
    let far = |from: f64| noise + apart + 0.4 * from.abs();
    let mut all = vec![
        value,
        null + noise / 2.0,
        null + 2.0 * noise,
        value + far(value),
        value - far(value),
    ];
    for border in borders(claim) {
        all.extend([border - far(border), border + far(border)]);
        all.extend([0.5, 0.9, 1.0, 1.03, 1.1, 2.0].map(|part| part * border));
    }
    all
}

/// Values over seeds: some about a border, some steady.
fn values_over_seeds(claim: &Claim, apart: f64) -> Vec<Vec<f64>> {
    let seeds = claim.least_seeds.max(SEEDS);
    let middle = (seeds - 1) as f64 / 2.0;
    let mut all: Vec<Vec<f64>> = Vec::new();
    for border in borders(claim) {
        let step = 0.1 * border.abs().max(1.0);
        let around = (0..seeds).map(|i| border + step * (i as f64 - middle));
        all.push(around.collect());
    }
    let steady = values(claim, apart).into_iter();
    all.extend(steady.map(|value| vec![value; seeds as usize]));
    all
}

/// Values with spreads. Times and sizes are above 0: no statistic of them is
/// below, where neither the claim nor what it allows begins there.
fn values_with_spreads(claim: &Claim) -> Vec<(f64, f64)> {
    let mut all = values(claim, APART);
    if claim.value > 0.0 && borders(claim).all(|border| border > 0.0) {
        all.retain(|&value| value > 0.0);
    }
    all.iter()
        .flat_map(|&value| SPREADS.map(|spread| (value, spread)))
        .collect()
}
