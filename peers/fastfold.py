#!/usr/bin/env python3
"""The Evoformer block in PyTorch and in Assay, on this machine.

    peers/fastfold.py [TURNS] > table.md    times (9 turns)
    peers/fastfold.py --torch               PyTorch's half alone
    peers/fastfold.py --parity              same answers at full width

The first run makes the virtual environment of `peers/wireless.py` in
$PEERS_TORCH, or ~/.cache/assay-peers/torch. $ASSAY is the program, else
target/release/assay; $EXAMPLES has the kernels' examples, else
target/release/examples. Python 3.11 or later.

The choices:
- The block of AlphaFold 2 at c_m 256 and c_z 128, f32, no batch, all masks 1 but
  used, on random data already in memory. Both sides have $PEERS_THREADS threads
  (2) and an allocator that keeps its memory (ALLOCATOR): fresh pages would cost
  either side more than some operators.
- PyTorch's (`fastfold_block.py`) is eager, as users of FastFold and OpenFold write it, at its best:
  merged projections, additions in place where autograd lets them, inference
  mode. Attention twice, by its steps and by `scaled_dot_product_attention`; the
  faster counts, by the median of the turns. Likewise softmax, out of place and in
  place. Nothing is compiled, chunked or recomputed.
- Training is a forward with the paper's dropout and a backward from the means of
  m and z, inputs' gradients included; no optimizer.
- By turns, and the next turn the other way round, each side in a process of its
  own. A turn samples each for $PEERS_SECONDS (5) after a warm-up, and counts by
  its median. `assay run` verifies each answer first, outside its samples; an
  example does not (the kernels' tests do).
- A ratio is PyTorch's time over Assay's of the same turn: above 1 Assay is
  faster. The interval is that of `peers/wireless.py`.
- Parity: random weights at full width; PyTorch's block here and `assay verify`
  against `workloads/fastfold/goldens/reference.py` in f64.
"""

import functools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("PEERS_SECONDS", "5")
sys.dont_write_bytecode = True

import wireless  # noqa: E402
from wireless import ASSAY, SECONDS, THREADS, VENV  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
GOLDENS = ROOT / "workloads" / "fastfold" / "goldens"
EXAMPLES = Path(os.environ.get("EXAMPLES") or ROOT / "target/release/examples")
ALLOCATOR = {
    "MALLOC_TRIM_THRESHOLD_": "40000000000",
    "MALLOC_MMAP_THRESHOLD_": "40000000000",
}


class Case(NamedTuple):
    """A case of the workload: `assay run`'s steps."""

    phase: str


class Rung(NamedTuple):
    """A rung of an example that prints ladders: the first number, milliseconds,
    after its name, under a line that is the title."""

    example: str
    arguments: tuple
    title: str
    name: str


# Assay's side of each row; {s} and {r} are sequences and residues. To be filled
# in: None is a row for which no program is named yet, and has a dash.
OURS = {
    "softmax": Rung(
        "evoformer_ladder",
        ("softmax", "biased_softmax [{s}, 8, {r}"),
        "biased_softmax [{s}, 8, {r}, {r}]: median, least, gain",
        "fused in place",
    ),
    "LayerNorm": Rung(
        "evoformer_ladder",
        ("layer_norm", "layer_norm [{s}, {r}, 256]"),
        "layer_norm [{s}, {r}, 256]: median, least, gain",
        "fused",
    ),
    "attention": Rung(
        "axial_attention_ladder",
        ("kernel",),
        "MSA rows {s} x {r}, 8 heads of 32:",
        "kernel",
    ),
    "block-forward": Case("block-forward"),
    "block-train": Case("block-train"),
}
WHAT = {
    "softmax": "softmax with scale, mask and bias, [S, 8, R, R]",
    "LayerNorm": "LayerNorm, [S, R, 256]",
    "attention": "gated attention with pair bias, from projections to gated values",
    "block-forward": "block, forward",
    "block-train": "block, forward and backward",
}
SHAPES = [(64, 128), (128, 256)]


def enter_environment():
    """Goes on inside the virtual environment, which the first run makes."""
    python = VENV / "bin" / "python"
    if Path(sys.prefix).resolve() != VENV.resolve():
        stamp = VENV / "installed"
        packages = " ".join(wireless.PACKAGES)
        if not stamp.exists() or stamp.read_text() != packages:
            print(f"installing {packages} in {VENV}", file=sys.stderr)
            subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
            pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            subprocess.run([*pip, *wireless.PACKAGES], check=True, stdout=sys.stderr)
            stamp.write_text(packages)
    elif ALLOCATOR.items() <= os.environ.items():
        return
    # The allocator reads its settings when a process starts.
    os.environ.update(ALLOCATOR)
    os.execv(python, [str(python), str(HERE / "fastfold.py"), *sys.argv[1:]])


def known(arguments):
    match arguments:
        case [] | ["--torch"] | ["--parity"]:
            return True
        case ["--turn", row, s, r]:
            return row in WHAT and s.isdigit() and r.isdigit()
        case [turns]:
            return turns.isdigit() and int(turns) > 1
    return False


if __name__ == "__main__":
    if not known(sys.argv[1:]):
        sys.exit(__doc__)
    enter_environment()

import torch  # noqa: E402
from fastfold_block import (  # noqa: E402
    C_M,
    C_Z,
    HEADS,
    SDPA,
    STEPS,
    WIDTH,
    Block,
    gated,
    of_reference,
)
from torch import nn  # noqa: E402

# PyTorch's side.

def torch_turn(row, s, r):
    """Seconds of each sample of each variant, as JSON on stdout."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    print(json.dumps(TURNS[row](s, r)))


@torch.inference_mode()
def softmax(s, r):
    scores = torch.randn(s, HEADS, r, r)
    bias = torch.randn(1, HEADS, r, r)
    mask = torch.zeros(s, 1, 1, r)
    scale = WIDTH**-0.5
    scratch = scores.clone()

    def in_place():
        # The scores of the sample before: as good as any. Scaled, so that they
        # stay near the bias.
        scratch.mul_(scale).add_(mask).add_(bias)
        return scratch.softmax(-1)

    return {
        "out of place": wireless.sampled(
            lambda: (scores * scale + mask + bias).softmax(-1)
        ),
        "in place": wireless.sampled(in_place),
    }


@torch.inference_mode()
def layer_norm(s, r):
    x, norm = torch.randn(s, r, C_M), nn.LayerNorm(C_M)
    return {"nn.LayerNorm": wireless.sampled(lambda: norm(x))}


@torch.inference_mode()
def attention(s, r):
    qkv = torch.randn(s, r, 3 * HEADS * WIDTH)
    gate = torch.randn(s, r, HEADS * WIDTH)
    bias = torch.randn(r, r, HEADS).permute(2, 0, 1)[None]
    mask = torch.zeros(s, 1, 1, r)
    return {
        how: wireless.sampled(lambda: gated(qkv, gate, HEADS, mask, bias, how))
        for how in (STEPS, SDPA)
    }


def block(s, r, train):
    m, z = torch.randn(s, r, C_M), torch.randn(r, r, C_Z)
    masks = torch.ones(s, r), torch.ones(r, r)
    times = {}
    for how in (STEPS, SDPA):
        made = Block(how).train(train)
        if train:
            m.requires_grad_()
            z.requires_grad_()

            def body():
                made.zero_grad()
                m.grad = z.grad = None
                last_m, last_z = made(m, z, *masks)
                (last_m.mean() + last_z.mean()).backward()
        else:

            def body():
                with torch.inference_mode():
                    return made(m, z, *masks)

        times[how] = wireless.sampled(body)
    return times


TURNS = {
    "softmax": softmax,
    "LayerNorm": layer_norm,
    "attention": attention,
    "block-forward": functools.partial(block, train=False),
    "block-train": functools.partial(block, train=True),
}


def torch_medians(row, s, r):
    command = [sys.executable, HERE / "fastfold.py", "--turn", row, str(s), str(r)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    times = json.loads(answer.stdout)
    return {how: statistics.median(seconds) for how, seconds in times.items()}


# Assay's side.


def ours(row, s, r, folder, printed):
    """The median of a run of its own, seconds. `printed` remembers, within a
    turn, what examples said."""
    named = OURS[row]
    environment = os.environ | {"RAYON_NUM_THREADS": str(THREADS)}
    if isinstance(named, Case):
        folder = Path(folder) / f"{row}-{s}-{r}"
        command = [
            ASSAY, "run", f"fastfold/initial-training/{named.phase}",
            f"sequences={s}", f"residues={r}",
            "--budget", f"{SECONDS:g}s", "--out", folder,
        ]  # fmt: skip
        ran(command, environment)
        (path,) = (folder / "cases").glob("*.jsonl")
        return statistics.median(wireless.steady_samples(path))
    arguments = (part.format(s=s, r=r) for part in named.arguments)
    program = (EXAMPLES / named.example, *arguments)
    if program not in printed:
        printed[program] = ran(program, environment)
    return rung(printed[program], named.title.format(s=s, r=r), named.name)


def ran(command, environment):
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}\n{done.stderr}{done.stdout}")
    return done.stdout


def rung(text, title, name):
    lines = text.splitlines()
    if title not in lines:
        sys.exit(f"no line `{title}` in\n{text}")
    for line in lines[lines.index(title) + 1 :]:
        found = re.fullmatch(rf"\s+{re.escape(name)}\s+([0-9.]+).*", line)
        if found:
            return float(found.group(1)) / 1e3
        if not line.startswith(" "):
            break
    sys.exit(f"no `{name}` under `{title}` in\n{text}")


# Both.


def rows():
    return [(row, s, r) for s, r in SHAPES for row in WHAT]


def compare(turns):
    theirs = {row: [] for row in rows()}
    mine = {row: [] for row in rows()}
    for turn in range(turns):
        with tempfile.TemporaryDirectory() as folder:
            printed = {}
            for row in rows():
                print(f"turn {turn + 1} of {turns}: {row}", file=sys.stderr)
                sides = [lambda: theirs[row].append(torch_medians(*row))]
                if OURS[row[0]]:
                    sides.append(
                        lambda: mine[row].append(ours(*row, folder, printed))
                    )
                for side in sides if turn % 2 == 0 else reversed(sides):
                    side()
    sure = 100 * wireless.enclosing(turns)[1]
    wireless.heading(f"{turns} turns of {SECONDS:g} s; median, {sure:.1f} % interval")
    print("| | S x R | PyTorch, ms | how | the other way, ms | Assay, ms | PyTorch / Assay |")
    print("|---|---|---|---|---|---|---|")
    for row in rows():
        print(cells(row, theirs[row], mine[row]), flush=True)


def cells(row, theirs, mine):
    """A line of the table: the faster of PyTorch's ways counts."""
    name, s, r = row
    middle = {how: statistics.median(t[how] for t in theirs) for how in theirs[0]}
    best, *others = sorted(middle, key=middle.get)

    def shown(seconds):
        digits = 3 if statistics.median(seconds) < 0.01 else 1
        return wireless.with_interval([1e3 * second for second in seconds], digits)

    line = [WHAT[name], f"{s} x {r}", shown([t[best] for t in theirs]), best]
    line += [shown([t[how] for t in theirs]) for how in others] or ["-"]
    if mine:
        ratios = [t[best] / o for t, o in zip(theirs, mine, strict=True)]
        line += [shown(mine), wireless.with_interval(ratios, 3)]
    else:
        line += ["-", "-"]
    return "| " + " | ".join(line) + " |"


def torch_alone():
    wireless.heading(f"one turn of {SECONDS:g} s; medians")
    print("| | S x R | ms |")
    print("|---|---|---|")
    for row in rows():
        times = torch_medians(*row).items()
        times = ", ".join(f"{how} {1e3 * value:.2f}" for how, value in times)
        print(f"| {WHAT[row[0]]} | {row[1]} x {row[2]} | {times} |", flush=True)


# Parity.


def parity():
    """Whether both sides answer as the reference does, at full width."""
    from safetensors.torch import load_file

    sys.path.insert(0, str(GOLDENS))
    import make

    wireless.heading("both sides against the reference in f64, widths of AlphaFold 2")
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        config = make.architecture("alphafold-2")
        print(make.block(folder, "block", config, 9, 33, seed=1), file=sys.stderr)
        weights = load_file(f"{folder}/block.weights.safetensors")
        weights = {name.removeprefix(make.BLOCK): w for name, w in weights.items()}
        golden = load_file(f"{folder}/block.golden.safetensors")
        inputs = [golden[f"input.{name}"] for name in ("m", "z", "msa_mask", "pair_mask")]
        print("| | largest relative difference |")
        print("|---|---|")
        for how in (STEPS, SDPA):
            for mode in (torch.inference_mode(), torch.enable_grad()):
                with mode:
                    found = of_reference(weights, how)(*inputs)
                off = max(
                    make.relative(found[i].detach(), golden[f"output.{name}"])
                    for i, name in enumerate("mz")
                )
                where = "inference" if torch.is_inference(found[0]) else "training"
                print(f"| PyTorch, {how}, {where} | {off:.1e} |", flush=True)
                if off > 1e-4:
                    wrong.append(how)
        done, off = wireless.verified(
            "fastfold/initial-training/block-forward",
            weights=f"{folder}/block.weights.safetensors",
            golden=f"{folder}/block.golden.safetensors",
        )
        print(f"| `assay verify` | {off} |")
        if done.returncode:
            wrong.append(f"assay verify\n{done.stderr}{done.stdout}")
    if wrong:
        sys.exit(f"not right: {', '.join(wrong)}")


def main(arguments):
    match arguments:
        case ["--turn", row, s, r]:
            torch_turn(row, int(s), int(r))
        case ["--torch"]:
            torch_alone()
        case ["--parity"]:
            parity()
        case []:
            compare(9)
        case [turns]:
            compare(int(turns))


if __name__ == "__main__":
    main(sys.argv[1:])
