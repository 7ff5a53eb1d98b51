#!/usr/bin/env python3
"""Finalists of PhoneLM's search in PyTorch and in Assay, on this machine.

    peers/phonelm.py [TURNS] > table.md    time of a training step (9 turns)
    peers/phonelm.py TURNS SHAPE           one row of it
    peers/phonelm.py --parity              same answers at these shapes
    peers/phonelm.py --torch               PyTorch's half alone
    peers/phonelm.py --finalists RUN ...   any of these, with the shapes that the
                                           search of a run directory trained

The environment, threads, turns and intervals are those of peers/wireless.py,
which this script stands on: $PEERS_TORCH, $PEERS_THREADS (2), $PEERS_SECONDS
(15), $ASSAY. Python 3.11 or later.

The choices:
- A training step is forward, mean cross entropy of each token after the
  first, backward and AdamW (rate 1e-3, betas 0.9 and 0.95, decay 0.1 on all),
  f32, on tokens that are already in memory. Batch and row are those that the
  search trains its finalists with; its clipped gradients and its schedule are
  of neither side.
- The shapes: of `--finalists` the shallowest, the middle and the deepest that
  the search's record has a held-out loss of. Without it three of the search's
  space at the budget that trains here: wide and shallow, narrow and deep, one
  with few key and value heads. RMSNorm, one table for embedding and head.
- PyTorch's decoder is eager, as its users write it, with its own
  `scaled_dot_product_attention` and `rms_norm`, queries, keys and values in
  one product. AdamW twice: as it comes, and with `fused=True`, which has to be
  asked for and is faster here. A ratio is taken to each.
- By turns, and the next turn the other way round, each side in a process of
  its own; the table has the median of the turns with its interval by order.
  The parameters that Assay's trace counts must be as many as PyTorch's.
- Parity: random weights under the published names, PyTorch's logits, loss and
  gradients of two rows in f64, and `assay verify` on both files.
"""

import json
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True

import wireless as turns_of  # noqa: E402

HERE = Path(__file__).resolve().parent
EPSILON = 1e-6
THETA = 10_000.0
RATE, BETAS, DECAY = 1e-3, (0.9, 0.95), 0.1

# Rows of a step and their tokens, the last of which is only predicted: BATCH of
# workloads/phonelm/src/train.rs, ROW of its train/text.rs and one more.
TRAINED = dict(batch=8, prompt=129)

# By the axes of the case `phonelm/candidate/train-step`.
FIXED = dict(
    ffn_kind="gated", activation="relu", vocab=2048, positions="rotary", longest=256
) | TRAINED
SHAPES = {
    "wide": dict(layers=3, width=256, heads=4, kv_heads=4, ffn=768) | FIXED,
    "deep": dict(layers=12, width=128, heads=4, kv_heads=4, ffn=384) | FIXED,
    "grouped": dict(layers=4, width=192, heads=6, kv_heads=2, ffn=832) | FIXED,
}
VARIANTS = turns_of.VARIANTS

# A candidate's name, as workloads/phonelm/src/search/candidate.rs writes it.
NAME = re.compile(
    r"l(?P<layers>\d+)-d(?P<width>\d+)-h(?P<heads>\d+)-k(?P<kv_heads>\d+)"
    r"-f(?P<ffn>\d+)-v(?P<vocab>\d+)-(?P<activation>relu|silu|gelu|tanh)"
    r"-(?P<ffn_kind>gated|plain)-(?P<positions>rotary|learned|alibi)"
)
# Of its space (search/space.rs): below so many parameters candidates are made
# for rows of at least 256 tokens, else 2,048.
TRAINED_HERE, CONTEXTS = 20_000_000, (256, 2048)


def finalists(run):
    """Three shapes that the search of a run directory trained, by their names;
    of several searches, of the one that trained most shapes."""
    trained = {}
    for path in sorted((Path(run) / "cases").glob("phonelm-candidate-search*.jsonl")):
        case, names = None, []
        for line in path.read_text().splitlines():
            event = json.loads(line)
            if event["event"] == "started":
                case, names = event["case"], []
            elif event["event"] == "meter":
                metric = event["metric"]
                if metric["name"] == "quality/heldout_loss":
                    names.append(metric["at"]["candidate"])
        if names:
            # Each stands there once for each seed.
            trained[case] = list(dict.fromkeys(names))
    if not trained:
        sys.exit(f"{run}: no record of a phonelm search that trained finalists in its cases/")
    case = max(trained, key=lambda case: len(trained[case]))
    print(f"finalists of `{case}`", file=sys.stderr)
    searched = dict(word.split("=", 1) for word in case.split()[1:])
    least = CONTEXTS[int(searched["budget"]) >= TRAINED_HERE]
    longest = max(least, int(searched["prompt"]), int(searched["context"]) + 1)
    shapes = {name: shape_of(name, longest) for name in trained[case]}
    order = sorted(shapes, key=lambda name: (shapes[name]["layers"], shapes[name]["width"]))
    picked = dict.fromkeys([order[0], order[len(order) // 2], order[-1]])
    return {name: shapes[name] for name in picked}


def shape_of(name, longest):
    """The shape that a candidate's name tells."""
    found = NAME.fullmatch(name)
    if not found:
        example = "l3-d128-h2-k1-f704-v2048-relu-gated-rotary"
        sys.exit(f"`{name}` is no candidate's name, e.g. {example}")
    told = {
        axis: int(value) if value.isdigit() else value for axis, value in found.groupdict().items()
    }
    return told | {"longest": longest} | TRAINED


def decoder(shape):
    """PhoneLM's decoder of that shape."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    heads, kv_heads = shape["heads"], shape["kv_heads"]
    width, ffn = shape["width"], shape["ffn"]
    head, gated = width // heads, shape["ffn_kind"] == "gated"
    act = {"relu": F.relu, "silu": F.silu, "gelu": F.gelu, "tanh": torch.tanh}
    act = act[shape["activation"]]

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
            self.gate_up = nn.Linear(width, (1 + gated) * ffn, bias=False)
            self.down = nn.Linear(ffn, width, bias=False)

        def forward(self, x, turns, bias):
            b, t, _ = x.shape
            packed = self.qkv(self.before(x)).view(b, t, -1, head).transpose(1, 2)
            q, k, v = packed.split((heads, kv_heads, kv_heads), dim=1)
            if turns is not None:
                q, k = rotate(q, *turns), rotate(k, *turns)
            mixed = F.scaled_dot_product_attention(
                q, k, v, attn_mask=bias, is_causal=bias is None, enable_gqa=heads != kv_heads
            )
            x = x + self.output(mixed.transpose(1, 2).reshape(b, t, width))
            inner = self.gate_up(self.after(x))
            if not gated:
                return x + self.down(act(inner))
            gate, up = inner.chunk(2, dim=-1)
            return x + self.down(act(gate) * up)

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(shape["vocab"], width)
            self.blocks = nn.ModuleList(Block() for _ in range(shape["layers"]))
            self.norm = Norm()
            if shape["positions"] == "learned":
                self.positions = nn.Parameter(torch.zeros(shape["longest"], width))
            elif shape["positions"] == "alibi":
                self.register_buffer("bias", alibi(heads, shape["prompt"])[None])
            else:
                turns = torch.arange(shape["prompt"])[:, None] * THETA ** (
                    -torch.arange(0, head, 2)[None, :] / head
                )
                turns = torch.cat((turns, turns), dim=-1)
                self.register_buffer("cos", turns.cos())
                self.register_buffer("sin", turns.sin())

        def forward(self, tokens):
            t = tokens.shape[1]
            turns = bias = None
            x = self.embedding(tokens)
            if shape["positions"] == "learned":
                x = x + self.positions[:t]
            elif shape["positions"] == "alibi":
                bias = self.bias[:, :, :t, :t]
            else:
                turns = self.cos[:t], self.sin[:t]
            for block in self.blocks:
                x = block(x, turns, bias)
            return F.linear(self.norm(x), self.embedding.weight)

        def loss(self, tokens):
            logits = self(tokens[:, :-1])
            return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())

    return Decoder()


def alibi(heads, tokens):
    """What ALiBi adds to scores, and what a query does not see, [H, T, T]: slopes
    of the next lower power of two, then every other one of twice as many."""
    import torch

    whole = 1 << (heads.bit_length() - 1)
    slopes = [2 ** (-8 * i / whole) for i in range(1, whole + 1)]
    slopes += [2 ** (-8 * (2 * i + 1) / (2 * whole)) for i in range(heads - whole)]
    bias = torch.tensor(slopes)[:, None, None] * torch.arange(tokens)
    later = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
    return bias.expand(heads, tokens, tokens).masked_fill(later, float("-inf"))


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


def torch_turn(shape):
    """Seconds of each step, for each variant of AdamW."""
    import torch

    torch.set_num_threads(turns_of.THREADS)
    torch.manual_seed(1)
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


def torch_medians(shape):
    command = [sys.executable, HERE / "phonelm.py", "--turn", json.dumps(shape)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    times = json.loads(answer.stdout)
    return {what: statistics.median(seconds) for what, seconds in times.items()}


# Assay's side.


def axes(shape):
    """The case's axes."""
    return [f"{axis}={value}" for axis, value in shape.items()]


def assay_median(shape, folder):
    """Median of the step in a run of its own, of a model of as many parameters."""
    path = turns_of.assay_record("phonelm/candidate/train-step", axes(shape), folder)
    ours, theirs = turns_of.assay_parameters(path), parameters(shape)
    if ours != theirs:
        sys.exit(f"{path.stem}: {ours:,} parameters, PyTorch's model has {theirs:,}")
    return statistics.median(turns_of.steady_samples(path))


# Both.


def compare(turns, shapes):
    confidence = 100 * turns_of.enclosing(turns)[1]
    turns_of.heading(
        f"{turns} turns of {turns_of.SECONDS:g} s; median, {confidence:.1f} % interval"
    )
    print(
        "| training step | parameters | PyTorch, ms | PyTorch, fused AdamW, ms | Assay, ms "
        "| PyTorch / Assay | PyTorch, fused AdamW / Assay |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, shape in shapes.items():
        theirs, ours = turns_of.by_turns(
            name,
            turns,
            lambda: torch_medians(shape),
            lambda folder: assay_median(shape, folder),
        )
        cells = [f"`{' '.join(axes(shape))}`", f"{parameters(shape):,}"]
        cells += turns_of.times_and_ratios(theirs, ours)
        print("| " + " | ".join(cells) + " |", flush=True)


def parameters(shape):
    return sum(weight.numel() for weight in decoder(shape).parameters())


def torch_alone(shapes):
    turns_of.heading(f"one turn of {turns_of.SECONDS:g} s; medians")
    print("| shape | step, ms | step, fused AdamW, ms |")
    print("|---|---|---|")
    for name, shape in shapes.items():
        times = torch_medians(shape)
        cells = [f"{1e3 * times[variant]:.1f}" for variant in VARIANTS]
        print("| " + " | ".join([name, *cells]) + " |", flush=True)


def published(model, shape):
    """Weights, or gradients, by the names that LLaMA's family publishes."""
    heads, kv_heads = shape["heads"], shape["kv_heads"]
    head, ffn = shape["width"] // heads, shape["ffn"]
    sizes = [heads * head, kv_heads * head, kv_heads * head]
    yield "model.embed_tokens.weight", model.embedding.weight, slice(None)
    if shape["positions"] == "learned":
        # The family has no such table, and so no name for it.
        yield "", model.positions, slice(None)
    for index, block in enumerate(model.blocks):
        at = f"model.layers.{index}"
        start = 0
        for letter, size in zip("qkv", sizes, strict=True):
            rows = slice(start, start + size)
            yield f"{at}.self_attn.{letter}_proj.weight", block.qkv.weight, rows
            start += size
        yield f"{at}.self_attn.o_proj.weight", block.output.weight, slice(None)
        up = 0
        if shape["ffn_kind"] == "gated":
            up = ffn
            yield f"{at}.mlp.gate_proj.weight", block.gate_up.weight, slice(0, ffn)
        yield f"{at}.mlp.up_proj.weight", block.gate_up.weight, slice(up, up + ffn)
        yield f"{at}.mlp.down_proj.weight", block.down.weight, slice(None)
        yield f"{at}.input_layernorm.weight", block.before.weight, slice(None)
        yield f"{at}.post_attention_layernorm.weight", block.after.weight, slice(None)
    yield "model.norm.weight", model.norm.weight, slice(None)


def model_file(name, shape):
    """The shape as a model of Assay's: Nemotron is named like LLaMA and has no
    gate."""
    gated = shape["ffn_kind"] == "gated"
    positions = {
        "rotary": f'{{ kind = "rotary", theta = {THETA}, fraction = 1.0 }}',
        "learned": '{ kind = "learned", offset = 0 }',
        "alibi": '{ kind = "alibi" }',
    }
    return f"""format_version = 1
name = "{name}"
title = "{name}"
source = "peers/phonelm.py"
family = "{"llama" if gated else "nemotron"}"
layers = {shape["layers"]}
width = {shape["width"]}
heads = {shape["heads"]}
kv_heads = {shape["kv_heads"]}
head_dim = {shape["width"] // shape["heads"]}
ffn = {shape["ffn"]}
vocab = {shape["vocab"]}
context = {shape["longest"]}
activation = "{shape["activation"]}"
gated = {str(gated).lower()}
norm = "rms-norm"
norm_epsilon = {EPSILON}
positions = {positions[shape["positions"]]}
attention_bias = "none"
mlp_bias = false
parallel_residual = false
tied_embeddings = true
"""


def parity(shapes):
    """Whether `assay verify` says right for each shape."""
    import torch
    from safetensors.torch import save_file

    turns_of.heading("`assay verify` on PyTorch's weights, logits, loss and gradients")
    print("| shape | parameters | exit code | largest relative difference |")
    print("|---|---|---|---|")
    wrong = []
    for name, shape in shapes.items():
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
            name, f"{parameters(shape):,}", str(done.returncode),
            found.group(1) if found else "-",
        ]  # fmt: skip
        print("| " + " | ".join(cells) + " |", flush=True)
        if done.returncode:
            wrong.append(name)
            print(done.stderr + done.stdout, file=sys.stderr)
    if wrong:
        sys.exit(f"not right: {', '.join(wrong)}")


def main(arguments, shapes):
    match arguments:
        case ["--turn", shape]:
            torch_turn(json.loads(shape))
        case ["--torch"]:
            torch_alone(shapes)
        case ["--parity"]:
            parity(shapes)
        case []:
            compare(9, shapes)
        case [turns]:
            compare(int(turns), shapes)
        case [turns, name]:
            compare(int(turns), {name: shapes[name]})


def known(arguments, shapes):
    match arguments:
        case [] | ["--torch"] | ["--parity"] | ["--turn", _]:
            return True
        case [turns]:
            return turns.isdigit() and int(turns) > 1
        case [turns, name]:
            return turns.isdigit() and int(turns) > 1 and name in shapes
    return False


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--finalists", run, *rest]:
            shapes, arguments = finalists(run), rest
        case arguments:
            shapes = SHAPES
    if not known(arguments, shapes):
        sys.exit(__doc__)
    turns_of.enter_environment(__file__)
    main(arguments, shapes)
