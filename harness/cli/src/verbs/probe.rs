//! `assay probe`: this machine's ceilings into a hardware profile.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::anyhow;
use assay_hardware_profiles::Level;
use assay_kit::DeviceName;
use assay_measure::{SystemClock, sampler_cost, timer_report};

use crate::arguments::ProbeArgs;
use crate::exit::{Ending, Verdict, machine, print};
use crate::probe::{Depth, probe};
use crate::table::si;
use crate::{ALLOCATOR, host_profile};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

pub(crate) fn run(args: &ProbeArgs) -> Verdict {
    if args.device != "cpu" {
        let device = &args.device;
        return Err(machine(match device.parse() {
            Ok(DeviceName::Wgpu(_)) => anyhow!(
                "--device {device}: the processor is probed, `cpu`; a GPU's \
                 ceilings stand in its profile, and `assay calibrate --device \
                 {device} --profile NAME` corrects what is predicted of it"
            ),
            Ok(DeviceName::Cpu) | Err(_) => anyhow!(
                "--device {device}: this build has no such device; `cpu` it \
                 has"
            ),
        }));
    }
    let _ = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed));
    let depth = if args.quick { Depth::Quick } else { Depth::Thorough };
    let profile = probe(depth, &INTERRUPTED)?;
    let path = match &args.out {
        Some(path) => path.clone(),
        None => host_profile::path()?,
    };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    profile.save(&path)?;

    let clock = SystemClock::detect();
    let timer = timer_report(&clock);
    let sampler = sampler_cost(&clock, Some(&ALLOCATOR));
    let (_, unit) = profile.unit(None)?;
    let mut text = String::new();
    for gemm in &unit.gemm {
        text.push_str(&format!(
            "matrix product {:<5} {} thread(s)  {}\n",
            gemm.precision.name(),
            gemm.threads.unwrap_or(0),
            si(gemm.peak.value.value(), "FLOP/s")
        ));
    }
    for level in [Level::L1, Level::L2, Level::Llc, Level::Dram] {
        if let Some(rate) = unit.stream(level) {
            text.push_str(&format!(
                "stream {:<6} {}\n",
                level.name(),
                si(rate.value.value(), "B/s")
            ));
        }
    }
    if let Some(launch) = &unit.launch_overhead {
        let cost = si(launch.value.value(), "s");
        text.push_str(&format!("operator launch  {cost}\n"));
    }
    text.push_str(&format!(
        "timer   {}: resolution {}, a reading {}\nsampler {} a sample, {} \
         allocations a sample\n{} operator shapes\nwritten to {}\n",
        timer.clock,
        si(timer.resolution.value(), "s"),
        si(timer.read_cost.value(), "s"),
        si(sampler.per_sample.value(), "s"),
        sampler
            .allocations_per_sample
            .map_or("unknown".to_owned(), |n| n.to_string()),
        unit.efficiency.len(),
        path.display()
    ));
    print(&text);
    Ok(Ending::Done)
}
