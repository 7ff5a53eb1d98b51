//! The samplers on fields that are known exactly.

use burn::Tensor;
use burn::tensor::Device;

use super::mixture::{Mixture, noise};
use super::*;

const FIXED: [Sampler; 4] =
    [Sampler::Euler, Sampler::Heun, Sampler::Ddim, Sampler::DpmSolver];

fn diffusion() -> Path {
    Path::Diffusion(DiffusionSchedule::stable_diffusion())
}

fn paths() -> [Path; 2] {
    [Path::Straight, diffusion()]
}

/// Root mean square of the difference.
fn apart(left: &[f64], right: &[f64]) -> f64 {
    assert_eq!(left.len(), right.len());
    let squares = left.iter().zip(right).map(|(l, r)| (l - r).powi(2));
    (squares.sum::<f64>() / left.len() as f64).sqrt()
}

/// Median over points of how far they are apart: a point that starts on a
/// border between components has an error of no order and would carry a mean.
fn typical(left: &[f64], right: &[f64]) -> f64 {
    let pairs = left.chunks_exact(2).zip(right.chunks_exact(2));
    let mut distances: Vec<f64> = pairs.map(|(l, r)| apart(l, r)).collect();
    distances.sort_by(f64::total_cmp);
    distances[distances.len() / 2]
}

fn follow(
    sampler: Sampler,
    path: &Path,
    times: &Times,
    mixture: &Mixture,
    start: &[f64],
) -> Vec<f64> {
    let mut field = |x: &Vec<f64>, t: f64| mixture.field(path, x, t);
    let start = start.to_vec();
    sample_at(sampler, path, times, start, &mut field, &mut |_, _| {})
        .unwrap()
        .end
}

fn within(
    tolerance: f64,
    path: &Path,
    mixture: &Mixture,
    start: &[f64],
) -> Vec<f64> {
    let mut field = |x: &Vec<f64>, t: f64| mixture.field(path, x, t);
    let tolerance = Tolerance { absolute: tolerance, relative: tolerance };
    let (ends, start) = ([0.0, 1.0], start.to_vec());
    rk45(path, ends, tolerance, start, &mut field, &mut |_, _| {}).unwrap()
}

#[test]
fn names_are_read_as_they_are_written() {
    for (name, sampler) in Sampler::NAMES {
        assert_eq!(name.parse::<Sampler>().unwrap(), sampler);
        assert_eq!(sampler.to_string(), name);
        let read = Sampler::try_from(name.to_owned());
        assert_eq!(read.unwrap(), sampler);
    }
    let error = "dpm-solver".parse::<Sampler>().unwrap_err().to_string();
    let expected = "unknown sampler `dpm-solver`; nearest valid: \
                    `dpm-solver++`";
    assert_eq!(error, expected);
}

#[test]
fn no_step_is_an_error_that_says_so() {
    for path in paths() {
        for sampler in FIXED {
            let start = noise(2, 1);
            let mut field = |x: &Vec<f64>, _: f64| x.clone();
            let mut see = |_: f64, _: &Vec<f64>| {};
            let found = sample(sampler, &path, 0, start, &mut field, &mut see);
            let error = found.unwrap_err().to_string();
            assert!(error.contains("`steps`: 0 steps"), "{error}");
        }
    }
}

#[test]
fn calls_are_counted_and_stops_are_shown() {
    let mixture = Mixture::three();
    for path in paths() {
        for (_, sampler) in Sampler::NAMES {
            let (mut calls, mut seen) = (0, Vec::new());
            let start = noise(2, 1);
            let sampled = sample(
                sampler,
                &path,
                6,
                start.clone(),
                &mut |x: &Vec<f64>, t: f64| {
                    calls += 1;
                    assert!((0.0..=1.0).contains(&t), "{sampler} at {t}");
                    mixture.field(&path, x, t)
                },
                &mut |t, x: &Vec<f64>| seen.push((t, x.clone())),
            )
            .unwrap();
            assert_eq!(sampled.evaluations, calls, "{sampler}");
            match sampler.evaluations(6) {
                Some(expected) => {
                    assert_eq!(calls, expected, "{sampler}");
                    assert_eq!(seen.len(), 7, "{sampler}");
                }
                None => assert!(calls > 7, "{sampler}: {calls}"),
            }
            assert_eq!(seen[0], (0.0, start), "{sampler}");
            assert_eq!(seen[seen.len() - 1], (1.0, sampled.end), "{sampler}");
            assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }
}

#[test]
fn euler_is_the_loop_of_the_authors() {
    let mixture = Mixture::three();
    let (start, steps) = (noise(5, 2), 7);
    let mut expected = start.clone();
    for i in 0..steps {
        let time = f64::from(i) / f64::from(steps);
        let velocity = mixture.field(&Path::Straight, &expected, time);
        for (z, v) in expected.iter_mut().zip(velocity) {
            *z += 1.0 / f64::from(steps) * v;
        }
    }
    let times = Times::uniform(7).unwrap();
    let found =
        follow(Sampler::Euler, &Path::Straight, &times, &mixture, &start);
    assert_eq!(found, expected);
}

#[test]
fn a_step_of_ddim_is_a_step_of_euler() {
    let (mixture, start) = (Mixture::three(), noise(8, 3));
    for path in paths() {
        let times = Times::uniform(16).unwrap();
        let [euler, ddim] = [Sampler::Euler, Sampler::Ddim]
            .map(|sampler| follow(sampler, &path, &times, &mixture, &start));
        assert!(apart(&euler, &ddim) < 1e-12, "{path:?}");
    }
}

#[test]
fn one_step_of_a_straight_flow_is_exact() {
    // X1 = 3 X0 + 2, found back from X_t = (1 + 2t) X0 + 2t.
    let start = noise(8, 4);
    let expected: Vec<f64> = start.iter().map(|x| 3.0 * x + 2.0).collect();
    for (_, sampler) in Sampler::NAMES {
        for steps in [1, 4] {
            let end = sample(
                sampler,
                &Path::Straight,
                steps,
                start.clone(),
                &mut |x: &Vec<f64>, t: f64| {
                    let first = |x: &f64| (x - 2.0 * t) / (1.0 + 2.0 * t);
                    x.iter().map(|x| 2.0 * first(x) + 2.0).collect()
                },
                &mut |_, _| {},
            )
            .unwrap()
            .end;
            let error = apart(&end, &expected);
            assert!(error < 1e-12, "{sampler} in {steps}: {error}");
        }
    }
}

#[test]
fn one_step_of_a_bent_flow_gives_the_mean_of_the_data() {
    // Why the 1-flow needs reflow: at time 0 its velocity is E[X1] - X0.
    let (mixture, start) = (Mixture::three(), noise(8, 5));
    let times = Times::uniform(1).unwrap();
    let end = follow(Sampler::Euler, &Path::Straight, &times, &mixture, &start);
    for point in end.chunks_exact(2) {
        assert!((point[0] - 0.35).abs() < 1e-12, "{point:?}");
        assert!(point[1].abs() < 1e-12, "{point:?}");
    }
}

/// Half the log, base 2, of how much smaller the error is with four times the
/// steps: the order.
#[test]
fn errors_fall_with_the_order() {
    let (mixture, start) = (Mixture::three(), noise(64, 6));
    let (first, second) = ((0.9, 1.15), (1.8, 2.2));
    let straight = [
        (Sampler::Euler, 32, first),
        (Sampler::Ddim, 32, first),
        (Sampler::Heun, 32, second),
        // Its order is 2 less a logarithm here: see `dpm_solver.rs`.
        (Sampler::DpmSolver, 128, (1.5, 2.2)),
    ];
    let bent = [
        (Sampler::Euler, 32, first),
        (Sampler::Ddim, 32, first),
        (Sampler::Heun, 32, second),
        (Sampler::DpmSolver, 32, (1.75, 2.25)),
    ];
    for (path, cases) in paths().into_iter().zip([straight, bent]) {
        let exact = within(1e-10, &path, &mixture, &start);
        for (sampler, steps, (low, high)) in cases {
            let [few, many] = [steps, 4 * steps].map(|steps| {
                // Even in the log signal-to-noise ratio, where there is one.
                let times = Sampler::DpmSolver.times(&path, steps).unwrap();
                let end = follow(sampler, &path, &times, &mixture, &start);
                typical(&end, &exact)
            });
            let order = (few / many).log2() / 2.0;
            assert!(
                (low..high).contains(&order),
                "{sampler} on {}: {few} then {many}, order {order}",
                path.field()
            );
        }
    }
}

#[test]
fn a_second_order_buys_accuracy_at_the_same_calls() {
    let (mixture, start) = (Mixture::three(), noise(64, 7));
    for path in paths() {
        let exact = within(1e-9, &path, &mixture, &start);
        let error = |sampler: Sampler, steps| {
            let times = Sampler::DpmSolver.times(&path, steps).unwrap();
            let end = follow(sampler, &path, &times, &mixture, &start);
            typical(&end, &exact)
        };
        let plain = error(Sampler::Euler, 64);
        let heun = error(Sampler::Heun, 32);
        let solver = error(Sampler::DpmSolver, 64);
        assert!(heun < plain / 3.0, "{heun} against {plain}");
        assert!(solver < plain / 3.0, "{solver} against {plain}");
    }
}

#[test]
fn a_gaussian_goes_where_it_must() {
    // A state m alpha + c z keeps its z, with c^2 = alpha^2 s^2 + sigma^2.
    let (mean, deviation) = ([0.7, -0.4], 0.5);
    let mixture = Mixture::single(mean, deviation);
    let z = noise(32, 8);
    for path in paths() {
        let at = |time| -> Vec<f64> {
            let at = path.at(time);
            let scale = (at.alpha * deviation).hypot(at.sigma);
            let value =
                |(i, z): (usize, &f64)| at.alpha * mean[i % 2] + scale * z;
            z.iter().enumerate().map(value).collect()
        };
        let (start, expected) = (at(0.0), at(1.0));
        for (sampler, most) in [
            (Sampler::Euler, 0.05),
            (Sampler::Ddim, 0.05),
            (Sampler::Heun, 0.002),
            (Sampler::DpmSolver, 0.003),
            (Sampler::Rk45, 2e-4),
        ] {
            let times = sampler.times(&path, 100).unwrap();
            let end = follow(sampler, &path, &times, &mixture, &start);
            let error = apart(&end, &expected);
            assert!(error < most, "{sampler}: {error}");
        }
    }
}

#[test]
fn a_way_may_be_cut_in_two() {
    let (mixture, start) = (Mixture::three(), noise(8, 9));
    for path in paths() {
        for sampler in [Sampler::Euler, Sampler::Ddim, Sampler::Heun] {
            let along = |times: &[f64], from: &[f64]| {
                let times = Times::new(times.to_vec()).unwrap();
                follow(sampler, &path, &times, &mixture, from)
            };
            let whole = along(&[0.0, 0.2, 0.5, 1.0], &start);
            let halves = along(&[0.5, 1.0], &along(&[0.0, 0.2, 0.5], &start));
            assert_eq!(whole, halves, "{sampler}");
        }
    }
}

#[test]
fn rk45_is_as_near_as_its_tolerance_asks() {
    let (mixture, start) = (Mixture::three(), noise(24, 10));
    for path in paths() {
        let exact = within(1e-10, &path, &mixture, &start);
        let errors = [1e-4, 1e-6, 1e-8].map(|size| {
            let end = within(size, &path, &mixture, &start);
            let error = apart(&end, &exact);
            // Errors of steps add up, and paths that part near a border
            // between components carry them apart.
            assert!(error < 1000.0 * size, "{size}: {error}");
            error
        });
        assert!(errors[1] < errors[0] / 5.0, "{errors:?}");
        assert!(errors[2] < errors[1] / 5.0, "{errors:?}");
    }
}

#[test]
fn the_flow_carries_noise_to_the_data() {
    let mixture = Mixture::three();
    let start = noise(1500, 11);
    let end = within(1e-4, &Path::Straight, &mixture, &start);
    let data = mixture.draw(1500, 12);
    // Means and second moments; a standard error is about 0.03 to 0.05.
    let moments = |points: &[f64]| -> [f64; 5] {
        let count = (points.len() / 2) as f64;
        let mut sums = [0.0; 5];
        for point in points.chunks_exact(2) {
            let (x, y) = (point[0], point[1]);
            for (sum, value) in sums.iter_mut().zip([x, y, x * x, x * y, y * y])
            {
                *sum += value / count;
            }
        }
        sums
    };
    let (found, expected) = (moments(&end), moments(&data));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 0.25, "{found}, {expected}");
    }
    // The noise itself would not pass for data.
    let before = moments(&start);
    assert!((before[2] - expected[2]).abs() > 0.25, "{before:?}");
}

#[test]
fn tensors_are_moved_as_vectors_are() {
    let (mixture, device) = (Mixture::three(), Device::flex());
    let tensor = |values: &[f64]| -> Tensor<4> {
        let values: Vec<f32> = values.iter().map(|x| *x as f32).collect();
        let flat = Tensor::<1>::from_floats(values.as_slice(), &device);
        flat.reshape([values.len() / 2, 1, 1, 2])
    };
    let start = noise(6, 13);
    for path in paths() {
        for (_, sampler) in Sampler::NAMES {
            let times = sampler.times(&path, 8).unwrap();
            let expected = follow(sampler, &path, &times, &mixture, &start);
            let found = sample(
                sampler,
                &path,
                8,
                tensor(&start),
                &mut |x: &Tensor<4>, t: f64| {
                    let points: Vec<f64> = x.to_data().iter::<f64>().collect();
                    tensor(&mixture.field(&path, &points, t))
                },
                &mut |_, _| {},
            )
            .unwrap()
            .end;
            assert_eq!(found.dims(), [6, 1, 1, 2]);
            let found: Vec<f64> = found.to_data().iter::<f64>().collect();
            let error = apart(&found, &expected);
            // Steps of rk45 may differ by rounding, its error stays small.
            let most = if sampler == Sampler::Rk45 { 5e-3 } else { 1e-4 };
            assert!(error < most, "{sampler}: {error}");
        }
    }
}

#[test]
fn guidance_is_a_line_through_both_predictions() {
    let (with, without) = (vec![1.0, -3.0], vec![0.5, 2.0]);
    assert_eq!(guided(&with, &without, 1.0), with);
    assert_eq!(guided(&with, &without, 0.0), without);
    assert_eq!(guided(&with, &with, 1.5), with);
    assert_eq!(guided(&with, &without, 3.0), [2.0, -13.0]);
    // Guiding noises or velocities comes to the same: both are linear.
    let path = diffusion();
    let (state, time) = (vec![0.2, 0.9], 0.4);
    let velocity = |noise: &Vec<f64>| {
        let given = (Prediction::Noise, noise);
        path.convert(time, &state, given, Prediction::Velocity).unwrap()
    };
    let of_guided = velocity(&guided(&with, &without, 7.5));
    let guided_of = guided(&velocity(&with), &velocity(&without), 7.5);
    assert!(apart(&of_guided, &guided_of) < 1e-9);
}
