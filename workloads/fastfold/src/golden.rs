//! Golden files: right answers of the tiny architecture by an independent
//! reference in PyTorch (`goldens/README.md` lists the tensors).

use assay_kit::{
    Checkpoint, KitError, Parameters, compare, floats, gradient_values, merge,
};
use assay_schema::Verification;
use assay_trace::Tape;
use burn::Tensor;
use burn::tensor::Device;

use crate::FastFoldError;
use crate::config::{self, Config};
use crate::evoformer::{EvoformerBlock, Masks};
use crate::inputs::{Inputs, input};
use crate::model::{AlphaFold, Found, Parts};
use crate::pass::{Chunks, Intermediates, Pass};
use crate::weights::{load_published, published_name};

/// How a golden file names a parameter's gradient.
const GRADIENT: &str = "output.grad.";

/// The block that a golden file of one block is about.
const BLOCK: &str = "evoformer.blocks.0.";

macro_rules! file {
    ($name:literal) => {
        (
            concat!("goldens/", $name),
            &include_bytes!(concat!("../goldens/", $name))[..],
        )
    };
}

/// The tiny block against its golden file, forward and backward.
///
/// # Errors
/// The embedded files do not read: a bug of this crate.
pub fn of_block(how: Intermediates) -> Result<Verification, FastFoldError> {
    embedded(
        file!("block-tiny.weights.safetensors"),
        file!("block-tiny.golden.safetensors"),
        how,
    )
}

/// The tiny model against its golden file.
///
/// # Errors
/// The embedded files do not read: a bug of this crate.
pub fn of_model(how: Intermediates) -> Result<Verification, FastFoldError> {
    embedded(
        file!("model-tiny.weights.safetensors"),
        file!("model-tiny.golden.safetensors"),
        how,
    )
}

/// The relative tolerance of an answer in `f32`.
pub(crate) const TOLERANCE: f64 = 1e-4;

fn embedded(
    weights: (&str, &[u8]),
    golden: (&str, &[u8]),
    how: Intermediates,
) -> Result<Verification, FastFoldError> {
    let open = |(name, bytes): (&str, &[u8])| {
        Checkpoint::from_bytes(name, bytes.to_vec())
    };
    let config = config::architecture("tiny")?;
    let (weights, golden) = (open(weights)?, open(golden)?);
    check_with(&config, &weights, &golden, how, TOLERANCE)
}

/// Anyone's weights against anyone's golden file, of a block (it has
/// `input.m`) or of a whole model.
///
/// # Errors
/// A file without the inputs, or without any known output; weights that do
/// not fit the architecture.
pub fn check(
    config: &Config,
    weights: &Checkpoint,
    golden: &Checkpoint,
    tolerance: f64,
) -> Result<Verification, FastFoldError> {
    check_with(config, weights, golden, Intermediates::Streamed, tolerance)
}

fn check_with(
    config: &Config,
    weights: &Checkpoint,
    golden: &Checkpoint,
    how: Intermediates,
    tolerance: f64,
) -> Result<Verification, FastFoldError> {
    let mut checked = Checked { golden, tolerance, parts: Vec::new() };
    if golden.names()?.iter().any(|name| name == "input.m") {
        check_block(config, weights, how, &mut checked)?;
    } else {
        check_model(config, weights, how, &mut checked)?;
    }
    let count = checked.parts.len();
    let name = golden.path().display();
    let against = format!("golden {name}: {count} tensors");
    let worst = merge(checked.parts);
    worst.map(|worst| Verification { against, ..worst }).ok_or_else(|| {
        KitError::Missing {
            path: golden.path().to_owned(),
            names: vec!["output.m or output.z".to_owned()],
            nearest: None,
        }
        .into()
    })
}

/// What has been compared so far.
struct Checked<'a> {
    golden: &'a Checkpoint,
    tolerance: f64,
    parts: Vec<Verification>,
}

impl Checked<'_> {
    /// Compares a tensor with the file's `name`, if it is there.
    fn against(&mut self, name: &str, found: &[f32]) -> Result<(), KitError> {
        if self.golden.names()?.iter().any(|known| known == name) {
            let right = self.golden.floats(name)?.values;
            self.parts.push(compare(name, found, &right, self.tolerance));
        }
        Ok(())
    }
}

fn check_block(
    config: &Config,
    weights: &Checkpoint,
    how: Intermediates,
    checked: &mut Checked<'_>,
) -> Result<(), FastFoldError> {
    let golden = checked.golden;
    let block = |device: &Device| {
        let mut shapes = Parameters::shapes(device);
        let block = EvoformerBlock::new(&mut shapes, config);
        load_published(block, BLOCK, weights)
    };
    let plane = |name, device: &Device| input::<3>(golden, name, device);
    let masks = |device: &Device| -> Result<Masks, KitError> {
        Ok(Masks {
            msa: input(golden, "msa_mask", device)?,
            pair: input(golden, "pair_mask", device)?,
        })
    };
    let device = Device::flex();
    // One row at a time must give the same answer as all at once.
    for chunks in [Chunks::default(), Chunks::every(1), Chunks::every(2)] {
        let mut seen = Vec::new();
        let (m, z) = block(&device)?.forward(
            plane("m", &device)?,
            plane("z", &device)?,
            &masks(&device)?,
            &mut Pass::inference(how, chunks),
            &mut |name, x| seen.push((name.to_owned(), floats(x.clone()))),
        );
        seen.extend([("m".to_owned(), floats(m)), ("z".to_owned(), floats(z))]);
        for (name, values) in seen {
            checked.against(&format!("output.{name}"), &values)?;
        }
    }
    let device = device.autodiff();
    let block = block(&device)?;
    let (m, z) = (plane("m", &device)?, plane("z", &device)?);
    let (m, z) = (m.require_grad(), z.require_grad());
    let mut pass = Pass::inference(how, Chunks::default());
    let (last_m, last_z) = block.forward(
        m.clone(),
        z.clone(),
        &masks(&device)?,
        &mut pass,
        &mut |_, _| {},
    );
    let weighted = |x: Tensor<3>, name| -> Result<Tensor<1>, KitError> {
        Ok((x.clone() * x * plane(name, &device)?).mean())
    };
    let loss = weighted(last_m, "weight_m")? + weighted(last_z, "weight_z")?;
    checked
        .against("output.loss", &floats(assay_trace::inner(loss.clone())))?;
    let mut tape = Tape::of(loss);
    for (name, x) in [("m", &m), ("z", &z)] {
        if let Some(gradient) = tape.remove(x) {
            let name = format!("{GRADIENT}input.{name}");
            checked.against(&name, &floats(gradient))?;
        }
    }
    for (ours, values) in gradient_values(&block, tape) {
        let theirs = published_name(&format!("{BLOCK}{ours}"));
        checked.against(&format!("{GRADIENT}{theirs}"), &values)?;
    }
    Ok(())
}

fn check_model(
    config: &Config,
    weights: &Checkpoint,
    how: Intermediates,
    checked: &mut Checked<'_>,
) -> Result<(), FastFoldError> {
    let device = Device::flex();
    let mut shapes = Parameters::shapes(&device);
    let model = AlphaFold::new(&mut shapes, config, Parts::ALL);
    let model = load_published(model, "", weights)?;
    let (inputs, previous) = Inputs::of_golden(checked.golden, &device)?;
    for chunks in [Chunks::default(), Chunks::every(2)] {
        let mut seen = Vec::new();
        let found = model.forward(
            &inputs,
            previous.clone(),
            &mut Pass::inference(how, chunks),
            &mut |name, x| seen.push((name.to_owned(), floats(x.clone()))),
        );
        if let Some(Found { represented, structure, logits }) = found {
            let ends = [
                ("m", floats(represented.m)),
                ("z", floats(represented.z)),
                ("single", floats(represented.single)),
                ("frames_rotation", floats(structure.frames.rotation)),
                ("frames_translation", floats(structure.frames.translation)),
                ("angles", floats(structure.angles)),
                ("plddt", floats(logits.plddt)),
                ("distogram", floats(logits.distogram)),
                ("masked_msa", floats(logits.masked_msa)),
                ("experimentally_resolved", floats(logits.resolved)),
            ];
            seen.extend(ends.map(|(name, x)| (name.to_owned(), x)));
        }
        for (name, values) in seen {
            checked.against(&format!("output.{name}"), &values)?;
        }
    }
    Ok(())
}
