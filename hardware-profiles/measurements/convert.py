#!/usr/bin/env python3
"""Turns the table of collected measurements into cases of this project.

    python3 convert.py CALIBRATION_FOLDER [--check]

Reads CALIBRATION_FOLDER/measured_latency.csv and aliases.csv, and writes
published.csv beside this script: one measured case a line, in the columns of
`assay calibrate --from`. Prints what it wrote and what it left out, each with
its reason and its count, as the two tables of README.md. The same table gives
the same bytes. With --check nothing is written; the exit status says whether
the committed file is what the table gives.

Names only: a row gets the name of its case, its device, its runtime and its
axes. No time is corrected. A time that should not be fitted keeps its value
and gets a note that says why; see README.md for the words.
"""

import collections
import csv
import io
import math
import re
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
AXES = (
    "precision batch prompt context tokens m n k phase heads kv_heads head_dim query causal "
    "rows cols kind elements operands vocab width bytes ranks ranks_per_node"
).split()
COLUMNS = ["case", "profile", "runtime", *AXES, "latency_s", "source", "weight", "note"]

# First words of notes on rows that are fit to be used; any other note is a
# reason to keep the row out of a fit.
REMARKS = ("average", "rotary")

# Beside aliases.csv: the same chip in another box, and a box named by its owner.
ALIASES = {
    "NVIDIA V100-SXM2 (DGX-1)": "nvidia-v100-sxm2-32gb",
    "NVIDIA A100-SXM4-80GB DGX": "nvidia-a100-sxm4-80gb",
    "NVIDIA H100-SXM5-80GB DGX": "nvidia-h100-sxm5-80gb",
    "NVIDIA A100 SXM": "nvidia-a100-sxm4-80gb",
    "NVIDIA H100 SXM": "nvidia-h100-sxm5-80gb",
    "AMD MI300X": "amd-instinct-mi300x",
    "AMD Ryzen 9 7950X (16 threads)": "amd-ryzen-9-7950x",
    "Pi 5 - 16GB": "raspberry-pi-5-bcm2712",
    "Pi 5 - 8GB": "raspberry-pi-5-bcm2712",
    "Intel 13900K (Nvidia 5090)": "nvidia-geforce-rtx-5090",
    "Ryzen 9 7900X (Nvidia 4090)": "nvidia-geforce-rtx-4090",
}

# Words of the sources. `sq` is SmoothQuant: weights and activations in int8.
PRECISIONS = {
    **dict.fromkeys(("fp16", "F16", "f16", "FP16", "float16", "FP16(HF baseline)"), "f16"),
    **dict.fromkeys(("bfloat16", "bf16"), "bf16"),
    **dict.fromkeys(("fp32", "float"), "f32"),
    **dict.fromkeys(("w8a8", "int8", "sq"), "int8"),
    **dict.fromkeys(("fp8", "FP8"), "fp8"),
    **dict.fromkeys(("w4a16", "W4A16", "int4_wo"), "int4"),
    **dict.fromkeys(("W4A8 g128", "W4A8 g256"), "int4"),  # with a note, see `executorch`
    "fp16(see LLMCompass: simulated as fp32)": "f16",  # with a note, see `row_wise`
    "Q4_0": "q4_0",
    "Q8_0": "q8_0",
    **dict.fromkeys(("Q4_K_M", "Q4_K_M(ollama default)"), "q4_k_m"),
}

# Language models whose sizes the project knows or ships. Llama 3.1 has the
# sizes of Llama 3, as have Sea-Lion, Elyza and Taide, which trained it on; LLaMA
# 7B and Vicuna have those of LLaMA-2 7B.
MODELS = {
    **dict.fromkeys(("llama-2 7b", "llama-2-7b", "llama 7b", "vicuna-7b"), "llama-2-7b"),
    **dict.fromkeys(("llama-3 8b", "llama-3-8b", "llama-3.1 8b"), "llama-3-8b"),
    "llama 3.2:3b": "llama-3.2-3b",
    "tinyllama 1.1b": "tinyllama-1.1b",
    "phi_3_5_mini_instruct": "phi-3.5-mini-instruct",
    "llama_v2_7b_chat": "llama-2-7b",
    **dict.fromkeys(
        ("llama_v3_1_8b_instruct", "llama_v3_1_sea_lion_3_5_8b_r", "llama_v3_8b_instruct",
         "llama_v3_elyza_jp_8b", "llama_v3_taide_8b_chat"), "llama-3-8b"),  # fmt: skip
    "llama_v3_2_1b_instruct": "llama-3.2-1b",
    "llama_v3_2_3b_instruct": "llama-3.2-3b",
}

# Sizes of the models whose layers Vidur timed: hidden width, heads, kv-heads,
# width of a head, width of the MLP, vocabulary, whether the MLP is gated.
VIDUR = {
    "meta-llama/Llama-2-7b-hf": (4096, 32, 32, 128, 11008, 32000, True),
    "meta-llama/Llama-2-70b-hf": (8192, 64, 8, 128, 28672, 32000, True),
    "meta-llama/Meta-Llama-3-8B": (4096, 32, 8, 128, 14336, 128256, True),
    "microsoft/phi-2": (2560, 32, 32, 80, 10240, 51200, False),
}

COLLECTIVES = {
    "all_reduce": "all_reduce",
    "all_gather": "all_gather",
    "reduce_scatter": "reduce_scatter",
    "alltoall": "all_to_all",
    "send_recv": "send_recv",
}

# What the contract has no name for, and whole networks, which are the business
# of whole_models.py.
NO_CASE = (
    (r"inference_forward|train_iteration|train_forward_only", "whole networks of NeuSight and Megatron: whole_models.py"),
    (r"denoise iterations|\d+ steps|offline", "Stable Diffusion: whole_models.py, but for pictures a second"),
    (r"train activation memory", "memory, not time"),
    (r"fp\d+ (peak|linpack)|buffer bandwidth", "a ceiling, not a case (those of a profile stand in it)"),
    (r"encode|inference", "whisper and AlphaFold: no case"),
)


class Left(Exception):
    """A row that gives no line, with the reason."""


class Row:
    """A line of the table, with the words of its source turned into ours."""

    def __init__(self, cells):
        self.cells = cells
        self.engine = re.sub(r" kernel=.*", "", cells["engine"])
        self.model = cells["model"]
        self.operation = cells["op_or_phase"]
        self.value = float(cells["value"])
        self.ranks = int(cells["device_count"] or 0)
        self.numbers = {k: int(v) for k, v in re.findall(r"(?<![a-zA-Z])([BMNKHE])(\d+)", self.model)}

    @property
    def precision(self):
        words = self.cells["precision"]
        if words not in PRECISIONS:
            raise Left(f"no-precision: {words}")
        return PRECISIONS[words]

    @property
    def seconds(self):
        scale = {"s": 1.0, "ms": 1e-3, "us": 1e-6}.get(self.cells["unit"])
        if scale is None:
            raise Left(f"not a time: {self.cells['metric']}")
        return self.value * scale

    @property
    def per_second(self):
        if not self.cells["unit"].startswith("tok/s"):
            raise Left(f"not a time: {self.cells['metric']}")
        return self.value

    @property
    def source(self):
        """File and engine: repeats of a case are merged inside one of these."""
        words = re.sub(r" \((sample|file gives|median|via secondary).*\)$", "", self.cells["source"])
        second = ", seen in a copy" if "secondary" in self.cells["confidence"] else ""
        return f"{words} [{self.engine}{second}]"

    @property
    def rounding(self):
        """The step in seconds to which the source rounds; zero where fine."""
        steps = {"microsoft/vidur": 1e-6, "NVIDIA/TensorRT-LLM": 1e-3}
        return next((s for name, s in steps.items() if name in self.cells["source"]), 0.0)


class Line:
    """A case with its time."""

    def __init__(self, case, runtime, seconds, note="", unit=None, **axes):
        self.case, self.runtime, self.seconds = case, runtime, seconds
        self.note, self.unit, self.axes = note, unit, axes


def matmul(row):
    n = row.numbers
    m, batch = n["M"], n.get("B", 1)
    if row.operation == "gemm(linear)":  # one weight for all of the batch: more rows
        m, batch = m * batch, 1
    note = ""
    if row.precision == "int8" and "DeepBench" in row.engine:
        note = "suspect: 15 TOP/s, below what int8 dot products on vector lanes give"
    return Line(
        "operators/matmul", "kernel", row.seconds, note,
        batch=batch, m=m, n=n["N"], k=n["K"], precision=row.precision,
    )  # fmt: skip


def best_matmul(row):
    """The fastest shape of a search: its rate is a maximum, not a sample."""
    m, n, k = map(int, re.match(r"(\d+)x(\d+)x(\d+)", row.model).groups())
    seconds = 2 * m * n * k / (row.value * 1e12)
    return Line(
        "operators/matmul", "kernel", seconds, "selected: the fastest of many shapes",
        batch=1, m=m, n=n, k=k, precision=row.precision,
    )  # fmt: skip


def dispatch(row):
    """LLMCompass timed PyTorch calls from the host; the others timed kernels."""
    return "eager" if "LLMCompass" in row.cells["source"] else "kernel"


def row_wise(row):
    n = row.numbers
    rows, cols = (n["B"], n["H"]) if "H" in n else (n["M"], n["N"])
    note = "suspect: f16 or f32, the source says both" if "simulated" in row.cells["precision"] else ""
    return Line(
        f"operators/{row.operation}", dispatch(row), row.seconds, note,
        rows=rows, cols=cols, precision=row.precision,
    )  # fmt: skip


def elementwise(row):
    n = row.numbers
    unary = row.operation in ("relu", "gelu", "tanh")
    scalar = not unary and row.operation.endswith("u")  # `addu`: the other operand is a scalar
    return Line(
        "operators/elementwise", dispatch(row), row.seconds,
        kind=row.operation[:-1] if scalar else row.operation,
        elements=n["E"] if "E" in n else n["B"] * n["H"],
        operands=1 if unary or scalar else 2, precision=row.precision,
    )  # fmt: skip


def attention(row):
    heads, kv_heads, head_dim = map(int, re.match(r"heads(\d+)_kv(\d+)_hd(\d+)", row.model).groups())
    context = int(row.cells["prompt_len"])
    phase = "prefill" if "prefill" in row.operation else "decode"
    return Line(
        "operators/attention", "kernel", row.seconds,
        phase=phase, batch=int(row.cells["batch"]), heads=heads, kv_heads=kv_heads, head_dim=head_dim,
        query=context if phase == "prefill" else 1, context=context, causal="true", precision=row.precision,
    )  # fmt: skip


def collective(row):
    name = COLLECTIVES[row.operation.split("(")[0]]
    size = int(re.search(r"\d+", row.model).group())
    if row.model.startswith("elems"):
        size *= 2
        if name == "all_gather":
            # The source counts the gathered output. Read as one rank's input,
            # eight A100 would receive 1.6 TB/s each over links of 300 GB/s.
            size //= row.ranks
    told = re.search(r"node=(\d+)", row.operation)
    return Line(
        f"operators/{name}", "kernel", row.seconds,
        bytes=size, ranks=row.ranks, ranks_per_node=int(told[1]) if told else row.ranks,
    )  # fmt: skip


def vidur(row):
    """A part of a layer whose weights are divided over `shards` devices.

    Times are equal at every division for the embedding, the sums and the
    norms: those are whole on each device. What the source calls `up` is the
    gate and `up` together where the MLP is gated, and its activation then
    reads both.
    """
    hidden, heads, kv_heads, head_dim, ffn, vocab, gated = VIDUR[row.model]
    shards = int(re.search(r"tp_shard=(\d+)", row.operation)[1])
    tokens, part = int(row.cells["batch"]), row.operation.split("(")[0]
    shape = {
        "attn_pre_proj": ((heads + 2 * kv_heads) * head_dim // shards, hidden),
        "attn_post_proj": (hidden, heads * head_dim // shards),
        "mlp_up_proj": (ffn * (2 if gated else 1) // shards, hidden),
        "mlp_down_proj": (hidden, ffn // shards),
    }
    pointwise = {
        "mlp_act": ("silu" if gated else "gelu", tokens * ffn // shards, 2 if gated else 1, ""),
        "add": ("add", tokens * hidden, 2, ""),
        "attn_rope": ("mul", tokens * (heads + kv_heads) * head_dim // shards, 1, "rotary embedding"),
    }
    if part in shape:
        n, k = shape[part]
        case, note = "matmul", ""
        axes = {"batch": 1, "m": tokens, "n": n, "k": k}
    elif part in pointwise:
        kind, elements, operands, note = pointwise[part]
        case, axes = "elementwise", {"kind": kind, "elements": elements, "operands": operands}
    elif part == "emb":
        case, note = "embedding", ""
        axes = {"vocab": vocab // shards, "width": hidden, "tokens": tokens}
    else:  # input_layernorm, post_attention_layernorm
        case, note = ("rmsnorm" if gated else "layernorm"), ""
        axes = {"rows": tokens, "cols": hidden}
    return Line(f"operators/{case}", "kernel", row.seconds, note, precision=row.precision, **axes)


def model(row):
    if row.ranks != 1:
        raise Left("a language model on several devices")
    name = MODELS.get(row.model.lower())
    if name is None:
        raise Left("a language model of other sizes")
    return name


def llama_cpp(row):
    """llama-bench: `pp512` reads 512 tokens, `tg128` writes 128 after none."""
    name = model(row)
    note = ""
    if re.search(r"Vulkan|OpenCL", row.engine):
        note = "backend: Vulkan or OpenCL, not the vendor's own"
    elif "outlier" in row.cells["confidence"]:
        note = "outlier: marked so by the source's collector"
    count = int(re.search(r"\d+", row.operation).group())
    if row.operation.startswith("tg"):
        # The mean over a cache that grows from nothing to `count` tokens.
        note = note or f"average over context 0..{count}"
        return Line(
            f"slm/{name}/decode", "llama-cpp", 1 / row.per_second, note,
            batch=1, context=count // 2, precision=row.precision,
        )  # fmt: skip
    return Line(
        f"slm/{name}/prefill", "llama-cpp", count / row.per_second, note,
        batch=1, prompt=count, precision=row.precision,
    )  # fmt: skip


# Sources of `decode` that give no length: a short talk. Weights are nearly
# all of the time of these steps, so the number matters little.
SHORT_CONTEXT = 128


def decode(row):
    name = model(row)
    seconds = row.seconds if row.cells["unit"] in ("ms", "us", "s") else 1 / row.per_second
    given = "context not given"
    if "ollama" in row.engine:
        runtime = "llama-cpp"
    elif "ExecuTorch" in row.engine:
        runtime, given = "graph", f"{given}; {row.cells['precision']}, activations in int8"
    elif "llama.cpp" in row.engine:
        runtime = "llama-cpp"
    else:
        runtime = "graph"
        if "HF" in row.engine:
            given += "; too fast for dispatch from Python"
    return Line(
        f"slm/{name}/decode", runtime, seconds, f"uncertain: {given}",
        batch=1, context=SHORT_CONTEXT, precision=row.precision,
    )  # fmt: skip


def prefill(row):
    name = model(row)
    prompt = int(row.cells["prompt_len"])
    if row.cells["unit"] == "tok/s":
        return Line(
            f"slm/{name}/prefill", "llama-cpp", prompt / row.per_second, "uncertain: a fork of 2024-04",
            batch=1, prompt=prompt, precision=row.precision,
        )  # fmt: skip
    note = "uncertain: may hold the host's work of a whole request" if "HF" in row.engine else ""
    return Line(
        f"slm/{name}/prefill", "graph", row.seconds, note, batch=1, prompt=prompt, precision=row.precision,
    )  # fmt: skip


def generate(row):
    """Throughput of whole answers: batch x tokens in the time of one batch."""
    name = model(row)
    batch, prompt, tokens = (int(row.cells[c]) for c in ("batch", "prompt_len", "gen_len"))
    return Line(
        f"slm/{name}/generate", "graph", batch * tokens / row.per_second,
        "derived: from throughput, the scheduler's share inside",
        batch=batch, prompt=prompt, tokens=tokens, precision=row.precision,
    )  # fmt: skip


def ai_hub(row):
    """Qualcomm's NPU runtime: chunks of 128 tokens against a fixed window."""
    name = model(row)
    window = int(row.cells["prompt_len"])
    note = f"uncertain: chunks of 128 tokens against a fixed window of {window}"
    if row.operation == "llm_decode":
        phase, seconds, axes = "decode", 1 / row.per_second, {"context": window}
    else:
        prompt = 128 if "min" in row.operation else window
        phase, seconds, axes = "prefill", row.seconds, {"prompt": prompt}
    return Line(
        f"slm/{name}/{phase}", "qnn", seconds, note, unit="npu", batch=1, precision=row.precision, **axes,
    )  # fmt: skip


READERS = (
    (r".*\(tp_shard=\d+\)", vidur),
    (r"gemm|gemm\(linear\)|bmm", matmul),
    (r"gemm_max_achievable", best_matmul),
    (r"softmax|layernorm", row_wise),
    (r"(add|mul|div|pow)u?|relu|gelu|tanh", elementwise),
    (r"attention_(prefill|decode).*", attention),
    (rf"({'|'.join(COLLECTIVES)})(\(.*\))?", collective),
    (r"(pp|tg)\d+", llama_cpp),
    (r"decode", decode),
    (r"prefill.*|first_token_latency", prefill),
    (r"generation_throughput", generate),
    (r"llm_(decode|prefill).*", ai_hub),
)


def read(row):
    """The line of a row, before its device is looked at."""
    for pattern, why in NO_CASE:
        if re.match(pattern, row.operation):
            raise Left(why)
    if row.cells["unit"] == "W" or row.cells["metric"] == "achieved_mem_bw":
        raise Left("power or bandwidth, not time")
    for pattern, reader in READERS:
        if re.fullmatch(pattern, row.operation):
            return reader(row)
    sys.exit(f"no rule for `{row.operation}` of {row.cells['source']}")


def slug(name):
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def units_of_profiles():
    """Profile -> its units, first the one that is meant when none is named."""
    units = {}
    for path in (HERE.parent / "profiles").glob("*.toml"):
        profile = tomllib.loads(path.read_text(encoding="utf-8"))
        default = profile["default_unit"]
        units[path.stem] = [default, *(u for u in profile["unit"] if u != default)]
    return units


def convert(folder):
    """(lines by key of a case, counts of rows left out by reason)."""
    units = units_of_profiles()
    with open(folder / "aliases.csv", newline="", encoding="utf-8") as file:
        aliases = {r["device"]: r["profile"] for r in csv.DictReader(file)} | ALIASES
    merged, left = collections.defaultdict(list), collections.Counter()
    with open(folder / "measured_latency.csv", newline="", encoding="utf-8") as file:
        for cells in csv.DictReader(file):
            row = Row(cells)
            try:
                profile = aliases.get(cells["device"]) or slug(cells["device"])
                if profile not in units:
                    raise Left("no profile of the device")
                line = read(row)
            except Left as reason:
                left[str(reason)] += 1
                continue
            unit = line.unit or ("cpu" if "CPU" in row.engine else "gpu")
            if unit not in units[profile]:
                sys.exit(f"{profile} has no {unit}: {row.source}")
            if unit != units[profile][0]:
                profile = f"{profile}:{unit}"
            axes = tuple(str(line.axes.get(axis, "")) for axis in AXES)
            key = (line.case, profile, line.runtime, axes, row.source, line.note)
            merged[key].append((line.seconds, row.rounding))
    return merged, left


def natural(key):
    """Order by case, device, runtime, then axes as numbers where they are."""
    case, profile, runtime, axes, source, note = key
    numbers = tuple((0, int(a), "") if a.isdigit() else (1, 0, a) for a in axes)
    return case, profile, runtime, numbers, source, note


def merge(same):
    """Seconds and weight of repeats of a case."""
    # Repeats count once, by their geometric mean: errors are ratios.
    seconds = math.exp(sum(math.log(t) for t, _ in same) / len(same))
    # A time that is a few steps of its rounding says little.
    step = same[0][1]
    return seconds, min(1.0, seconds / (10 * step)) if step else 1.0


def written(merged):
    """The text of published.csv."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for key in sorted(merged, key=natural):
        case, profile, runtime, axes, source, note = key
        seconds, weight = merge(merged[key])
        writer.writerow([case, profile, runtime, *axes, f"{seconds:.6g}", source, f"{weight:.3g}", note])
    return out.getvalue()


def fit_for_use(note):
    return not note or note.startswith(REMARKS)


def tables(merged, left):
    """Counts for README.md."""
    kept = collections.Counter()
    unfit = collections.Counter()
    rows = 0
    for (case, profile, runtime, axes, _, note), same in merged.items():
        rows += len(same)
        if fit_for_use(note):
            kept[case, axes[0], runtime, profile] += 1
        else:
            unfit[note.split(":")[0], case] += 1
    usable = sum(kept.values())
    print(f"{rows} rows -> {len(merged)} lines, {usable} of them usable; {sum(left.values())} rows left out\n")
    print("| case | precision | runtime | devices: lines |\n|---|---|---|---|")
    grouped = collections.defaultdict(list)
    for (case, precision, runtime, profile), count in sorted(kept.items()):
        grouped[case, precision, runtime].append(f"{profile} {count}")
    for (case, precision, runtime), devices in grouped.items():
        print(f"| `{case}` | {precision or '-'} | {runtime} | {', '.join(devices)} |")
    print("\n| note | case | lines |\n|---|---|---|")
    for (word, case), count in sorted(unfit.items()):
        print(f"| `{word}` | `{case}` | {count} |")
    print("\n| left out because | rows |\n|---|---|")
    for why, count in left.most_common():
        print(f"| {why} | {count} |")


def main():
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    if len(arguments) != 1:
        sys.exit(__doc__)
    merged, left = convert(Path(arguments[0]))
    text, target = written(merged), HERE / "published.csv"
    if "--check" in sys.argv:
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            sys.exit("published.csv is not what the table gives")
        return
    target.write_text(text, encoding="utf-8")
    tables(merged, left)


if __name__ == "__main__":
    main()
