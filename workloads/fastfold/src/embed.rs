//! Embedders (Jumper et al., *Highly accurate protein structure prediction
//! with AlphaFold*, Nature 2021, supplement): inputs (1.5, algorithms 3 to 5),
//! what an earlier pass found (1.10, algorithm 32), extra sequences
//! (algorithm 2, line 15).
//!
//! Changed: a layer of a one-hot row is one of its columns (and its bias), so
//! relative positions and binned distances pick rows of a table of the layer's
//! values; `[R, R, bins]` never exists. Left out: ensembles, and the making of
//! the features.
//!
//! `S` sequences, `R` residues; `m` is the MSA representation `[S, R, c_m]`,
//! `z` the pair representation `[R, R, c_z]`. Fields carry the names of
//! OpenFold's published weights.

use assay_kernels::embedding;
use assay_kit::{LayerNorm, Linear, Parameters};
use assay_trace::span;
use burn::Tensor;
use burn::module::Module;
use burn::tensor::{Device, Int};

use crate::config::Config;
use crate::layers::layer_norm;
use crate::pass::{Part, Pass, assign, rows};

/// Distance at which the first bin of recycled positions begins, angstroms.
const NEAREST: f32 = 3.25;
/// Width of a bin, angstroms: with 15 bins the last begins at 20.75.
const BIN: f32 = 1.25;

/// Algorithms 3 and 4: features of target and MSA, and how far apart two
/// residues are in the chain.
#[derive(Module, Debug)]
pub struct InputEmbedder {
    linear_tf_z_i: Linear,
    linear_tf_z_j: Linear,
    linear_tf_m: Linear,
    linear_msa_m: Linear,
    linear_relpos: Linear,
    relative_positions: usize,
}

impl InputEmbedder {
    /// Of the architecture's widths.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        let (c_m, c_z) = (config.c_m, config.c_z);
        let target = config.features.target;
        let k = config.features.relative_positions;
        Self {
            linear_tf_z_i: Linear::new(p, target, c_z, true),
            linear_tf_z_j: Linear::new(p, target, c_z, true),
            linear_tf_m: Linear::new(p, target, c_m, true),
            linear_msa_m: Linear::new(p, config.features.msa, c_m, true),
            linear_relpos: Linear::new(p, 2 * k + 1, c_z, true),
            relative_positions: k,
        }
    }

    /// `target` `[R, 22]`, `residue_index` `[R]` (whole numbers) and `msa`
    /// `[S, R, 49]` to `m` and `z`.
    pub fn forward(
        &self,
        target: &Tensor<2>,
        residue_index: &Tensor<1>,
        msa: &Tensor<3>,
    ) -> (Tensor<3>, Tensor<3>) {
        let z = span("relpos", || self.relpos(residue_index)); // [R, R, c_z]
        let left = self.linear_tf_z_i.forward(target.clone()); // [R, c_z]
        let right = self.linear_tf_z_j.forward(target.clone()); // [R, c_z]
        let z = z + left.unsqueeze_dim(1) + right.unsqueeze_dim(0);
        let every = self.linear_tf_m.forward(target.clone()); // [R, c_m]
        let m = self.linear_msa_m.forward(msa.clone()); // [S, R, c_m]
        (m + every.unsqueeze_dim(0), z)
    }

    /// Algorithm 4.
    fn relpos(&self, residue_index: &Tensor<1>) -> Tensor<3> {
        let bins = 2 * self.relative_positions + 1;
        let each = Tensor::eye(bins, &residue_index.device());
        let table = self.linear_relpos.forward(each); // [2 k + 1, c_z]
        embedding(table, relative(residue_index, self.relative_positions))
    }
}

/// `i - j + k`, clipped to `0..=2 k`: `[R]` to `[R, R]`.
fn relative(residue_index: &Tensor<1>, k: usize) -> Tensor<2, Int> {
    let [r] = residue_index.dims();
    let i = residue_index.clone().reshape([r, 1]);
    let j = residue_index.clone().reshape([1, r]);
    let k = k as f32;
    ((i - j).clamp(-k, k) + k).int()
}

/// What a pass hands to the next.
#[derive(Clone, Debug)]
pub struct Recycled {
    /// The first row of the MSA representation, `[R, c_m]`.
    pub m: Tensor<2>,
    /// The pair representation, `[R, R, c_z]`.
    pub z: Tensor<3>,
    /// Pseudo-beta positions, `[R, 3]`, angstroms.
    pub positions: Tensor<2>,
}

impl Recycled {
    /// What the first pass gets: zeros.
    pub fn none(residues: usize, config: &Config, device: &Device) -> Self {
        Self {
            m: Tensor::zeros([residues, config.c_m], device),
            // One zero seen everywhere: the first pass holds no second `z`.
            z: Tensor::<3>::zeros([1, 1, config.c_z], device)
                .expand([residues, residues, config.c_z]),
            positions: Tensor::zeros([residues, 3], device),
        }
    }
}

/// Algorithm 32: what the pass before found.
#[derive(Module, Debug)]
pub struct RecyclingEmbedder {
    linear: Linear,
    layer_norm_m: LayerNorm,
    layer_norm_z: LayerNorm,
    bins: usize,
}

impl RecyclingEmbedder {
    /// Of the architecture's widths.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        let bins = config.features.recycling_bins;
        Self {
            linear: Linear::new(p, bins, config.c_z, true),
            layer_norm_m: layer_norm(p, config.c_m),
            layer_norm_z: layer_norm(p, config.c_z),
            bins,
        }
    }

    /// `m` and `z` with what was found added to the first row of `m` and to
    /// `z`. Pairs are chunked as those of a transition.
    pub fn forward(
        &self,
        m: Tensor<3>,
        z: Tensor<3>,
        found: &Recycled,
        pass: &mut Pass,
    ) -> (Tensor<3>, Tensor<3>) {
        let row = self.layer_norm_m.forward(found.m.clone()); // [R, c_m]
        let first = rows(&m, 0, &(0..1)) + row.unsqueeze_dim(0);
        let m = assign(m, 0, &(0..1), first); // [S, R, c_m]
        let table = self.distances(); // [1 + bins, c_z]
        let z = pass.in_chunks(Part::PairTransition, z, 0, |_, z, at| {
            let from = rows(&found.positions, 0, &at);
            let bins = bins(from, found.positions.clone(), self.bins);
            let z = z + embedding(table.clone(), bins);
            z + self.layer_norm_z.forward(rows(&found.z, 0, &at))
        }); // [R, R, c_z]
        (m, z)
    }

    /// What the layer says of a distance in no bin, then in each of them.
    fn distances(&self) -> Tensor<2> {
        let device = self.linear.weight.val().device();
        let none = Tensor::zeros([1, self.bins], &device);
        let each = Tensor::eye(self.bins, &device);
        self.linear.forward(Tensor::cat(vec![none, each], 0))
    }
}

/// The bin of each distance from `[N, 3]` to `[R, 3]`: 0 below the first,
/// then one every 1.25 angstroms, the last without an end. `[N, R]`.
fn bins(from: Tensor<2>, to: Tensor<2>, bins: usize) -> Tensor<2, Int> {
    let ([n, _], [r, _]) = (from.dims(), to.dims());
    let apart = from.unsqueeze_dim::<3>(1) - to.unsqueeze_dim::<3>(0);
    let square = apart.square().sum_dim(2).reshape([n, r]);
    let bin = (square.sqrt() - NEAREST) / BIN;
    (bin + 1.0).clamp(0.0, bins as f32).floor().int()
}

/// Extra sequences (algorithm 2, line 15).
#[derive(Module, Debug)]
pub struct ExtraMsaEmbedder {
    linear: Linear,
}

impl ExtraMsaEmbedder {
    /// Of the architecture's widths.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        Self { linear: Linear::new(p, config.features.extra, config.c_e, true) }
    }

    /// `[extra, R, 25]` to `[extra, R, c_e]`.
    pub fn forward(&self, extra: &Tensor<3>) -> Tensor<3> {
        self.linear.forward(extra.clone())
    }
}

#[cfg(test)]
mod tests {
    use assay_trace::capture;
    use burn::tensor::{Distribution, Tolerance};

    use super::*;
    use crate::config::architecture;
    use crate::pass::{Chunks, Intermediates};

    fn tiny() -> Config {
        architecture("tiny").unwrap()
    }

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        let normal = Distribution::Normal(0.0, 1.0);
        Tensor::random(shape, normal, &Device::flex())
    }

    fn close<const D: usize>(left: &Tensor<D>, right: &Tensor<D>) {
        let right = right.to_data();
        let tolerance = Tolerance::absolute(1e-5);
        left.to_data().assert_approx_eq::<f32>(&right, tolerance);
    }

    fn integers(x: Tensor<2, Int>) -> Vec<i64> {
        x.into_data().iter::<i64>().collect()
    }

    fn whole() -> Pass {
        Pass::inference(Intermediates::Stored, Chunks::default())
    }

    /// 1 in the column of each index, else 0.
    fn one_hot(index: Tensor<2, Int>, classes: usize) -> Tensor<3> {
        let device = index.device();
        let class = Tensor::<1, Int>::arange(0..classes as i64, &device);
        let [x, y] = index.dims();
        let index = index.reshape([x, y, 1]).repeat_dim(2, classes);
        let class = class.reshape([1, 1, classes]).repeat(&[x, y, 1]);
        index.equal(class).float()
    }

    #[test]
    fn relative_positions_are_clipped() {
        let index = Tensor::from_floats([0.0, 1.0, 5.0], &Device::flex());
        let found = integers(relative(&index, 2));
        assert_eq!(found, [2, 1, 0, 3, 2, 0, 4, 4, 2]);
    }

    #[test]
    fn inputs_are_embedded_as_algorithm_3_has_it() {
        let (config, device) = (tiny(), Device::flex());
        let mut p = Parameters::random(&device, 1);
        let embedder = InputEmbedder::new(&mut p, &config);
        let (target, msa) = (random([5, 22]), random([3, 5, 49]));
        let index = Tensor::from_floats([0.0, 1.0, 2.0, 60.0, 61.0], &device);
        let (m, z) = embedder.forward(&target, &index, &msa);

        let one_hot = one_hot(relative(&index, 32), 65);
        let relpos = embedder.linear_relpos.forward(one_hot);
        let left = embedder.linear_tf_z_i.forward(target.clone());
        let right = embedder.linear_tf_z_j.forward(target.clone());
        let pair = |i: usize, j: usize| {
            let left = left.clone().narrow(0, i, 1);
            let right = right.clone().narrow(0, j, 1);
            let near = relpos.clone().narrow(0, i, 1).narrow(1, j, 1);
            left + right + near.reshape([1, config.c_z])
        };
        for (i, j) in [(0, 0), (1, 2), (4, 0), (0, 4)] {
            let z = z.clone().narrow(0, i, 1).narrow(1, j, 1);
            close(&z.reshape([1, config.c_z]), &pair(i, j));
        }
        let row = msa.narrow(0, 1, 1).reshape([5, 49]);
        let row = embedder.linear_msa_m.forward(row)
            + embedder.linear_tf_m.forward(target);
        close(&m.narrow(0, 1, 1).reshape([5, config.c_m]), &row);
    }

    #[test]
    fn a_distance_falls_into_the_bin_that_holds_it() {
        let device = Device::flex();
        let at = [0.0, 3.0, 3.5, 4.4, 4.6, 20.0, 21.0, 500.0];
        let to = Tensor::<1>::from_floats(at, &device).reshape([8, 1]);
        let to = Tensor::cat(vec![to, Tensor::zeros([8, 2], &device)], 1);
        let from = Tensor::zeros([1, 3], &device);
        let found = integers(bins(from, to, 15));
        assert_eq!(found, [0, 0, 1, 1, 2, 14, 15, 15]);
    }

    #[test]
    fn recycling_adds_one_hot_distances_and_norms_of_what_was_found() {
        let (config, device) = (tiny(), Device::flex());
        let mut p = Parameters::random(&device, 2);
        let embedder = RecyclingEmbedder::new(&mut p, &config);
        let (m, z) = (random([3, 5, config.c_m]), random([5, 5, config.c_z]));
        let found = Recycled {
            m: random([5, config.c_m]),
            z: random([5, 5, config.c_z]),
            positions: random([5, 3]) * 8.0,
        };
        let (after_m, after_z) =
            embedder.forward(m.clone(), z.clone(), &found, &mut whole());

        // As the supplement writes it: a bin's lower end and the next one's.
        let apart = found.positions.clone().unsqueeze_dim::<3>(1)
            - found.positions.clone().unsqueeze_dim(0);
        let distance = apart.square().sum_dim(2).sqrt().repeat_dim(2, 15);
        let lower = Tensor::<1, Int>::arange(0..15, &device).float();
        let lower = lower * 1.25 + 3.25;
        let lower = lower.reshape([1, 1, 15]).repeat(&[5, 5, 1]);
        let last = Tensor::zeros([5, 5, 14], &device);
        let last = Tensor::cat(vec![last, Tensor::ones([5, 5, 1], &device)], 2);
        let upper = lower.clone() + 1.25 + last * 1e6;
        let one_hot = distance.clone().greater(lower).float()
            * distance.lower(upper).float();
        assert!(one_hot.clone().sum().into_scalar::<f32>() > 5.0);
        let expected = z
            + embedder.linear.forward(one_hot)
            + embedder.layer_norm_z.forward(found.z.clone());
        close(&after_z, &expected);

        let first = m.clone().narrow(0, 0, 1)
            + embedder.layer_norm_m.forward(found.m.clone()).unsqueeze();
        close(&after_m.clone().narrow(0, 0, 1), &first);
        close(&after_m.narrow(0, 1, 2), &m.narrow(0, 1, 2));
    }

    #[test]
    fn chunks_change_nothing() {
        let (config, device) = (tiny(), Device::flex());
        let mut p = Parameters::random(&device, 3);
        let embedder = RecyclingEmbedder::new(&mut p, &config);
        let (m, z) = (random([2, 5, config.c_m]), random([5, 5, config.c_z]));
        let found = Recycled {
            m: random([5, config.c_m]),
            z: random([5, 5, config.c_z]),
            positions: random([5, 3]) * 8.0,
        };
        let mut chunked =
            Pass::inference(Intermediates::Stored, Chunks::every(2));
        let (_, all) =
            embedder.forward(m.clone(), z.clone(), &found, &mut whole());
        let (_, parts) = embedder.forward(m, z, &found, &mut chunked);
        close(&parts, &all);
    }

    #[test]
    fn parameters_are_those_of_the_supplement() {
        let config = architecture("alphafold-2").unwrap();
        let mut p = Parameters::shapes(&Device::flex());
        let inputs = InputEmbedder::new(&mut p, &config).num_params();
        let linear = |inputs: usize, outputs: usize| (inputs + 1) * outputs;
        let pairs = 2 * linear(22, 128) + linear(65, 128);
        let sequences = linear(22, 256) + linear(49, 256);
        assert_eq!(inputs, pairs + sequences);
        let recycling = RecyclingEmbedder::new(&mut p, &config).num_params();
        assert_eq!(recycling, linear(15, 128) + 2 * 256 + 2 * 128);
        let extra = ExtraMsaEmbedder::new(&mut p, &config).num_params();
        assert_eq!(extra, linear(25, 64));
    }

    #[test]
    fn embedders_can_be_traced() {
        let config = tiny();
        let graph = capture(assay_kernels::cost, |recorder| {
            let device = recorder.device();
            let mut p = Parameters::shapes(&device);
            let (m, z) = InputEmbedder::new(&mut p, &config).forward(
                &Tensor::zeros([5, 22], &device),
                &Tensor::zeros([5], &device),
                &Tensor::zeros([3, 5, 49], &device),
            );
            let found = Recycled::none(5, &config, &device);
            let (m, z) = RecyclingEmbedder::new(&mut p, &config).forward(
                m,
                z,
                &found,
                &mut whole(),
            );
            let extra = ExtraMsaEmbedder::new(&mut p, &config)
                .forward(&Tensor::zeros([4, 5, 25], &device));
            assert_eq!(m.dims(), [3, 5, config.c_m]);
            assert_eq!(z.dims(), [5, 5, config.c_z]);
            assert_eq!(extra.dims(), [4, 5, config.c_e]);
        });
        assert!(graph.unwrap().modules.contains(&"relpos".to_owned()));
    }
}
