//! What the model is given (supplement 1.2.9): features of the target, its
//! MSA, extra sequences, templates. Those of a real target come from databases
//! that are not here; random ones cost the same time.

use assay_kit::{Checkpoint, KitError, Parameters};
use burn::Tensor;
use burn::tensor::{Device, Int, TensorData};

use crate::Request;
use crate::embed::Recycled;

/// Features, and what is there of them (1, else 0).
#[derive(Clone, Debug)]
pub struct Inputs {
    /// `[R, 22]`.
    pub target: Tensor<2>,
    /// `[R]`, whole numbers.
    pub residue_index: Tensor<1>,
    /// `[S, R, 49]`.
    pub msa: Tensor<3>,
    /// `[S, R]`.
    pub msa_mask: Tensor<2>,
    /// `[R]`.
    pub residue_mask: Tensor<1>,
    /// Extra sequences, if any.
    pub extra: Option<Extra>,
    /// Templates, if any.
    pub templates: Option<Templates>,
}

/// Sequences beside the MSA's clusters.
#[derive(Clone, Debug)]
pub struct Extra {
    /// `[E, R, 25]`.
    pub msa: Tensor<3>,
    /// `[E, R]`.
    pub mask: Tensor<2>,
}

/// Known structures of relatives.
#[derive(Clone, Debug)]
pub struct Templates {
    /// Torsion angles, `[T, R, 57]`.
    pub angles: Tensor<3>,
    /// `[T, R]`.
    pub angle_mask: Tensor<2>,
    /// Of each template, `[R, R, 88]`.
    pub pairs: Vec<Tensor<3>>,
    /// `[T]`.
    pub mask: Tensor<1>,
}

impl Inputs {
    /// Inputs of a case: random, or zeros where `p` makes shapes.
    pub fn new(request: &Request, p: &mut Parameters) -> Self {
        let device = p.device().clone();
        let Request { sequences, residues, extra, templates, .. } = *request;
        let (s, r) = (sequences, residues);
        let widths = request.config.features;
        let template = request.config.template;
        let ones = |shape| Tensor::<2>::ones(shape, &device);
        let index = Tensor::<1, Int>::arange(0..r as i64, &device);
        Self {
            target: p.weight([r, widths.target], 1.0).val(),
            residue_index: index.float(),
            msa: p.weight([s, r, widths.msa], 1.0).val(),
            msa_mask: ones([s, r]),
            residue_mask: Tensor::ones([r], &device),
            extra: (extra > 0).then(|| Extra {
                msa: p.weight([extra, r, widths.extra], 1.0).val(),
                mask: ones([extra, r]),
            }),
            templates: (templates > 0).then(|| Templates {
                angles: p
                    .weight([templates, r, template.angle_features], 1.0)
                    .val(),
                angle_mask: ones([templates, r]),
                pairs: (0..templates)
                    .map(|_| {
                        p.weight([r, r, template.pair_features], 1.0).val()
                    })
                    .collect(),
                mask: Tensor::ones([templates], &device),
            }),
        }
    }

    /// `[R, R]`: both residues are there.
    pub fn pair_mask(&self) -> Tensor<2> {
        let mask = &self.residue_mask;
        mask.clone().unsqueeze_dim(1) * mask.clone().unsqueeze_dim(0)
    }

    /// The inputs of a golden file, and what the pass before it found.
    ///
    /// # Errors
    /// A file without one of them, or with one of another rank.
    pub fn of_golden(
        golden: &Checkpoint,
        device: &Device,
    ) -> Result<(Self, Recycled), KitError> {
        let pairs: Tensor<4> = input(golden, "template_pair_feat", device)?;
        let [count, r, _, width] = pairs.dims();
        let inputs = Self {
            target: input(golden, "target_feat", device)?,
            residue_index: input(golden, "residue_index", device)?,
            msa: input(golden, "msa_feat", device)?,
            msa_mask: input(golden, "msa_mask", device)?,
            residue_mask: input(golden, "seq_mask", device)?,
            extra: Some(Extra {
                msa: input(golden, "extra_msa_feat", device)?,
                mask: input(golden, "extra_msa_mask", device)?,
            }),
            templates: Some(Templates {
                angles: input(golden, "template_angle_feat", device)?,
                angle_mask: input(golden, "template_angle_mask", device)?,
                pairs: (0..count)
                    .map(|i| pairs.clone().narrow(0, i, 1))
                    .map(|one| one.reshape([r, r, width]))
                    .collect(),
                mask: input(golden, "template_mask", device)?,
            }),
        };
        let previous = Recycled {
            m: input(golden, "previous_m", device)?,
            z: input(golden, "previous_z", device)?,
            positions: input(golden, "previous_positions", device)?,
        };
        Ok((inputs, previous))
    }
}

/// An input of a golden file as a tensor.
///
/// # Errors
/// No such tensor, or one of another rank.
pub(crate) fn input<const D: usize>(
    golden: &Checkpoint,
    name: &str,
    device: &Device,
) -> Result<Tensor<D>, KitError> {
    let name = format!("input.{name}");
    let values = golden.floats(&name)?;
    if values.shape.len() != D {
        return Err(KitError::Shape {
            path: golden.path().to_owned(),
            name,
            found: values.shape,
            expected: vec![0; D],
        });
    }
    Ok(Tensor::from_data(TensorData::new(values.values, values.shape), device))
}
