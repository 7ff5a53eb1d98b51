//! From kernels to a graph's time: sums, and what the host adds.

use crate::PredictError;
use crate::kernels::{Kernel, Launches};
use crate::models::Class;
use crate::target::Times;

/// A graph's time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Priced {
    /// The whole.
    pub(crate) times: Times,
    /// Seconds of each class's kernels.
    pub(crate) by_class: Vec<(Class, f64)>,
}

/// Adds up kernels. `price` gives a kernel's class, its time, and the host's
/// time to dispatch it; `call` is what a call costs beside its kernels.
///
/// Where host and device are one, both times add. Else the host runs ahead of
/// the device, and only what the device's time does not cover shows.
pub(crate) fn graph_times(
    launches: &Launches,
    price: impl Fn(&Kernel) -> Result<(Class, Times, f64), PredictError>,
    call: f64,
    host_is_device: bool,
) -> Result<Priced, PredictError> {
    let mut priced = Priced::default();
    let mut dispatch = 0.0;
    for kernel in &launches.kernels {
        let (class, times, host) = price(kernel)?;
        let n = kernel.count as f64;
        priced.times.add(n, times);
        dispatch += n * host;
        let seconds = n * times.total();
        match priced.by_class.iter_mut().find(|(known, _)| *known == class) {
            Some((_, sum)) => *sum += seconds,
            None => priced.by_class.push((class, seconds)),
        }
    }
    priced.times.overhead += if host_is_device {
        dispatch
    } else {
        (dispatch - priced.times.total()).max(0.0)
    };
    priced.times.overhead += call;
    Ok(priced)
}
