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
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import language  # noqa: E402
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


def of_axes(shape):
    """The decoder that the axes of a shape spell out."""
    same = ("layers", "width", "heads", "kv_heads", "ffn", "vocab", "activation", "positions")
    return language.Shape(
        **{axis: shape[axis] for axis in same},
        context=shape["longest"],
        seen=shape["prompt"],
        epsilon=EPSILON,
        gated=shape["ffn_kind"] == "gated",
        theta=THETA,
    )


def parameters(shape):
    return language.count(language.decoder(of_axes(shape)))


# PyTorch's side. Runs in a process of its own, and prints JSON.


def torch_turn(shape):
    """Seconds of each step, for each variant of AdamW."""
    import torch

    torch.set_num_threads(turns_of.THREADS)
    torch.manual_seed(1)
    tokens = torch.randint(shape["vocab"], (shape["batch"], shape["prompt"]))
    times = {}
    for variant, options in VARIANTS.items():
        model = language.with_random_weights(language.decoder(of_axes(shape)), 1).train()
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
    return language.medians(HERE / "phonelm.py", json.dumps(shape))


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


def torch_alone(shapes):
    turns_of.heading(f"one turn of {turns_of.SECONDS:g} s; medians")
    print("| shape | step, ms | step, fused AdamW, ms |")
    print("|---|---|---|")
    for name, shape in shapes.items():
        times = torch_medians(shape)
        cells = [f"{1e3 * times[variant]:.1f}" for variant in VARIANTS]
        print("| " + " | ".join([name, *cells]) + " |", flush=True)


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
    language.parity(
        [(name, of_axes(shape), model_file(name, shape)) for name, shape in shapes.items()]
    )


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
