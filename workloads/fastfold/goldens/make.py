"""Make the golden files that the FastFold workload is checked against.

    python make.py          # writes beside this file

`reference.py` with random weights at the sizes of `../architectures/tiny.toml`:
one Evoformer block with gradients, and the whole forward. Nothing is
downloaded. Run it with the versions in `requirements.txt`. Answers are computed
in f64 from f32 weights and inputs and rounded once to f32; the same versions on
the same machine give the same bytes. `README.md` beside this file lists what
each file holds. `peers/fastfold.py` uses `block` at full width.
"""

import os

if __name__ == "__main__":
    # Set before torch loads: one code path whatever the processor.
    os.environ["MKL_CBWR"] = "COMPATIBLE"
    os.environ["ATEN_CPU_CAPABILITY"] = "default"

import copy
import sys
import tomllib
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import evoformer  # noqa: E402
import reference  # noqa: E402

BLOCK = "evoformer.blocks.0."
SEQUENCES, RESIDUES, EXTRA = 5, 7, 6
# The last of the templates is not there.
TEMPLATE_MASK = [1.0, 1.0, 0.0]
# This residue is hidden everywhere.
HIDDEN_RESIDUE = 4
# Neighbours in the chain, a gap, and two farther apart than is told apart.
RESIDUE_INDEX = [0.0, 1.0, 2.0, 3.0, 30.0, 40.0, 90.0]
# What is added to all scores of a query has no effect and no gradient: f32
# gives noise.
NO_EFFECT = ("msa_att_row.layer_norm_z.bias", "ipa.linear_b.bias")
# Two residues that share no sequence get this over 1e-3: small, lest hidden
# pairs outgrow the rest, to whose largest value differences are compared.
OUTER_BIAS = "outer_product_mean.linear_out.bias"
# An output changes by at least this much, relative to its largest value,
# when any other parameter is replaced.
LEAST_EFFECT = 1e-3


def main():
    fix()
    for made in (
        block(HERE, "block-tiny", architecture("tiny"), SEQUENCES, RESIDUES, 1),
        model(HERE, "model-tiny", architecture("tiny"), 2),
    ):
        print(made)


def fix():
    """One way to compute, whatever the machine."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.backends.mkldnn.enabled = False


def architecture(name):
    path = HERE.parent / "architectures" / f"{name}.toml"
    return tomllib.loads(path.read_text())


def block(folder, stem, config, sequences, residues, seed):
    """Write STEM.weights.safetensors and STEM.golden.safetensors of a block of
    the Evoformer. Returns what it made, in words."""
    rng = torch.Generator().manual_seed(seed)
    made = evoformer.Block(config["c_m"], config["c_z"], config["evoformer"])
    randomise(made, rng)
    hidden = [HIDDEN_RESIDUE] if residues > HIDDEN_RESIDUE else []
    seen = torch.ones(residues)
    seen[hidden] = 0
    pair_mask = pairs(seen)
    # No real mask is like this one; an answer that took columns for rows
    # would be wrong.
    pair_mask[0, 2] = pair_mask[5 % residues, 1] = 0
    normal = normals(rng)
    inputs = {
        "m": normal(sequences, residues, config["c_m"]),
        "z": normal(residues, residues, config["c_z"]),
        "msa_mask": msa_mask(sequences, seen, rng),
        "pair_mask": pair_mask,
        # The loss does not see hidden residues: whose gradient is whose where
        # no key is seen depends on how the weights of attention are rounded.
        "weight_m": normal(sequences, residues, config["c_m"])
        * seen[:, None],
        "weight_z": normal(residues, residues, config["c_z"])
        * pairs(seen)[:, :, None],
    }
    right, near = (block_answers(of(made, kind), inputs, kind) for kind in KINDS)
    right = {
        name: value
        for name, value in right.items()
        if not (name.startswith("output.grad.") and name.endswith(NO_EFFECT))
    }
    weights = {BLOCK + name: value for name, value in made.state_dict().items()}
    write(folder, stem, weights, inputs, right)
    return words(stem, made, right, near)


def block_answers(made, inputs, kind):
    """Each part's result; loss and gradients."""
    at = {name: value.to(kind) for name, value in inputs.items()}
    m, z = at["m"].clone().requires_grad_(), at["z"].clone().requires_grad_()
    found = {}
    last_m, last_z = made(m, z, at["msa_mask"], at["pair_mask"], found.__setitem__)
    loss = (last_m.square() * at["weight_m"]).mean()
    loss = loss + (last_z.square() * at["weight_z"]).mean()
    loss.backward()
    found |= {"m": last_m, "z": last_z, "loss": loss.reshape(1)}
    found |= {"grad.input.m": m.grad, "grad.input.z": z.grad}
    for name, weight in made.named_parameters():
        found[f"grad.{BLOCK}{name}"] = weight.grad
    return {f"output.{name}": value.detach() for name, value in found.items()}


def model(folder, stem, config, seed):
    """The same of the whole forward, one pass, without gradients."""
    rng = torch.Generator().manual_seed(seed)
    made = reference.AlphaFold(config)
    randomise(made, rng)
    inputs = model_inputs(config, rng)
    right, near = (model_answers(of(made, kind), inputs, kind) for kind in KINDS)
    least, where = least_effect(of(made, torch.float64), inputs, right)
    write(folder, stem, made.state_dict(), inputs, right)
    said = words(stem, made, right, near)
    return f"{said}\n  least effect of a parameter {least:.0e}, {where}"


def model_inputs(config, rng):
    normal, r, t = normals(rng), RESIDUES, len(TEMPLATE_MASK)
    features, template = config["features"], config["template"]
    seen = torch.ones(r)
    seen[HIDDEN_RESIDUE] = 0
    there = torch.tensor(TEMPLATE_MASK)
    angle_mask = msa_mask(t, seen, rng) * there[:, None]
    return {
        "target_feat": normal(r, features["target"]),
        "residue_index": torch.tensor(RESIDUE_INDEX),
        "msa_feat": normal(SEQUENCES, r, features["msa"]),
        "msa_mask": msa_mask(SEQUENCES, seen, rng),
        "seq_mask": seen,
        "extra_msa_feat": normal(EXTRA, r, features["extra"]),
        "extra_msa_mask": msa_mask(EXTRA, seen, rng),
        "template_angle_feat": normal(t, r, template["angle_features"]),
        "template_angle_mask": angle_mask,
        "template_pair_feat": normal(t, r, r, template["pair_features"]),
        "template_mask": there,
        "previous_m": normal(r, config["c_m"]),
        "previous_z": normal(r, r, config["c_z"]),
        "previous_positions": 8 * normal(r, 3),
    }


@torch.no_grad()
def model_answers(made, inputs, kind):
    found = made({name: value.to(kind) for name, value in inputs.items()})
    return {f"output.{name}": value for name, value in found.items()}


@torch.no_grad()
def least_effect(made, inputs, right):
    """How much the parameter that matters least moves the output that it moves
    most, and its name. A parameter is replaced by ones (norms' weights) or
    zeros."""
    effects = {}
    for name, weight in made.named_parameters():
        if name.endswith(NO_EFFECT):
            continue
        was = weight.clone()
        weight.fill_(float(weight.dim() == 1 and name.endswith("weight")))
        found = model_answers(made, inputs, torch.float64)
        weight.copy_(was)
        effects[name] = max(relative(found[key], right[key]) for key in right)
    where = min(effects, key=effects.get)
    if effects[where] < LEAST_EFFECT:
        sys.exit(f"{where} could be left out: {effects[where]:.1e}")
    return effects[where], where


KINDS = (torch.float64, torch.float32)


def of(made, kind):
    """A copy of the module in another format."""
    return copy.deepcopy(made).to(kind)


def normals(rng):
    return lambda *shape: torch.randn(shape, generator=rng)


def pairs(seen):
    return seen[:, None] * seen[None, :]


def msa_mask(sequences, seen, rng):
    """About one in six hidden. Where a residue is seen, the first sequence has
    it, and each sequence has the first residue."""
    mask = (torch.rand(sequences, len(seen), generator=rng) > 1 / 6).float()
    mask[0] = 1
    mask[:, 0] = 1
    return mask * seen


@torch.no_grad()
def randomise(made, rng):
    """Fill every parameter, so that none can be left out unseen; the spread
    of what passes through is kept near one."""
    for name, weight in sorted(made.named_parameters()):
        noise = torch.randn(weight.shape, generator=rng)
        if weight.dim() == 2:
            weight.copy_(noise * weight.shape[1] ** -0.5)
        elif name.endswith("weight"):
            weight.copy_(1.0 + 0.2 * noise)
        elif name.endswith(OUTER_BIAS):
            weight.copy_(3.0 * evoformer.SHARED * noise)
        else:
            weight.copy_(0.3 * noise)


def words(stem, made, right, near):
    """How large the answers are and how far off f32 is."""
    count = sum(weight.numel() for weight in made.parameters())
    largest = max(value.abs().max() for value in right.values())
    off = {name: relative(near[name], right[name]) for name in right}
    worst = max(off, key=off.get)
    return (
        f"{stem}: {count} parameters, largest value {largest:.1f}, "
        f"f32 off by {off[worst]:.0e} ({worst})"
    )


def relative(near, right):
    """As `assay_kit::compare`: relative to the largest magnitude."""
    return ((near - right).abs().max() / right.abs().max()).item()


def write(folder, stem, weights, inputs, right):
    inputs = {f"input.{name}": value for name, value in inputs.items()}
    save(weights, Path(folder) / f"{stem}.weights.safetensors")
    save(inputs | right, Path(folder) / f"{stem}.golden.safetensors")


def save(tensors, path):
    save_file(
        {name: value.float().contiguous() for name, value in tensors.items()}, path
    )
    path.chmod(0o644)  # the library writes 0600


if __name__ == "__main__":
    main()
