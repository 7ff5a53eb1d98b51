#!/usr/bin/env python3
"""A finalist of PhoneLM's search in PyTorch and in Assay, on this machine.

    peers/phonelm.py [TURNS] > table.md    time of a training step (9 turns)
    peers/phonelm.py TURNS SHAPE           one row of it
    peers/phonelm.py --parity              same answers at these shapes
    peers/phonelm.py --torch               PyTorch's half alone

The environment, threads, turns and intervals are those of peers/wireless.py,
which this script stands on: $PEERS_TORCH, $PEERS_THREADS (2), $PEERS_SECONDS
(15), $ASSAY. Python 3.11 or later.

The choices:
- A training step is forward, mean cross entropy of each token after the
  first, backward and AdamW (rate 1e-3, betas 0.9 and 0.95, decay 0.1 on all),
  f32, on tokens that are already in memory.
- The shapes are of the search's space at the budget that trains here: wide and
  shallow, narrow and deep, and one with few key and value heads. ReLU in the
  gate, RMSNorm, rotary positions, one table for embedding and head.
- PyTorch's decoder is eager, as its users write it, with its own
  `scaled_dot_product_attention` and `rms_norm`, queries, keys and values in
  one product. AdamW twice: as it comes, and with `fused=True`, which has to be
  asked for and is faster here. A ratio is taken to each.
- By turns, and the next turn the other way round, each side in a process of
  its own; the table has the median of the turns with its interval by order.
- Parity: random weights under the published names, PyTorch's logits, loss and
  gradients of two rows in f64, and `assay verify` on both files.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import wireless as turns_of

HERE = Path(__file__).resolve().parent
EPSILON = 1e-6
THETA = 10_000.0
RATE, BETAS, DECAY = 1e-3, (0.9, 0.95), 0.1

# Layers, width, heads, key and value heads, feed-forward width, vocabulary;
# rows and tokens of a step.
SHAPES = {
    "wide": dict(
        layers=3, width=256, heads=4, kv_heads=4, ffn=768, vocab=2048, batch=16, prompt=128
    ),
    "deep": dict(
        layers=12, width=128, heads=4, kv_heads=4, ffn=384, vocab=2048, batch=16, prompt=128
    ),
    "grouped": dict(
        layers=4, width=192, heads=6, kv_heads=2, ffn=832, vocab=2048, batch=16, prompt=128
    ),
}
VARIANTS = {"as it comes": {}, "fused": {"fused": True}}


def enter_environment():
    """Goes on inside peers/wireless.py's virtual environment."""
    if Path(sys.prefix).resolve() == turns_of.VENV.resolve():
        return
    stamp = turns_of.VENV / "installed"
    packages = " ".join(turns_of.PACKAGES)
    if not stamp.exists() or stamp.read_text() != packages:
        sys.exit(
            f"no environment with {packages} in {turns_of.VENV}: run "
            "`peers/wireless.py --torch` once, which makes it"
        )
    python = turns_of.VENV / "bin" / "python"
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.execv(python, [str(python), str(HERE / "phonelm.py"), *sys.argv[1:]])


def decoder(shape):
    """PhoneLM's decoder of that shape."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    heads, kv_heads = shape["heads"], shape["kv_heads"]
    width, ffn = shape["width"], shape["ffn"]
    head = width // heads

    def rotate(x, cos, sin):
        first, second = x.chunk(2, dim=-1)
        return x * cos + torch.cat((-second, first), dim=-1) * sin

    class Norm(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(width))

        def forward(self, x):
            return F.rms_norm(x, (width,), self.weight, EPSILON)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.before, self.after = Norm(), Norm()
            self.qkv = nn.Linear(width, (heads + 2 * kv_heads) * head, bias=False)
            self.output = nn.Linear(width, width, bias=False)
            self.gate_up = nn.Linear(width, 2 * ffn, bias=False)
            self.down = nn.Linear(ffn, width, bias=False)

        def forward(self, x, cos, sin):
            b, t, _ = x.shape
            packed = self.qkv(self.before(x)).view(b, t, -1, head).transpose(1, 2)
            q, k, v = packed.split((heads, kv_heads, kv_heads), dim=1)
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
            mixed = F.scaled_dot_product_attention(
                q, k, v, is_causal=True, enable_gqa=heads != kv_heads
            )
            x = x + self.output(mixed.transpose(1, 2).reshape(b, t, width))
            gate, up = self.gate_up(self.after(x)).chunk(2, dim=-1)
            return x + self.down(F.relu(gate) * up)

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(shape["vocab"], width)
            self.blocks = nn.ModuleList(Block() for _ in range(shape["layers"]))
            self.norm = Norm()
            turns = torch.arange(shape["prompt"])[:, None] * THETA ** (
                -torch.arange(0, head, 2)[None, :] / head
            )
            turns = torch.cat((turns, turns), dim=-1)
            self.register_buffer("cos", turns.cos())
            self.register_buffer("sin", turns.sin())

        def forward(self, tokens):
            t = tokens.shape[1]
            cos, sin = self.cos[:t], self.sin[:t]
            x = self.embedding(tokens)
            for block in self.blocks:
                x = block(x, cos, sin)
            return F.linear(self.norm(x), self.embedding.weight)

        def loss(self, tokens):
            logits = self(tokens[:, :-1])
            return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())

    return Decoder()


def with_random_weights(model):
    """Weights of the size that keeps activations near 1; norms about 1, so that
    one left out is seen."""
    import torch

    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 1:
                weight.uniform_(0.5, 1.5)
            else:
                weight.normal_(std=weight.shape[1] ** -0.5)
        model.embedding.weight.mul_(0.5)
    return model


# PyTorch's side. Runs in a process of its own, and prints JSON.


def torch_turn(name):
    """Seconds of each step, for each variant of AdamW."""
    import torch

    torch.set_num_threads(turns_of.THREADS)
    torch.manual_seed(1)
    shape = SHAPES[name]
    tokens = torch.randint(shape["vocab"], (shape["batch"], shape["prompt"]))
    times = {}
    for variant, options in VARIANTS.items():
        model = with_random_weights(decoder(shape)).train()
        adam = torch.optim.AdamW(
            model.parameters(), lr=RATE, betas=BETAS, weight_decay=DECAY, **options
        )

        def step():
            adam.zero_grad()
            model.loss(tokens).backward()
            adam.step()

        times[variant] = turns_of.sampled(step)
    print(json.dumps(times))


def torch_medians(name):
    command = [sys.executable, HERE / "phonelm.py", "--turn", name]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    times = json.loads(answer.stdout)
    return {what: statistics.median(seconds) for what, seconds in times.items()}


# Assay's side.


def axes(shape):
    """The case's axes."""
    named = {name: shape[name] for name in shape} | {"activation": "relu"}
    return [f"{axis}={value}" for axis, value in named.items()]


def assay_median(name, folder):
    """Median of the step in a run of its own."""
    command = [
        turns_of.ASSAY, "run", "phonelm/candidate/train-step", *axes(SHAPES[name]),
        "--budget", f"{turns_of.SECONDS:g}s", "--out", folder,
    ]  # fmt: skip
    environment = os.environ | {"RAYON_NUM_THREADS": str(turns_of.THREADS)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"assay run ended with {done.returncode}\n{done.stderr}{done.stdout}")
    (path,) = (Path(folder) / "cases").glob("*.jsonl")
    return statistics.median(turns_of.steady_samples(path))


# Both.


def compare(turns, names=tuple(SHAPES)):
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
        theirs, ours = [], []
        with tempfile.TemporaryDirectory() as folder:
            for turn in range(turns):
                print(f"{name}: turn {turn + 1} of {turns}", file=sys.stderr)
                sides = [
                    lambda: theirs.append(torch_medians(name)),
                    lambda: ours.append(assay_median(name, f"{folder}/{turn}")),
                ]
                for side in sides if turn % 2 == 0 else reversed(sides):
                    side()
        cells = [f"`{' '.join(axes(SHAPES[name]))}`", f"{parameters(name):,}"]
        for variant in VARIANTS:
            cells.append(turns_of.with_interval([1e3 * t[variant] for t in theirs], 1))
        cells.append(turns_of.with_interval([1e3 * t for t in ours], 1))
        for variant in VARIANTS:
            ratios = [t[variant] / o for t, o in zip(theirs, ours, strict=True)]
            cells.append(turns_of.with_interval(ratios, 3))
        print("| " + " | ".join(cells) + " |", flush=True)


def parameters(name):
    return sum(weight.numel() for weight in decoder(SHAPES[name]).parameters())


def torch_alone():
    turns_of.heading(f"one turn of {turns_of.SECONDS:g} s; medians")
    print("| shape | step, ms | step, fused AdamW, ms |")
    print("|---|---|---|")
    for name in SHAPES:
        times = torch_medians(name)
        cells = [f"{1e3 * times[variant]:.1f}" for variant in VARIANTS]
        print("| " + " | ".join([name, *cells]) + " |", flush=True)


def published(model, shape):
    """Weights, or gradients, by the names that LLaMA's family publishes."""
    heads, kv_heads = shape["heads"], shape["kv_heads"]
    head, ffn = shape["width"] // heads, shape["ffn"]
    sizes = [heads * head, kv_heads * head, kv_heads * head]
    yield "model.embed_tokens.weight", model.embedding.weight, slice(None)
    for index, block in enumerate(model.blocks):
        at = f"model.layers.{index}"
        start = 0
        for letter, size in zip("qkv", sizes, strict=True):
            rows = slice(start, start + size)
            yield f"{at}.self_attn.{letter}_proj.weight", block.qkv.weight, rows
            start += size
        yield f"{at}.self_attn.o_proj.weight", block.output.weight, slice(None)
        yield f"{at}.mlp.gate_proj.weight", block.gate_up.weight, slice(0, ffn)
        yield f"{at}.mlp.up_proj.weight", block.gate_up.weight, slice(ffn, 2 * ffn)
        yield f"{at}.mlp.down_proj.weight", block.down.weight, slice(None)
        yield f"{at}.input_layernorm.weight", block.before.weight, slice(None)
        yield f"{at}.post_attention_layernorm.weight", block.after.weight, slice(None)
    yield "model.norm.weight", model.norm.weight, slice(None)


def model_file(name, shape):
    return f"""format_version = 1
name = "{name}"
title = "{name}"
source = "peers/phonelm.py"
family = "llama"
layers = {shape["layers"]}
width = {shape["width"]}
heads = {shape["heads"]}
kv_heads = {shape["kv_heads"]}
head_dim = {shape["width"] // shape["heads"]}
ffn = {shape["ffn"]}
vocab = {shape["vocab"]}
context = {shape["prompt"]}
activation = "relu"
gated = true
norm = "rms-norm"
norm_epsilon = {EPSILON}
positions = {{ kind = "rotary", theta = {THETA}, fraction = 1.0 }}
attention_bias = "none"
mlp_bias = false
parallel_residual = false
tied_embeddings = true
"""


def parity():
    """Whether `assay verify` says right for each shape."""
    import torch
    from safetensors.torch import save_file

    turns_of.heading("`assay verify` on PyTorch's weights, logits, loss and gradients")
    print("| shape | parameters | exit code | largest relative difference |")
    print("|---|---|---|---|")
    wrong = []
    for name, shape in SHAPES.items():
        torch.manual_seed(2)
        model = with_random_weights(decoder(shape))
        weights = {
            to: of.detach()[rows].clone().contiguous() for to, of, rows in published(model, shape)
        }
        model = model.double()
        tokens = torch.randint(shape["vocab"], (2, 24))
        loss = model.loss(tokens)
        loss.backward()
        golden = {
            "input.tokens": tokens,
            "output.logits": model(tokens).detach().float().contiguous(),
            "output.loss": loss.detach().float().reshape(1),
        }
        for to, of, rows in published(model, shape):
            golden[f"output.grad.{to}"] = of.grad[rows].float().clone().contiguous()
        with tempfile.TemporaryDirectory() as folder:
            files = ("shape.toml", "weights.safetensors", "golden.safetensors")
            paths = [Path(folder) / file for file in files]
            paths[0].write_text(model_file(name, shape))
            save_file(weights, paths[1])
            save_file(golden, paths[2])
            command = [
                turns_of.ASSAY, "verify", "--model", paths[0],
                "--weights", paths[1], "--golden", paths[2],
            ]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True)
        found = re.search(r"largest magnitude\s+(\S+)", done.stdout)
        cells = [
            name, f"{parameters(name):,}", str(done.returncode),
            found.group(1) if found else "-",
        ]  # fmt: skip
        print("| " + " | ".join(cells) + " |", flush=True)
        if done.returncode:
            wrong.append(name)
            print(done.stderr + done.stdout, file=sys.stderr)
    if wrong:
        sys.exit(f"not right: {', '.join(wrong)}")


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


if __name__ == "__main__":
    arguments = sys.argv[1:]
    known = arguments in ([], ["--torch"], ["--parity"])
    known |= len(arguments) == 1 and arguments[0].isdigit() and int(arguments[0]) > 1
    known |= len(arguments) == 2 and arguments[0] == "--turn" and arguments[1] in SHAPES
    known |= len(arguments) == 2 and arguments[0].isdigit() and arguments[1] in SHAPES
    if not known:
        sys.exit(__doc__)
    enter_environment()
    main(arguments)
