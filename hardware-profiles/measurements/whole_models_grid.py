#!/usr/bin/env python3
"""What each value of a constant of whole networks makes of their errors.

    python3 whole_models_grid.py NAME [VALUE ...]

NAME is one of conv, activation_moves and between_s; without values the grid
that it was fitted on is taken. Prints, for each value, the mean absolute
logarithm of predicted over published by device, and in the end the value of
the least one for each device, for Volta and Turing together, and for all.

The command has no way to give other constants, which are built into it: so
the working tree is copied, the one number changed there, and the command built
again (`cargo build --release`) for each value. The tree itself is left alone;
what is built stands in target/whole-models-grid, and a value takes about a
minute after the first. Builds the committed and the uncommitted alike.
"""

import collections
import csv
import io
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from convert import HERE

ROOT = HERE.parent.parent
PREDICT = Path("harness/predict")

# One picture a step on the fastest device: the host is what bounds it.
HOST_BOUND = ("nvidia-a100-sxm4-80gb", "2")


def is_host_bound(row):
    return (row["profile"], row["batch"]) == HOST_BOUND


def steps(first, last, step):
    return [round(first + i * step, 9) for i in range(round((last - first) / step) + 1)]


# Name -> file, the line with the number, which rows speak of it, the grid.
Constant = collections.namedtuple("Constant", "file line rows grid")
CONSTANTS = {
    "conv": Constant(
        "constants/classes.toml",
        r"(?m)^(\[class\.conv\]\n(?:(?!\[).*\n)*?times = \{ ec = )[0-9.e-]+( \})$",
        lambda row: row["runtime"] == "graph",
        steps(0.24, 0.36, 0.01),
    ),
    "activation_moves": Constant(
        "constants.toml",
        r"(?m)^(activation_moves = )[0-9.e-]+()$",
        lambda row: row["runtime"] == "eager" and not is_host_bound(row),
        steps(1.6, 3.2, 0.2),
    ),
    "between_s": Constant(
        "constants.toml",
        r"(?m)^(between_s = )[0-9.e-]+()$",
        lambda row: row["runtime"] == "eager" and is_host_bound(row),
        steps(36e-6, 50e-6, 1e-6),
    ),
}

# Groups of devices that a value is chosen for.
GROUPS = {
    "Volta and Turing": ("nvidia-v100-sxm2-32gb", "nvidia-t4"),
    "all": None,
}


def copy_of_tree(folder):
    """The files that git knows or would add, as they lie."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def rows_of(constant):
    with open(HERE / "whole-models.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [r for r in rows if r["case"].startswith("instaflow/") and constant.rows(r)]


def predicted(tree, rows):
    """Seconds of each row by the command that the tree builds."""
    target = ROOT / "target" / "whole-models-grid"
    environment = os.environ | {"CARGO_TARGET_DIR": str(target)}
    subprocess.run(["cargo", "build", "--release", "--quiet", "--bin", "assay"], cwd=tree, env=environment, check=True)
    table = tree / "whole-models-rows.csv"
    with open(table, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    command = [target / "release" / "assay", "predict", "--from", table, "--format", "csv"]
    text = subprocess.run(command, cwd=tree, check=True, capture_output=True, text=True).stdout
    found = list(csv.DictReader(io.StringIO(text)))
    wrong = [row["error"] for row in found if row["error"]]
    if wrong:
        sys.exit(wrong[0])
    return [float(row["latency_s_point"]) for row in found]


def errors(rows, seconds):
    """Absolute logarithms by device."""
    found = collections.defaultdict(list)
    for row, s in zip(rows, seconds, strict=True):
        found[row["profile"]].append(abs(math.log(s / float(row["latency_s"]))))
    return found


def mean(found, devices):
    offs = [off for device in devices for off in found.get(device, [])]
    return sum(offs) / len(offs) if offs else math.nan


def scan(constant, values):
    """Errors by device of each value."""
    rows = rows_of(constant)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        copy_of_tree(tree)
        path = tree / PREDICT / constant.file
        text = path.read_text(encoding="utf-8")
        for value in values:
            changed, places = re.subn(constant.line, rf"\g<1>{value:g}\g<2>", text)
            if places != 1:
                sys.exit(f"{constant.file}: the constant stands in {places} places")
            path.write_text(changed, encoding="utf-8")
            found[value] = errors(rows, predicted(tree, rows))
            print(line(value, found[value]), flush=True)
    return found


def line(value, found):
    offs = [f"{device} {mean(found, [device]):.4f} ({len(found[device])})" for device in sorted(found)]
    return f"{value:g}: all {mean(found, found):.4f}; {', '.join(offs)}"


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in CONSTANTS:
        sys.exit(__doc__)
    constant = CONSTANTS[sys.argv[1]]
    found = scan(constant, [float(v) for v in sys.argv[2:]] or constant.grid)
    devices = sorted(next(iter(found.values())))
    groups = {device: [device] for device in devices}
    groups |= {name: list(own or devices) for name, own in GROUPS.items()}
    print()
    for name, own in groups.items():
        known = {value: mean(offs, own) for value, offs in found.items()}
        known = {value: off for value, off in known.items() if not math.isnan(off)}
        if known:
            best = min(known, key=known.get)
            print(f"{name}: {best:g} ({known[best]:.4f})")


if __name__ == "__main__":
    main()
