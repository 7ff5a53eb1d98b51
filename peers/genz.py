#!/usr/bin/env python3
"""What GenZ predicts for the language-model cases that somebody has measured.

    peers/genz.py OUT.csv [PUBLISHED.csv] > table.md

Reads the rows `slm/...` of hardware-profiles/measurements/published.csv, asks
GenZ for each, writes OUT.csv and prints a Markdown table of GenZ's errors.
The first run makes a virtual environment with GenZ (some 900 MB, most of it
plotting libraries) in $PEERS_GENZ, or ~/.cache/assay-peers/genz. One core, and
20 seconds once installed. Python 3.11 or later. GenZ leaves its layer tables in
/tmp/genz.

OUT.csv has the input's case, profile, runtime, axes, source and note, then
  genz_latency_s  GenZ with its efficiency knobs as shipped (system_eff = 1)
  genz_eff80_s    the same with system_eff = 0.8; see below
  measured_s      the input's latency_s
  genz_error      why GenZ gave no number
  genz_model, genz_system, genz_bits   what GenZ was asked for
  genz_note       where that is not what was measured

The choices:
- Model: GenZ's own, by name. Its Llama-3.1-8B and Phi-3-mini have the shapes
  of Llama 3 8B and Phi 3.5 mini. TinyLlama it does not have; its ModelConfig
  class is given the shapes.
- System: GenZ's own where it has the machine (SYSTEMS, with the figures that
  it ships). Otherwise a GenZ `System` of the profile's declared peak f16 rate,
  bandwidth and memory size; everything else is GenZ's default. GenZ counts
  1 "GB/s" as 2^30 B/s. Its own systems are left so (its A100 reads 7 % faster
  than the sheet); a `System` made here gets the profile's bytes exactly.
- A unit with no f16 peak (an NPU) gets half its int8 peak, since GenZ takes
  one rate and doubles it for int8.
- Precision: f16 is `bf16`, fp8 is `fp8`, q8_0 is `int8`, q4_0, q4_k_m and int4
  are `int4`. GenZ has no weight-only formats: with `int4` the arithmetic runs
  at four times the f16 rate, the cache of keys and values and the activations
  are 4 bits too, and the scales of a block format are not there. A word in
  genz_note says so.
- One beam (Bb = 1; GenZ's default is 4), one device, output_tokens = 0 as
  shipped, and the context of `decode` is its input_tokens.
- `generate` is the prefill and tokens - 1 decode steps at the mean context;
  GenZ has no call for a whole answer. It is in no statistic.
- Efficiency: GenZ's README recommends none. The notebook that the README
  sends its reader to (notebook/LLM_inference_perf.ipynb) opens with "System
  Efficiency" at 0.80: a starting value, not advice, but a value of its own;
  hence the second column.

The statistics leave out the lines whose note says not to fit them (any first
word but `average` and `rotary`); OUT.csv has them. An error is
(GenZ - measured) / measured.
"""

import csv
import os
import statistics
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROFILES = HERE.parent / "hardware-profiles" / "profiles"
PUBLISHED = HERE.parent / "hardware-profiles" / "measurements" / "published.csv"
VENV = Path(os.environ.get("PEERS_GENZ") or Path.home() / ".cache/assay-peers/genz")
GENZ = "genz-llm==0.0.16"
REMARKS = ("average", "rotary")  # notes on usable lines, as in measurements/README.md

KEPT = "case profile runtime precision batch prompt context tokens".split()
ADDED = (
    "genz_latency_s genz_eff80_s measured_s genz_error "
    "genz_model genz_system genz_bits genz_note source note"
).split()

MODELS = {
    "llama-2-7b": "meta-llama/Llama-2-7B",
    "llama-3-8b": "meta-llama/Llama-3.1-8B",
    "llama-3.2-3b": "meta-llama/Llama-3.2-3B",
    "phi-3.5-mini-instruct": "microsoft/Phi-3-mini",
    "tinyllama-1.1b": {
        "model": "TinyLlama-1.1B", "hidden_size": 2048, "num_attention_heads": 32,
        "num_key_value_heads": 4, "num_ffi": 2, "intermediate_size": 5632,
        "num_decoder_layers": 22, "vocab_size": 32000,
    },
}  # fmt: skip

# The machines that GenZ has. Its A100_80GB_GPU (2039 GB/s) and H100_GPU (989
# TFLOP/s, 3400 GB/s) are the SXM modules; the PCIe cards are slower.
SYSTEMS = {
    "nvidia-a100-sxm4-80gb": "A100_80GB_GPU",
    "nvidia-h100-sxm5-80gb": "H100_GPU",
    "amd-instinct-mi300x": "MI300X",
}

BITS = {
    "f16": "bf16", "bf16": "bf16", "f32": "f32", "fp8": "fp8", "int8": "int8",
    "q8_0": "int8", "int4": "int4", "q4_0": "int4", "q4_k_m": "int4",
}  # fmt: skip
WEIGHTS_ONLY = {
    "q8_0": "8.5 bits a weight", "q4_0": "4.5 bits a weight",
    "q4_k_m": "4.9 bits a weight", "int4": "4 bits and scales",
}  # fmt: skip

UNITS = {
    "GB/s": 1e9, "TB/s": 1e12, "GB": 1e9, "GiB": 2**30, "TB": 1e12,
    "GFLOP/s": 1e9, "TFLOP/s": 1e12, "PFLOP/s": 1e15, "GOP/s": 1e9, "TOP/s": 1e12,
}  # fmt: skip


class Cannot(Exception):
    """GenZ cannot be asked this."""


def enter_environment():
    """Goes on inside the virtual environment, which the first run makes."""
    python = VENV / "bin" / "python"
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    os.environ["MPLCONFIGDIR"] = str(VENV / "matplotlib")
    stamp = VENV / "installed"
    if not stamp.exists() or stamp.read_text() != GENZ:
        print(f"installing {GENZ} in {VENV}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, GENZ], check=True, stdout=sys.stderr)
        stamp.write_text(GENZ)
    os.execv(python, [str(python), str(HERE / "genz.py"), *sys.argv[1:]])


def fact(table, key):
    value = table.get(key)
    return value and value["value"] * UNITS[value["unit"]]


def system_of(profile):
    """What GenZ takes as system_name, in words, and a note."""
    if profile in SYSTEMS:
        return SYSTEMS[profile], SYSTEMS[profile], ""
    name, _, unit = profile.partition(":")
    path = PROFILES / f"{name}.toml"
    if not path.exists():
        raise Cannot("no profile of the device")
    facts = tomllib.loads(path.read_text())
    unit = facts["unit"][unit or facts["default_unit"]]
    matrix, vector = unit.get("matrix", {}), unit.get("vector", {})
    peak, note = fact(matrix, "f16") or fact(vector, "f16"), ""
    if peak is None:
        peak, note = fact(matrix, "int8"), "f16 peak taken as half the int8 peak"
        if peak is None:
            raise Cannot("the profile has no f16 and no int8 peak")
        peak /= 2
    bandwidth, size = (fact(facts["memory"], key) for key in ("bandwidth", "size"))
    if size is None:
        raise Cannot("the profile has no memory size")
    # GenZ's units: 1e12 FLOP/s, 2^20 B, 2^30 B/s.
    system = System(
        flops=peak / 1e12, off_chip_mem_size=size / 2**20, offchip_mem_bw=bandwidth / 2**30
    )
    words = f"System({peak / 1e12:g} TFLOP/s; {bandwidth / 1e9:g} GB/s; {size / 1e9:g} GB)"
    return system, words, note


def predict(row, efficiency, model, system, bits):
    """Seconds, by GenZ."""
    case = row["case"].split("/")[2]
    batch = int(row["batch"] or 1)
    common = {
        "model": model, "batch_size": batch, "bits": bits,
        "system_name": system, "system_eff": efficiency,
    }  # fmt: skip

    def prefill():
        return prefill_moddeling(input_tokens=int(row["prompt"]), **common)["Latency"] / 1e3

    def decode(context):
        return decode_moddeling(input_tokens=context, Bb=1, **common)["Latency"] / 1e3

    if case == "prefill":
        return prefill()
    if case == "decode":
        return decode(int(row["context"]))
    if case == "generate":
        tokens = int(row["tokens"])
        return prefill() + (tokens - 1) * decode(int(row["prompt"]) + tokens // 2)
    raise Cannot(f"GenZ has no {case}")


def answer(row):
    """The row of OUT.csv."""
    out = {key: row[key] for key in (*KEPT, "source", "note")}
    out["measured_s"] = row["latency_s"]
    try:
        model = MODELS.get(row["case"].split("/")[1])
        if model is None:
            raise Cannot("GenZ has no such model")
        bits = BITS.get(row["precision"])
        if bits is None:
            raise Cannot("GenZ has no such precision")
        out["genz_bits"] = bits
        if isinstance(model, dict):
            model = ModelConfig(**model)
        out["genz_model"] = getattr(model, "model", model)
        system, out["genz_system"], note = system_of(row["profile"])
        notes = [note] if note else []
        if row["precision"] in WEIGHTS_ONLY:
            kind = WEIGHTS_ONLY[row["precision"]]
            notes.append(f"{row['precision']} ({kind}) asked as {bits} throughout")
        out["genz_note"] = "; ".join(notes)
        for column, efficiency in (("genz_latency_s", 1), ("genz_eff80_s", 0.8)):
            out[column] = f"{predict(row, efficiency, model, system, bits):.6g}"
    # GenZ raises ValueError and bare assertions; whatever it is, it is the answer.
    except Exception as error:
        word = "" if isinstance(error, Cannot) else f"{type(error).__name__}: "
        out["genz_error"] = word + " ".join(str(error).split())
    return out


def line(head, rows, system=""):
    """One line of the printed table."""
    cells = [*head, system, str(len(rows))]
    for column in ("genz_latency_s", "genz_eff80_s"):
        errors = [float(r[column]) / float(r["measured_s"]) - 1 for r in rows]
        sizes = [abs(e) for e in errors]
        for value, sign in (
            (statistics.mean(sizes), ""), (statistics.median(sizes), ""),
            (statistics.median(errors), "+"),
        ):  # fmt: skip
            cells.append(f"{100 * value:{sign}.1f}")
    print("| " + " | ".join(cells) + " |")


def report(rows):
    usable = [r for r in rows if not r["note"] or r["note"].split()[0].strip(":") in REMARKS]
    scored = [r for r in usable if "genz_latency_s" in r]
    versions = ", ".join(f"{name} {version(name)}" for name in ("genz-llm", "numpy", "pandas"))
    print(
        f"{versions}; {len(rows)} lines: {len(scored)} scored, "
        f"{len(rows) - len(usable)} kept out by their note, "
        f"{len(usable) - len(scored)} that GenZ could not answer; errors in %"
    )
    print()
    print(
        "| | device or format | GenZ's system | n | mean size | median size | median "
        "| mean size, 0.8 | median size, 0.8 | median, 0.8 |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for case in ("decode", "prefill"):
        of_case = [r for r in scored if r["case"].endswith("/" + case)]
        if not of_case:
            continue
        for device in sorted({r["profile"] for r in of_case}):
            group = [r for r in of_case if r["profile"] == device]
            line((case, device), group, group[0]["genz_system"])
        for bits in sorted({r["genz_bits"] for r in of_case}):
            line((case, f"all as `{bits}`"), [r for r in of_case if r["genz_bits"] == bits])
        line((case, "**all**"), of_case)
    failed = [r for r in rows if "genz_error" in r]
    print()
    print(f"No answer: {len(failed)} of {len(rows)} lines.")
    for r in failed:
        axes = " ".join(f"{k}={r[k]}" for k in KEPT[3:] if r[k])
        print(f"- `{r['case']}` {axes} on {r['profile']}: {r['genz_error']}")


def main():
    output = Path(sys.argv[1])
    source = Path(sys.argv[2]) if len(sys.argv) > 2 else PUBLISHED
    with open(source, newline="") as file:
        rows = [answer(r) for r in csv.DictReader(file) if r["case"].startswith("slm/")]
    with open(output, "w", newline="") as file:
        writer = csv.DictWriter(file, [*KEPT, *ADDED], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    report(rows)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    enter_environment()
    from importlib.metadata import version

    from GenZ import ModelConfig, System, decode_moddeling, prefill_moddeling

    warnings.simplefilter("ignore")
    main()
