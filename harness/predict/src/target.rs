//! A profile's unit ready to predict: facts, models, overlay, bands.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::slice;

use assay_hardware_profiles::{HardwareProfile, Overlay, Unit, UnitName};
use assay_schema::{Estimate, Precision, Runtime, Seconds};
use assay_trace::OperatorKind;

use crate::PredictError;
use crate::ceilings::Ceilings;
use crate::constants::{Constants, RuntimeConstants};
use crate::graph_time::{Priced, graph_times};
use crate::kernels::{Kernel, Launches};
use crate::library::{Distance, Library, Resolved};
use crate::machine::{Factors, Machine};
use crate::models::Class;
use crate::networks::{Network, launched};
use crate::overlays::{check_names, held_out_band};
use crate::place::place;
use crate::residuals::Residuals;
use crate::serving::serve;
use crate::table::Table;

/// One unit of a profile at one precision.
#[derive(Clone, Debug)]
pub struct Target {
    pub(crate) profile: String,
    pub(crate) unit: UnitName,
    pub(crate) precision: Precision,
    pub(crate) ceilings: Ceilings,
    model: Model,
    residuals: Residuals,
    /// Where another format's peak stands in: which for which.
    substitute: Option<String>,
    /// What the overlay was fitted on, if there is one.
    overlay: Option<String>,
    pub(crate) memory_bytes: Option<f64>,
}

/// What prices a kernel.
#[derive(Clone, Debug)]
enum Model {
    /// A roofline with constants, corrected by probed operators: CPUs, NPUs,
    /// and every machine that was probed.
    Roofline {
        machine: Machine,
        /// The unit as a calibration found it under a runtime.
        calibrated: BTreeMap<Runtime, Calibrated>,
        table: Table,
        /// Natural logarithm of the band's half width.
        band: f64,
    },
    /// A model a class: GPUs.
    Classes(Vec<Resolved>),
}

/// A unit that a roofline prices, as an overlay has it.
#[derive(Clone, Debug)]
struct Calibrated {
    machine: Machine,
    /// Natural logarithm of the band's half width.
    band: f64,
}

impl Calibrated {
    /// What an overlay says of each runtime. Its band comes from the models
    /// that its fit held out; without any it is the unit's, `stated`.
    fn all(
        machine: &Machine,
        overlay: Option<&Overlay>,
        stated: f64,
    ) -> Result<BTreeMap<Runtime, Self>, PredictError> {
        let mut found = BTreeMap::new();
        for runtime in Runtime::ALL {
            let class = Factors::class(runtime);
            let Some(own) = overlay.and_then(|o| o.classes.get(&class)) else {
                continue;
            };
            let machine = machine.times(Factors::read(&own.times))?;
            let band = held_out_band(&own.error)
                .map_or(stated, |band| band.max(LEAST_BAND));
            found.insert(runtime, Self { machine, band });
        }
        Ok(found)
    }
}

/// The least logarithm of a band's half width beside a measured table or a
/// calibration.
const LEAST_BAND: f64 = 0.05;

/// Whether models by class price a unit: GPUs that were not probed.
pub(crate) fn has_class_models(name: UnitName, unit: &Unit) -> bool {
    name == UnitName::Gpu && unit.efficiency.is_empty()
}

/// A time apart by what holds it back.
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

    /// `busy` seconds on the device and `overhead` before them, booked on
    /// what holds the kernel back: the overhead where it is the larger, else
    /// the larger of arithmetic and memory.
    pub(crate) fn held_by(
        busy: f64,
        compute: f64,
        memory: f64,
        overhead: f64,
    ) -> Self {
        if overhead > busy {
            Self { overhead: overhead + busy, ..Self::default() }
        } else if compute >= memory {
            Self { compute: busy, overhead, ..Self::default() }
        } else {
            Self { memory: busy, overhead, ..Self::default() }
        }
    }

    /// Each part times a factor.
    pub(crate) fn scaled(self, factor: f64) -> Self {
        Self {
            compute: self.compute * factor,
            memory: self.memory * factor,
            overhead: self.overhead * factor,
            network: self.network * factor,
        }
    }

    /// Adds `n` times another.
    pub(crate) fn add(&mut self, n: f64, other: Self) {
        self.compute += n * other.compute;
        self.memory += n * other.memory;
        self.overhead += n * other.overhead;
        self.network += n * other.network;
    }
}

impl Target {
    /// Prepares a unit (`None`: the profile's default) for a precision, with
    /// an overlay's corrections where there is one.
    ///
    /// # Errors
    ///
    /// An unknown unit; a unit without arithmetic for the precision; a class or
    /// a constant in the overlay that this build does not know.
    pub fn new(
        profile: &HardwareProfile,
        unit: Option<&str>,
        precision: Precision,
        overlay: Option<&Overlay>,
    ) -> Result<Self, PredictError> {
        if let Some(overlay) = overlay {
            check_names(overlay)?;
        }
        let (name, unit) = profile.unit(unit)?;
        let served = serve(profile, name, unit, precision)?;
        let constants = Constants::get()?;
        let ceilings =
            Ceilings::new(profile, unit, precision, &served, constants);
        let model = if has_class_models(name, unit) {
            let library = Library::get()?;
            let family = unit.architecture;
            let resolve =
                |class| library.entry(class).resolve(class, family, overlay);
            Model::Classes(Class::ALL.into_iter().map(resolve).collect())
        } else {
            let machine =
                Machine::new(profile, name, unit, &served, precision)?;
            let table = Table::of(unit, precision);
            let stated = (1.0 + constants.class(name).band).ln();
            let band = probed_band(&machine, &ceilings, unit, precision);
            // A probe's table knows more than constants of whole graphs.
            let calibrated = if unit.efficiency.is_empty() {
                Calibrated::all(&machine, overlay, stated)?
            } else {
                BTreeMap::new()
            };
            let band = band.unwrap_or(stated);
            Model::Roofline { machine, calibrated, table, band }
        };
        let wanted = precision.compute();
        let substitute = (served.format != wanted).then(|| {
            let stands = served.format;
            format!("no {wanted} arithmetic is stated: {stands} stands for it")
        });
        Ok(Self {
            profile: profile.name.clone(),
            unit: name,
            precision,
            ceilings,
            model,
            residuals: Residuals::new(overlay),
            substitute,
            overlay: overlay.map(|overlay| overlay.source.clone()),
            memory_bytes: profile.memory.size.as_ref().map(|f| f.value.value()),
        })
    }

    /// The class that prices a kernel here.
    pub(crate) fn class(
        &self,
        kind: &OperatorKind,
        runtime: Runtime,
        thin: bool,
    ) -> Class {
        Class::of(kind, runtime, thin, self.ceilings.on_matrix_unit)
    }

    /// The same unit with other factors under a runtime: what a fit tries.
    /// Nothing changes where models by class price.
    pub(crate) fn with(
        &self,
        runtime: Runtime,
        factors: Factors,
    ) -> Result<Self, PredictError> {
        let mut tried = self.clone();
        if let Model::Roofline { machine, calibrated, band, .. } =
            &mut tried.model
        {
            let machine = machine.times(factors)?;
            calibrated.insert(runtime, Calibrated { machine, band: *band });
        }
        Ok(tried)
    }

    /// What a runtime launches in the place of one of a network's kernels,
    /// each as often as that one.
    fn launched<'a>(
        &self,
        network: Network,
        kernel: &'a Kernel,
        how: &RuntimeConstants,
    ) -> Cow<'a, [Kernel]> {
        match &self.model {
            Model::Classes(_) => {
                let on_lanes = !self.ceilings.on_matrix_unit;
                launched(kernel, network, how, self.precision, on_lanes)
            }
            Model::Roofline { .. } => match how.fixed_shapes {
                Some(shapes) => {
                    shapes.launched(kernel, network, self.precision)
                }
                None => Cow::Borrowed(slice::from_ref(kernel)),
            },
        }
    }

    /// The time of one kernel of a class under a runtime, in a network.
    fn kernel_times(
        &self,
        kernel: &Kernel,
        class: Class,
        runtime: Runtime,
        network: Network,
    ) -> Result<Times, PredictError> {
        let times = match &self.model {
            Model::Classes(classes) => class.times(
                &classes[class.index()].values,
                &self.ceilings,
                kernel,
            ),
            Model::Roofline { .. } if class == Class::Collective => {
                let joint = &Library::get()?.entry(class).joint;
                class.times(joint, &self.ceilings, kernel)
            }
            Model::Roofline { machine, calibrated, table, .. } => {
                let own = calibrated.get(&runtime);
                let machine = own.map_or(machine, |own| &own.machine);
                let held = machine.holds(network);
                let precision = self.precision;
                Some(roofline_times(machine, table, precision, kernel, held))
            }
        };
        let mut times = times.ok_or_else(|| PredictError::NoLink {
            profile: self.profile.clone(),
            unit: self.unit.name().to_owned(),
        })?;
        if let Model::Classes(classes) = &self.model
            && network.alone
        {
            let values = &classes[class.index()].values;
            times.overhead += class.alone(values, &self.ceilings, &kernel.kind);
        }
        // Factors of a runtime and residuals were each fitted to the bare unit:
        // both together would correct it twice.
        if self.residuals.is_empty() || self.is_calibrated(runtime) {
            return Ok(times);
        }
        let covariance = Library::get()?.covariance;
        let factor = place(&kernel.kind, self.precision)
            .map_or(1.0, |(group, at)| {
                self.residuals.factor(covariance, class, group, &at)
            });
        Ok(times.scaled(factor))
    }

    /// The time of one operator alone, without a graph: its inputs come from
    /// memory, and no host shows. What a search over shapes calls.
    ///
    /// It is what [`predict`](crate::predict) gives for a graph of that
    /// operator under [`Runtime::Kernel`], but for one f32 softmax, norm,
    /// element-wise operator or product of a batch on a GPU: there the graph's
    /// time holds the dispatch that timing it alone shows (`alone_us`), and
    /// this one does not, as no kernel of a network does.
    ///
    /// # Errors
    ///
    /// Communication between ranks on a profile without a link.
    pub fn operator(
        &self,
        kind: &OperatorKind,
    ) -> Result<Seconds, PredictError> {
        let kernel = Kernel::alone(kind, self.precision);
        let runtime = Runtime::Kernel;
        let class = self.class(kind, runtime, false);
        let network = Network::default();
        let times = self.kernel_times(&kernel, class, runtime, network)?;
        Ok(Seconds(times.total()))
    }

    /// The time of all kernels as a runtime launches them.
    pub(crate) fn times(
        &self,
        launches: &Launches,
        runtime: Runtime,
    ) -> Result<Priced, PredictError> {
        let constants = Constants::get()?;
        let how = constants.runtime(runtime)?;
        let probed = matches!(&self.model,
            Model::Roofline { table, .. } if !table.is_empty());
        let host = |class: Class| match &self.model {
            // Probed operators were timed with their dispatch.
            Model::Roofline { .. } if probed => 0.0,
            Model::Roofline { .. } => {
                constants.class(self.unit).dispatch_s * how.dispatch
            }
            Model::Classes(classes) => {
                class.dispatch(&classes[class.index()].values) * how.dispatch
            }
        };
        let thin = launches.is_thin();
        let network = Network::of(launches, runtime);
        let call = match &self.model {
            Model::Classes(classes) if runtime == Runtime::LlamaCpp => {
                let class =
                    if thin { Class::LlamaDecode } else { Class::LlamaPrefill };
                class.call(&classes[class.index()].values)
            }
            Model::Roofline { .. } if let Some(shapes) = how.fixed_shapes => {
                how.fixed_s * shapes.calls(network) as f64
            }
            _ => how.fixed_s,
        };
        let between = match &self.model {
            Model::Classes(_) => how.between_s,
            Model::Roofline { .. } => 0.0,
        };
        graph_times(
            launches.kernels.iter().map(|k| self.launched(network, k, how)),
            |kernel| {
                let class = self.class(&kernel.kind, runtime, thin);
                let times =
                    self.kernel_times(kernel, class, runtime, network)?;
                Ok((class, times, host(class)))
            },
            between,
            call,
            self.unit == UnitName::Cpu,
        )
    }

    /// Whether whole graphs under a runtime say what the unit reaches.
    fn is_calibrated(&self, runtime: Runtime) -> bool {
        matches!(&self.model, Model::Roofline { calibrated, .. }
            if calibrated.contains_key(&runtime))
    }

    /// Whether the overlay has something to say of a class under a runtime.
    fn moves(&self, class: Class, runtime: Runtime) -> bool {
        match &self.model {
            Model::Classes(classes) => {
                classes[class.index()].distance == Distance::Overlay
            }
            Model::Roofline { .. } => {
                self.is_calibrated(runtime) || self.residuals.cover(class)
            }
        }
    }

    /// A prediction's band of 80 % round a point: the logarithms of a class's
    /// errors add up (they share a sign on one device), those of different
    /// classes add as independent ones do.
    pub(crate) fn banded(&self, priced: &Priced, runtime: Runtime) -> Estimate {
        let total = priced.times.total();
        let (low, high) = match &self.model {
            Model::Roofline { calibrated, band, .. } => {
                let own = calibrated.get(&runtime);
                let band = own.map_or(*band, |own| own.band);
                (band, band)
            }
            Model::Classes(classes) => {
                let (mut low, mut high) = (0.0, 0.0);
                // Nothing to do takes no time, and is no kernel's share.
                let timed = priced.by_class.iter().filter(|(_, s)| *s > 0.0);
                for (class, seconds) in timed {
                    let share = seconds / total;
                    let (l, h) = classes[class.index()].band;
                    low += (share * l) * (share * l);
                    high += (share * h) * (share * h);
                }
                (f64::sqrt(low), f64::sqrt(high))
            }
        };
        let mut method = match &self.model {
            Model::Roofline { .. } => "max(compute, memory) + launch, summed",
            Model::Classes(_) => "a model a class of operators, summed",
        }
        .to_owned();
        if let Some(substitute) = &self.substitute {
            method += &format!("; {substitute}");
        }
        if let Some(overlay) = &self.overlay
            && priced
                .by_class
                .iter()
                .any(|(class, _)| self.moves(*class, runtime))
        {
            method += &format!("; overlay of {overlay}");
        }
        Estimate {
            point: total,
            low: total / low.exp(),
            high: total * high.exp(),
            confidence: 0.8,
            n: 0,
            method,
        }
    }

    /// Seconds of each operator of a graph, in order: what a trace-event page
    /// draws. A fused operator gets an equal share of its kernel.
    pub(crate) fn operator_seconds(
        &self,
        launches: &Launches,
        runtime: Runtime,
    ) -> Result<Vec<Seconds>, PredictError> {
        let thin = launches.is_thin();
        let network = Network::of(launches, runtime);
        let how = Constants::get()?.runtime(runtime)?;
        let each: Vec<f64> = launches
            .kernels
            .iter()
            .map(|kernel| {
                let mut seconds = 0.0;
                for part in self.launched(network, kernel, how).iter() {
                    let class = self.class(&part.kind, runtime, thin);
                    let times =
                        self.kernel_times(part, class, runtime, network)?;
                    seconds += times.total();
                }
                Ok(seconds)
            })
            .collect::<Result<_, PredictError>>()?;
        Ok(launches
            .of_operator
            .iter()
            .map(|&(kernel, share)| Seconds(each[kernel] * share))
            .collect())
    }
}

/// The roofline's time of a kernel, at the utilisation that was probed; `held`
/// where the last-level cache holds the network's weights and inputs.
fn roofline_times(
    machine: &Machine,
    table: &Table,
    precision: Precision,
    kernel: &Kernel,
    held: bool,
) -> Times {
    let compute = machine.compute_seconds(kernel);
    let memory = machine.memory_seconds(kernel, held);
    let used = table
        .utilisation(&kernel.kind, held, |kind, cached| {
            roofline(machine, kind, precision, cached)
        })
        .unwrap_or(1.0);
    // What streams cannot beat the stream, whatever a probe saw of data that
    // a larger cache had kept.
    let limit = machine.limit(held).max(1.0);
    let streamed = (kernel.weight_bytes + kernel.cold_bytes) / limit;
    let outputs = machine.output_seconds(kernel);
    let busy = (compute.max(memory) / used).max(streamed) + outputs;
    let launch = machine.launch.value();
    Times::held_by(busy, compute + outputs, memory, launch / used)
}

/// Seconds of an operator alone with its data in memory, or `cached` in the
/// last-level cache, at the ceilings.
fn roofline(
    machine: &Machine,
    kind: &OperatorKind,
    precision: Precision,
    cached: bool,
) -> f64 {
    let kernel = Kernel::alone(kind, precision);
    let memory = machine.memory_seconds(&kernel, cached);
    machine.compute_seconds(&kernel).max(memory) + machine.launch.value()
}

/// On a probed machine the band is what the table gets wrong about itself:
/// each probed operator predicted from the others, the 80th percentile of
/// the absolute logarithms. At least 5 %.
fn probed_band(
    machine: &Machine,
    ceilings: &Ceilings,
    unit: &Unit,
    precision: Precision,
) -> Option<f64> {
    let mut errors = Vec::new();
    for left_out in 0..unit.efficiency.len() {
        let entry = &unit.efficiency[left_out];
        if entry.precision != precision {
            continue;
        }
        // An operator that this build does not know says nothing.
        let Some(kind) = crate::table::entry_kind(entry)
            .filter(|kind| crate::table::place(kind).is_some())
        else {
            continue;
        };
        let mut others = unit.clone();
        others.efficiency.remove(left_out);
        let table = Table::of(&others, precision);
        let cached = entry.cached;
        let roof = |kind: &OperatorKind, cached| {
            roofline(machine, kind, ceilings.precision, cached)
        };
        if let Some(used) = table.utilisation(&kind, cached, roof) {
            let measured = entry.seconds.value.value();
            errors.push((roof(&kind, cached) / used / measured).ln().abs());
        }
    }
    if errors.len() < 8 {
        return None;
    }
    errors.sort_by(f64::total_cmp);
    Some(errors[errors.len() * 4 / 5].max(LEAST_BAND))
}
