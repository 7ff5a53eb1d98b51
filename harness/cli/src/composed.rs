//! A case that is too long for one graph, as the sum of cases that it runs,
//! each so many times: one machine, one model of it, errors of one sign, so
//! that the ends of its band are theirs together.

use std::collections::BTreeMap;

use assay_schema::{Bytes, Case, Estimate, Flops, Prediction, Seconds};

/// The prediction of `case` from those of its parts on one unit; `None`
/// without any. Memory is that of the part that needs most.
pub(crate) fn summed(
    case: &Case,
    parts: &[(f64, Prediction)],
) -> Option<Prediction> {
    let (_, first) = parts.first()?;
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
        .map(|(count, one)| Some(one.energy_j.as_ref()?.scaled(*count)))
        .collect();
    let latencies: Vec<Estimate> =
        parts.iter().map(|(count, one)| one.latency_s.scaled(*count)).collect();
    Some(Prediction {
        case: case.path(),
        axes: case.axes.clone(),
        latency_s: sum(&latencies)?,
        time_by_class,
        flops: Flops(total(|one| one.flops.value())),
        bytes: Bytes(total(|one| one.bytes.value())),
        parameters: parts.iter().map(|(_, one)| one.parameters).max()?,
        memory_peak_bytes: parts
            .iter()
            .map(|(_, one)| one.memory_peak_bytes)
            .max_by(|a, b| a.value().total_cmp(&b.value()))?,
        fits: parts
            .iter()
            .filter_map(|(_, one)| one.fits)
            .reduce(|all, one| all && one),
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

    #[test]
    fn an_iteration_is_the_sum_of_its_parts() {
        let on = On::read("nvidia-a100-sxm4-80gb").unwrap();
        let mut predictor = Predictor::default();
        let case: Case = "mstar/tiny/iteration".parse().unwrap();
        let whole = predictor.predict(&case, &on, None, None).unwrap();
        assert_eq!(whole.case, "mstar/tiny/iteration");
        let full = whole.full_case().unwrap();
        let parts = crate::registry::parts(&full, None).unwrap();
        assert!(parts.len() > 3, "{parts:?}");
        let (mut seconds, mut flops, mut peak) = (0.0, 0.0, 0.0_f64);
        for (count, part) in &parts {
            let one = predictor.predict(part, &on, None, None).unwrap();
            seconds += count * one.latency_s.point;
            flops += count * one.flops.value();
            peak = peak.max(one.memory_peak_bytes.value());
        }
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-9;
        assert!(near(whole.latency_s.point, seconds));
        assert!(near(whole.flops.value(), flops));
        assert!(near(whole.memory_peak_bytes.value(), peak));
        let classes: f64 = whole.time_by_class.values().map(|s| s.0).sum();
        assert!(near(whole.latency_s.point, classes));
        let ends = &whole.latency_s;
        assert!(ends.low < ends.point && ends.point < ends.high);
        assert!(summed(&full, &[]).is_none());
    }
}
