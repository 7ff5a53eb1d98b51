//! The product that `docs/prediction.md` works by hand, worked here step by
//! step from the constants in `fitted.toml` and the facts of the profile. The
//! page's numbers and the program's answer must both be these, to 1 %.

#![allow(clippy::unwrap_used, reason = "a test panics")]

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_hardware_profiles::{HardwareProfile, UnitName, load};
use assay_predict::{Target, Traced, predict};
use assay_schema::{Case, Precision, Runtime};
use assay_trace::{Role, capture};
use burn::tensor::Tensor;

const PAGE: &str = include_str!("../../../docs/prediction.md");
const FITTED: &str = include_str!("../constants/fitted.toml");

const DEVICE: &str = "nvidia-l40s";
const SIDE: f64 = 2048.0;

/// How far two numbers that should agree may be apart.
const TOLERANCE: f64 = 0.01;

/// `[class.matmul]` of the fitted constants.
fn matmul() -> toml::Table {
    let fitted: toml::Table = toml::from_str(FITTED).unwrap();
    fitted["class"]["matmul"].as_table().unwrap().clone()
}

/// The constants by name.
fn constants() -> BTreeMap<String, f64> {
    matmul()["values"]
        .as_table()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), value.as_float().unwrap()))
        .collect()
}

/// The steps in the order of the page: name, value in the page's unit, unit.
type Steps = Vec<(&'static str, f64, &'static str)>;

/// All steps for one tile of `tm` rows and `tn` columns, not split.
fn by_hand(profile: &HardwareProfile, tm: f64, tn: f64) -> Steps {
    let k = constants();
    let k = |name: &str| k[name];
    let gpu = &profile.units[&UnitName::Gpu];
    let peak = gpu.matrix.get(Precision::F16).unwrap().value.value();
    let cores = gpu.cores.as_ref().unwrap().value.0;
    let clock = gpu.clock.boost.as_ref().unwrap().value.value();
    let l2 = gpu.cache.l2.as_ref().unwrap().value.value();
    let launch = gpu.launch_overhead.as_ref().unwrap().value.value();
    let limit = profile.tdp.as_ref().unwrap().value.value();
    let year = profile.year.as_ref().unwrap().value.0;
    let bandwidth = profile.memory.bandwidth.value.value();

    let traffic = 2.0 * 3.0 * SIDE * SIDE;
    let rate = k("em") * k("em_gddr") * bandwidth;
    let inside = (k("l2use") * l2 / traffic).min(1.0).powf(k("l2sharp"));
    let stream = traffic / rate * (1.0 - inside + inside / k("l2x"));
    let granted = limit / peak * 1e12;
    let needed = k("pj") * (-(year - 2018.0) / k("pj_years")).exp2();
    let sustained = (granted / needed).powf(k("power")).min(1.0);
    let reached = k("ec") * sustained * peak;

    let grid = (SIDE / tm).ceil() * (SIDE / tn).ceil();
    let even = grid / cores;
    let waves =
        if even < 1.0 { 1.0 } else { even + k("wave") * (even.ceil() - even) };
    let full = (tm * tn / (tm + tn) / k("half")).min(1.0);
    let compute = waves * 2.0 * tm * tn * SIDE / (reached / cores) / full;
    let busy = (k("bwsat") * even.min(1.0)).min(1.0);
    let pulled = rate / (k("feed") * clock * grid.min(cores));
    let memory = stream * (1.0 / busy).max(pulled);
    let cache = grid * (tm + tn) * 2.0 * SIDE / (k("kappa") * peak);
    let overlap = (compute.powi(3) + memory.powi(3) + cache.powi(3)).cbrt();
    let fill = k("fill") * SIDE / 64.0 / clock;
    let floor = launch + k("o_kc") * 1e3 / clock;
    let time = overlap + fill + floor;
    vec![
        ("traffic", traffic / 1e6, "MB"),
        ("rate", rate / 1e9, "GB/s"),
        ("inside", inside, ""),
        ("stream", stream * 1e6, "us"),
        ("sustained", sustained, ""),
        ("reached", reached / 1e12, "TFLOP/s"),
        ("grid", grid, "tiles"),
        ("waves", waves, ""),
        ("compute", compute * 1e6, "us"),
        ("memory", memory * 1e6, "us"),
        ("cache", cache * 1e6, "us"),
        ("overlap", overlap * 1e6, "us"),
        ("fill", fill * 1e6, "us"),
        ("floor", floor * 1e6, "us"),
        ("time", time * 1e6, "us"),
    ]
}

/// What the page should say: the winner's steps, the runner-up's time, and the
/// band of a new family.
fn expected(profile: &HardwareProfile) -> Steps {
    let last = |steps: &Steps| steps.last().unwrap().1;
    let mut steps = by_hand(profile, 256.0, 128.0);
    let time = last(&steps);
    let rival = last(&by_hand(profile, 128.0, 128.0));
    let matmul = matmul();
    let band = matmul["band"]["new"].as_table().unwrap();
    let side = |name: &str| time * band[name].as_float().unwrap();
    steps.push(("128 x 128", rival, "us"));
    steps.push(("low", side("low"), "us"));
    steps.push(("high", side("high"), "us"));
    steps
}

/// The program's answer, in microseconds: point, low, high.
fn answered(profile: &HardwareProfile) -> [f64; 3] {
    let side = SIDE as usize;
    let graph = capture(
        |_| None,
        |recorder| {
            let device = recorder.device();
            let x = Tensor::<2>::zeros([side, side], &device);
            recorder.role(&x, Role::Input);
            let w = Tensor::<2>::zeros([side, side], &device);
            recorder.role(&w, Role::Weight);
            recorder.output(&x.matmul(w));
        },
    );
    let traced = Traced::new(Arc::new(graph.unwrap()), Precision::F16);
    let target = Target::new(profile, None, Precision::F16, None).unwrap();
    let case = Case::new("operators", "matmul", None);
    let found = predict(&case, &traced, &target, Runtime::Kernel).unwrap();
    let is = found.latency_s;
    [is.point, is.low, is.high].map(|seconds| seconds * 1e6)
}

/// The page's section.
fn section() -> &'static str {
    let from = PAGE.split("## One product by hand").nth(1).unwrap();
    from.split("\n## ").next().unwrap()
}

/// The number in the last cell of the row that starts with a name.
fn said(name: &str) -> Option<f64> {
    let row = section().lines().find(|line| {
        line.split('|')
            .nth(1)
            .is_some_and(|cell| cell.trim_matches([' ', '*']) == name)
    })?;
    let cell = row.trim_end_matches(['|', ' ']).rsplit('|').next()?;
    cell.trim().split(' ').next()?.parse().ok()
}

fn agree(a: f64, b: f64) -> bool {
    (a / b - 1.0).abs() <= TOLERANCE
}

#[test]
fn the_program_gives_what_the_steps_by_hand_add_up_to() {
    let profile = load(DEVICE).unwrap();
    let steps = expected(&profile);
    let hand =
        |name: &str| steps.iter().find(|(step, ..)| *step == name).unwrap().1;
    let [point, low, high] = answered(&profile);
    for (name, program) in [("time", point), ("low", low), ("high", high)] {
        let hand = hand(name);
        assert!(
            agree(program, hand),
            "{name}: {program} us by the program, {hand} us by hand. Another \
             tile may have won: work that one, here and in the page"
        );
    }
}

#[test]
fn the_page_says_each_step_as_the_constants_have_it() {
    let profile = load(DEVICE).unwrap();
    let steps = expected(&profile);
    let stale: Vec<String> = steps
        .iter()
        .filter(|(name, value, _)| {
            !said(name).is_some_and(|said| agree(said, *value))
        })
        .map(|(name, value, unit)| {
            format!("| {name} | ... | {value:.4} {unit} |")
        })
        .collect();
    assert!(
        stale.is_empty(),
        "docs/prediction.md, by hand, should say\n{}",
        stale.join("\n")
    );
}

#[test]
fn the_page_quotes_the_constants_as_they_are() {
    // "`name` value", comma separated, on lines that start with "Constants:".
    let quoted: Vec<(&str, f64)> = section()
        .lines()
        .skip_while(|line| !line.starts_with("Constants:"))
        .take_while(|line| !line.is_empty())
        .flat_map(|line| line.split(','))
        .filter_map(|pair| {
            let (name, value) = pair.split_once('`')?.1.split_once('`')?;
            let value = value.trim().trim_end_matches('.');
            Some((name, value.parse().ok()?))
        })
        .collect();
    assert!(quoted.len() >= 10, "{quoted:?}");
    let constants = constants();
    for (name, said) in quoted {
        let is = constants[name];
        assert!(agree(said, is), "docs/prediction.md: `{name}` is {is}");
    }
}
