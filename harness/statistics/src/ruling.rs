//! How a paper's claim comes out: one rule for all claims.
//!
//! A claim names a number, a direction and a margin. Together they allow a
//! region, its borders included:
//!
//! ```text
//! at-least   [value - margin, infinity)
//! at-most    (-infinity, value + margin]
//! near       [value - margin, value + margin]
//! ```
//!
//! The steps, in order; the first that applies decides:
//!
//! 1. The claim says why it is untestable: **not-tested**, for that reason.
//! 2. Value, margin, noise or null of the claim is not a number, or margin or
//!    noise is negative: **not-tested**; the claim itself is broken.
//! 3. No evidence carries the claim's id: **not-tested**.
//! 4. None of that evidence is of a kind that may judge (`data`):
//!    **not-tested**.
//! 5. All of what is left stands on fewer seeds than `least_seeds`:
//!    **not-tested**. (Predictions and recomputed tables have no seeds and
//!    `n = 0`; claims that they may judge ask for none.)
//! 6. Of what is left, the kind that the claim lists first judges; within a
//!    kind, the most seeds; then the first given. Evidence that holds NaN or
//!    whose interval does not enclose its point: **not-tested**. It is not
//!    passed over for a nicer one: a broken computation must show.
//! 7. `|point - null| < noise`: **inside-noise**. The effect is smaller than
//!    what chance is known to do, whatever its interval says.
//! 8. The interval lies wholly in the region: **supported**; wholly outside:
//!    **contradicted**; otherwise it straddles a border (or, for a narrow
//!    `near`, encloses the region): **inside-noise**.
//!
//! The reason names the numbers, so that a reader can redo the step by hand.
//! An interval's confidence is not judged, only told: claims guard themselves
//! by `least_seeds`.

use assay_schema::{
    Claim, ClaimData, ClaimFinding, Direction, Estimate, Evidence, Ruling,
};

/// Rules on a claim of `paper` by the evidence of a run, which may speak of
/// other claims too.
pub fn rule(paper: &str, claim: &Claim, evidence: &[Evidence]) -> ClaimFinding {
    let (evidence, ruling, reason) = match select(claim, evidence) {
        Err(reason) => (None, Ruling::NotTested, reason),
        Ok(evidence) => {
            let (ruling, reason) = judge(claim, &evidence.estimate);
            (Some(evidence.clone()), ruling, reason)
        }
    };
    ClaimFinding {
        paper: paper.to_owned(),
        claim: claim.clone(),
        evidence,
        ruling,
        reason,
    }
}

/// What a claim allows, from its least to its most, in the claim's unit; both
/// belong to it, and either may be infinite.
pub fn allowed_region(claim: &Claim) -> [f64; 2] {
    let (low, high) = (claim.value - claim.margin, claim.value + claim.margin);
    match claim.direction {
        Direction::AtLeast => [low, f64::INFINITY],
        Direction::AtMost => [f64::NEG_INFINITY, high],
        Direction::Near => [low, high],
    }
}

/// Steps 1 to 6: the evidence that judges, or why none does.
fn select<'a>(
    claim: &Claim,
    evidence: &'a [Evidence],
) -> Result<&'a Evidence, String> {
    if let Some(reason) = &claim.untestable {
        return Err(reason.clone());
    }
    if let Some(reason) = broken(claim) {
        return Err(reason);
    }
    let named: Vec<&Evidence> =
        evidence.iter().filter(|e| e.claim == claim.id).collect();
    if named.is_empty() {
        return Err("no evidence in these runs".to_owned());
    }
    let place =
        |e: &Evidence| claim.data.iter().position(|&data| data == e.data);
    let allowed: Vec<&Evidence> =
        named.iter().copied().filter(|e| place(e).is_some()).collect();
    if allowed.is_empty() {
        let found: Vec<ClaimData> = named.iter().map(|e| e.data).collect();
        return Err(format!(
            "evidence on {} data only; {} data may judge",
            listed(&found),
            listed(&claim.data)
        ));
    }
    let most = allowed.iter().map(|e| e.estimate.n).max().unwrap_or(0);
    if most < claim.least_seeds {
        return Err(format!(
            "{most} seeds; at least {} are asked for",
            claim.least_seeds
        ));
    }
    // `min_by_key` keeps the first of equals.
    allowed
        .into_iter()
        .filter(|e| e.estimate.n >= claim.least_seeds)
        .min_by_key(|e| (place(e), u64::MAX - e.estimate.n))
        .ok_or_else(|| "no evidence in these runs".to_owned())
}

/// Step 2.
fn broken(claim: &Claim) -> Option<String> {
    for (name, value) in [
        ("value", claim.value),
        ("margin", claim.margin),
        ("noise", claim.noise),
        ("null", claim.null),
    ] {
        if !value.is_finite() {
            return Some(format!(
                "the claim's {name} is {value}; expected a finite number"
            ));
        }
    }
    for (name, value) in [("margin", claim.margin), ("noise", claim.noise)] {
        if value < 0.0 {
            return Some(format!(
                "the claim's {name} is {value}; expected 0 or more"
            ));
        }
    }
    None
}

/// The end of step 6, and steps 7 and 8.
fn judge(claim: &Claim, e: &Estimate) -> (Ruling, String) {
    // Also false when any of the three is NaN.
    let ordered = e.low <= e.point && e.point <= e.high;
    if !ordered || !e.point.is_finite() {
        return (
            Ruling::NotTested,
            format!(
                "the evidence is no estimate: {} with interval {} to {}",
                shown(e.point),
                shown(e.low),
                shown(e.high)
            ),
        );
    }
    let effect = (e.point - claim.null).abs();
    if effect < claim.noise {
        return (
            Ruling::InsideNoise,
            format!(
                "the effect of {} is smaller than the noise of {}",
                quantity(effect, claim),
                quantity(claim.noise, claim)
            ),
        );
    }
    let [least, most] = allowed_region(claim);
    let (ruling, relation) = if least <= e.low && e.high <= most {
        (Ruling::Supported, "lies within")
    } else if e.high < least || e.low > most {
        (Ruling::Contradicted, "lies outside of")
    } else {
        (Ruling::InsideNoise, "straddles the border of")
    };
    let region = match claim.direction {
        Direction::AtLeast => format!("at least {}", quantity(least, claim)),
        Direction::AtMost => format!("at most {}", quantity(most, claim)),
        Direction::Near => {
            format!("{} to {}", shown(least), quantity(most, claim))
        }
    };
    let reason = format!(
        "{} ({:.0} % interval {} to {}) {relation} {region}",
        quantity(e.point, claim),
        e.confidence * 100.0,
        shown(e.low),
        shown(e.high),
    );
    (ruling, reason)
}

fn quantity(value: f64, claim: &Claim) -> String {
    match claim.unit.as_str() {
        "1" | "" => shown(value),
        unit => format!("{} {unit}", shown(value)),
    }
}

/// Four significant digits, without trailing zeros.
fn shown(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    if !(1e-4..1e7).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let digits = (3 - magnitude.log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn listed(kinds: &[ClaimData]) -> String {
    let mut words: Vec<&str> = Vec::new();
    for kind in kinds {
        let word = match kind {
            ClaimData::Generated => "generated",
            ClaimData::Real => "real",
            ClaimData::Published => "published",
            ClaimData::Predicted => "predicted",
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if words.is_empty() { "no".to_owned() } else { words.join(" or ") }
}

#[cfg(test)]
mod tests;
