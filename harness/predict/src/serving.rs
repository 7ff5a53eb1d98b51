//! Which of a unit's peaks serves a number format.

use assay_hardware_profiles::{Fact, HardwareProfile, Unit, UnitName};
use assay_schema::{FlopsPerSecond, Precision};

use crate::PredictError;

/// A peak that serves a format.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served<'a> {
    /// The peak as the profile states it.
    pub(crate) fact: &'a Fact<FlopsPerSecond>,
    /// The format that it is the peak of.
    pub(crate) format: Precision,
    /// Share of it that the format asked for gets.
    pub(crate) share: f64,
    /// Whether it is the matrix unit's.
    pub(crate) on_matrix_unit: bool,
}

impl Served<'_> {
    /// FLOP/s that the format asked for gets.
    pub(crate) fn peak(&self) -> FlopsPerSecond {
        self.fact.value * self.share
    }
}

/// The peak that serves a precision: its own, else the next wider that the
/// unit has. Weight-only formats multiply in their compute format. `f32` is
/// vector arithmetic. An NPU that publishes int8 alone is taken to do f16 at
/// half of it.
///
/// # Errors
///
/// A unit without any of them.
pub(crate) fn serve<'a>(
    profile: &HardwareProfile,
    name: UnitName,
    unit: &'a Unit,
    precision: Precision,
) -> Result<Served<'a>, PredictError> {
    use Precision::{Bf16, F16, F32, F64, Fp8, Int8, Tf32};
    let own = |format: Precision, share: f64| {
        let fact = if format == F32 {
            unit.vector.get(format).or_else(|| unit.matrix.get(format))
        } else {
            unit.peak(format)
        }?;
        let matrix = unit.matrix.get(format);
        let on_matrix_unit = matrix.is_some_and(|m| std::ptr::eq(m, fact));
        Some(Served { fact, format, share, on_matrix_unit })
    };
    let ladder: &[Precision] = match precision.compute() {
        F64 => &[F64],
        F32 => &[F32],
        Tf32 => &[Tf32, F32],
        F16 => &[F16, Bf16, F32],
        Bf16 => &[Bf16, F16, F32],
        Fp8 => &[Fp8, F16, Bf16, F32],
        _ => &[Int8, F16, F32],
    };
    let half_of_int8 = || {
        let narrow = matches!(precision.compute(), F16 | Bf16);
        narrow.then(|| own(Int8, 0.5)).flatten()
    };
    ladder
        .iter()
        .find_map(|&format| own(format, 1.0))
        .or_else(half_of_int8)
        .ok_or_else(|| PredictError::NoPeak {
            profile: profile.name.clone(),
            unit: name.name().to_owned(),
            precision,
            has: Precision::ALL
                .into_iter()
                .filter(|&p| unit.peak(p).is_some())
                .map(Precision::name)
                .collect::<Vec<_>>()
                .join(", "),
        })
}

/// The peak that serves a precision on a unit, FLOP/s, by the same rule as a
/// prediction: its own, else the next wider. `None` where nothing does.
pub fn serving_peak(
    profile: &HardwareProfile,
    name: UnitName,
    precision: Precision,
) -> Option<FlopsPerSecond> {
    let (name, unit) = profile.unit(Some(name.name())).ok()?;
    let served = serve(profile, name, unit, precision).ok()?;
    Some(served.peak())
}
