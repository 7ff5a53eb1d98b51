//! What several classes share: the reachable bandwidth, the cache test, the
//! clock that power leaves, the overlap of what runs side by side.

use crate::ceilings::Ceilings;

/// Times that run side by side: their 3-norm. Two equal ones cost a quarter
/// more than either, one far below the other costs nothing.
pub(crate) fn overlap(a: f64, b: f64, c: f64) -> f64 {
    (a * a * a + b * b * b + c * c * c).cbrt()
}

/// Reachable memory bandwidth, B/s: `em` of the stated one, times `em_gddr`
/// on memory that is not stacked.
pub(crate) fn memory_rate(em: f64, em_gddr: f64, c: &Ceilings) -> f64 {
    let share = if c.narrow_memory { em * em_gddr } else { em };
    share.min(0.99) * c.bandwidth
}

/// The cache test: of `bytes` of traffic, the share that lies inside the
/// last-level cache is read at `times` the memory rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheTest {
    /// Share of the cache that a kernel's data can hold.
    pub(crate) used: f64,
    /// How sharply residence falls once the data outgrow that.
    pub(crate) sharpness: f64,
    /// Rate beside the memory's.
    pub(crate) times: f64,
}

impl CacheTest {
    /// Seconds of `bytes` of traffic.
    pub(crate) fn seconds(self, bytes: f64, rate: f64, c: &Ceilings) -> f64 {
        let fits = self.used * c.cache / bytes.max(1.0);
        let inside = if fits >= 1.0 { 1.0 } else { fits.powf(self.sharpness) };
        bytes / rate * (1.0 - inside + inside / self.times)
    }
}

/// Share of the peak that the power limit leaves: the energy that the limit
/// grants an operation over what one needs, to a power. `pj` is the need of
/// an operation of 2018's process in pJ; it halves every `pj_years`. 8-bit
/// operations need half.
pub(crate) fn sustained(
    pj: f64,
    pj_years: f64,
    power: f64,
    c: &Ceilings,
) -> f64 {
    let Some(limit) = c.power else { return 1.0 };
    let need = pj * (-(c.year - 2018.0) / pj_years).exp2();
    let eight_bit = c.precision.compute().weight_bits() <= 8.0;
    let narrow = if eight_bit { 2.0 } else { 1.0 };
    (narrow * limit / c.peak * 1e12 / need).powf(power).min(1.0)
}

/// The least time of a kernel: the device's own launch time where it is
/// known, else `launch_us`, times `o_mul`; and `o_kc` thousand core cycles.
pub(crate) fn floor(
    launch_us: f64,
    o_mul: f64,
    o_kc: f64,
    c: &Ceilings,
) -> f64 {
    c.launch.unwrap_or(launch_us * 1e-6) * o_mul + o_kc * 1e3 / c.clock
}
