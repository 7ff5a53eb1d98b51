//! Pareto fronts of points whose numbers are all to be small: who is on it,
//! how much it dominates, how far another point lies behind it.
//!
//! A point dominates another that is nowhere smaller and somewhere larger;
//! the front is what nobody dominates. The hypervolume is the share of the
//! box between the best and the worst of each number that the front dominates
//! (Zitzler and Thiele, PPSN 1998), on logarithms, so that no unit matters.
//! The distance of a point `p` is the additive epsilon indicator on
//! logarithms (Zitzler et al., IEEE TEC 7(2), 2003), as a factor less 1:
//!
//! ```text
//! distance(p) = max over f of the front, min over numbers i, p_i / f_i  - 1
//! ```
//!
//! the least factor by which all numbers of `p` must shrink before nobody
//! dominates it strictly; 0 on the front.

/// Whether `a` is nowhere larger than `b` and somewhere smaller.
fn dominates<const N: usize>(a: &[f64; N], b: &[f64; N]) -> bool {
    let mut pairs = a.iter().zip(b);
    let never_larger = pairs.clone().all(|(a, b)| a <= b);
    never_larger && pairs.any(|(a, b)| a < b)
}

/// Indices of the points that no other dominates, in order; equal points are
/// all on it. A point with a number that is not finite never is.
pub fn front<const N: usize>(points: &[[f64; N]]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len())
        .filter(|&at| points[at].iter().all(|x| x.is_finite()))
        .collect();
    // Whoever dominates a point stands before it.
    order.sort_by(|&a, &b| {
        let pairs = points[a].iter().zip(&points[b]);
        pairs
            .map(|(a, b)| a.total_cmp(b))
            .find(|order| order.is_ne())
            .unwrap_or(a.cmp(&b))
    });
    let mut found: Vec<usize> = Vec::new();
    for at in order {
        let own = &points[at];
        if !found.iter().any(|&other| dominates(&points[other], own)) {
            found.push(at);
        }
    }
    found.sort_unstable();
    found
}

/// The factor less 1 by which all numbers of a point must shrink to reach the
/// front of some members; 0 on the front or before it. Numbers are above 0.
pub fn distance<const N: usize>(members: &[[f64; N]], point: &[f64; N]) -> f64 {
    let behind = |member: &[f64; N]| {
        let ratios = point.iter().zip(member).map(|(p, f)| p / f);
        ratios.fold(f64::INFINITY, f64::min)
    };
    let most = members.iter().map(behind).fold(1.0, f64::max);
    most - 1.0
}

/// The share of the box of all points, from the best to the worst of each
/// number on logarithms, that the front dominates: 0 to 1. Numbers are above
/// 0. A number that is the same for all has no extent and is left out; 0 of
/// no points.
pub fn hypervolume<const N: usize>(points: &[[f64; N]]) -> f64 {
    let logs = |i: usize| points.iter().map(move |point| point[i].ln());
    let axes: Vec<(usize, f64, f64)> = (0..N)
        .map(|i| {
            let low = logs(i).fold(f64::INFINITY, f64::min);
            let high = logs(i).fold(f64::NEG_INFINITY, f64::max);
            (i, low, high)
        })
        .filter(|(_, low, high)| high > low)
        .collect();
    if axes.is_empty() {
        return 0.0;
    }
    let members: Vec<Vec<f64>> = front(points)
        .into_iter()
        .map(|at| {
            axes.iter()
                .map(|&(i, low, high)| {
                    (points[at][i].ln() - low) / (high - low)
                })
                .collect()
        })
        .collect();
    dominated(members, axes.len())
}

/// The volume of the unit box that points dominate, by slices along the last
/// of `axes` numbers.
fn dominated(mut points: Vec<Vec<f64>>, axes: usize) -> f64 {
    let last = axes - 1;
    points.sort_by(|a, b| a[last].total_cmp(&b[last]));
    if axes == 1 {
        return points.first().map_or(0.0, |point| 1.0 - point[0]);
    }
    if axes == 2 {
        return staircase(&points);
    }
    let mut volume = 0.0;
    for at in 0..points.len() {
        let from = points[at][last];
        let to = points.get(at + 1).map_or(1.0, |next| next[last]);
        if to > from {
            let slice = points[..=at].to_vec();
            volume += (to - from) * dominated(slice, last);
        }
    }
    volume
}

/// The area that points dominate, sorted by their second number: a point adds
/// what lies left of all before it.
fn staircase(points: &[Vec<f64>]) -> f64 {
    let (mut area, mut left) = (0.0, 1.0_f64);
    for point in points {
        area += (left - point[0]).max(0.0) * (1.0 - point[1]);
        left = left.min(point[0]);
    }
    area
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_what_nobody_dominates() {
        let points = [
            [1.0, 9.0, 5.0],
            [2.0, 2.0, 5.0],
            [2.0, 3.0, 5.0],
            [9.0, 1.0, 5.0],
            [2.0, 2.0, 5.0],
            [0.5, f64::NAN, 0.5],
        ];
        assert_eq!(front(&points), [0, 1, 3, 4]);
        assert!(front::<3>(&[]).is_empty());
    }

    #[test]
    fn a_point_behind_the_front_must_shrink_by_its_distance() {
        let members = [[1.0, 4.0], [2.0, 2.0]];
        // Against (2, 2): 3 / 2 and 5 / 2; against (1, 4): 3 and 5 / 4.
        assert_eq!(distance(&members, &[3.0, 5.0]), 0.5);
        assert_eq!(distance(&members, &[2.0, 2.0]), 0.0);
        assert_eq!(distance(&members, &[0.5, 9.0]), 0.0);
        let shrunk = [3.0 / 1.5, 5.0 / 1.5];
        assert!(distance(&members, &shrunk).abs() < 1e-12);
    }

    #[test]
    fn the_hypervolume_is_counted_by_hand() {
        let e = std::f64::consts::E;
        // Logarithms from 0 to 4 on both axes.
        let points = [
            [1.0, e.powi(4)],
            [e, e.powi(3)],
            [e.powi(2), 1.0],
            [e.powi(4); 2],
        ];
        // Of (2, 0): 2 x 4; of (1, 3) what is left of that: 1 x 1.
        let right = (8.0 + 1.0) / 16.0;
        assert!((hypervolume(&points) - right).abs() < 1e-9);
        // A third number that never changes does not matter.
        let flat = points.map(|[a, b]| [a, b, 7.0]);
        assert!((hypervolume(&flat) - right).abs() < 1e-9);
        // Who is worst in two of three numbers dominates no volume.
        let cube = [[1.0, e, e], [e, 1.0, e], [e, e, 1.0]];
        assert!(hypervolume(&cube).abs() < 1e-9);
        let corner = [[1.0; 3], [e; 3]];
        assert!((hypervolume(&corner) - 1.0).abs() < 1e-9);
        assert_eq!(hypervolume::<2>(&[]), 0.0);
    }

    #[test]
    fn a_point_that_joins_the_front_never_shrinks_what_it_dominates() {
        let worst = [9.0, 9.0, 9.0];
        let best = [1.0, 1.0, 9.0];
        let other = [9.0, 9.0, 1.0];
        let base = vec![worst, best, other];
        let before = hypervolume(&base);
        let mut more = base;
        more.push([3.0, 3.0, 3.0]);
        assert!(hypervolume(&more) > before);
        more.push([8.0, 8.0, 8.0]);
        let after = hypervolume(&more);
        more.push([8.5, 8.0, 8.0]);
        assert!((hypervolume(&more) - after).abs() < 1e-12);
    }
}
