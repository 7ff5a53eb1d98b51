//! Numbers of a profile that contradict each other.
//!
//! A rule compares two numbers that must agree whatever the machine is, or one
//! number with what is possible at all. A contradiction that the profile
//! explains becomes a note with the explanation.

use assay_schema::{Precision, Watts};

use crate::{Fact, HardwareProfile, Level, Peaks, Quantity, Unit, UnitName};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// At least one of the numbers is wrong.
    Contradiction,
    /// Unusual, or a contradiction that the profile explains.
    Note,
}

impl Severity {
    /// The word in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Contradiction => "contradiction",
            Self::Note => "note",
        }
    }
}

/// Numbers that do not go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Name of the rule, e.g. `matrix-below-vector`.
    pub rule: &'static str,
    /// Dotted keys of the numbers.
    pub keys: Vec<String>,
    /// What was found and what was expected.
    pub sentence: String,
}

/// All findings of a profile, contradictions first.
pub fn check(profile: &HardwareProfile) -> Vec<Finding> {
    let mut findings = Vec::new();
    plausible_machine(profile, &mut findings);
    bandwidth_against_bus(profile, &mut findings);
    for (&name, unit) in &profile.units {
        let mut at = At { unit: name, findings: &mut findings };
        at.some_peak(unit);
        at.matrix_against_vector(unit);
        at.narrow_against_wide("vector", &unit.vector);
        at.narrow_against_wide("matrix", &unit.matrix);
        at.vector_against_clock(unit);
        at.vector_against_clusters(unit);
        at.clocks_in_order(unit);
        at.caches_in_order(unit);
        at.gemm_against_peak(unit);
        at.stream_against_memory(unit, profile);
        at.int8_against_f16(unit);
        at.peak_against_power(unit, profile.tdp.as_ref());
    }
    for finding in &mut findings {
        explain(profile, finding);
    }
    findings.sort_by_key(|finding| finding.severity);
    findings
}

fn explain(profile: &HardwareProfile, finding: &mut Finding) {
    let reason = profile.explained.iter().find(|explained| {
        explained.rule == finding.rule && finding.keys.contains(&explained.key)
    });
    if let Some(reason) = reason {
        finding.severity = Severity::Note;
        finding.sentence =
            format!("{} Explained: {}", finding.sentence, reason.why);
    }
}

fn plausible_machine(profile: &HardwareProfile, findings: &mut Vec<Finding>) {
    let memory = &profile.memory;
    let mut outside = |key: &str, value: f64, low: f64, high: f64, unit| {
        if !(low..=high).contains(&value) {
            findings.push(Finding {
                severity: Severity::Contradiction,
                rule: "implausible",
                keys: vec![key.to_owned()],
                sentence: format!(
                    "{key} is {value:.3e} {unit}; machines lie between \
                     {low:.0e} and {high:.0e}."
                ),
            });
        }
    };
    let bandwidth = memory.bandwidth.value.base();
    outside("memory.bandwidth", bandwidth, 1e9, 1e14, "B/s");
    if let Some(size) = &memory.size {
        outside("memory.size", size.value.base(), 1e8, 1e14, "B");
    }
    if let Some(tdp) = &profile.tdp {
        outside("tdp", tdp.value.base(), 1.0, 3e3, "W");
    }
}

/// Data lines x rate of a line is the declared bandwidth, within 5 %: makers
/// round either. A measured one may lie anywhere below.
fn bandwidth_against_bus(
    profile: &HardwareProfile,
    findings: &mut Vec<Finding>,
) {
    let memory = &profile.memory;
    let (Some(width), Some(rate)) =
        (base(&memory.bus_width), base(&memory.pin_rate))
    else {
        return;
    };
    let (stated, bus) = (memory.bandwidth.value.base(), width * rate / 8.0);
    let low = !memory.bandwidth.is_measured() && stated < 0.95 * bus;
    if low || stated > 1.05 * bus {
        let keys = ["bandwidth", "bus_width", "pin_rate"];
        findings.push(Finding {
            severity: Severity::Contradiction,
            rule: "bandwidth-against-bus",
            keys: keys.map(|key| format!("memory.{key}")).to_vec(),
            sentence: format!(
                "memory.bandwidth is {:.4} GB/s; {width} bit x {:.4} Gbit/s \
                 give {:.4}.",
                stated / 1e9,
                rate / 1e9,
                bus / 1e9
            ),
        });
    }
}

/// Where the rules of one unit put their findings.
struct At<'a> {
    unit: UnitName,
    findings: &'a mut Vec<Finding>,
}

impl At<'_> {
    fn key(&self, key: &str) -> String {
        format!("unit.{}.{key}", self.unit)
    }

    fn push(
        &mut self,
        severity: Severity,
        rule: &'static str,
        keys: &[&str],
        sentence: String,
    ) {
        let keys = keys.iter().map(|key| self.key(key)).collect();
        self.findings.push(Finding { severity, rule, keys, sentence });
    }

    fn contradiction(
        &mut self,
        rule: &'static str,
        keys: &[&str],
        sentence: String,
    ) {
        self.push(Severity::Contradiction, rule, keys, sentence);
    }

    fn some_peak(&mut self, unit: &Unit) {
        if unit.vector.is_empty() && unit.matrix.is_empty() {
            self.contradiction(
                "no-peak",
                &["vector", "matrix"],
                "the unit has no peak at all.".to_owned(),
            );
        }
    }

    /// A matrix unit in a 16-bit format is there to beat f32 vectors.
    fn matrix_against_vector(&mut self, unit: &Unit) {
        let Some(vector) = tera(unit.vector.f32.as_ref()) else { return };
        for precision in [Precision::F16, Precision::Bf16] {
            if let Some(matrix) = tera(unit.matrix.get(precision))
                && matrix < vector
            {
                let sentence = format!(
                    "{precision} matrix peak {matrix:.4} TFLOP/s is below \
                     the f32 vector peak {vector:.4}."
                );
                self.contradiction(
                    "matrix-below-vector",
                    &[&format!("matrix.{precision}"), "vector.f32"],
                    sentence,
                );
            }
        }
    }

    /// Half the bits never run slower on the same lanes.
    fn narrow_against_wide(&mut self, table: &str, peaks: &Peaks) {
        for (wide, narrow) in [
            (Precision::F64, Precision::F32),
            (Precision::F32, Precision::F16),
            (Precision::F16, Precision::Fp8),
            (Precision::F16, Precision::Int8),
        ] {
            let (w, n) = (tera(peaks.get(wide)), tera(peaks.get(narrow)));
            if let (Some(w), Some(n)) = (w, n)
                && n < w
            {
                let sentence = format!(
                    "{table} peak of {narrow}, {n:.4} T/s, is below that of \
                     {wide}, {w:.4}."
                );
                self.contradiction(
                    "narrow-below-wide",
                    &[&format!("{table}.{narrow}"), &format!("{table}.{wide}")],
                    sentence,
                );
            }
        }
    }

    /// Cores x clock x operations a cycle is the f32 vector peak, within 10 %.
    /// The clock is the sustained one where it is told; else the boost clock
    /// of a GPU, and for a CPU anything from base to boost.
    fn vector_against_clock(&mut self, unit: &Unit) {
        let (Some(peak), Some(cores), Some(per_cycle)) = (
            base(&unit.vector.f32),
            base(&unit.cores),
            base(&unit.flops_per_cycle),
        ) else {
            return;
        };
        let clock = &unit.clock;
        let boost = base(&clock.boost);
        let sustained = base(&clock.sustained);
        let Some(high) = sustained.or(boost) else { return };
        let low = match self.unit {
            UnitName::Cpu => sustained.or(base(&clock.base)).unwrap_or(high),
            UnitName::Gpu | UnitName::Npu => high,
        };
        let expected = |clock: f64| cores * per_cycle * clock;
        if peak < 0.9 * expected(low) || peak > 1.1 * expected(high) {
            let sentence = format!(
                "f32 vector peak {:.4} TFLOP/s; {cores} cores x {per_cycle} \
                 FLOP/cycle give {:.4} to {:.4}.",
                peak / 1e12,
                expected(low) / 1e12,
                expected(high) / 1e12,
            );
            self.contradiction(
                "vector-against-clock",
                &["vector.f32", "cores", "flops_per_cycle", "clock"],
                sentence,
            );
        }
    }

    /// The clusters of a CPU add up to its f32 vector peak, within 10 %.
    fn vector_against_clusters(&mut self, unit: &Unit) {
        let Some(peak) = base(&unit.vector.f32) else { return };
        let sum: f64 = unit
            .cluster
            .iter()
            .map(|c| {
                c.cores.value.base()
                    * c.clock.value.base()
                    * c.flops_per_cycle.value.base()
            })
            .sum();
        if sum > 0.0 && (peak / sum - 1.0).abs() > 0.1 {
            let sentence = format!(
                "f32 vector peak {:.4} TFLOP/s; the clusters add up to {:.4}.",
                peak / 1e12,
                sum / 1e12,
            );
            self.contradiction(
                "vector-against-clusters",
                &["vector.f32", "cluster"],
                sentence,
            );
        }
    }

    fn clocks_in_order(&mut self, unit: &Unit) {
        let clock = &unit.clock;
        for (low, low_key, high, high_key) in [
            (&clock.base, "clock.base", &clock.boost, "clock.boost"),
            (&clock.base, "clock.base", &clock.sustained, "clock.sustained"),
            (&clock.sustained, "clock.sustained", &clock.boost, "clock.boost"),
        ] {
            if let (Some(l), Some(h)) = (base(low), base(high))
                && l > h
            {
                let sentence = format!(
                    "{low_key} {:.0} MHz is above {high_key} {:.0} MHz.",
                    l / 1e6,
                    h / 1e6
                );
                self.contradiction(
                    "clock-order",
                    &[low_key, high_key],
                    sentence,
                );
            }
        }
    }

    /// One core's first level never exceeds the second level of all cores. A
    /// last level smaller than the second is real (victim caches), but rare.
    fn caches_in_order(&mut self, unit: &Unit) {
        let cache = &unit.cache;
        let (l1, l2, llc) =
            (base(&cache.l1_per_core), base(&cache.l2), base(&cache.llc));
        if let (Some(l1), Some(l2)) = (l1, l2)
            && l1 > l2
        {
            self.contradiction(
                "cache-order",
                &["cache.l1_per_core", "cache.l2"],
                format!(
                    "the first level of one core, {l1} B, exceeds the \
                     second level of all, {l2} B."
                ),
            );
        }
        if let (Some(l2), Some(llc)) = (l2, llc)
            && llc < l2
        {
            self.push(
                Severity::Note,
                "cache-order",
                &["cache.llc", "cache.l2"],
                format!(
                    "the last level, {llc} B, is below the second, {l2} B."
                ),
            );
        }
    }

    /// Nobody runs above a declared peak; 2 % are left for clocks and rounding.
    fn gemm_against_peak(&mut self, unit: &Unit) {
        for gemm in &unit.gemm {
            let declared =
                unit.peak(gemm.precision).filter(|peak| !peak.is_measured());
            if let (Some(peak), Some(measured)) =
                (tera(declared), tera(Some(&gemm.peak)))
                && measured > 1.02 * peak
            {
                let precision = gemm.precision;
                let table = if unit.matrix.get(precision).is_some() {
                    "matrix"
                } else {
                    "vector"
                };
                self.contradiction(
                    "measured-above-peak",
                    &["gemm", &format!("{table}.{precision}")],
                    format!(
                        "measured {precision} matrix multiply, {measured:.4} \
                         T/s, is above the declared peak {peak:.4}."
                    ),
                );
            }
        }
    }

    fn stream_against_memory(&mut self, unit: &Unit, of: &HardwareProfile) {
        let declared = &of.memory.bandwidth;
        let Some(stream) = unit.stream(Level::Dram) else { return };
        let (rate, limit) = (stream.value.base(), declared.value.base());
        if !declared.is_measured() && rate > limit {
            let sentence = format!(
                "measured bandwidth {:.4} GB/s is above memory.bandwidth, \
                 {:.4} GB/s.",
                rate / 1e9,
                limit / 1e9
            );
            self.contradiction(
                "measured-above-bandwidth",
                &["bandwidth"],
                sentence,
            );
        }
    }

    /// Tensor cores do int8 at twice f16. Where f16 accumulates in f32 at half
    /// rate, the ratio is four: worth a look, no error.
    fn int8_against_f16(&mut self, unit: &Unit) {
        if !unit.architecture.has_tensor_cores() {
            return;
        }
        let half = tera(unit.matrix.f16.as_ref());
        let int8 = tera(unit.matrix.int8.as_ref());
        if let (Some(half), Some(int8)) = (half, int8)
            && (int8 / (2.0 * half) - 1.0).abs() > 0.03
        {
            self.push(
                Severity::Note,
                "int8-against-f16",
                &["matrix.int8", "matrix.f16"],
                format!(
                    "int8 is {:.2} times f16; tensor cores usually do twice.",
                    int8 / half
                ),
            );
        }
    }

    /// No chip of today does 10 T dense operations for a watt.
    fn peak_against_power(&mut self, unit: &Unit, tdp: Option<&Fact<Watts>>) {
        let Some(tdp) = tdp else { return };
        for (table, peaks) in
            [("vector", &unit.vector), ("matrix", &unit.matrix)]
        {
            for (precision, peak) in peaks.iter() {
                let per_watt = peak.value.base() / tdp.value.base() / 1e12;
                if per_watt > 10.0 {
                    let sentence = format!(
                        "{table} {precision} is {per_watt:.1} T operations a \
                         second for a watt of tdp; chips stay under 10."
                    );
                    self.contradiction(
                        "peak-against-power",
                        &[&format!("{table}.{precision}")],
                        sentence,
                    );
                }
            }
        }
    }
}

fn base<U: Quantity>(fact: &Option<Fact<U>>) -> Option<f64> {
    fact.as_ref().map(|fact| fact.value.base())
}

fn tera<U: Quantity>(fact: Option<&Fact<U>>) -> Option<f64> {
    fact.map(|fact| fact.value.base() / 1e12)
}
