#!/usr/bin/env python3
"""Language models on Hexagon NPUs as cases.

    python3 npu.py CALIBRATION_FOLDER [--check]
    python3 npu.py --fit ASSAY

Reads CALIBRATION_FOLDER/measured_latency.csv and writes npu.csv beside this
script, in the columns of `assay calibrate --from`: the rows of Qualcomm AI Hub
in w4a16 of which this project has the shape. With --check nothing is written;
the exit status says whether the committed file is what the table gives.

With --fit the command ASSAY predicts every row, and the shares `compute` and
`memory` of `[npu]` (harness/predict/constants.toml) that leave the least mean
absolute logarithm of predicted over published are printed, each machine
counting as one: over all machines, and with each held out, which is then
judged. `attention` keeps its ratio to `compute`: the rows do not tell the two
apart. The command must hold the shares that constants.toml states: a row's time
by class is scaled from those.

Names only, no time is corrected. A decode step is the inverse of the stated
rate, at the stated context; the first token is of one call, 128 tokens. (The
first tokens of a full context that stand beside them are 32.000 times those:
computed, and no measurement.) Models that
kept a shape and changed its weights (Sea-Lion, Elyza, Taide of LLaMA 3 8B)
stand as that shape; equal times of equal shapes on one machine stand once.
Left out: w4, whose activations are floats; LLaMA 2's first token, whose
processor takes 1,024 tokens at once; models without a shape here.
"""

import collections
import csv
import io
import json
import math
import subprocess
import sys
import tomllib
from pathlib import Path

from convert import HERE, Left, Row, ai_hub

COLUMNS = ["case", "profile", "runtime", "precision", "prompt", "context", "latency_s", "source"]

DEVICES = {
    "Snapdragon 8 Elite Gen 5 QRD": "snapdragon-8-elite-gen-5:npu",
    "Snapdragon 8 Elite QRD": "snapdragon-8-elite:npu",
    "Snapdragon 8 Gen 3 (Galaxy S24)": "snapdragon-8-gen-3:npu",
    "Snapdragon X Elite CRD": "snapdragon-x-elite:npu",
}


def rows(table):
    made = []
    for cells in table:
        if cells["device"] not in DEVICES or "AI Hub" not in cells["engine"]:
            continue
        row = Row(cells)
        try:
            line = ai_hub(row)
        except Left:
            continue
        prompt, context = (line.axes.get(axis, "") for axis in ("prompt", "context"))
        # A context's worth of calls, computed; and a processor of 1,024 tokens.
        if "max" in row.operation or (prompt and line.case.startswith("slm/llama-2-7b/")):
            continue
        profile = DEVICES[cells["device"]]
        made.append([line.case, profile, line.runtime, row.precision, prompt, context, f"{line.seconds:.6g}", row.source])
    # One file a model, and one row a time: the shape's first is told.
    first = {}
    for line in made:
        first.setdefault(tuple(line[:-1]), line)
    return sorted(first.values(), key=lambda line: [str(cell) for cell in line])


def times(assay, row):
    """Predicted seconds of a row by class."""
    axes = [f"{axis}={row[axis]}" for axis in ("prompt", "context") if row[axis]]
    words = [assay, "predict", row["case"], *axes, f"precision={row['precision']}", "--runtime",
             row["runtime"], "--on", row["profile"], "--format", "json"]
    out = subprocess.run(words, capture_output=True, text=True, check=True)
    found = json.loads(out.stdout)
    return (found[0] if isinstance(found, list) else found)["time_by_class"]


def error(rows, share):
    """Mean absolute logarithm of predicted over published, machines as one."""
    by_machine = collections.defaultdict(list)
    for row, scaled in rows:
        by_machine[row["profile"]].append(abs(math.log(share(scaled) / float(row["latency_s"]))))
    return sum(sum(v) / len(v) for v in by_machine.values()) / len(by_machine)


def fit(assay):
    stated = tomllib.loads((HERE.parent.parent / "harness/predict/constants.toml").read_text())["npu"]
    with open(HERE / "npu.csv", newline="", encoding="utf-8") as file:
        rows = [(row, times(assay, row)) for row in csv.DictReader(file)]
    grid = [n / 100 for n in range(10, 101, 2)]

    def scaled(name, share):
        def total(seconds):
            moved = sum(seconds.get(kind, 0.0) for kind in ("matmul", "attention"))
            return sum(seconds.values()) + moved * (stated[name] / share - 1)
        return total

    machines = sorted({row["profile"] for row, _ in rows})
    print("held out", "compute", "error", "memory", "error", sep="\t")
    for out in (None, *machines):
        values = []
        for phase, name in (("prefill", "compute"), ("decode", "memory")):
            of = [(row, t) for row, t in rows if phase in row["case"]]
            seen = [(row, t) for row, t in of if row["profile"] != out]
            best = min(grid, key=lambda share: error(seen, scaled(name, share)))
            judged = [(row, t) for row, t in of if out in (None, row["profile"])]
            off = [scaled(name, best)(t) / float(row["latency_s"]) - 1 for row, t in judged]
            values += [best, f"{100 * sum(map(abs, off)) / len(off):.0f} %"]
        print(out or "none", *values, sep="\t")


def main():
    if sys.argv[1:2] == ["--fit"] and len(sys.argv) == 3:
        return fit(sys.argv[2])
    folders = [a for a in sys.argv[1:] if a != "--check"]
    if len(folders) != 1:
        sys.exit(__doc__)
    with open(Path(folders[0]) / "measured_latency.csv", newline="", encoding="utf-8") as file:
        made = rows(csv.DictReader(file))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(made)
    path = HERE / "npu.csv"
    if "--check" in sys.argv:
        if not path.is_file() or path.read_text(encoding="utf-8") != out.getvalue():
            sys.exit("npu.csv is not as the table gives")
        return None
    path.write_text(out.getvalue(), encoding="utf-8")
    print(f"{len(made)} rows")
    return None


if __name__ == "__main__":
    main()
