//! A case that is too long for one graph, as the sum of cases that it runs,
//! each so many times: one machine, one model of it, errors of one sign, so
//! that the ends of its band are theirs together.
//!
//! A part is what one rank does. Ranks work side by side: the time and the
//! memory of a case are those of one rank, its arithmetic, bytes and energy
//! those of all.

use std::collections::BTreeMap;

use assay_schema::{Bytes, Case, Estimate, Flops, Prediction, Seconds};

/// The prediction of `case` from those of its parts on one unit; `None`
/// without any. Memory is that of the part that needs most, and what is held
/// `beside` it all the time; `room` is that of the machine, where it is known.
pub(crate) fn summed(
    case: &Case,
    parts: &[(f64, Prediction)],
    beside: Bytes,
    room: Option<f64>,
) -> Option<Prediction> {
    let (_, first) = parts.first()?;
    let ranks = case.axis("ranks").and_then(|text| text.parse::<f64>().ok());
    let ranks = ranks.unwrap_or(1.0);
    let most = parts
        .iter()
        .map(|(_, one)| one.memory_peak_bytes)
        .max_by(|a, b| a.value().total_cmp(&b.value()))?;
    let peak = most + beside;
    let seconds =
        |(count, one): &(f64, Prediction)| count * one.latency_s.point;
    let (_, longest) =
        parts.iter().max_by(|a, b| seconds(a).total_cmp(&seconds(b)))?;
    let total = |of: fn(&Prediction) -> f64| -> f64 {
        parts.iter().map(|(count, one)| count * of(one)).sum()
    };
    let mut time_by_class: BTreeMap<String, Seconds> = BTreeMap::new();
    for (count, one) in parts {
        for (class, time) in &one.time_by_class {
            let all = time_by_class.entry(class.clone());
            all.or_insert(Seconds(0.0)).0 += count * time.0;
        }
    }
    let energies: Option<Vec<Estimate>> = parts
        .iter()
        .map(|(count, one)| Some(one.energy_j.as_ref()?.scaled(count * ranks)))
        .collect();
    let latencies: Vec<Estimate> =
        parts.iter().map(|(count, one)| one.latency_s.scaled(*count)).collect();
    Some(Prediction {
        case: case.path(),
        axes: case.axes.clone(),
        latency_s: sum(&latencies)?,
        time_by_class,
        flops: Flops(ranks * total(|one| one.flops.value())),
        bytes: Bytes(ranks * total(|one| one.bytes.value())),
        parameters: parts.iter().map(|(_, one)| one.parameters).max()?,
        memory_peak_bytes: peak,
        fits: room.map(|room| peak.value() <= room),
        energy_j: energies.and_then(|each| sum(&each)),
        memory_parts: Vec::new(),
        bound: longest.bound,
        ..first.clone()
    })
}

fn sum(each: &[Estimate]) -> Option<Estimate> {
    let first = each.first()?;
    let total = |end: fn(&Estimate) -> f64| each.iter().map(end).sum::<f64>();
    Some(Estimate {
        point: total(|one| one.point),
        low: total(|one| one.low),
        high: total(|one| one.high),
        confidence: each.iter().map(|one| one.confidence).reduce(f64::min)?,
        n: 0,
        // What stands behind `; ` is a remark on the machine: the first's.
        method: format!("sum of {} parts, {}", each.len(), first.method),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predictions::{On, Predictor};

    /// An iteration, and its parts' seconds, FLOPs and joules added up, with
    /// the largest peak in bytes.
    fn both(text: &str) -> (Prediction, [f64; 4]) {
        let on = On::read("nvidia-a100-sxm4-80gb").unwrap();
        let mut predictor = Predictor::default();
        let case: Case = text.parse().unwrap();
        let whole = predictor.predict(&case, &on, None, None).unwrap();
        let full = whole.full_case().unwrap();
        let parts = crate::registry::parts(&full, None).unwrap();
        assert!(parts.len() > 3, "{parts:?}");
        let mut sums = [0.0; 4];
        for (count, part) in &parts {
            let one = predictor.predict(part, &on, None, None).unwrap();
            sums[0] += count * one.latency_s.point;
            sums[1] += count * one.flops.value();
            sums[2] += count * one.energy_j.unwrap().point;
            sums[3] = sums[3].max(one.memory_peak_bytes.value());
        }
        (whole, sums)
    }

    fn near(a: f64, b: f64) -> bool {
        (a / b - 1.0).abs() < 1e-9
    }

    #[test]
    fn an_iteration_is_the_sum_of_its_parts() {
        let (whole, [seconds, flops, joules, peak]) =
            both("mstar/tiny/iteration");
        assert_eq!(whole.case, "mstar/tiny/iteration");
        assert!(near(whole.latency_s.point, seconds));
        assert!(near(whole.flops.value(), flops));
        assert!(near(whole.energy_j.as_ref().unwrap().point, joules));
        let full = whole.full_case().unwrap();
        // The process reward model is held beside the part that needs most.
        let beside = crate::registry::held_beside(&full, None).unwrap();
        assert!(beside.value() > 0.0);
        assert!(near(whole.memory_peak_bytes.value(), peak + beside.value()));
        assert_eq!(whole.fits, Some(true));
        let classes: f64 = whole.time_by_class.values().map(|s| s.0).sum();
        assert!(near(whole.latency_s.point, classes));
        let ends = &whole.latency_s;
        assert!(ends.low < ends.point && ends.point < ends.high);
        assert!(summed(&full, &[], beside, None).is_none());
    }

    #[test]
    fn ranks_work_side_by_side() {
        let (whole, [seconds, flops, joules, _]) =
            both("mstar/tiny/iteration ranks=8");
        assert!(near(whole.latency_s.point, seconds));
        assert!(near(whole.flops.value(), 8.0 * flops));
        assert!(near(whole.energy_j.unwrap().point, 8.0 * joules));
    }
}
