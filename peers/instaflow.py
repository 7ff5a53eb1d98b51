#!/usr/bin/env python3
"""The networks of Stable Diffusion in PyTorch and in Assay, on this machine.

    peers/instaflow.py [TURNS] > table.md    times (9 turns)
    peers/instaflow.py --large [TURNS]       the U-Net at full size instead (3)
    peers/instaflow.py --torch               PyTorch's half alone
    peers/instaflow.py --parity              same answers at full width

The first run makes the virtual environment of `peers/wireless.py` in
$PEERS_TORCH, or ~/.cache/assay-peers/torch, and adds what
`workloads/instaflow/goldens/requirements.txt` names. $ASSAY is the program, else
target/release/assay. Python 3.11 or later.

The choices:
- PyTorch's side is PyPI's `diffusers` as its users call it, eager, at the shapes
  of `workloads/instaflow/networks`, f32, random weights and inputs already in
  memory. Nothing is compiled, sliced or tiled; attention is its default,
  `scaled_dot_product_attention`. Both sides have $PEERS_THREADS threads (2) and
  an allocator that keeps its memory (ALLOCATOR): fresh pages would cost either
  side more than some operators.
- At its best: each case with weights and activations in PyTorch's own layout
  and in `channels_last`; training also with AdamW as it comes and with
  `fused=True`. The fastest way counts, by the median of the turns.
- A forward is in inference mode. A training step is a forward at random times,
  the mean square against data - noise, backward, and AdamW at 1e-6.
- The decoder is `AutoencoderKL.decoder`, without the 1 x 1 convolution before it.
- By turns, and the next turn the other way round, each side in a process of
  its own. A turn samples each for $PEERS_SECONDS (5) after a warm-up, and counts
  by its median. `assay run` verifies each answer first, outside its samples.
- A ratio is PyTorch's time over Assay's of the same turn: above 1 Assay is
  faster. The interval is that of `peers/wireless.py`.
- Parity: random weights at the widths that are timed, few pixels; `diffusers` in
  f64 against `assay verify`.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("PEERS_SECONDS", "5")
sys.dont_write_bytecode = True

import wireless  # noqa: E402
from wireless import ASSAY, SECONDS, THREADS, VENV  # noqa: E402

HERE = Path(__file__).resolve().parent
WORKLOAD = HERE.parent / "workloads" / "instaflow"
GOLDENS = WORKLOAD / "goldens"
REQUIREMENTS = GOLDENS / "requirements.txt"
ALLOCATOR = {
    "MALLOC_TRIM_THRESHOLD_": "40000000000",
    "MALLOC_MMAP_THRESHOLD_": "40000000000",
}
RATE = 1e-6
WEIGHT_DECAY = 0.01


class Row(NamedTuple):
    """A case: a network, a phase, how many pictures of which side."""

    network: str
    phase: str
    batch: int
    picture: int

    def case(self):
        return f"instaflow/{self.network}/{self.phase}"

    def axes(self):
        return [f"batch={self.batch}", f"picture={self.picture}"]

    def size(self):
        return "small" if self.network.startswith("small") else "sd15"


ROWS = [
    Row("small-unet", "forward", 1, 32),
    Row("small-unet", "forward", 64, 32),
    Row("small-unet", "train-step", 64, 32),
    Row("sd15-vae-decoder", "forward", 1, 256),
]
LARGE = [Row("sd15-unet", "forward", 1, 512)]


def enter_environment():
    """Goes on inside the virtual environment, which the first run makes."""
    python = VENV / "bin" / "python"
    if Path(sys.prefix).resolve() != VENV.resolve():
        stamp, wanted = VENV / "installed-instaflow", REQUIREMENTS.read_text()
        if not stamp.exists() or stamp.read_text() != wanted:
            print(f"installing {REQUIREMENTS} in {VENV}", file=sys.stderr)
            subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
            pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            subprocess.run([*pip, "-r", REQUIREMENTS], check=True, stdout=sys.stderr)
            stamp.write_text(wanted)
    elif ALLOCATOR.items() <= os.environ.items():
        return
    # The allocator reads its settings when a process starts.
    os.environ.update(ALLOCATOR)
    os.execv(python, [str(python), str(HERE / "instaflow.py"), *sys.argv[1:]])


def goldens():
    """The module that makes the golden files: it has the configurations."""
    sys.path.insert(0, str(GOLDENS))
    import make

    return make


def pipeline(size):
    return tomllib.loads((WORKLOAD / "models" / f"{size}.toml").read_text())


# PyTorch's side. Runs in a process of its own, and prints JSON.


def torch_turn(row):
    """Seconds of each sample of each way, as JSON on stdout."""
    import torch

    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    if row.phase == "train-step":
        times = training(row)
    elif row.network.endswith("-vae-decoder"):
        times = decoding(row)
    else:
        times = velocity(row)
    print(json.dumps(times))


def layouts():
    import torch

    return {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def latents_shape(row, channels):
    """Of the latents [B, C, H, W] that the pictures of a row have."""
    levels = len(goldens().config(f"{row.size()}-vae")["block_out_channels"])
    side = row.picture // 2 ** (levels - 1)
    return row.batch, channels, side, side


def unet_inputs(row, config):
    """Latents, times of the flow in 0..1, text."""
    import torch

    tokens = pipeline(row.size())["tokens"]
    latents = torch.randn(latents_shape(row, config["in_channels"]))
    text = torch.randn(row.batch, tokens, config["cross_attention_dim"])
    return latents, torch.rand(row.batch), text


def velocity(row):
    """The U-Net, forward."""
    import torch

    make = goldens()
    config = make.config(row.network)
    model = make.new_unet(config)
    latents, times, text = unet_inputs(row, config)
    found = {}
    for way, layout in layouts().items():
        model = model.to(memory_format=layout)
        at = latents.contiguous(memory_format=layout)
        with torch.inference_mode():
            found[way] = wireless.sampled(
                lambda: model(
                    at, 1000 * (1 - times), encoder_hidden_states=text, return_dict=False
                )
            )
    return found


def training(row):
    """A training step of the U-Net."""
    import torch

    make = goldens()
    config = make.config(row.network)
    noise, times, text = unet_inputs(row, config)
    data = torch.randn_like(noise)
    weight = times[:, None, None, None]
    found = {}
    for way, layout in layouts().items():
        start = noise.contiguous(memory_format=layout)
        straight = data.contiguous(memory_format=layout) - start
        for kind, options in {"AdamW": {}, "fused AdamW": {"fused": True}}.items():
            model = make.new_unet(config).train().to(memory_format=layout)
            adam = torch.optim.AdamW(
                model.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY, **options
            )

            def step():
                adam.zero_grad()
                (found_velocity,) = model(
                    start + weight * straight,
                    1000 * (1 - times),
                    encoder_hidden_states=text,
                    return_dict=False,
                )
                torch.nn.functional.mse_loss(found_velocity, straight).backward()
                adam.step()

            found[f"{way}, {kind}"] = wireless.sampled(step)
    return found


def decoding(row):
    """The VAE's decoder."""
    import torch
    from diffusers import AutoencoderKL

    config = goldens().config(f"{row.size()}-vae")
    model = AutoencoderKL.from_config(config).eval().decoder
    latents = torch.randn(latents_shape(row, config["latent_channels"]))
    found = {}
    for way, layout in layouts().items():
        model = model.to(memory_format=layout)
        at = latents.contiguous(memory_format=layout)
        with torch.inference_mode():
            found[way] = wireless.sampled(lambda: model(at))
    return found


def torch_medians(row):
    command = [sys.executable, HERE / "instaflow.py", "--turn", json.dumps(row)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    times = json.loads(answer.stdout.splitlines()[-1])
    return {way: statistics.median(seconds) for way, seconds in times.items()}


# Assay's side.


def assay_median(row, folder):
    """Median of the step in a run of its own."""
    command = [
        ASSAY, "run", row.case(), *row.axes(),
        "--budget", f"{SECONDS:g}s", "--out", folder,
    ]  # fmt: skip
    environment = os.environ | {"RAYON_NUM_THREADS": str(THREADS)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}\n{done.stderr}{done.stdout}")
    (path,) = (Path(folder) / "cases").glob("*.jsonl")
    return statistics.median(wireless.steady_samples(path))


# Both.


def compare(rows, turns):
    theirs, mine = ({row: [] for row in rows} for _ in range(2))
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(turns):
            for index, row in enumerate(rows):
                print(f"turn {turn + 1} of {turns}: {row.case()}", file=sys.stderr)
                out = f"{folder}/{turn}-{index}"
                sides = [
                    lambda: theirs[row].append(torch_medians(row)),
                    lambda: mine[row].append(assay_median(row, out)),
                ]
                for side in sides if turn % 2 == 0 else reversed(sides):
                    side()
    sure = 100 * wireless.enclosing(turns)[1]
    wireless.heading(f"{turns} turns of {SECONDS:g} s; median, {sure:.1f} % interval")
    print(f"diffusers {diffusers_version()}.\n")
    print(
        "| | batch | pixels | PyTorch, ms | how | other ways, ms | Assay, ms "
        "| PyTorch / Assay |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(cells(row, theirs[row], mine[row]), flush=True)


def cells(row, theirs, mine):
    """A line of the table: the fastest of PyTorch's ways counts."""
    middle = {way: statistics.median(t[way] for t in theirs) for way in theirs[0]}
    best, *others = sorted(middle, key=middle.get)

    def shown(seconds):
        digits = 3 if statistics.median(seconds) < 0.01 else 1
        return wireless.with_interval([1e3 * second for second in seconds], digits)

    slower = (f"{way} {shown([t[way] for t in theirs])}" for way in others)
    ratios = [t[best] / o for t, o in zip(theirs, mine, strict=True)]
    line = [
        f"`{row.case()}`", str(row.batch), f"{row.picture} x {row.picture}",
        shown([t[best] for t in theirs]), best, "; ".join(slower),
        shown(mine), wireless.with_interval(ratios, 3),
    ]  # fmt: skip
    return "| " + " | ".join(line) + " |"


def torch_alone():
    wireless.heading(f"one turn of {SECONDS:g} s; medians")
    print(f"diffusers {diffusers_version()}.\n")
    print("| | batch | pixels | ms |")
    print("|---|---|---|---|")
    for row in ROWS:
        times = torch_medians(row).items()
        times = ", ".join(f"{way} {1e3 * value:.2f}" for way, value in times)
        side = f"{row.picture} x {row.picture}"
        print(f"| `{row.case()}` | {row.batch} | {side} | {times} |", flush=True)


def diffusers_version():
    from importlib.metadata import version

    return version("diffusers")


# Parity.


def parity():
    """Whether `assay verify` says right for each network that is timed."""
    make = goldens()
    wireless.heading("`assay verify` on diffusers' weights and f64 answers at full width")
    print("| network | exit code | largest relative difference |")
    print("|---|---|---|")
    wrong = []
    for network, files in {
        "small-unet": lambda at, config: make.unet(at, "made", config, 5),
        "sd15-vae-decoder": lambda at, config: make.vae(
            at, "made", config, 6, (64, 48), gradients=False
        ),
        "sd15-unet": lambda at, config: make.unet(
            at, "made", config, 7, (16, 8), gradients=False
        ),
    }.items():
        with tempfile.TemporaryDirectory() as folder:
            config = make.config(network.removesuffix("-decoder"))
            print(files(folder, config), file=sys.stderr)
            done, off = wireless.verified(
                f"instaflow/{network}/forward",
                weights=f"{folder}/made.weights.safetensors",
                golden=f"{folder}/made.golden.safetensors",
            )
        print(f"| `{network}` | {done.returncode} | {off} |", flush=True)
        if done.returncode:
            wrong.append(network)
            print(done.stderr + done.stdout, file=sys.stderr)
    if wrong:
        sys.exit(f"not right: {', '.join(wrong)}")


def main(arguments):
    match arguments:
        case ["--turn", row]:
            torch_turn(Row(*json.loads(row)))
        case ["--torch"]:
            torch_alone()
        case ["--parity"]:
            parity()
        case []:
            compare(ROWS, 9)
        case ["--large"]:
            compare(LARGE, 3)
        case ["--large", turns]:
            compare(LARGE, int(turns))
        case [turns]:
            compare(ROWS, int(turns))


def known(arguments):
    match arguments:
        case [] | ["--torch"] | ["--parity"] | ["--large"]:
            return True
        case ["--turn", row]:
            return row.startswith("[")
        case ["--large", turns] | [turns]:
            return turns.isdigit() and int(turns) > 1
    return False


if __name__ == "__main__":
    if not known(sys.argv[1:]):
        sys.exit(__doc__)
    enter_environment()
    main(sys.argv[1:])
