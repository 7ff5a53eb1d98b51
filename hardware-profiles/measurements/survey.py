#!/usr/bin/env python3
"""The SLM survey's published latencies as cases, in two halves.

    python3 survey.py FACTS_FOLDER [--check]

Reads FACTS_FOLDER/slm_published.csv and writes survey-fit.csv and
survey-judged.csv beside this script, in the columns of `assay calibrate
--from`: shapes of a device in order of size, every second one to fit on, the
others to judge by. Models of one shape (Phi-1 and Phi-1.5, Qwen-1.8B and
Qwen1.5-1.8B) are the same work and stay together. So an overlay of a device has
seen half of its shapes, and is judged on the other half. With --check nothing
is written; the exit status says whether the committed files are what the table
gives.

Two kinds of rows are added to the half to fit on, after the halves are cut, and
move nothing to or from the other: fine-tunes of LLaMA 7B on the phones, which
are that shape measured again (their name stands in brackets in `source`), and
the survey's prefill of Bloom-1B1 by length of prompt on the Snapdragon 888
(Figure 9a there), a shape that this phone is not judged on. Its decode is left
out: the curve averages over a first token that took no time.

Names only, no time is corrected: a first token is a prefill, a later token a
decode step in the middle of what was generated. Formats: the survey's 4 bits
are Q4_K_M (the facts say why), the phones' INT4 is taken for Q4_0, whose
memory fits theirs. Models of which this project has no shape are left out.
"""

import csv
import io
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
COLUMNS = ["case", "profile", "runtime", "precision", "prompt", "context", "latency_s", "source"]

DEVICES = {
    "Jetson Orin NX 16GB (GPU)": ("nvidia-jetson-orin-nx-16gb", "q4_k_m"),
    "Xiaomi 14 (Snapdragon 8 Gen 3; 16GB; CPU)": ("snapdragon-8-gen-3:cpu", "q4_0"),
    "Pixel 7 Pro (Tensor G2; 12GB; CPU)": ("google-tensor-g2:cpu", "q4_0"),
    "Meizu 18 Pro (Snapdragon 888; 8GB; CPU)": ("snapdragon-888:cpu", "q4_0"),
}

# The phones' table has names of its own; LLaMA 1 and 2 have one shape at 7B, so
# one of the two stands for both. Size in millions, for the order alone.
PHONE_MODELS = {
    "Bloom 560m": ("bloom-560m", 559),
    "Qwen 1.8B": ("qwen-1.8b", 1837),
    "Qwen 1.5 1.8B": ("qwen1.5-1.8b", 1838),
    "LLaMA 2 7B": ("llama-2-7b", 6738),
}

# Fine-tunes of LLaMA 7B that changed neither its shape nor its vocabulary.
SAME_SHAPE = [
    "LLaMA 7B",
    "Koala 7B",
    "Pygmalion/Metharme 7B",
    "Vicuna 7B",
    "Vigogne (French) 7B",
    "WizardLM 7B",
]

# The survey's own curve on a phone: device, and the table's rows.
CURVE = ("Meizu 18 Pro (Snapdragon 888; CPU)", "Bloom-1B1", "first_token_time")


def spelt(name):
    """A model's name as the contract spells it."""
    return re.sub(r"(?<=\d)_(?=\d)", ".", name.lower()).replace("_", "-")


# What an engine works through; a context is only a limit to it.
SHAPE = ["layers", "hidden", "heads", "kv_heads", "head_dim", "ffn", "vocab", "ffn_type"]


def models(facts):
    """Sizes, in millions, and shapes of the models that have one here."""
    with open(facts / "slm_models.csv", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return {
            spelt(row["name"]): (float(row["params_m"]), tuple(row[key] for key in SHAPE))
            for row in rows
        }


def read(facts):
    known = models(facts)
    found = {}
    with open(facts / "slm_published.csv", newline="") as file:
        for row in csv.DictReader(file):
            metric = row["metric"]
            if row["device"] not in DEVICES or row["gen_len"] == "":
                continue
            if metric not in ("first_token_time", "prefill_time_total", "decode_latency_per_token"):
                continue
            profile, precision = DEVICES[row["device"]]
            on_jetson = profile.startswith("nvidia")
            if on_jetson and not row["table_or_figure"].startswith("Figure 7"):
                continue
            if on_jetson:
                name = spelt(row["model"])
                size = known.get(name, (None, None))[0]
            else:
                name, size = PHONE_MODELS.get(row["model"], (None, None))
            if size is None:
                continue
            tokens = int(row["gen_len"]) if metric == "decode_latency_per_token" else None
            found.setdefault(profile, {}).setdefault((size, name), []).append(
                case_row(
                    name, (profile, precision), int(row["prompt_len"]), tokens,
                    float(row["value"]), row["source"],
                )
            )
    return found


def added(facts):
    """Rows beside the halves, to fit on, in the order of the table."""
    rows = []
    with open(facts / "slm_published.csv", newline="") as file:
        for row in csv.DictReader(file):
            metric, value = row["metric"], float(row["value"]) if row["value"] else 0.0
            if (row["device"], row["model"], metric) == CURVE:
                rows.append(
                    case_row(
                        spelt(row["model"]), ("snapdragon-888:cpu", "q4_k_m"),
                        int(row["prompt_len"]), None, value, row["source"],
                    )
                )
            elif row["device"] in DEVICES and row["model"] in SAME_SHAPE:
                if metric not in ("prefill_time_total", "decode_latency_per_token"):
                    continue
                decode = metric == "decode_latency_per_token"
                tokens = int(row["gen_len"]) if decode else None
                source = f"{row['source']} [{row['model']}]"
                rows.append(
                    case_row(
                        "llama-2-7b", DEVICES[row["device"]],
                        int(row["prompt_len"]), tokens, value, source,
                    )
                )
    return rows


def case_row(name, device, prompt, tokens, milliseconds, source):
    """One line: a prefill, or with `tokens` a decode step in their middle."""
    profile, precision = device
    return {
        "case": f"slm/{name}/{'prefill' if tokens is None else 'decode'}",
        "profile": profile,
        "runtime": "llama-cpp",
        "precision": precision,
        "prompt": prompt if tokens is None else "",
        "context": "" if tokens is None else prompt + tokens // 2,
        "latency_s": f"{milliseconds / 1000:.6g}",
        "source": source,
    }


def halves(found, known):
    both = ([], [])
    for profile in sorted(found):
        shapes = []
        for key in sorted(found[profile]):
            name = key[1]
            # A model without a row of shapes is alone with its own.
            shape = known[name][1] if name in known else (name,)
            if shape not in shapes:
                shapes.append(shape)
            rows = sorted(found[profile][key], key=lambda row: row["case"])
            both[shapes.index(shape) % 2].extend(rows)
    return both


def text(rows):
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def main():
    facts = Path(sys.argv[1])
    known = models(facts)
    both = halves(read(facts), known)
    both[0].extend(added(facts))
    right = True
    for name, rows in zip(("survey-fit.csv", "survey-judged.csv"), both):
        path, made = HERE / name, text(rows)
        if "--check" in sys.argv:
            right &= path.read_text() == made
        else:
            path.write_text(made)
            print(f"{name}: {len(rows)} rows")
    sys.exit(not right)


if __name__ == "__main__":
    main()
