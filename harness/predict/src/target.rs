//! A profile's unit ready to predict: ceilings, probed table, band.

use assay_hardware_profiles::{HardwareProfile, Unit, UnitName};
use assay_schema::{Estimate, Precision, Runtime, Seconds};
use assay_trace::{Collective, OperatorKind};

use crate::PredictError;
use crate::constants::Constants;
use crate::kernels::{Kernel, Launches};
use crate::machine::Machine;
use crate::table::{Table, place};

/// One unit of a profile at one precision.
#[derive(Clone, Debug)]
pub struct Target {
    pub(crate) profile: String,
    pub(crate) unit: UnitName,
    pub(crate) precision: Precision,
    pub(crate) machine: Machine,
    table: Table,
    /// Natural logarithm of the band's half width.
    band: f64,
    links: [Option<f64>; 2],
    pub(crate) tdp: Option<f64>,
    pub(crate) memory_bytes: Option<f64>,
}

/// The time of all kernels, apart by what holds them back.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Times {
    pub(crate) compute: f64,
    pub(crate) memory: f64,
    pub(crate) overhead: f64,
    pub(crate) network: f64,
}

impl Times {
    pub(crate) fn total(&self) -> f64 {
        self.compute + self.memory + self.overhead + self.network
    }
}

impl Target {
    /// Prepares a unit (`None`: the profile's default) for a precision.
    ///
    /// # Errors
    ///
    /// An unknown unit; a unit without arithmetic for the precision.
    pub fn new(
        profile: &HardwareProfile,
        unit: Option<&str>,
        precision: Precision,
    ) -> Result<Self, PredictError> {
        let (name, unit) = profile.unit(unit)?;
        let constants = Constants::get()?;
        let machine = Machine::new(profile, name, unit, precision)?;
        let table = Table::of(unit, precision);
        let link = |fact: &Option<assay_hardware_profiles::Fact<_>>| {
            fact.as_ref().map(
                |f: &assay_hardware_profiles::Fact<
                    assay_schema::BytesPerSecond,
                >| f.value.value(),
            )
        };
        let mut target = Self {
            profile: profile.name.clone(),
            unit: name,
            precision,
            machine,
            table,
            band: (1.0 + constants.class(name).band).ln(),
            links: [link(&unit.link.intra_node), link(&unit.link.inter_node)],
            tdp: profile.tdp.as_ref().map(|f| f.value.value()),
            memory_bytes: profile.memory.size.as_ref().map(|f| f.value.value()),
        };
        if let Some(band) = target.measured_band(unit) {
            target.band = band;
        }
        Ok(target)
    }

    /// On a probed machine the band is what the table gets wrong about itself:
    /// each probed operator predicted from the others, the 80th percentile of
    /// the absolute logarithms. At least 5 %.
    fn measured_band(&self, unit: &Unit) -> Option<f64> {
        let mut errors = Vec::new();
        for left_out in 0..unit.efficiency.len() {
            let entry = &unit.efficiency[left_out];
            let kind = crate::table::entry_kind(
                &entry.operator,
                entry.kind.as_deref(),
                |name| entry.dims.get(name).copied(),
            );
            // An operator that this build does not know says nothing.
            let Some(kind) = kind.filter(|kind| place(kind).is_some()) else {
                continue;
            };
            let mut others = unit.clone();
            others.efficiency.remove(left_out);
            let table = Table::of(&others, self.precision);
            if entry.precision != self.precision {
                continue;
            }
            let roofline = self.roofline(&kind);
            if let Some(used) =
                table.utilisation(&kind, |kind| self.roofline(kind))
            {
                let predicted = roofline / used;
                let measured = entry.seconds.value.value();
                errors.push((predicted / measured).ln().abs());
            }
        }
        if errors.len() < 8 {
            return None;
        }
        errors.sort_by(f64::total_cmp);
        Some(errors[errors.len() * 4 / 5].max(0.05))
    }

    /// Seconds of an operator alone with its data in memory, at the ceilings.
    fn roofline(&self, kind: &OperatorKind) -> f64 {
        let kernel = alone(kind, self.precision);
        self.bound_seconds(&kernel)
    }

    fn bound_seconds(&self, kernel: &Kernel) -> f64 {
        self.machine
            .compute_seconds(kernel)
            .max(self.machine.memory_seconds(kernel))
            + self.machine.launch.value()
    }

    /// The time of one kernel.
    pub(crate) fn kernel_times(
        &self,
        kernel: &Kernel,
    ) -> Result<Times, PredictError> {
        if let OperatorKind::Collective {
            operation,
            bytes,
            ranks,
            ranks_per_node,
        } = kernel.kind
        {
            let bytes = bytes as f64;
            let network =
                self.collective(operation, bytes, ranks, ranks_per_node)?;
            return Ok(Times { network, ..Times::default() });
        }
        let compute = self.machine.compute_seconds(kernel);
        let memory = self.machine.memory_seconds(kernel);
        let launch = self.machine.launch.value();
        let used = self
            .table
            .utilisation(&kernel.kind, |kind| self.roofline(kind))
            .unwrap_or(1.0);
        // What streams from memory cannot beat the stream, whatever a probe
        // saw of data that a larger cache had kept.
        let streamed = (kernel.weight_bytes + kernel.cold_bytes)
            / self.machine.bandwidth_peak.value().max(1.0);
        let bound = (compute.max(memory) / used).max(streamed);
        let overhead = launch / used;
        Ok(if overhead > bound {
            Times { overhead: overhead + bound, ..Times::default() }
        } else if compute >= memory {
            Times { compute: bound, overhead, ..Times::default() }
        } else {
            Times { memory: bound, overhead, ..Times::default() }
        })
    }

    /// Ring algorithms: `latency` a step and the ring's share of the bytes.
    fn collective(
        &self,
        operation: Collective,
        bytes: f64,
        ranks: u64,
        ranks_per_node: u64,
    ) -> Result<f64, PredictError> {
        if ranks <= 1 {
            return Ok(0.0);
        }
        let network = &Constants::get()?.network;
        let [inside, between] = self.links;
        let link = if ranks <= ranks_per_node {
            inside.or(between)
        } else {
            between.or(inside)
        };
        let rate = link.ok_or_else(|| PredictError::NoLink {
            profile: self.profile.clone(),
            unit: self.unit.name().to_owned(),
        })? * network.bandwidth;
        let n = ranks as f64;
        let (steps, moved) = match operation {
            Collective::AllReduce => {
                (2.0 * (n - 1.0), 2.0 * (n - 1.0) / n * bytes)
            }
            // Every rank contributes `bytes` and receives the others'.
            Collective::AllGather => (n - 1.0, (n - 1.0) * bytes),
            Collective::ReduceScatter | Collective::AllToAll => {
                (n - 1.0, (n - 1.0) / n * bytes)
            }
            Collective::SendRecv => (1.0, bytes),
        };
        Ok(network.latency_s + steps * network.latency_s / 2.0 + moved / rate)
    }

    /// The time of all kernels as a runtime launches them.
    pub(crate) fn times(
        &self,
        launches: &Launches,
        runtime: Runtime,
    ) -> Result<Times, PredictError> {
        let constants = Constants::get()?;
        let how = constants.runtime(runtime)?;
        let mut sum = Times::default();
        let mut kernels = 0.0;
        for kernel in &launches.kernels {
            let times = self.kernel_times(kernel)?;
            let n = kernel.count as f64;
            sum.compute += n * times.compute;
            sum.memory += n * times.memory;
            sum.overhead += n * times.overhead;
            sum.network += n * times.network;
            kernels += n;
        }
        // Probed operators were timed with their dispatch.
        let probed = !self.table.is_empty();
        let dispatch = constants.class(self.unit).dispatch_s
            * how.dispatch
            * kernels
            * if probed { 0.0 } else { 1.0 };
        let host_is_device = self.unit == UnitName::Cpu;
        if host_is_device {
            sum.overhead += dispatch;
        } else {
            // The host runs ahead of the device: what it cannot hide shows.
            sum.overhead += (dispatch - sum.total()).max(0.0);
        }
        sum.overhead += how.fixed_s;
        Ok(sum)
    }

    /// A prediction's band of 80 % round a point.
    pub(crate) fn banded(&self, point: f64, method: &str) -> Estimate {
        Estimate {
            point,
            low: point / self.band.exp(),
            high: point * self.band.exp(),
            confidence: 0.8,
            n: 0,
            method: method.to_owned(),
        }
    }

    /// Seconds of each operator of a graph, in order: what a trace-event page
    /// draws. A fused operator gets an equal share of its kernel.
    pub(crate) fn operator_seconds(
        &self,
        launches: &Launches,
    ) -> Result<Vec<Seconds>, PredictError> {
        let each: Vec<f64> = launches
            .kernels
            .iter()
            .map(|kernel| Ok(self.kernel_times(kernel)?.total()))
            .collect::<Result<_, PredictError>>()?;
        Ok(launches
            .of_operator
            .iter()
            .map(|&(kernel, share)| Seconds(each[kernel] * share))
            .collect())
    }
}

/// An operator alone, as a probe runs it: its inputs come from memory (they
/// rotate), its output is just made.
fn alone(kind: &OperatorKind, precision: Precision) -> Kernel {
    let f = |n: u64| n as f64;
    let (inputs, output) = match *kind {
        OperatorKind::Matmul { batch, m, n, k } => {
            (f(batch) * f(k) * (f(m) + f(n)), f(batch) * f(m) * f(n))
        }
        OperatorKind::Attention {
            batch,
            heads,
            kv_heads,
            head_dim,
            query,
            keys,
            ..
        } => {
            let rows = f(batch) * f(heads) * f(query) * f(head_dim);
            let seen = f(batch) * f(kv_heads) * f(keys) * f(head_dim);
            (rows + 2.0 * seen, rows)
        }
        OperatorKind::Softmax { rows, cols, .. }
        | OperatorKind::LayerNorm { rows, cols, .. }
        | OperatorKind::RmsNorm { rows, cols, .. } => {
            (f(rows) * f(cols), f(rows) * f(cols))
        }
        OperatorKind::Elementwise { elements, operands, .. } => {
            (f(elements) * f(operands), f(elements))
        }
        OperatorKind::Copy { elements } => (f(elements), f(elements)),
        OperatorKind::Embedding { width, tokens, .. } => {
            (f(width) * f(tokens), f(width) * f(tokens))
        }
        OperatorKind::Conv {
            batch,
            in_channels,
            out_channels,
            positions,
            taps,
        } => (
            f(batch) * f(positions) * f(in_channels)
                + f(out_channels) * f(taps),
            f(batch) * f(positions) * f(out_channels),
        ),
        _ => (0.0, 0.0),
    };
    let bytes = precision.activation_bytes();
    Kernel {
        kind: kind.clone(),
        count: 1,
        flops: kind.flops(),
        fused_flops: 0.0,
        weight_bytes: 0.0,
        cold_bytes: inputs * bytes,
        made_bytes: output * bytes,
        largest_made: output * bytes,
    }
}
