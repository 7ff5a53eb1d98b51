#!/usr/bin/env python3
"""A small language model in llama.cpp and in Assay, on this machine.

    peers/llama_cpp.py [TURNS] [FORMAT ...] > table.md    (9 turns; FORMATS)
    peers/llama_cpp.py --profile FILE ...    that profile's stream, not the host's

The first run makes a virtual environment in $PEERS_LLAMA, or
~/.cache/assay-peers/llama (some minutes: pip compiles llama.cpp for this
processor, 2 jobs, no GPU), and beside it a model file a format. $ASSAY is the
program, else target/release/assay. Python 3.11 or later.

The choices:
- The model: the shape of workloads/slm/models/smollm-360m.toml, random weights,
  every matrix in the format, norms in f32, no tokenizer. The table of embeddings
  is the head too and has the format as well, on both sides: q8_0 and q4_0 here
  have ggml's blocks (a file of llama.cpp's own quantiser would have a finer head).
- Decode: one token after 128 in the cache, batch 1; the cell that it wrote is
  taken back each time, so that every step is the same. Prefill: 128 tokens into
  an empty cache, logits of the last alone. Both until the logits are there.
- llama.cpp comes from PyPI's llama-cpp-python, called by its low-level API, with
  its defaults: weights repacked at load where it knows how, flash attention as it
  decides, micro-batches of 512, a cache in f16. Assay's cache is in f32.
- Both sides have $PEERS_THREADS threads (2).
- By turns, and the next turn the other way round, each side in a process of its
  own. A turn samples each for $PEERS_SECONDS (5) after a warm-up, and counts by
  its median. `assay run` verifies its answer first, outside its samples; of
  llama.cpp it is checked that it holds the shape's number of values and that its
  logits are finite and differ.
- A ratio is llama.cpp's time over Assay's of the same turn: above 1 Assay is
  faster. The interval is that of `peers/wireless.py`.
- GB/s: the bytes of all weights, each read once a token, over the time of a turn;
  the cache is not counted. Beside it, the share of the stream that `assay probe`
  measured in main memory; a dash where this machine was never probed.
"""

import hashlib
import json
import logging
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

os.environ.setdefault("PEERS_SECONDS", "5")
sys.dont_write_bytecode = True

import wireless  # noqa: E402
from wireless import ASSAY, SECONDS, THREADS  # noqa: E402

HERE = Path(__file__).resolve().parent
MODEL = "smollm-360m"
SHAPE = HERE.parent / "workloads" / "slm" / "models" / f"{MODEL}.toml"
VENV = Path(os.environ.get("PEERS_LLAMA") or Path.home() / ".cache/assay-peers/llama")
PACKAGES = ["numpy==2.4.6", "gguf==0.19.0", "llama-cpp-python==0.3.36"]
BUILD = {
    "CMAKE_ARGS": "-DGGML_NATIVE=ON -DGGML_CUDA=OFF -DGGML_VULKAN=OFF",
    "CMAKE_BUILD_PARALLEL_LEVEL": "2",
}
FORMATS = ["f16", "bf16", "q8_0", "q4_0"]
KNOWN = ["f32", *FORMATS]
TOKENS = 128
ROOM = 256
PHASES = {"decode": "context", "prefill": "prompt"}
PER_SECOND = {"B/s": 1.0, "MB/s": 1e6, "GB/s": 1e9, "TB/s": 1e12}


def enter_environment():
    """Goes on inside the virtual environment, which the first run makes."""
    python = VENV / "bin" / "python"
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    stamp = VENV / "installed"
    wanted = json.dumps([PACKAGES, BUILD])
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {' '.join(PACKAGES)} in {VENV}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        # A wheel that pip built on another machine may lie in its cache.
        pip = [
            python, "-m", "pip", "install", "-q", "--disable-pip-version-check",
            "--no-binary", "llama-cpp-python", "--no-cache-dir", *PACKAGES,
        ]  # fmt: skip
        subprocess.run(pip, check=True, stdout=sys.stderr, env=os.environ | BUILD)
        stamp.write_text(wanted)
    os.execv(python, [str(python), str(HERE / "llama_cpp.py"), *sys.argv[1:]])


def shape():
    """The model's shape; refused where a matrix would be missing below."""
    model = tomllib.loads(SHAPE.read_text())
    expected = {
        "family": "llama", "gated": True, "norm": "rms-norm", "activation": "silu",
        "attention_bias": "none", "mlp_bias": False, "parallel_residual": False,
        "tied_embeddings": True,
    }  # fmt: skip
    for key, value in expected.items():
        if model[key] != value:
            sys.exit(f"{SHAPE}: {key} is {model[key]}; this script writes {value}")
    return model


def matrices(model):
    """Name in the file to rows and columns."""
    width, inner = model["width"], model["ffn"]
    queries = model["heads"] * model["head_dim"]
    keys = model["kv_heads"] * model["head_dim"]
    found = {"token_embd": (model["vocab"], width)}
    for layer in range(model["layers"]):
        found |= {
            f"blk.{layer}.attn_q": (queries, width),
            f"blk.{layer}.attn_k": (keys, width),
            f"blk.{layer}.attn_v": (keys, width),
            f"blk.{layer}.attn_output": (width, queries),
            f"blk.{layer}.ffn_gate": (inner, width),
            f"blk.{layer}.ffn_up": (inner, width),
            f"blk.{layer}.ffn_down": (width, inner),
        }
    return found


def norms(model):
    layers = range(model["layers"])
    names = [f"blk.{i}.{kind}_norm" for i in layers for kind in ("attn", "ffn")]
    return [*names, "output_norm"]


def values(model):
    """Learned values of the shape."""
    in_matrices = sum(rows * columns for rows, columns in matrices(model).values())
    return in_matrices + len(norms(model)) * model["width"]


def model_file(form):
    """The model in a format, written at the first call."""
    digest = hashlib.sha256(SHAPE.read_bytes())
    path = VENV / "models" / f"{MODEL}-{form}-{digest.hexdigest()[:8]}.gguf"
    if path.exists():
        return path
    path.parent.mkdir(exist_ok=True)
    for old in path.parent.glob(f"{MODEL}-{form}-*"):
        old.unlink()
    print(f"writing {path}", file=sys.stderr)
    unfinished = path.with_suffix(".part")
    write_model(unfinished, form)
    unfinished.rename(path)
    return path


def write_model(path, form):
    import gguf
    import numpy

    model = shape()
    kind = gguf.GGMLQuantizationType[form.upper()]
    rotary = model["positions"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(f"{model['title']}, random weights")
    writer.add_context_length(model["context"])
    writer.add_embedding_length(model["width"])
    writer.add_block_count(model["layers"])
    writer.add_feed_forward_length(model["ffn"])
    writer.add_head_count(model["heads"])
    writer.add_head_count_kv(model["kv_heads"])
    writer.add_key_length(model["head_dim"])
    writer.add_value_length(model["head_dim"])
    writer.add_rope_dimension_count(int(rotary["fraction"] * model["head_dim"]))
    writer.add_rope_freq_base(rotary["theta"])
    writer.add_layer_norm_rms_eps(model["norm_epsilon"])
    # Token numbers are given: there is no text to cut up.
    writer.add_vocab_size(model["vocab"])
    writer.add_tokenizer_model("no_vocab")
    numbers = numpy.random.default_rng(1)
    for name, (rows, columns) in matrices(model).items():
        dense = numbers.standard_normal((rows, columns), dtype=numpy.float32)
        dense /= math.sqrt(columns)
        packed = gguf.quants.quantize(dense, kind)
        writer.add_tensor(f"{name}.weight", packed, raw_dtype=kind)
    for name in norms(model):
        ones = numpy.ones(model["width"], dtype=numpy.float32)
        writer.add_tensor(f"{name}.weight", ones)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# llama.cpp's side. Runs in a process of its own, and prints JSON.


def engine():
    """The package, which has this file's name: the file is not to be found."""
    sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
    # It prints what it loads, through this logger.
    logging.getLogger("llama-cpp-python").setLevel(logging.ERROR)
    import llama_cpp

    return llama_cpp


def llama_turn(phase, path):
    """Seconds of each sample, and bytes of the weights, as JSON on stdout."""
    llama = engine()
    llama.llama_backend_init()
    loaded = llama.llama_model_load_from_file(
        path.encode(), llama.llama_model_default_params()
    )
    if not loaded:
        sys.exit(f"{path}: llama.cpp does not load it")
    parameters = llama.llama_context_default_params()
    parameters.n_ctx = ROOM
    parameters.n_threads = THREADS
    parameters.n_threads_batch = THREADS
    context = llama.llama_init_from_model(loaded, parameters)
    if not context:
        sys.exit(f"{path}: llama.cpp makes no context")
    memory = llama.llama_get_memory(context)
    vocab = shape()["vocab"]

    def batch(count):
        tokens = (llama.llama_token * count)(
            *((7919 * (i + 1)) % vocab for i in range(count))
        )
        # The batch points to the tokens and does not hold them.
        return tokens, llama.llama_batch_get_one(tokens, count)

    def decode(tokens):
        status = llama.llama_decode(context, tokens)
        if status:
            sys.exit(f"llama_decode ended with {status}")
        llama.llama_synchronize(context)

    _kept, prompt = batch(TOKENS)
    _kept_too, one = batch(1)

    def prefill():
        llama.llama_memory_clear(memory, False)
        decode(prompt)

    def step():
        if not llama.llama_memory_seq_rm(memory, 0, TOKENS, -1):
            sys.exit("llama.cpp does not give a cell back")
        decode(one)

    prefill()
    step()
    check(llama, loaded, context, vocab)
    seconds = wireless.sampled(step if phase == "decode" else prefill)
    size = llama.llama_model_size(loaded)
    print(json.dumps({"seconds": seconds, "bytes": size}))


def check(llama, loaded, context, vocab):
    """Refuses another model, and logits that are none."""
    held, wanted = llama.llama_model_n_params(loaded), values(shape())
    if held != wanted:
        sys.exit(f"llama.cpp holds {held} values; the shape has {wanted}")
    logits = llama.llama_get_logits_ith(context, -1)[:vocab]
    if not all(map(math.isfinite, logits)) or max(logits) <= min(logits):
        sys.exit("llama.cpp's logits are not finite, or all the same")


def llama_median(form, phase):
    """Median seconds, and bytes of the weights."""
    command = [
        sys.executable, HERE / "llama_cpp.py", "--turn", phase, model_file(form)
    ]  # fmt: skip
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(answer.stdout.splitlines()[-1])
    return statistics.median(found["seconds"]), found["bytes"]


# Assay's side.


def assay_median(form, phase, folder):
    """Median of the step in a run of its own."""
    command = [
        ASSAY, "run", f"slm/{MODEL}/{phase}", "batch=1",
        f"{PHASES[phase]}={TOKENS}", f"precision={form}",
        "--budget", f"{SECONDS:g}s", "--out", folder,
    ]  # fmt: skip
    environment = os.environ | {"RAYON_NUM_THREADS": str(THREADS)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}\n{done.stderr}{done.stdout}")
    (path,) = (Path(folder) / "cases").glob("*.jsonl")
    return statistics.median(wireless.steady_samples(path))


# Both.


def host_profile():
    """Where `assay probe` leaves this machine's profile."""
    named = os.environ.get("ASSAY_HOST_PROFILE")
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(named or Path(data) / "assay" / "host.toml")


def stream(path):
    """Bytes a second from main memory; `None` without a profile."""
    if not path.exists():
        print(f"{path}: no profile; run `assay probe` first", file=sys.stderr)
        return None
    fact = tomllib.loads(path.read_text())["memory"]["bandwidth"]
    return fact["value"] * PER_SECOND[fact["unit"]]


def compare(turns, forms, profile):
    ceiling = stream(profile)
    for form in forms:
        model_file(form)
    heading(turns, ceiling)
    rows = [(form, phase) for phase in PHASES for form in forms]
    theirs, ours, sizes = {row: [] for row in rows}, {row: [] for row in rows}, {}

    def their_turn(form, phase):
        seconds, sizes[form] = llama_median(form, phase)
        theirs[form, phase].append(seconds)

    def our_turn(form, phase, folder):
        ours[form, phase].append(assay_median(form, phase, folder))

    with tempfile.TemporaryDirectory() as folder:
        for turn in range(turns):
            for form, phase in rows:
                print(f"turn {turn + 1} of {turns}: {phase} {form}", file=sys.stderr)
                out = f"{folder}/{turn}-{form}-{phase}"
                sides = [
                    lambda: their_turn(form, phase),
                    lambda: our_turn(form, phase, out),
                ]
                for side in sides if turn % 2 == 0 else reversed(sides):
                    side()
    print(
        f"| {MODEL}, batch 1, {TOKENS} tokens | format | weights, MB | llama.cpp, ms "
        "| Assay, ms | llama.cpp / Assay | llama.cpp, GB/s | Assay, GB/s | share of the "
        "stream |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for form, phase in rows:
        row = (form, phase)
        print(cells(row, sizes[form], theirs[row], ours[row], ceiling), flush=True)


def cells(row, size, theirs, ours, ceiling):
    """A line of the table."""
    form, phase = row

    def shown(seconds):
        return wireless.with_interval([1e3 * second for second in seconds], 2)

    def rates(seconds):
        return [size / second for second in seconds]

    ratios = [t / o for t, o in zip(theirs, ours, strict=True)]
    read = ["-", "-", "-"]
    # A prefill multiplies each matrix with all its tokens: not bound by reading.
    if phase == "decode":
        read = [
            wireless.with_interval([rate / 1e9 for rate in rates(side)], 1)
            for side in (theirs, ours)
        ]
        share = "-"
        if ceiling:
            share = wireless.with_interval([rate / ceiling for rate in rates(ours)], 2)
        read.append(share)
    line = [
        f"`slm/{MODEL}/{phase}`", form, f"{size / 1e6:.1f}", shown(theirs), shown(ours),
        wireless.with_interval(ratios, 3), *read,
    ]  # fmt: skip
    return "| " + " | ".join(line) + " |"


def heading(turns, ceiling):
    """Date, machine and versions, and what the table is."""
    from importlib.metadata import version

    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    answer = subprocess.run([ASSAY, "--version"], capture_output=True, text=True)
    sure = 100 * wireless.enclosing(turns)[1]
    probed = "main memory not probed"
    if ceiling:
        probed = f"stream of main memory {ceiling / 1e9:.1f} GB/s as probed"
    print(
        f"{turns} turns of {SECONDS:g} s; median, {sure:.1f} % interval. "
        f"{time.strftime('%Y-%m-%d', time.gmtime())}; {THREADS} of {os.cpu_count()} cores "
        f"of {cpu.group(1) if cpu else 'an unknown processor'}, load "
        f"{os.getloadavg()[0]:.1f} at the start, {probed}; llama-cpp-python "
        f"{version('llama-cpp-python')}, Python {sys.version.split()[0]}, "
        f"{answer.stdout.strip()}."
    )
    print(flush=True)


def read(arguments):
    """Turns, formats and the profile's file; `None` for words that are none."""
    profile, turns = host_profile(), 9
    if arguments[:1] == ["--profile"] and len(arguments) > 1:
        profile, arguments = Path(arguments[1]), arguments[2:]
        if not profile.exists():
            return None
    if arguments and arguments[0].isdigit():
        turns, arguments = int(arguments[0]), arguments[1:]
    if turns < 2 or not set(arguments) <= set(KNOWN):
        return None
    return turns, list(dict.fromkeys(arguments)) or FORMATS, profile


def main(arguments):
    match arguments:
        case ["--turn", phase, path] if phase in PHASES:
            enter_environment()
            llama_turn(phase, path)
        case _ if found := read(arguments):
            if not ASSAY.exists():
                sys.exit(f"{ASSAY}: not there; `cargo build --release` first")
            enter_environment()
            compare(*found)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
