//! What a model leaves over on a device's own measurements, interpolated: a
//! Gaussian process in the logarithms of the dimensions. Far from every
//! measurement it says nothing, and the model stands.

use std::sync::OnceLock;

use assay_hardware_profiles::Overlay;
use nalgebra::{DMatrix, DVector};
use serde::Deserialize;

use crate::models::Class;
use crate::place::{DIMENSIONS, Group, Place};

/// Fewer points than this are taken to be noisier.
const FEW: usize = 16;

/// Covariance between rows; `[residuals]` of `constants/classes.toml`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Covariance {
    /// Distance, in octaves, at which it has halved.
    octaves: f64,
    /// Share of it between groups.
    other: f64,
    /// Variance of a measurement beside it.
    noise: f64,
}

/// A residual at a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) group: Group,
    pub(crate) at: Place,
    /// `ln(measured / predicted)`.
    pub(crate) residual: f64,
    pub(crate) weight: f64,
}

impl Covariance {
    fn between(self, a: (Group, &Place), b: (Group, &Place)) -> f64 {
        let squared: f64 =
            a.1.iter().zip(b.1).map(|(x, y)| (x - y) * (x - y)).sum();
        let near = self.octaves / (self.octaves + squared.sqrt());
        if a.0 == b.0 { near } else { near * self.other }
    }
}

/// Points that are summed side by side.
const LANES: usize = 8;

/// Eight points of a group: single precision, since a residual is known to a
/// percent, and laid out so that they are summed side by side. What is left
/// of the last eight has no share.
#[derive(Clone, Copy, Debug)]
struct Eight {
    at: [[f32; LANES]; DIMENSIONS],
    share: [f32; LANES],
}

/// A group's points with what each adds at covariance 1.
#[derive(Clone, Debug)]
struct Block {
    group: Group,
    eights: Vec<Eight>,
}

impl Block {
    fn new<'a>(
        group: Group,
        points: impl Iterator<Item = (&'a Point, &'a f64)>,
    ) -> Self {
        let empty =
            Eight { at: [[0.0; LANES]; DIMENSIONS], share: [0.0; LANES] };
        let mut eights = Vec::new();
        for (i, (point, share)) in points.enumerate() {
            if i % LANES == 0 {
                eights.push(empty);
            }
            if let Some(eight) = eights.last_mut() {
                for (to, from) in eight.at.iter_mut().zip(&point.at) {
                    to[i % LANES] = *from as f32;
                }
                eight.share[i % LANES] = *share as f32;
            }
        }
        Self { group, eights }
    }

    /// The sum of shares times covariances within the group.
    fn sum(&self, at: &[f32; DIMENSIONS], octaves: f32) -> f32 {
        let mut sums = [0.0_f32; LANES];
        for eight in &self.eights {
            for lane in 0..LANES {
                let mut squared = 0.0;
                for (here, there) in at.iter().zip(&eight.at) {
                    let off = here - there[lane];
                    squared += off * off;
                }
                let near = octaves / (octaves + squared.sqrt());
                sums[lane] += eight.share[lane] * near;
            }
        }
        sums.iter().sum()
    }
}

/// Residuals ready to be interpolated.
#[derive(Clone, Debug)]
pub(crate) struct Interpolated {
    covariance: Covariance,
    points: Vec<Point>,
    blocks: Vec<Block>,
}

impl Interpolated {
    /// Solves for the points' shares.
    pub(crate) fn new(covariance: Covariance, points: Vec<Point>) -> Self {
        let n = points.len();
        // Few rows cannot tell a surface from noise.
        let trust = if n < FEW { 4.0 } else { 1.0 };
        let matrix = DMatrix::from_fn(n, n, |i, j| {
            let (a, b) = (&points[i], &points[j]);
            let near = covariance.between((a.group, &a.at), (b.group, &b.at));
            // A row that counts half is twice as noisy.
            let noise = trust * covariance.noise / a.weight.max(1e-3);
            if i == j { near + noise } else { near }
        });
        let residuals =
            DVector::from_fn(n, |i, _| points[i].residual.clamp(-1.0, 1.0));
        let shares = matrix
            .cholesky()
            .map(|factor| factor.solve(&residuals))
            .map_or_else(|| vec![0.0; n], |shares| shares.as_slice().to_vec());
        let mut blocks: Vec<Block> = Vec::new();
        for point in &points {
            if blocks.iter().any(|block| block.group == point.group) {
                continue;
            }
            let all = points.iter().zip(&shares);
            let own = all.filter(|(other, _)| other.group == point.group);
            blocks.push(Block::new(point.group, own));
        }
        Self { covariance, points, blocks }
    }

    /// The residuals.
    pub(crate) fn points(&self) -> &[Point] {
        &self.points
    }

    /// `ln(measured / predicted)` at a place.
    pub(crate) fn at(&self, group: Group, at: &Place) -> f64 {
        let at = at.map(|x| x as f32);
        let octaves = self.covariance.octaves as f32;
        let sum: f32 = self
            .blocks
            .iter()
            .map(|block| {
                let sum = block.sum(&at, octaves);
                if block.group == group {
                    sum
                } else {
                    sum * self.covariance.other as f32
                }
            })
            .sum();
        f64::from(sum)
    }
}

/// An overlay's residuals by class, solved when first asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Residuals {
    classes: Vec<(Class, Vec<Point>, OnceLock<Interpolated>)>,
}

impl Residuals {
    /// Those of an overlay; none without one. Points whose group this build
    /// does not know say nothing to it.
    pub(crate) fn new(overlay: Option<&Overlay>) -> Self {
        let classes = Class::ALL.into_iter().filter_map(|class| {
            let own = overlay?.classes.get(class.name())?;
            let points: Vec<Point> = own
                .points
                .iter()
                .filter_map(|point| {
                    let mut at: Place = [0.0; DIMENSIONS];
                    for (to, from) in at.iter_mut().zip(&point.at) {
                        *to = *from;
                    }
                    Some(Point {
                        group: Group::parse(&point.group)?,
                        at,
                        residual: point.residual,
                        weight: point.weight,
                    })
                })
                .collect();
            let any = !points.is_empty();
            any.then(|| (class, points, OnceLock::new()))
        });
        Self { classes: classes.collect() }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// Whether there are any of a class.
    pub(crate) fn cover(&self, class: Class) -> bool {
        self.classes.iter().any(|(known, ..)| *known == class)
    }

    /// Measured over predicted, as the points near a place have it.
    pub(crate) fn factor(
        &self,
        covariance: Covariance,
        class: Class,
        group: Group,
        at: &Place,
    ) -> f64 {
        let found = self.classes.iter().find(|(known, ..)| *known == class);
        let Some((_, points, solved)) = found else { return 1.0 };
        solved
            .get_or_init(|| Interpolated::new(covariance, points.clone()))
            .at(group, at)
            .exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(text: &str) -> Group {
        Group::parse(text).unwrap()
    }

    #[test]
    fn a_residual_is_all_but_met_where_it_was_seen_and_fades_from_there() {
        let covariance = Covariance { octaves: 3.0, other: 0.5, noise: 0.1 };
        let point = |x: f64, residual: f64| Point {
            group: group("f16"),
            at: [x, 0.0, 0.0, 0.0],
            residual,
            weight: 1.0,
        };
        let points = vec![point(4.0, 0.3), point(10.0, -0.2)];
        let found = Interpolated::new(covariance, points);
        let at = |x: f64| found.at(group("f16"), &[x, 0.0, 0.0, 0.0]);
        assert!((0.1..0.3).contains(&at(4.0)), "{}", at(4.0));
        assert!((-0.2..-0.05).contains(&at(10.0)), "{}", at(10.0));
        assert!(at(4.0) > at(3.0) && at(3.0) > at(-20.0) && at(-20.0) > 0.0);
        // Another format learns from it, but less.
        let other = found.at(group("int8"), &[4.0, 0.0, 0.0, 0.0]);
        assert!(0.0 < other && other < at(4.0) * 0.6, "{other}");
    }
}
