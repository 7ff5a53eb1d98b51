//! Rigid frames, one a residue: `x -> R x + t` takes a point of the frame to
//! the whole (Jumper et al., *Highly accurate protein structure prediction
//! with AlphaFold*, Nature 2021, supplement 1.1 and algorithm 23).
//!
//! A backbone frame has its C-alpha at the origin, C on the positive x axis
//! and N in the xy plane (supplement 1.8.1). Left out: frames of side chains.

use assay_kernels::matmul;
use burn::Tensor;
use burn::tensor::Device;

/// Alanine's ideal C-beta in its backbone frame, angstroms: a fact read in
/// aqlaboratory/openfold @07e6426, `openfold/np/residue_constants.py`,
/// `rigid_group_atom_positions` (AlphaFold's own file was not read). In that
/// table N is at (-0.525, 1.363, 0) and C at (1.526, 0, 0). Trusted as far as
/// a test goes: a bond of 1.527. The other residues with a C-beta have it
/// at most 0.03 away, proline 0.19.
const C_BETA: [f32; 3] = [-0.529, -0.774, -1.205];

/// A rotation and a translation a residue.
#[derive(Clone, Debug)]
pub struct Frames {
    /// `[R, 3, 3]`.
    pub rotation: Tensor<3>,
    /// `[R, 3]`.
    pub translation: Tensor<2>,
}

impl Frames {
    /// Frames that move nothing.
    pub fn identity(residues: usize, device: &Device) -> Self {
        let one = Tensor::<2>::eye(3, device).unsqueeze_dim::<3>(0);
        Self {
            rotation: one.repeat_dim(0, residues),
            translation: Tensor::zeros([residues, 3], device),
        }
    }

    /// The rotation of the quaternion `(1, b, c, d)` over its length, `vector`
    /// being `b, c, d` `[R, 3]`, and a translation `[R, 3]` (algorithm 23).
    pub fn moved(vector: Tensor<2>, translation: Tensor<2>) -> Self {
        let [r, _] = vector.dims();
        let length = (vector.clone().square().sum_dim(1) + 1.0).sqrt();
        let part = |i| vector.clone().narrow(1, i, 1) / length.clone();
        let (a, [b, c, d]) = (length.clone().recip(), [0, 1, 2].map(part));
        let [aa, bb, cc, dd] = [&a, &b, &c, &d].map(|x| x.clone().square());
        let twice = |x: &Tensor<2>, y: &Tensor<2>| x.clone() * y.clone() * 2.0;
        let (ab, ac, ad) = (twice(&a, &b), twice(&a, &c), twice(&a, &d));
        let (bc, bd, cd) = (twice(&b, &c), twice(&b, &d), twice(&c, &d));
        let (plus, minus) = (aa.clone() + bb.clone(), aa - bb);
        let (sum, difference) = (cc.clone() + dd.clone(), cc - dd);
        let entries = vec![
            plus - sum,
            bc.clone() - ad.clone(),
            bd.clone() + ac.clone(),
            bc + ad,
            minus.clone() + difference.clone(),
            cd.clone() - ab.clone(),
            bd - ac,
            cd + ab,
            minus - difference,
        ];
        let rotation = Tensor::cat(entries, 1).reshape([r, 3, 3]);
        Self { rotation, translation }
    }

    /// First `inner`, then these.
    #[must_use]
    pub fn compose(&self, inner: &Self) -> Self {
        let origins = inner.translation.clone().unsqueeze_dim(1); // [R, 1, 3]
        Self {
            rotation: matmul(self.rotation.clone(), inner.rotation.clone()),
            translation: self.apply(origins).squeeze_dim(1),
        }
    }

    /// Points `[R, N, 3]` of each frame, as the whole sees them.
    pub fn apply(&self, points: Tensor<3>) -> Tensor<3> {
        let turned = self.rotation.clone().swap_dims(1, 2);
        matmul(points, turned) + self.translation.clone().unsqueeze_dim(1)
    }

    /// Points `[R, N, 3]` of the whole, as each frame sees them.
    pub fn invert_apply(&self, points: Tensor<3>) -> Tensor<3> {
        let moved = points - self.translation.clone().unsqueeze_dim(1);
        matmul(moved, self.rotation.clone())
    }

    /// The same about the mean of their origins.
    #[must_use]
    pub fn centred(&self) -> Self {
        let centre = self.translation.clone().mean_dim(0); // [1, 3]
        Self {
            rotation: self.rotation.clone(),
            translation: self.translation.clone() - centre,
        }
    }

    /// The same in a unit of length `factor` times smaller.
    #[must_use]
    pub fn scaled(self, factor: f32) -> Self {
        Self { translation: self.translation * factor, ..self }
    }

    /// Alanine's C-beta in each backbone frame whose unit is the angstrom,
    /// `[R, 3]`.
    pub fn c_beta(&self) -> Tensor<2> {
        let [r, _] = self.translation.dims();
        let device = self.translation.device();
        let one = Tensor::<1>::from_floats(C_BETA, &device).reshape([1, 1, 3]);
        self.apply(one.repeat_dim(0, r)).squeeze_dim(1)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tolerance};

    use super::*;

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        let normal = Distribution::Normal(0.0, 1.0);
        Tensor::random(shape, normal, &Device::flex())
    }

    fn frames(residues: usize) -> Frames {
        Frames::moved(random([residues, 3]), random([residues, 3]) * 5.0)
    }

    fn close<const D: usize>(left: &Tensor<D>, right: &Tensor<D>) {
        let right = right.to_data();
        let tolerance = Tolerance::absolute(2e-5);
        left.to_data().assert_approx_eq::<f32>(&right, tolerance);
    }

    #[test]
    fn a_composition_moves_points_as_its_parts_do_in_turn() {
        let (outer, inner, points) = (frames(6), frames(6), random([6, 4, 3]));
        let both = outer.compose(&inner).apply(points.clone());
        close(&both, &outer.apply(inner.apply(points)));
    }

    #[test]
    fn inverting_undoes() {
        let (frames, points) = (frames(6), random([6, 4, 3]));
        close(&frames.invert_apply(frames.apply(points.clone())), &points);
        let still = Frames::identity(6, &Device::flex());
        assert_eq!(still.apply(points.clone()).to_data(), points.to_data());
    }

    #[test]
    fn rotations_keep_lengths_and_handedness() {
        let rotation = frames(6).rotation;
        let turned = rotation.clone().swap_dims(1, 2);
        let still = Frames::identity(6, &Device::flex()).rotation;
        close(&matmul(rotation.clone(), turned), &still);
        let column = |i| rotation.clone().narrow(2, i, 1);
        close(&column(0).cross(column(1), 1), &column(2));
    }

    #[test]
    fn a_quaternion_turns_by_twice_its_angle_about_its_vector() {
        // (1, 1, 0, 0): 90 degrees about x, y to z and z to -y.
        let device = Device::flex();
        let vector = Tensor::from_floats([[1.0, 0.0, 0.0]], &device);
        let at = Tensor::from_floats([[10.0, 20.0, 30.0]], &device);
        let points = [[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]];
        let points = Tensor::<3>::from_floats(points, &device);
        let expected =
            [[[11.0, 20.0, 30.0], [10.0, 20.0, 31.0], [10.0, 19.0, 30.0]]];
        let expected = Tensor::from_floats(expected, &device);
        close(&Frames::moved(vector, at).apply(points), &expected);
    }

    #[test]
    fn each_c_beta_is_a_bond_away_from_its_c_alpha() {
        let frames = frames(6);
        let bond = frames.c_beta() - frames.translation.clone();
        let lengths = bond.square().sum_dim(1).sqrt();
        close(&lengths, &(Tensor::ones([6, 1], &Device::flex()) * 1.526_742));
        let scaled = frames.clone().scaled(10.0);
        close(&scaled.translation, &(frames.translation * 10.0));
    }
}
