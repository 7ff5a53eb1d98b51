#!/usr/bin/env python3
"""The wireless networks in PyTorch and in Assay, on this machine.

    peers/wireless.py [TURNS] > table.md    time of a training step (9 turns)
    peers/wireless.py TURNS NETWORK         one row of it
    peers/wireless.py --parity              same answers at full size
    peers/wireless.py --torch               PyTorch's half alone

The first run makes a virtual environment with PyTorch (some 5 GB, since the
package index has no build without CUDA) in $PEERS_TORCH, or
~/.cache/assay-peers/torch. $ASSAY is the program, else target/release/assay.
Python 3.11 or later.

The choices:
- A training step is forward, cross entropy, backward and Adam at 1e-4, batch
  256, f32, the dropout of the paper, on random data that is already in memory.
  Both sides have $PEERS_THREADS threads (2).
- The PyTorch networks are those of workloads/interference/goldens, eager, as
  its users write them. Adam twice: as it comes, and with `fused=True`, which
  has to be asked for and is faster here.
- By turns, and the next turn the other way round, each side in a process of
  its own. A turn samples each for $PEERS_SECONDS (15) after a warm-up, and
  counts by its median. Assay verifies each answer first, outside its samples.
- A ratio is PyTorch's time over Assay's of the same turn: above 1 Assay is
  faster. The table has the median of the turns, and as the interval the turns
  that enclose the true median with the confidence in the header (by order,
  whatever the distribution; 95 % takes 6 turns).
- Parity: random weights of the paper's size, PyTorch's logits in f64 for six
  inputs, and `assay verify` on both files.
"""

import importlib.util
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
GOLDENS = ROOT / "workloads" / "interference" / "goldens" / "make_goldens.py"
VENV = Path(os.environ.get("PEERS_TORCH") or Path.home() / ".cache/assay-peers/torch")
ASSAY = Path(os.environ.get("ASSAY") or ROOT / "target/release/assay")
PACKAGES = ["torch==2.15.0", "numpy==2.4.6", "safetensors==0.8.0"]

THREADS = int(os.environ.get("PEERS_THREADS", "2"))
SECONDS = float(os.environ.get("PEERS_SECONDS", "15"))
BATCH = 256
RATE = 1e-4
SIZE = "full"
NETWORKS = ("cnn", "resnet")
VARIANTS = {"as it comes": {}, "fused": {"fused": True}}
LEAST_SAMPLES = 3


def enter_environment(script=__file__):
    """Goes on with a script inside the virtual environment, which the first run
    makes."""
    python = VENV / "bin" / "python"
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    stamp = VENV / "installed"
    packages = " ".join(PACKAGES)
    if not stamp.exists() or stamp.read_text() != packages:
        print(f"installing {packages} in {VENV}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES], check=True, stdout=sys.stderr)
        stamp.write_text(packages)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.execv(python, [str(python), str(Path(script).resolve()), *sys.argv[1:]])


def goldens():
    """The module that has the networks."""
    spec = importlib.util.spec_from_file_location("goldens", GOLDENS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# PyTorch's side. Runs in a process of its own, and prints JSON.


def torch_turn(network):
    """Seconds of each step, for each variant of Adam, and of inference."""
    import torch

    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    networks = goldens()
    sizes = networks.FULL[network]
    samples = torch.randn(BATCH, sizes["length"], 2)
    targets = torch.randint(sizes["classes"], (BATCH,))
    times = {}
    for variant, options in VARIANTS.items():
        model = networks.NETWORKS[network](
            **sizes, dropout=networks.DROPOUT[network]
        ).train()
        adam = torch.optim.Adam(model.parameters(), lr=RATE, **options)

        def step():
            adam.zero_grad()
            logits = model(samples)
            torch.nn.functional.cross_entropy(logits, targets).backward()
            adam.step()

        times[variant] = sampled(step)
    model.eval()
    with torch.inference_mode():
        times["inference"] = sampled(lambda: model(samples))
    print(json.dumps(times))


def sampled(body):
    """Seconds of each call; the first call and a fifth of the time warm up."""
    body()
    end = time.perf_counter() + SECONDS / 5
    while time.perf_counter() < end:
        body()
    seconds, end = [], time.perf_counter() + SECONDS
    while len(seconds) < LEAST_SAMPLES or time.perf_counter() < end:
        start = time.perf_counter()
        body()
        seconds.append(time.perf_counter() - start)
    return seconds


def torch_medians(network):
    command = [sys.executable, HERE / "wireless.py", "--turn", network]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    times = json.loads(answer.stdout)
    return {what: statistics.median(seconds) for what, seconds in times.items()}


# Assay's side.


def assay_median(network, folder):
    """Median of the step in a run of its own."""
    case = f"interference/{network}/train-step"
    path = assay_record(case, [f"batch={BATCH}", f"size={SIZE}"], folder)
    return statistics.median(steady_samples(path))


def assay_record(case, axes, folder, *options):
    """The record of a case in a run of its own."""
    command = [
        ASSAY, "run", case, *axes, *options,
        "--budget", f"{SECONDS:g}s", "--out", folder,
    ]  # fmt: skip
    environment = os.environ | {"RAYON_NUM_THREADS": str(THREADS)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"assay run ended with {done.returncode}\n{done.stderr}{done.stdout}")
    (path,) = (Path(folder) / "cases").glob("*.jsonl")
    return path


def assay_parameters(path):
    """Parameters of the model that a record is of, as its trace counts them."""
    for line in path.read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "started":
            return event["work"]["parameters"]
    sys.exit(f"{path.stem}: never started")


def steady_samples(path):
    """Seconds of the part `step` past the warm-up, since the last start. An
    answer that was not right has no time."""
    samples, right, ended = [], False, False
    for line in path.read_text().splitlines():
        event = json.loads(line)
        kind = event["event"]
        if kind == "started":
            samples, right, ended = [], False, False
        elif kind == "verified":
            right = event["relative_difference"] <= event["tolerance"]
        elif kind == "sample" and event["part"] == "step" and not event["warm_up"]:
            samples += event["seconds"]
        elif kind == "finished":
            ended = True
        elif kind == "failed":
            sys.exit(f"{path.stem}: {event['error']}")
    if not (right and ended and samples):
        sys.exit(f"{path.stem}: right {right}, ended {ended}, {len(samples)} samples")
    return samples


# Both.


def enclosing(turns):
    """How many turns to leave out at each end, and the confidence that the
    rest encloses the median: at least 95 % where there are turns enough."""

    def confidence(left_out):
        tail = sum(math.comb(turns, k) for k in range(left_out + 1))
        return 1 - 2 * tail / 2**turns

    left_out = 0
    while 2 * (left_out + 1) < turns and confidence(left_out + 1) >= 0.95:
        left_out += 1
    return left_out, confidence(left_out)


def with_interval(values, digits):
    values = sorted(values)
    left_out, _ = enclosing(len(values))
    low, high = values[left_out], values[-1 - left_out]
    point = statistics.median(values)
    return f"{point:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def compare(turns, networks=NETWORKS):
    heading(f"{turns} turns of {SECONDS:g} s; median, {100 * enclosing(turns)[1]:.1f} % interval")
    print(
        "| training step, batch 256 | PyTorch, ms | PyTorch, fused Adam, ms | Assay, ms "
        "| PyTorch / Assay | PyTorch, fused Adam / Assay |"
    )
    print("|---|---|---|---|---|---|")
    for network in networks:
        theirs, ours = by_turns(
            network,
            turns,
            lambda: torch_medians(network),
            lambda folder: assay_median(network, folder),
        )
        cells = [f"`interference/{network}/train-step`", *times_and_ratios(theirs, ours)]
        print("| " + " | ".join(cells) + " |", flush=True)


def by_turns(what, turns, theirs, ours):
    """What each side says in each turn, the next turn the other way round. Ours
    is given a folder of its own each time."""
    said_theirs, said_ours = [], []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(turns):
            print(f"{what}: turn {turn + 1} of {turns}", file=sys.stderr)
            sides = [
                lambda: said_theirs.append(theirs()),
                lambda: said_ours.append(ours(f"{folder}/{turn}")),
            ]
            for side in sides if turn % 2 == 0 else reversed(sides):
                side()
    return said_theirs, said_ours


def times_and_ratios(theirs, ours):
    """Cells of a row: milliseconds of each variant and of ours, then the ratios
    of the turns."""
    cells = [with_interval([1e3 * t[variant] for t in theirs], 1) for variant in VARIANTS]
    cells.append(with_interval([1e3 * t for t in ours], 1))
    for variant in VARIANTS:
        ratios = [t[variant] / o for t, o in zip(theirs, ours, strict=True)]
        cells.append(with_interval(ratios, 3))
    return cells


def torch_alone():
    heading(f"one turn of {SECONDS:g} s; medians")
    print("| batch 256 | step, ms | step, fused Adam, ms | inference, ms |")
    print("|---|---|---|---|")
    for network in NETWORKS:
        times = torch_medians(network)
        cells = [f"{1e3 * value:.1f}" for value in times.values()]
        print("| " + " | ".join([network, *cells]) + " |", flush=True)


def verified(*case, weights, golden):
    """What `assay verify` did with a case's weights and answers, and the largest
    relative difference that it tells."""
    command = [ASSAY, "verify", *case, "--weights", weights, "--golden", golden]
    done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"largest magnitude\s+(\S+)", done.stdout)
    return done, found.group(1) if found else "-"


def parity():
    """Whether `assay verify` says right for each of the five."""
    networks = goldens()
    heading("`assay verify` on PyTorch's weights and logits at full size")
    print("| network | parameters | exit code | largest relative difference |")
    print("|---|---|---|---|")
    wrong = []
    for name, network in networks.NETWORKS.items():
        with tempfile.TemporaryDirectory() as folder:
            sizes = networks.FULL[name]
            made = networks.make(
                Path(folder), name, name, network, sizes, networks.SEEDS[name], train=False
            )
            print(made, file=sys.stderr)
            done, off = verified(
                f"interference/{name}/infer",
                f"size={SIZE}",
                weights=f"{folder}/{name}.weights.safetensors",
                golden=f"{folder}/{name}.golden.safetensors",
            )
        cells = [name, f"{networks.count(network(**sizes)):,}", str(done.returncode), off]
        print("| " + " | ".join(cells) + " |", flush=True)
        if done.returncode:
            wrong.append(name)
            print(done.stderr + done.stdout, file=sys.stderr)
    if wrong:
        sys.exit(f"not right: {', '.join(wrong)}")


def heading(what):
    """Date, machine and versions, and what the table is."""
    import torch

    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    ours = "no assay"
    if ASSAY.exists():
        answer = subprocess.run([ASSAY, "--version"], capture_output=True, text=True)
        ours = answer.stdout.strip()
    print(
        f"{what}. {time.strftime('%Y-%m-%d', time.gmtime())}; {THREADS} of {os.cpu_count()} cores "
        f"of {cpu.group(1) if cpu else 'an unknown processor'}, load {os.getloadavg()[0]:.1f} at "
        f"the start; PyTorch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()}), "
        f"Python {sys.version.split()[0]}, {ours}."
    )
    print(flush=True)


def main(arguments):
    match arguments:
        case ["--turn", network]:
            torch_turn(network)
        case ["--torch"]:
            torch_alone()
        case ["--parity"]:
            parity()
        case []:
            compare(9)
        case [turns]:
            compare(int(turns))
        case [turns, network]:
            compare(int(turns), [network])


if __name__ == "__main__":
    arguments = sys.argv[1:]
    known = arguments in ([], ["--torch"], ["--parity"])
    known |= len(arguments) == 1 and arguments[0].isdigit() and int(arguments[0]) > 1
    known |= len(arguments) == 2 and arguments[0] == "--turn" and arguments[1] in NETWORKS
    known |= len(arguments) == 2 and arguments[0].isdigit() and arguments[1] in NETWORKS
    if not known:
        sys.exit(__doc__)
    enter_environment()
    main(arguments)
