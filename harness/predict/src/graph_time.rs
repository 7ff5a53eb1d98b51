//! From kernels to a graph's time: sums, and what the host adds.

use std::borrow::Cow;
use std::collections::BTreeMap;

use assay_schema::Seconds;

use crate::PredictError;
use crate::kernels::Kernel;
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
    /// Bytes that the kernels read and write.
    pub(crate) bytes: f64,
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

/// Adds up kernels: `launched` has what a runtime launches for each of a
/// graph's, and each of those is a kernel of its own class, with a dispatch of
/// its own. `price` gives a kernel's class, its time, and the host's time to
/// dispatch it; `between` is the host's time from one kernel of a network to
/// the next, `call` what a call costs beside its kernels.
///
/// Where host and device are one, both times add. Else the host runs ahead of
/// the device, and only what the device's time does not cover shows.
pub(crate) fn graph_times<'a>(
    launched: impl Iterator<Item = Cow<'a, [Kernel]>>,
    price: impl Fn(&Kernel) -> Result<(Class, Times, f64), PredictError>,
    between: f64,
    call: f64,
    host_is_device: bool,
) -> Result<Priced, PredictError> {
    let mut priced = Priced::default();
    let mut dispatch = 0.0;
    let mut kernels: u64 = 0;
    for parts in launched {
        for kernel in parts.iter() {
            let (class, times, host) = price(kernel)?;
            let n = kernel.count as f64;
            priced.times.add(n, times);
            priced.bytes += n * kernel.bytes();
            dispatch += n * host;
            kernels += kernel.count;
            let seconds = n * times.total();
            book(&mut priced.by_class, class, seconds);
            book(&mut priced.by_kind, kernel.kind.class(), seconds);
        }
    }
    dispatch += between * kernels.saturating_sub(1) as f64;
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

#[cfg(test)]
mod tests {
    use assay_schema::Precision;
    use assay_trace::OperatorKind;

    use super::*;

    #[test]
    fn each_kernel_in_the_place_of_one_is_booked_and_dispatched() {
        let part =
            |kind| Kernel { count: 3, ..Kernel::alone(&kind, Precision::F32) };
        let product = part(OperatorKind::Matmul { batch: 1, m: 8, n: 8, k: 8 });
        let softmax =
            part(OperatorKind::Softmax { rows: 8, cols: 8, backward: false });
        let bytes = 3.0 * (product.bytes() + softmax.bytes());
        let launched: [Cow<'_, [Kernel]>; 1] =
            [Cow::Owned(vec![product, softmax])];
        let price = |kernel: &Kernel| {
            let is_softmax =
                matches!(kernel.kind, OperatorKind::Softmax { .. });
            let (class, memory) = if is_softmax {
                (Class::Softmax, 2.0)
            } else {
                (Class::Matmul, 1.0)
            };
            Ok((class, Times { memory, ..Times::default() }, 10.0))
        };
        let priced =
            graph_times(launched.into_iter(), price, 100.0, 5.0, true).unwrap();
        let classes = [(Class::Matmul, 3.0), (Class::Softmax, 6.0)];
        assert_eq!(priced.by_class, classes);
        assert_eq!(priced.bytes, bytes);
        // Six kernels: as many dispatches, five gaps; and one call.
        let host = 6.0 * 10.0 + 5.0 * 100.0 + 5.0;
        assert_eq!(priced.times.total(), 9.0 + host);
        let by_kind = priced.time_by_class();
        assert_eq!(by_kind["softmax"], Seconds(6.0));
        assert_eq!(by_kind["overhead"], Seconds(host));
    }
}
