"""Make the golden files that the InstaFlow workload is checked against.

    python make.py          # writes beside this file

U-Net, VAE and text encoder by `diffusers` and `transformers`, an implementation
that shares nothing with ours, with random weights at the sizes of
`../networks/tiny-*.json`. Nothing is downloaded. Run it with the versions in
`requirements.txt`. Answers are computed in f64 from f16 weights and f32 inputs
and rounded once to f32; the same versions on the same machine give the same
bytes. `README.md` beside this file lists what each file holds.
`peers/instaflow.py` uses `unet` and `vae` at full width.

Legend: B batch, H and W height and width, T tokens, D width of the text.
"""

import os

if __name__ == "__main__":
    # Set before torch loads: one code path whatever the processor.
    os.environ["MKL_CBWR"] = "COMPATIBLE"
    os.environ["ATEN_CPU_CAPABILITY"] = "default"
os.environ["HF_HUB_OFFLINE"] = "1"

import copy
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).resolve().parent
NETWORKS = HERE.parent / "networks"

BATCH = 2
# Sides differ, so that an answer that took one for the other would be wrong.
# A U-Net of two levels halves them once.
LATENT_SIDES = (8, 6)
# Tokens that the U-Net sees: not a multiple of anything.
TOKENS = 5
# Timesteps as the network is fed them: fractions are lawful, and each picture
# of a batch has its own.
TIMES = [731.25, 42.5]
# Text that fills a row and repeats itself.
TEXT_TOKENS = 16
# Half of the ids come from these: their rows of the gradient are in the file.
FIRST_IDS = 40
# At most this many values of a gradient are kept: its first rows.
KEPT = 2048
# A shift of all keys moves each query's scores alike, which softmax does not
# see: the gradient of a key's bias is 0, and f32 gives noise.
NO_EFFECT = ("to_k.bias", "k_proj.bias")
# A gradient smaller than this, relative to the largest, would be noise too.
LEAST_GRADIENT = 1e-6
# f32 has to come this near to f64, lest the files' tolerance be used up by
# rounding.
NEAR_ENOUGH = 2e-5
KINDS = (torch.float64, torch.float32)


def main():
    fix()
    print(unet(HERE, "unet-tiny", config("tiny-unet"), seed=1))
    print(stacked(HERE, "stacked-tiny", config("tiny-unet"), seed=2))
    print(vae(HERE, "vae-tiny", config("tiny-vae"), seed=3))
    print(text(HERE, "text-tiny", config("tiny-text"), seed=4))


def fix():
    """One way to compute, whatever the machine."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.backends.mkldnn.enabled = False


def config(name):
    return json.loads((NETWORKS / f"{name}.json").read_text())


# The U-Net, alone and stacked.


def unet(folder, stem, config, seed, sides=LATENT_SIDES, gradients=True):
    """Write STEM.weights.safetensors and STEM.golden.safetensors of a U-Net.
    Returns what it made, in words."""
    rng = torch.Generator().manual_seed(seed)
    made = new_unet(config)
    randomise(made, rng)
    inputs = unet_inputs(config, rng, sides)
    return write(folder, stem, made, inputs, unet_answers, gradients)


def stacked(folder, stem, config, seed):
    """The same of two U-Nets in series, without what stands between them."""
    rng = torch.Generator().manual_seed(seed)
    made = Stacked(config)
    randomise(made, rng)
    inputs = unet_inputs(config, rng, LATENT_SIDES)
    return write(folder, stem, made, inputs, unet_answers)


def new_unet(config):
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel.from_config(config).eval()


class Stacked(nn.Module):
    """Two U-Nets in series: the output block of the first (norm, activation,
    convolution) and the input convolution of the second are left out, each
    half embeds the time itself and sees the text."""

    def __init__(self, config):
        super().__init__()
        self.first, self.second = new_unet(config), new_unet(config)
        for name in ("conv_norm_out", "conv_act", "conv_out"):
            setattr(self.first, name, nn.Identity())
        self.second.conv_in = nn.Identity()

    def forward(self, latents, times, encoder_hidden_states, return_dict=False):
        assert not return_dict
        text = encoder_hidden_states
        (between,) = self.first(latents, times, text, return_dict=False)
        return self.second(between, times, text, return_dict=False)


def unet_inputs(config, rng, sides):
    normal = normals(rng)
    latents = (BATCH, config["in_channels"], *sides)
    return {
        "latents": normal(*latents),
        "times": torch.tensor(TIMES),
        "text": normal(BATCH, TOKENS, config["cross_attention_dim"]),
        "weight_velocity": normal(*latents),
    }


def unet_answers(made, at):
    """The velocity; what its loss is and from which inputs."""
    latents, text = leaf(at["latents"]), leaf(at["text"])
    (velocity,) = made(
        latents, at["times"], encoder_hidden_states=text, return_dict=False
    )
    found = {"velocity": velocity}
    return found, weighted(found, at), {"latents": latents, "text": text}


# The VAE.


def vae(folder, stem, config, seed, sides=(16, 12), gradients=True):
    """The same of the VAE, both ways: `sides` are a picture's."""
    from diffusers import AutoencoderKL

    rng = torch.Generator().manual_seed(seed)
    made = AutoencoderKL.from_config(config).eval()
    randomise(made, rng)
    normal = normals(rng)
    factor = 2 ** (len(config["block_out_channels"]) - 1)
    pictures = (BATCH, config["out_channels"], *sides)
    small = (BATCH, config["latent_channels"], *(s // factor for s in sides))
    inputs = {
        "pictures": 2 * torch.rand(pictures, generator=rng) - 1,
        "latents": normal(*small),
        "weight_mean": normal(*small),
        "weight_log_variance": normal(*small),
        "weight_pictures": normal(*pictures),
    }
    return write(folder, stem, made, inputs, vae_answers, gradients)


def vae_answers(made, at):
    """Mean and logarithm of the variance of the latents of pictures, and
    pictures of other latents, which are not scaled."""
    pictures, latents = leaf(at["pictures"]), leaf(at["latents"])
    found = made.encode(pictures).latent_dist
    found = {
        "mean": found.mean,
        "log_variance": found.logvar,
        "pictures": made.decode(latents, return_dict=False)[0],
    }
    leaves = {"pictures": pictures, "latents": latents}
    return found, weighted(found, at), leaves


# The text encoder.


def text(folder, stem, config, seed):
    """The same of the text encoder."""
    import transformers

    transformers.logging.set_verbosity_error()
    read = transformers.CLIPTextConfig.from_dict(config)
    # f64 throughout; `eager` has its softmax in f32.
    read._attn_implementation = "sdpa"
    rng = torch.Generator().manual_seed(seed)
    made = transformers.CLIPTextModel(read).eval()
    randomise(made, rng)
    shape = (BATCH, TEXT_TOKENS)
    anywhere = torch.randint(read.vocab_size, shape, generator=rng)
    first = torch.randint(FIRST_IDS, shape, generator=rng)
    ids = torch.where(torch.arange(TEXT_TOKENS) % 2 == 0, first, anywhere)
    inputs = {
        "ids": ids,
        "weight_text": normals(rng)(*shape, read.hidden_size),
    }
    must_be_causal(made, ids)
    return write(folder, stem, made, inputs, text_answers)


def text_answers(made, at):
    """The states after the final norm."""
    found = {"text": made(input_ids=at["ids"]).last_hidden_state}
    return found, weighted(found, at), {}


@torch.no_grad()
def must_be_causal(made, ids):
    """A version that forgot the mask would make a wrong golden file."""
    other = ids.clone()
    other[:, -1] = (other[:, -1] + 1) % made.config.vocab_size
    before, after = (made(input_ids=i).last_hidden_state for i in (ids, other))
    same = torch.equal(before[:, :-1], after[:, :-1])
    if not same or torch.equal(before[:, -1], after[:, -1]):
        sys.exit("the text encoder is not causal")


# What all have in common.


def normals(rng):
    return lambda *shape: torch.randn(shape, generator=rng)


def leaf(x):
    return x.clone().requires_grad_()


def weighted(found, at):
    """A loss that sees each value of each answer differently."""
    parts = [
        (x.square() * at[f"weight_{name}"]).mean() for name, x in found.items()
    ]
    return sum(parts)


@torch.no_grad()
def randomise(made, rng):
    """Fill every parameter, so that none can be left out unseen; the spread of
    what passes through is kept near one. Values are those of f16, which halves
    the files."""
    for name, weight in sorted(made.named_parameters()):
        noise = torch.randn(weight.shape, generator=rng)
        if weight.dim() > 1 and "embedding" in name and "time" not in name:
            drawn = 0.5 * noise
        elif weight.dim() > 1:
            drawn = noise * (weight.numel() / weight.shape[0]) ** -0.5
        elif name.endswith("weight"):
            drawn = 1.0 + 0.2 * noise
        else:
            drawn = 0.3 * noise
        weight.copy_(drawn.half().float())


def answers(made, inputs, answer, gradients, kind):
    """All outputs in one format, by their names in the file."""
    made = copy.deepcopy(made).to(kind)
    at = {
        name: x.to(kind) if x.is_floating_point() else x
        for name, x in inputs.items()
    }
    with torch.set_grad_enabled(gradients):
        found, loss, leaves = answer(made, at)
    if gradients:
        loss.backward()
        found["loss"] = loss.reshape(1)
        found |= {f"grad.input.{name}": x.grad for name, x in leaves.items()}
        for name, weight in made.named_parameters():
            if not name.endswith(NO_EFFECT):
                found[f"grad.{published(name)}"] = first_rows(weight.grad)
    return {f"output.{name}": x.detach() for name, x in found.items()}


def published(name):
    """The name in published files. `transformers` from 5.6 on has a level less
    in the text encoder than the files of Stable Diffusion."""
    flat = ("embeddings.", "encoder.layers.", "final_layer_norm.")
    return f"text_model.{name}" if name.startswith(flat) else name


def first_rows(x):
    """As many rows as KEPT values hold, at least one."""
    return x[: max(1, KEPT // (x.numel() // x.shape[0]))]


def write(folder, stem, made, inputs, answer, gradients=True):
    """Write the files, and say how large the answers are and how far off f32
    is."""
    right, near = (
        answers(made, inputs, answer, gradients, kind) for kind in KINDS
    )
    must_be_felt(stem, right)
    off = {name: relative(near[name], right[name]) for name in right}
    worst = max(off, key=off.get)
    if not off[worst] <= NEAR_ENOUGH:
        sys.exit(f"{stem}: f32 off by {off[worst]:.0e} ({worst})")
    if not gradients:
        inputs = {
            name: x
            for name, x in inputs.items()
            if not name.startswith("weight_")
        }
    inputs = {f"input.{name}": x for name, x in inputs.items()}
    save(inputs | right, Path(folder) / f"{stem}.golden.safetensors")
    weights = {
        published(name): weight.detach().half()
        for name, weight in made.named_parameters()
    }
    save(weights, Path(folder) / f"{stem}.weights.safetensors")
    count = sum(weight.numel() for weight in made.parameters())
    largest = max(x.abs().max().item() for x in right.values())
    return (
        f"{stem}: {count} parameters, {len(right)} outputs, largest value "
        f"{largest:.1f}, f32 off by {off[worst]:.0e} ({worst})"
    )


def must_be_felt(stem, right):
    """Every answer is a number, and every gradient one that rounding does not
    make."""
    if not all(x.isfinite().all() for x in right.values()):
        sys.exit(f"{stem}: not all answers are finite")
    sizes = {
        name: x.abs().max().item()
        for name, x in right.items()
        if name.startswith("output.grad.")
    }
    if sizes:
        least = min(sizes, key=sizes.get)
        if sizes[least] < LEAST_GRADIENT * max(sizes.values()):
            sys.exit(f"{stem}: {least} is only {sizes[least]:.0e}")


def relative(near, right):
    """As `assay_kit::compare`: relative to the largest magnitude."""
    return ((near - right).abs().max() / right.abs().max()).item()


def save(tensors, path):
    """Floats as f32 unless they are f16 already."""
    kept = {
        name: (x.float() if x.dtype == torch.float64 else x).contiguous()
        for name, x in tensors.items()
    }
    save_file(kept, path)
    path.chmod(0o644)  # the library writes 0600


if __name__ == "__main__":
    main()
