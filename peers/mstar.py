#!/usr/bin/env python3
"""M-STaR's networks in PyTorch and in Assay, on this machine.

    peers/mstar.py [TURNS] > table.md    time of a training step (9 turns)
    peers/mstar.py TURNS MODEL           one row of it: tiny or small
    peers/mstar.py --parity              same answers of the decoders
    peers/mstar.py --torch               PyTorch's half alone

The environment, threads, turns and intervals are those of peers/wireless.py,
which this script stands on: $PEERS_TORCH, $PEERS_THREADS (2), $PEERS_SECONDS
(15), $ASSAY. Python 3.11 or later.

The choices:
- The shapes are read from workloads/mstar/models: a vision transformer, pixel
  shuffle and two layers, a decoder of LLaMA's family.
- A training step is forward, mean cross entropy of the words of the replies,
  backward and AdamW (rate 1e-6, betas 0.9 and 0.999, no decay), f32, on
  random pictures and words in memory, as many as the case has by default. A
  question costs no logits on either side.
- PyTorch's model is eager, as its users write it, with its own
  `scaled_dot_product_attention`, norms and GELU; queries, keys and values are
  one product, so are gate and up, and the patches are one matrix product (a
  convolution whose windows do not overlap). AdamW twice: as it comes, and with
  `fused=True`, which has to be asked for. A ratio is taken to each.
- By turns, and the next turn the other way round, each side in a process of
  its own; the table has the median of the turns with its interval by order.
- Both start from PyTorch's weights: Assay loads them with `--weights`, which
  refuses a name or a shape that it does not have, and its trace must count as
  many parameters.
- Parity: random weights under the published names, PyTorch's logits, loss and
  gradients of two rows in f64, and `assay verify` on both files, of the decoders
  alone. For the whole model Assay reads weights but no right answers and no
  inputs, so that there is nothing to compare its loss on; its own check is
  against its plain twins.
"""

import functools
import json
import statistics
import sys
import tempfile
import tomllib
from pathlib import Path

sys.dont_write_bytecode = True

import language as decoders  # noqa: E402
import wireless as turns_of  # noqa: E402

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "workloads" / "mstar" / "models"
NAMES = ("tiny", "small")
VARIANTS = turns_of.VARIANTS
CHANNELS = 3

# The axes' defaults (SMALL in workloads/mstar/src/request.rs); Assay is told them.
AXES = dict(batch=16, tiles=1, prompt=7, tokens=35)
# workloads/mstar/src/steps.rs.
ADAMW = dict(lr=1e-6, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)


@functools.cache
def shape_of(name):
    """A model's file. What this script's network leaves out is refused."""
    shape = tomllib.loads((MODELS / f"{name}.toml").read_text())
    vision, connector, language = (shape[part] for part in ("vision", "connector", "language"))
    wanted = [
        (vision, dict(activation="gelu", class_token=False, patch_bias=True, pre_norm=False)),
        (vision, dict(post_norm="applied", layer_scale=False, qk_norm=False)),
        (vision, dict(position_side=vision["picture"] // vision["patch"])),
        (connector, dict(kind="pixel-shuffle", norm=True, activation="gelu")),
        (language, dict(family="llama", activation="silu", gated=True, norm="rms-norm")),
        (language, dict(attention_bias="none", mlp_bias=False, parallel_residual=False)),
        (language, dict(tied_embeddings=False)),
        (language, dict(head_dim=language["width"] // language["heads"])),
        (language["positions"], dict(kind="rotary", fraction=1.0)),
    ]
    for part, keys in wanted:
        for key, value in keys.items():
            if part[key] != value:
                sys.exit(f"{name}.toml: `{key}` is {part[key]}, this script's network has {value}")
    return shape


def network(shape):
    """The whole model of that shape."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    vision, connector, language = (shape[part] for part in ("vision", "connector", "language"))

    class VisionLayer(nn.Module):
        def __init__(self):
            super().__init__()
            width = vision["width"]
            self.norm_1 = nn.LayerNorm(width, eps=vision["norm_epsilon"])
            self.qkv = nn.Linear(width, 3 * width)
            self.output = nn.Linear(width, width)
            self.norm_2 = nn.LayerNorm(width, eps=vision["norm_epsilon"])
            self.up = nn.Linear(width, vision["mlp"])
            self.down = nn.Linear(vision["mlp"], width)

        def forward(self, x):
            n, t, width = x.shape
            packed = self.qkv(self.norm_1(x)).view(n, t, 3, vision["heads"], -1)
            q, k, v = packed.permute(2, 0, 3, 1, 4).unbind(0)
            mixed = F.scaled_dot_product_attention(q, k, v)
            x = x + self.output(mixed.transpose(1, 2).reshape(n, t, width))
            return x + self.down(F.gelu(self.up(self.norm_2(x))))

    class Vision(nn.Module):
        def __init__(self):
            super().__init__()
            width, patch = vision["width"], vision["patch"]
            self.patches = nn.Linear(CHANNELS * patch**2, width)
            self.positions = nn.Parameter(torch.zeros(vision["position_side"] ** 2, width))
            self.layers = nn.ModuleList(VisionLayer() for _ in range(vision["layers"]))
            self.post_norm = nn.LayerNorm(width, eps=vision["norm_epsilon"])

        def forward(self, tiles):
            n, channels, side, _ = tiles.shape
            patch = vision["patch"]
            grid = side // patch
            windows = tiles.view(n, channels, grid, patch, grid, patch)
            windows = windows.permute(0, 2, 4, 1, 3, 5).reshape(n, grid**2, -1)
            x = self.patches(windows) + self.positions
            for layer in self.layers:
                x = layer(x)
            return self.post_norm(x)

    class Connector(nn.Module):
        def __init__(self):
            super().__init__()
            inner = vision["width"] * connector["factor"] ** 2
            self.norm = nn.LayerNorm(inner, eps=connector["norm_epsilon"])
            self.first = nn.Linear(inner, connector["hidden"])
            self.second = nn.Linear(connector["hidden"], language["width"])

        def forward(self, x):
            n, patches, width = x.shape
            f = connector["factor"]
            side = int(patches**0.5) // f
            x = x.view(n, side, f, side, f, width).transpose(2, 3)
            x = self.norm(x.reshape(n, side**2, f * f * width))
            return self.second(F.gelu(self.first(x)))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.vision, self.connector = Vision(), Connector()
            self.language = decoders.decoder(of_file(language))

        def loss(self, tiles, questions, replies):
            seen = self.connector(self.vision(tiles))
            seen = seen.reshape(len(questions), -1, language["width"])
            # The last word of a reply predicts nothing.
            words = torch.cat((questions, replies[:, :-1]), dim=1)
            x = torch.cat((seen, self.language.embedding(words)), dim=1)
            scored = self.language.hidden(x)[:, -replies.shape[1] :]
            logits = self.language.logits(scored)
            return F.cross_entropy(logits.flatten(0, 1), replies.flatten())

    return Model()


def of_file(language):
    """The decoder that a model file describes."""
    same = ("layers", "width", "heads", "kv_heads", "ffn", "vocab", "context")
    return decoders.Shape(
        **{key: language[key] for key in same},
        seen=language["context"],
        epsilon=language["norm_epsilon"],
        theta=language["positions"]["theta"],
        tied=False,
    )


# PyTorch's side. Runs in a process of its own, and prints JSON.


def torch_turn(name):
    """Seconds of each step, for each variant of AdamW."""
    import torch

    torch.set_num_threads(turns_of.THREADS)
    shape = shape_of(name)
    batch, side, vocab = AXES["batch"], shape["vision"]["picture"], shape["language"]["vocab"]
    times = {}
    for variant, options in VARIANTS.items():
        model = decoders.with_random_weights(network(shape), 1).train()
        # The deviation that Assay's pictures have.
        tiles = 0.5 * torch.randn(batch * AXES["tiles"], CHANNELS, side, side)
        questions = torch.randint(vocab, (batch, AXES["prompt"]))
        replies = torch.randint(vocab, (batch, AXES["tokens"]))
        adam = torch.optim.AdamW(model.parameters(), **ADAMW, **options)

        def step():
            adam.zero_grad()
            model.loss(tiles, questions, replies).backward()
            adam.step()

        times[variant] = turns_of.sampled(step)
    print(json.dumps(times))


def torch_medians(name):
    return decoders.medians(HERE / "mstar.py", name)


# Assay's side.


def assay_median(name, weights, parameters, folder):
    """Median of the step in a run of its own, of these weights and of the same
    sizes as PyTorch's."""
    case = f"mstar/{name}/train-step"
    axes = [f"{axis}={value}" for axis, value in AXES.items()]
    path = turns_of.assay_record(case, axes, folder, "--weights", weights)
    ours = turns_of.assay_parameters(path)
    if ours != parameters:
        sys.exit(f"{path.stem}: {ours:,} parameters, PyTorch's model has {parameters:,}")
    return statistics.median(turns_of.steady_samples(path))


def dotted(model):
    """Weights by the names that Assay's modules have."""
    vision, connector, language = model.vision, model.connector, model.language

    def layer(at, of, rows=slice(None)):
        yield f"{at}.weight", of.weight[rows]
        if getattr(of, "bias", None) is not None:
            yield f"{at}.bias", of.bias[rows]

    yield from layer("vision.patches", vision.patches)
    yield "vision.positions", vision.positions
    for index, own in enumerate(vision.layers):
        at = f"vision.layers.{index}"
        yield from layer(f"{at}.norm_1", own.norm_1)
        for letter, rows in thirds(own.qkv.out_features // 3):
            yield from layer(f"{at}.attention.{letter}", own.qkv, rows)
        yield from layer(f"{at}.attention.output", own.output)
        yield from layer(f"{at}.norm_2", own.norm_2)
        yield from layer(f"{at}.up", own.up)
        yield from layer(f"{at}.down", own.down)
    yield from layer("vision.post_norm", vision.post_norm)
    for part in ("norm", "first", "second"):
        yield from layer(f"connector.{part}", getattr(connector, part))
    yield "language.embedding", language.embedding.weight
    for index, block in enumerate(language.blocks):
        at = f"language.blocks.{index}"
        yield from layer(f"{at}.attention_norm", block.before)
        inner = block.output.in_features
        for letter, rows in thirds(inner, (block.qkv.out_features - inner) // 2):
            yield from layer(f"{at}.attention.{letter}", block.qkv, rows)
        yield from layer(f"{at}.attention.output", block.output)
        yield from layer(f"{at}.mlp_norm", block.after)
        ffn = block.down.in_features
        yield from layer(f"{at}.mlp.gate", block.gate_up, slice(0, ffn))
        yield from layer(f"{at}.mlp.up", block.gate_up, slice(ffn, 2 * ffn))
        yield from layer(f"{at}.mlp.down", block.down)
    yield from layer("language.norm", language.norm)
    yield from layer("language.head", language.head)


def thirds(queries, others=None):
    """Rows of queries, keys and values in one matrix."""
    others = queries if others is None else others
    starts = (0, queries, queries + others, queries + 2 * others)
    return [("qkv"[i], slice(starts[i], starts[i + 1])) for i in range(3)]


# Both.


def compare(turns, names=NAMES):
    from safetensors.torch import save_file

    confidence = 100 * turns_of.enclosing(turns)[1]
    turns_of.heading(
        f"{turns} turns of {turns_of.SECONDS:g} s; median, {confidence:.1f} % interval"
    )
    print(
        "| training step | parameters | PyTorch, ms | PyTorch, fused AdamW, ms | Assay, ms "
        "| PyTorch / Assay | PyTorch, fused AdamW / Assay |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in names:
        model = decoders.with_random_weights(network(shape_of(name)), 1)
        parameters = decoders.count(model)
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder) / "weights.safetensors"
            own = {to: of.detach().clone().contiguous() for to, of in dotted(model)}
            save_file(own, weights)
            theirs, ours = turns_of.by_turns(
                name,
                turns,
                lambda: torch_medians(name),
                lambda run: assay_median(name, weights, parameters, run),
            )
        axes = " ".join(f"{axis}={value}" for axis, value in AXES.items())
        cells = [f"`mstar/{name}/train-step {axes}`", f"{parameters:,}"]
        cells += turns_of.times_and_ratios(theirs, ours)
        print("| " + " | ".join(cells) + " |", flush=True)


def torch_alone():
    turns_of.heading(f"one turn of {turns_of.SECONDS:g} s; medians")
    print("| model | parameters | step, ms | step, fused AdamW, ms |")
    print("|---|---|---|---|")
    for name in NAMES:
        times = torch_medians(name)
        cells = [name, f"{decoders.count(network(shape_of(name))):,}"]
        cells += [f"{1e3 * times[variant]:.1f}" for variant in VARIANTS]
        print("| " + " | ".join(cells) + " |", flush=True)


# Parity.


def language_file(name):
    """The decoder's table of a model's file, which is a file of its own too."""
    _, language = (MODELS / f"{name}.toml").read_text().split("\n[language]\n")
    return language


def parity():
    """Whether `assay verify` says right for the decoder of each model."""
    languages = {name: shape_of(name)["language"] for name in NAMES}
    decoders.parity(
        [(own["name"], of_file(own), language_file(name)) for name, own in languages.items()]
    )


def main(arguments):
    match arguments:
        case ["--turn", name]:
            torch_turn(name)
        case ["--torch"]:
            torch_alone()
        case ["--parity"]:
            parity()
        case []:
            compare(9)
        case [turns]:
            compare(int(turns))
        case [turns, name]:
            compare(int(turns), [name])


def known(arguments):
    match arguments:
        case [] | ["--torch"] | ["--parity"]:
            return True
        case ["--turn", name]:
            return name in NAMES
        case [turns]:
            return turns.isdigit() and int(turns) > 1
        case [turns, name]:
            return turns.isdigit() and int(turns) > 1 and name in NAMES
    return False


if __name__ == "__main__":
    if not known(sys.argv[1:]):
        sys.exit(__doc__)
    turns_of.enter_environment(__file__)
    main(sys.argv[1:])
