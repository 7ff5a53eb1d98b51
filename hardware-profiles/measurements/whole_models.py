#!/usr/bin/env python3
"""Turns the rows of whole networks into cases of this project.

    python3 whole_models.py CALIBRATION_FOLDER [--check]

The other half of convert.py: it takes rows that convert.py leaves out since
they are no operator and no model that ships, and writes whole-models.csv
beside this script, in the same columns but for `model`, a file of models/
where the project ships no shape. No joint fit of operators reads it. Prints
what it wrote and what it left out, each with its reason. With --check nothing
is written; the exit status says whether the committed file is up to date.

Names only, as there: no time is corrected. README.md gives the reason of each
reading.
"""

import collections
import csv
import io
import re
import sys
from pathlib import Path

from convert import ALIASES, HERE, PRECISIONS, Left, Row, merge, slug, units_of_profiles

AXES = "precision batch prompt context picture".split()
COLUMNS = ["case", "profile", "runtime", *AXES, "model", "latency_s", "source", "weight", "note"]

# Rows of whole networks; all others are convert.py's.
WHOLE = re.compile(r"denoise iterations|inference_forward|train_iteration|train_forward_only|decode|first_token_latency")

# The source's word -> name of the case, and a file of models/ or none where
# the project ships the shape.
MODELS = {
    "bert_large": ("bert-large", "bert-large.toml"),
    "gpt2_large": ("gpt2-large", None),
    "opt_13": ("opt-1.3b", None),
    "gpt3_27": ("cerebras-gpt-2.7b", None),  # the same sizes
    "gpt3_xl": ("gpt3-xl", "gpt3-xl.toml"),
    "LLaMA-2-13B": ("llama-2-13b", "llama-2-13b.toml"),
    "VILA-13B": ("llama-2-13b", "llama-2-13b.toml"),  # its language half
    "VILA-7B": ("llama-2-7b", None),  # its language half
    "Llama-2-70B": ("llama-2-70b", "llama-2-70b.toml"),
    "GPT-J 6B": ("gpt-j-6b", "gpt-j-6b.toml"),
}

# Sources that give no length of the cache, as in convert.py.
SHORT_CONTEXT = 128


class Whole:
    """A case with its time."""

    def __init__(self, case, runtime, seconds, precision, note="", model=None, tag="", **axes):
        self.case, self.runtime, self.seconds, self.note = case, runtime, seconds, note
        self.model = f"hardware-profiles/measurements/models/{model}" if model else ""
        self.axes = {"precision": precision, **axes}
        self.tag = tag


def language_model(row):
    if row.ranks != 1:
        raise Left("a model over several devices")
    if row.model not in MODELS:
        raise Left(f"no file of this model: {row.model}")
    return MODELS[row.model]


def denoise(row, _):
    """A guided step: the U-Net on a row with the caption and one without."""
    if "controlnet" in row.model:
        raise Left("ControlNet: a second encoder that no network here has")
    runtime = "graph" if row.engine.endswith("compile") else "eager"
    pictures = int(row.cells["batch"])
    return Whole(
        "instaflow/sd15-unet/forward", runtime, 1 / row.value, row.precision,
        tag=row.model.split(" 512")[0], batch=2 * pictures, picture=512,
    )  # fmt: skip


# The forward half of a training step is 0.45 to 0.6 of the backward one. Far
# above, something else was timed with it: the source gives all memory back
# before each step, and its first allocation falls into that half.
MOST_FORWARD = 0.75


def neusight(row, forwards):
    """`torch.compile` is what the source calls fusion; all of it is f32."""
    if row.operation == "train_forward_only":
        raise Left("the forward half of a training step: no case")
    if "Megatron" in row.engine:
        raise Left("a model over several devices")
    if row.model.startswith("switch"):
        raise Left("Switch: no mixture of experts here")
    name, file = language_model(row)
    phase = "prefill" if row.operation == "inference_forward" else "train-step"
    note = ""
    if row.model == "gpt3_xl":
        note = "uncertain: width 3072, as its 24 heads of 128 need; the source's configuration was not seen"
    elif phase == "train-step":
        note = doubt(row, forwards.get(step(row)))
    return Whole(
        f"slm/{name}/{phase}", "graph" if "fusion" in row.engine else "eager", row.seconds, "f32", note,
        file, batch=int(row.cells["batch"]), prompt=int(row.cells["prompt_len"]),
    )  # fmt: skip


def doubt(row, forward):
    """What a training step's forward half says against it; "" if nothing."""
    if forward is None:
        return "uncertain: no forward half"
    share = forward / (row.seconds - forward)
    if share > MOST_FORWARD:
        return f"suspect: the forward half takes {share:.2f} of the backward one's time"
    return ""


def step(row):
    """What a training step and its forward half have in common. The source
    gives the engine's version with the first and not with the second."""
    engine = re.sub(r"^pytorch[\d.]+", "pytorch", row.engine)
    return row.cells["device"], row.cells["device_count"], engine, row.model, row.cells["batch"], row.cells["prompt_len"]


def decode(row, _):
    if not re.search("gpt-fast|TinyChat|HF", row.engine) or row.model in ("LLaMA-2-7B", "LLaMA-3-8B", "Vicuna-7B"):
        raise Left("convert.py's")
    if row.cells["unit"] == "GB/s":
        raise Left("bandwidth, not time")
    name, file = language_model(row)
    words = row.cells["precision"]
    precision = "int4" if words == "int4-wo g32" else PRECISIONS.get(words)
    if precision is None:
        raise Left(f"no-precision: {words}")
    seconds = row.seconds if row.cells["unit"] == "ms" else 1 / row.per_second
    return Whole(
        f"slm/{name}/decode", "graph", seconds, precision, "uncertain: context not given",
        file, batch=1, context=SHORT_CONTEXT, tag=row.model,
    )  # fmt: skip


def first_token(row, _):
    if row.model == "LLaMA 7B":
        raise Left("convert.py's")
    name, file = language_model(row)
    return Whole(
        f"slm/{name}/prefill", "graph", row.seconds, row.precision,
        model=file, batch=1, prompt=int(row.cells["prompt_len"]),
    )  # fmt: skip


READERS = (
    ("denoise", denoise),
    ("inference_forward|train_", neusight),
    ("decode", decode),
    ("first_token_latency", first_token),
)


def read(row, forwards):
    return next(reader for word, reader in READERS if re.match(word, row.operation))(row, forwards)


def convert(folder):
    """(lines by key of a case, counts of rows left out by reason)."""
    units = units_of_profiles()
    with open(folder / "aliases.csv", newline="", encoding="utf-8") as file:
        aliases = {r["device"]: r["profile"] for r in csv.DictReader(file)} | ALIASES
    # Which half of a card of two chips was timed is not said.
    aliases.pop("AMD Instinct MI250", None)
    merged, left = collections.defaultdict(list), collections.Counter()
    with open(folder / "measured_latency.csv", newline="", encoding="utf-8") as file:
        rows = [Row(cells) for cells in csv.DictReader(file)]
    forwards = {step(row): row.seconds for row in rows if row.operation == "train_forward_only"}
    for row in rows:
        if not WHOLE.match(row.operation) or "llama" in row.engine:
            continue
        try:
            line = read(row, forwards)
            profile = aliases.get(row.cells["device"]) or slug(row.cells["device"])
            if profile not in units:
                raise Left("no profile of the device")
        except Left as reason:
            left[str(reason)] += 1
            continue
        axes = tuple(str(line.axes.get(axis, "")) for axis in AXES)
        # Labels stand in a file each; as sources they are one.
        source = re.sub(r":scripts/asplos/label/.*?\[", " [", row.source)
        source += f" {line.tag}" if line.tag else ""
        key = (line.case, profile, line.runtime, axes, line.model, source, line.note)
        merged[key].append((line.seconds, row.rounding))
    return merged, left


def natural(key):
    case, profile, runtime, axes, *rest = key
    return case, profile, runtime, tuple((len(a), a) for a in axes), *rest


def written(merged):
    """The text of whole-models.csv."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for key in sorted(merged, key=natural):
        case, profile, runtime, axes, model, source, note = key
        seconds, weight = merge(merged[key])
        writer.writerow([case, profile, runtime, *axes, model, f"{seconds:.6g}", source, f"{weight:.3g}", note])
    return out.getvalue()


def main():
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    if len(arguments) != 1:
        sys.exit(__doc__)
    merged, left = convert(Path(arguments[0]))
    text, target = written(merged), HERE / "whole-models.csv"
    if "--check" in sys.argv:
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            sys.exit("whole-models.csv is not what the table gives")
        return
    target.write_text(text, encoding="utf-8")
    kept = collections.Counter((case, axes[0], runtime, profile) for case, profile, runtime, axes, *_ in merged)
    rows = sum(len(same) for same in merged.values())
    usable = sum(not key[-1] for key in merged)
    print(f"{rows} rows -> {len(merged)} lines, {usable} of them without a doubt\n")
    print("| case | precision | runtime | devices: lines |\n|---|---|---|---|")
    grouped = collections.defaultdict(list)
    for (case, precision, runtime, profile), count in sorted(kept.items()):
        grouped[case, precision, runtime].append(f"{profile} {count}")
    for (case, precision, runtime), devices in grouped.items():
        print(f"| `{case}` | {precision} | {runtime} | {', '.join(devices)} |")
    print("\n| left out because | rows |\n|---|---|")
    for why, count in left.most_common():
        print(f"| {why} | {count} |")


if __name__ == "__main__":
    main()
