//! Small kernels measured on a device of this machine, to calibrate its profile
//! by: `plans/calibrate.toml` on the processor, `plans/calibrate-gpu.toml` on a
//! GPU, timed as the probe times operators.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use assay_hardware_profiles::UnitName;
use assay_schema::{Case, Runtime, Seconds};

use crate::defaults;
use crate::device::Place;
use crate::measured::{Measured, MeasuredTable};
use crate::predictions::{On, Predictor};
use crate::probe::operators::{Shapes, cases_of};
use crate::progress::Progress;

/// Sampling time of a case in each round, and rounds over all cases: those of
/// the probe, and a minute in all.
const BUDGET: Seconds = Seconds(0.3);
const ROUNDS: usize = 4;

/// The cases of the processor, complete.
pub(crate) fn cases() -> Result<Vec<Case>> {
    let text = include_str!("../plans/calibrate.toml");
    cases_of(text, "plans/calibrate.toml")
}

/// Those of a GPU, complete.
pub(crate) fn gpu_cases() -> Result<Vec<Case>> {
    let text = include_str!("../plans/calibrate-gpu.toml");
    cases_of(text, "plans/calibrate-gpu.toml")
}

/// Seconds of each case: the median of all rounds.
pub(crate) fn measure(
    cases: &[Case],
    place: &Place,
    interrupted: &AtomicBool,
) -> Result<Vec<f64>> {
    let mut progress = Progress::new((ROUNDS * cases.len()) as u64);
    let mut shapes = Shapes::new(cases, place);
    for _ in 0..ROUNDS {
        shapes.round(BUDGET, interrupted, &mut progress)?;
    }
    let times = shapes.times()?;
    Ok(times.iter().map(|(.., time)| time.point).collect())
}

/// Seconds of each case as they are predicted.
pub(crate) fn predicted(
    cases: &[Case],
    on: &On,
    predictor: &mut Predictor,
) -> Result<Vec<f64>> {
    cases
        .iter()
        .map(|case| {
            let found = predictor.predict(case, on, None, None)?;
            Ok(found.latency_s.point)
        })
        .collect()
}

/// Cases and their seconds as the table that `calibrate --from` reads; `name`
/// is what errors call it.
pub(crate) fn table(
    name: &str,
    cases: &[Case],
    seconds: &[f64],
    on: &On,
    source: &str,
) -> MeasuredTable {
    let rows = cases.iter().zip(seconds).map(|(case, &seconds)| Measured {
        case: case.clone(),
        on: on.clone(),
        // The device's own time holds no host.
        runtime: match on.unit {
            UnitName::Gpu => Runtime::Kernel,
            UnitName::Cpu | UnitName::Npu => {
                defaults::runtime(case, &on.profile, on.unit)
            }
        },
        model: None,
        seconds,
        weight: 1.0,
        source: source.to_owned(),
        set_aside: None,
    });
    // The heading is line 1.
    let rows = (2..).zip(rows.map(Ok)).collect();
    MeasuredTable { name: name.to_owned(), rows }
}

/// The rows that read, as text of a table.
pub(crate) fn csv(table: &MeasuredTable) -> Result<String> {
    let rows = || table.rows.iter().filter_map(|(_, row)| row.as_ref().ok());
    let axes: BTreeSet<&String> =
        rows().flat_map(|row| row.case.axes.keys()).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let heading = ["case", "profile", "runtime"].into_iter();
    let heading = heading.chain(axes.iter().map(|axis| axis.as_str()));
    writer.write_record(heading.chain(["latency_s", "source"]))?;
    for row in rows() {
        let mut cells = vec![
            row.case.path(),
            format!("{}:{}", row.on.profile.name, row.on.unit),
            row.runtime.name().to_owned(),
        ];
        for axis in &axes {
            cells.push(row.case.axis(axis).unwrap_or_default().to_owned());
        }
        cells.push(format!("{:e}", row.seconds));
        cells.push(row.source.clone());
        writer.write_record(&cells)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn there_are_20_to_50_and_8_of_each_class() {
        for cases in [cases().unwrap(), gpu_cases().unwrap()] {
            let mut classes: BTreeMap<String, usize> = BTreeMap::new();
            for case in &cases {
                let phase = case.axis("phase").unwrap_or_default();
                let class = format!("{} {phase}", case.model);
                *classes.entry(class).or_default() += 1;
            }
            assert!((20..=50).contains(&cases.len()), "{}", cases.len());
            assert!(classes.values().all(|rows| *rows >= 8), "{classes:?}");
            assert_eq!(classes.len(), 6, "{classes:?}");
        }
    }

    #[test]
    fn what_a_gpu_is_predicted_to_take_can_be_fitted() {
        let on = On::read("nvidia-l4").unwrap();
        let cases = gpu_cases().unwrap();
        let mut predictor = Predictor::default();
        let seconds = predicted(&cases, &on, &mut predictor).unwrap();
        let table = table("x", &cases, &seconds, &on, "made up");
        let kernel = |(_, row): &(usize, Result<Measured>)| {
            row.as_ref().unwrap().runtime == Runtime::Kernel
        };
        assert!(table.rows.iter().all(kernel));
        let (seen, left) = table.observations(&mut predictor);
        assert!(left.is_empty(), "{left:?}");
        let seen: Vec<_> = seen.into_iter().map(|(_, one)| one).collect();
        let found =
            assay_predict::calibrate(&seen, "today", "made up").unwrap();
        assert_eq!(found.unfit, []);
        assert_eq!(found.overlay.unit, UnitName::Gpu);
        for (name, class) in &found.overlay.classes {
            assert!(class.error.n > 0, "{name} says no error");
        }
    }

    #[test]
    fn none_is_probed_or_judged_by() {
        let cases = cases().unwrap();
        for (name, text) in [
            ("probe", include_str!("../plans/probe.toml")),
            ("quick", include_str!("../plans/operators-quick.toml")),
            ("default", include_str!("../plans/operators-default.toml")),
            ("full", include_str!("../plans/operators-full.toml")),
        ] {
            for taken in cases_of(text, name).unwrap() {
                assert!(!cases.contains(&taken), "{taken} is in {name}");
            }
        }
    }

    #[test]
    fn the_table_reads_as_it_was_written() {
        let path = assay_hardware_profiles::names()[0];
        let profile = assay_hardware_profiles::load(path).unwrap();
        let unit = profile.default_unit;
        let on = On { profile: Arc::new(profile), unit, runtime: None };
        assert_ne!(unit, UnitName::Npu);
        let cases = cases().unwrap();
        let seconds: Vec<f64> =
            (1..=cases.len()).map(|n| n as f64 / 3e5).collect();
        let table = table("x", &cases, &seconds, &on, "a test, made up");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), csv(&table).unwrap()).unwrap();
        let read = MeasuredTable::read(file.path()).unwrap();
        assert_eq!(read.rows.len(), cases.len());
        for ((line, row), (wanted_line, wanted)) in
            read.rows.iter().zip(&table.rows)
        {
            let (row, wanted) =
                (row.as_ref().unwrap(), wanted.as_ref().unwrap());
            assert_eq!(line, wanted_line);
            assert_eq!(row.case, wanted.case);
            assert_eq!(row.seconds.to_bits(), wanted.seconds.to_bits());
            assert_eq!(row.runtime, wanted.runtime);
            assert_eq!(row.on.profile.name, wanted.on.profile.name);
            assert_eq!(row.source, wanted.source);
            assert!(row.set_aside.is_none());
        }
    }
}
