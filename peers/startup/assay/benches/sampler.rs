//! One iteration a sample, on the sampler that `assay-bench` runs on.

use std::convert::Infallible;
use std::sync::atomic::AtomicBool;

use assay_measure::{
    Context, Instruments, Job, Pace, Progress, Session, Settings, SystemClock,
    Watch, Workload, WorkloadError, run_case,
};
use assay_schema::{Case, Seconds, Verification, WorkloadInfo};

struct Empty;

impl Workload for Empty {
    fn info(&self) -> WorkloadInfo {
        WorkloadInfo::default()
    }

    fn prepare(
        &self,
        _: &Case,
        _: &Context,
    ) -> Result<Box<dyn Session>, WorkloadError> {
        Ok(Box::new(Empty))
    }
}

impl Session for Empty {
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        Ok(Verification {
            against: "itself".into(),
            largest_difference: 0.0,
            relative_difference: 0.0,
            tolerance: 0.0,
        })
    }

    fn pace(&self) -> Pace {
        Pace::Steady
    }

    fn iterate(
        &mut self,
        _: &mut Watch<'_>,
    ) -> Result<Progress, WorkloadError> {
        startup_assay::body();
        Ok(Progress::More)
    }
}

fn main() {
    let settings = Settings {
        budget: Seconds(0.02),
        target: 0.0,
        // Samples of one iteration, whatever the clock's step.
        resolutions_per_sample: 0.0,
        most_samples: f64::INFINITY,
        ..Settings::default()
    };
    let instruments = Instruments {
        clock: &SystemClock::detect(),
        meters: &mut [],
        allocations: None,
        interrupted: &AtomicBool::new(false),
    };
    let job = Job {
        workload: &Empty,
        case: &Case::new("peers", "empty", None),
        context: &Context::new("cpu", 0),
        work: None,
    };
    let ended =
        run_case(job, &settings, instruments, &mut |_| Ok::<_, Infallible>(()));
    eprintln!("{ended:?}");
    startup_assay::print_cost(10_000);
}
