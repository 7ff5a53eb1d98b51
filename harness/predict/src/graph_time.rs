//! From kernels to a graph's time: sums, and what the host adds.

use std::collections::BTreeMap;

use assay_schema::Seconds;
use assay_trace::OperatorKind;

use crate::PredictError;
use crate::kernels::{Kernel, Launches};
use crate::models::Class;
use crate::target::Times;

/// A graph's time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Priced {
    /// The whole.
    pub(crate) times: Times,
    /// Seconds of each class's kernels, by the model that priced them.
    pub(crate) by_class: Vec<(Class, f64)>,
    /// Seconds of each class's kernels, by what leads them
    /// ([`OperatorKind::class`](assay_trace::OperatorKind::class)).
    by_kind: Vec<(&'static str, f64)>,
    /// What the host adds beside the kernels, s.
    host: f64,
}

impl Priced {
    /// The whole time apart by class of kernels; what the host adds is
    /// `overhead`. Classes without time stay out.
    pub(crate) fn time_by_class(&self) -> BTreeMap<String, Seconds> {
        let kinds = self.by_kind.iter().copied();
        kinds
            .chain([("overhead", self.host)])
            .filter(|(_, seconds)| *seconds > 0.0)
            .map(|(class, seconds)| (class.to_owned(), Seconds(seconds)))
            .collect()
    }
}

/// Adds to a class's sum.
fn book<C: PartialEq>(sums: &mut Vec<(C, f64)>, class: C, seconds: f64) {
    match sums.iter_mut().find(|(known, _)| *known == class) {
        Some((_, sum)) => *sum += seconds,
        None => sums.push((class, seconds)),
    }
}

/// Adds up kernels. `price` gives a kernel's class, its time, and the host's
/// time to dispatch it; `between` is the host's time from one kernel of a
/// network to the next, `call` what a call costs beside its kernels.
///
/// Where host and device are one, both times add. Else the host runs ahead of
/// the device, and only what the device's time does not cover shows.
pub(crate) fn graph_times(
    launches: &Launches,
    price: impl Fn(&Kernel) -> Result<(Class, Times, f64), PredictError>,
    between: f64,
    call: f64,
    host_is_device: bool,
) -> Result<Priced, PredictError> {
    let mut priced = Priced::default();
    let mut dispatch = 0.0;
    let mut working: u64 = 0;
    for kernel in &launches.kernels {
        let (class, times, host) = price(kernel)?;
        let n = kernel.count as f64;
        priced.times.add(n, times);
        dispatch += n * host;
        if kernel.kind != OperatorKind::View {
            working += kernel.count;
        }
        let seconds = n * times.total();
        book(&mut priced.by_class, class, seconds);
        book(&mut priced.by_kind, kernel.kind.class(), seconds);
    }
    dispatch += between * working.saturating_sub(1) as f64;
    let shown = if host_is_device {
        dispatch
    } else {
        (dispatch - priced.times.total()).max(0.0)
    };
    priced.times.overhead += shown;
    priced.times.overhead += call;
    priced.host = shown + call;
    Ok(priced)
}
