#!/usr/bin/env python3
"""Turns the tables of collected facts into hardware profiles.

    python3 convert.py FACTS_FOLDER [--check]

Reads FACTS_FOLDER/hardware.csv and FACTS_FOLDER/cpu_units.csv, and writes
profiles/<name>.toml beside this script, one file a device and one a node of
NODES, in the format that FORMAT.md specifies. The same tables give the same
bytes. Every filled cell must end up in a profile: the script stops at the
first one that does not. Cells that the tables leave empty and that were found
out later stand in ADDED, in the columns and with the provenance of the tables.
Memory buses, which the tables do not have, stand in BUSES.
With --check nothing is written; the exit status says whether the committed
files are what the tables give.

Facts only: what is computed here (a CPU's peak from its clusters, flops a
cycle from the stated widths) is marked `derived` and says from what.
"""

import csv
import json
import re
import sys
from pathlib import Path

FORMAT_VERSION = 1

# Architecture families, by the device's name. The first pattern that matches
# wins. A family is a key under which a predictor keeps its constants.
GPU_FAMILIES = [
    (r"\bP100|\bP4\b", "pascal"),
    (r"\bV100", "volta"),
    (r"\bT4\b", "turing"),
    (r"\bA100", "ampere-dc"),
    (r"\bRTX 3090|\bA40\b|\bA6000", "ampere-geforce"),
    (r"\bOrin", "ampere-jetson"),
    (r"\bRTX 4090|\bL4\b|\bL40S", "ada"),
    (r"\bH100|\bH200", "hopper"),
    (r"\bB200", "blackwell"),
    (r"\bRTX 5090", "blackwell-geforce"),
    (r"\bMI250X|\bMI210", "cdna2"),
    (r"\bMI300X", "cdna3"),
    (r"\bArc Pro B60", "xe2"),
    (r"\bApple M1", "apple7"),
    (r"\bApple M2", "apple8"),
    (r"\bApple M3|\bA17 Pro", "apple9"),
    (r"\bSnapdragon", "adreno"),
    (r"\bDimensity|\bPixel|\bTensor", "mali"),
]
CPU_FAMILIES = [
    (r"\b8480\+", "amx"),
    (r"\b8380|\bEPYC 9654|\b7950X", "avx512"),
    (r"\bEPYC 7763", "avx2"),
    (r".", "neon"),
]
NPU_FAMILIES = [
    (r"\bSnapdragon", "hexagon"),
    (r"\bApple", "ane"),
    (r"\bDimensity", "apu"),
    (r"\bOrin", "nvdla"),
]

# f32 lanes of one core's vector unit, where `compute_units_detail` does not
# tell them: CUDA cores of a streaming multiprocessor, ALUs of an Apple core or
# an Xe-core, lanes of a compute unit (CDNA3 issues two operations a lane).
F32_LANES = {
    **dict.fromkeys(("ampere-geforce", "ada", "hopper"), 128),
    **dict.fromkeys(("blackwell", "blackwell-geforce"), 128),
    **dict.fromkeys(("apple7", "apple8", "apple9", "xe2", "cdna3"), 128),
    "cdna2": 64,
}

# Column -> (table of the unit, precision, unit of measure).
PEAKS = {
    "fp64_vec_tflops": ("vector", "f64", "TFLOP/s"),
    "fp64_mat_tflops": ("matrix", "f64", "TFLOP/s"),
    "fp32_vec_tflops": ("vector", "f32", "TFLOP/s"),
    "tf32_mat_tflops": ("matrix", "tf32", "TFLOP/s"),
    "fp16_vec_tflops": ("vector", "f16", "TFLOP/s"),
    "fp16_mat_tflops": ("matrix", "f16", "TFLOP/s"),
    "bf16_mat_tflops": ("matrix", "bf16", "TFLOP/s"),
    "fp8_mat_tflops": ("matrix", "fp8", "TFLOP/s"),
    "int8_mat_tops": ("matrix", "int8", "TOP/s"),
}
PRECISIONS = "f64 f32 tf32 f16 bf16 fp8 int8 int4".split()

# Caches are powers of two on the chip, so "40 MB" is 40 MiB; memory keeps the
# vendor's decimal GB.
CACHES = {
    "l1_or_smem_kb_per_sm": ("l1_per_core", "KiB"),
    "l2_mb": ("l2", "MiB"),
}

RECALLED = "recalled, not checked against a source"

# Device -> column -> (cell, provenance, remark), for cells that the tables
# leave empty. `notes` are added to those of the table: disagreements between
# sources that the table does not tell.
ADDED = {
    "NVIDIA A40": {
        "base_clock_mhz": ("1305", "S:gpu.spicedreamphone.com, A40 PCIe", None),
        "boost_clock_mhz": (
            "1740",
            "S:gpu.spicedreamphone.com, A40 PCIe",
            "1740 gives the vendor's 37.4 TFLOP/s; technical.city lists 1755",
        ),
    },
    "Intel Arc Pro B60": {
        "mem_type": ("GDDR6", None, None),
        "sm_or_cores": ("20", "S:chipversus.com", "20 Xe-cores: 2560 lanes, 20 ray tracing units"),
        "base_clock_mhz": ("2000", "S:technical.city", None),
        "boost_clock_mhz": ("2400", "S:technical.city", None),
        "l1_or_smem_kb_per_sm": ("256", "S:gamebastion.com on BMG-G21", None),
        "l2_mb": (
            "18",
            "S:chipsandcheese.com on BMG-G21",
            "of the chip, in its full form; technical.city lists 4 and 10 for this card",
        ),
    },
    # Arm writes the count of shader cores behind `MC`.
    "Dimensity 9300": {
        "sm_or_cores": ("12", "D:the part's name, Immortalis-G720 MC12", None),
    },
    "Google Pixel 8 (Tensor G3)": {
        "sm_or_cores": ("7", "D:the part's name, Mali-G715 MC7", None),
    },
    "NVIDIA A100-SXM4-40GB": {
        "notes": "Bandwidth: GenZ 1600, against 1555",
    },
    "NVIDIA A100-SXM4-80GB": {
        "notes": "stas00/ml-engineering lists 624 TFLOP/s in fp8 in one table: the chip has no fp8, it is int8",
    },
    "NVIDIA H100-SXM5-80GB": {
        "notes": "Bandwidth: LLM-Viewer and Calculon 3072, GenZ 3400, NeuSight 3430, against 3350",
    },
}

# Device -> bits of the memory bus, all channels and stacks together, and Gbit/s
# of one pin; recalled. A maker's bandwidth is their product, rounded.
BUSES = {
    "NVIDIA A100-SXM4-80GB": (5120, 3.186),
    "NVIDIA A100-SXM4-40GB": (5120, 2.43),
    "NVIDIA A100-PCIe-40GB": (5120, 2.43),
    "NVIDIA A100-PCIe-80GB": (5120, 3.024),
    "NVIDIA H100-SXM5-80GB": (5120, 5.2),
    "NVIDIA H100-PCIe-80GB": (5120, 3.2),
    "NVIDIA B200": (8192, 8),
    "NVIDIA V100-SXM2-32GB": (4096, 1.75),
    "NVIDIA V100-PCIe-32GB": (4096, 1.75),
    "NVIDIA P100-PCIe-16GB": (4096, 1.43),
    "NVIDIA P4": (256, 6),
    "NVIDIA T4": (256, 10),
    "NVIDIA A40": (384, 14.5),
    "NVIDIA RTX A6000": (384, 16),
    "NVIDIA L4": (192, 12.5),
    "NVIDIA L40S": (384, 18),
    "NVIDIA GeForce RTX 3090": (384, 19.5),
    "NVIDIA GeForce RTX 4090": (384, 21),
    "NVIDIA GeForce RTX 5090": (512, 28),
    "NVIDIA Jetson AGX Orin 64GB": (256, 6.4),
    "NVIDIA Jetson Orin NX 16GB": (128, 6.4),
    "AMD Instinct MI210": (4096, 3.2),
    "AMD Instinct MI250X": (8192, 3.2),
    "AMD Instinct MI300X": (8192, 5.2),
    "Intel Arc Pro B60": (192, 19),
    "Apple M1 (8-core GPU)": (128, 4.267),
    "Apple M1 Max (32-core GPU)": (512, 6.4),
    "Apple M2 Max (38-core GPU)": (512, 6.4),
    "Apple M3 (10-core GPU)": (128, 6.4),
    "Apple A17 Pro": (64, 6.4),
    "Snapdragon 888": (64, 6.4),
    "Snapdragon 8+ Gen 1": (64, 6.4),
    "Snapdragon 8 Gen 2": (64, 8.4),
    "Snapdragon 8 Gen 3": (64, 9.6),
    "Dimensity 9300": (64, 9.6),
    "Google Pixel 8 (Tensor G3)": (64, 8.533),
    "Google Tensor G2": (64, 6.4),
    "Qualcomm Adreno 640 / Snapdragon 855 (Pixel 4)": (64, 4.267),
    "Raspberry Pi 5 (BCM2712)": (32, 4.267),
    "Intel Xeon Platinum 8380": (512, 3.2),
    "Intel Xeon Platinum 8480+ (Sapphire Rapids)": (512, 4.8),
    "AMD EPYC 9654 (Genoa)": (768, 4.8),
    "AMD EPYC 7763 (Milan)": (512, 3.2),
    "AMD Ryzen 9 7950X": (128, 5.2),
}
for device, (bits, rate) in BUSES.items():
    ADDED.setdefault(device, {}).update(
        mem_bus_bits=(str(bits), "R", None), mem_pin_gbit_s=(str(rate), "R", None)
    )

# Clusters: a node of like devices. The profile is one device of the node; what
# the node adds is how many there are and how they are joined. `remarks` stand
# beside cells of the device's row.
DGX_A100 = "geektopia.es, announcement of DGX A100"
DGX_H100 = "docs.nvidia.com/dgx-basepod, core components"
NODES = [
    {
        "title": "NVIDIA DGX A100 (8x 80GB)",
        "device": "NVIDIA A100-SXM4-80GB",
        "link": "NVLink3, 12 links to 6 NVSwitch",
        "devices": ("8", DGX_A100, None),
        "adapters": ("8", DGX_A100, "ConnectX-6 of 200 Gb/s; those for storage are not counted"),
        "remarks": {
            "intra_link_gbs_per_dir": "600 both ways; NCCL's all_reduce over 8 reaches 222 (aiconfigurator, 537 MB) "
            "and 174 (Vidur, 67 MB)",
            "internode_gbs_per_dir": "one adapter a device. Vidur's `a100_dgx` nodes reach 7.8 (send_recv of 67 MB), "
            "5.9 (all_reduce of one device each) and 22 (of four each), so presumably another network",
        },
        "notes": "One of the eight devices, with its links; memory, peaks and tdp are one device's. The system takes "
        "6.5 kW at most (pcnews.ru, from NVIDIA's documentation)",
    },
    {
        "title": "NVIDIA DGX H100 (8x 80GB)",
        "device": "NVIDIA H100-SXM5-80GB",
        "link": "NVLink4, 18 links to 4 NVSwitch",
        "devices": ("8", DGX_H100, None),
        "adapters": (
            "8",
            DGX_H100,
            "single-port ConnectX-7 of 400 Gb/s; the two with two ports are for storage and not counted",
        ),
        "remarks": {
            "intra_link_gbs_per_dir": "900 both ways; NCCL's all_reduce over 8 reaches 365 (Vidur, 67 MB)",
            "internode_gbs_per_dir": "one adapter a device; Vidur's send_recv of 67 MB reaches 36",
        },
        "notes": "One of the eight devices, with its links; memory, peaks and tdp are one device's. The system takes "
        "10.2 kW at most (flashgenius.net).",
    },
]


def slug(device):
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")


def family(table, device):
    for pattern, name in table:
        if re.search(pattern, device):
            return name
    sys.exit(f"{device}: no architecture family; add one to convert.py")


def number(value):
    """The shortest text of a number: whole numbers without a point."""
    value = float(f"{float(value):.12g}")
    return str(int(value)) if value == int(value) else repr(value)


def text(words):
    return json.dumps(words, ensure_ascii=False)


def fact(value, unit, source, trust, kind="declared", note=None):
    parts = [
        f"value = {number(value)}",
        f"unit = {text(unit)}",
        f"source = {text(source)}",
        f"trust = {text(trust)}",
        f"kind = {text(kind)}",
    ]
    if note:
        parts.append(f"note = {text(note)}")
    return "{ " + ", ".join(parts) + " }"


class Row:
    """One device of hardware.csv, with the cells that were not used yet."""

    def __init__(self, cells):
        self.cells = cells = dict(cells)
        self.device = cells["device"]
        added = dict(ADDED.get(self.device, {}))
        added_notes = added.pop("notes", None)
        plain, _, raw = cells["notes"].partition("RAW ")
        self.notes = plain.rstrip(" |")
        # `RAW column: words; column: words` are remarks on single cells.
        columns = "|".join(map(re.escape, cells))
        parts = re.split(rf"(?:^|; )({columns}): ", raw)
        self.remarks = dict(zip(parts[1::2], map(str.strip, parts[2::2])))
        self.provenance = {}
        for part in re.split(r"; (?=\w+=)", cells["provenance"]):
            column, equals, source = part.partition("=")
            if equals:
                self.provenance[column] = source
        self.all_recalled = cells["provenance"].startswith("all values recalled")
        for column, (cell, source, remark) in added.items():
            if cells.get(column):
                sys.exit(f"{self.device}: {column} is in the table now; drop it from ADDED")
            cells[column] = cell
            self.provenance[column] = source
            if remark:
                self.remarks[column] = remark
        if added_notes:
            self.notes = ". ".join(w.rstrip(". ") for w in (self.notes, added_notes) if w)
        self.left = {
            column
            for column, cell in cells.items()
            if cell and column not in ("device", "provenance", "notes")
        }

    def has(self, column):
        return bool(self.cells.get(column))

    def value(self, column):
        return float(self.cells[column])

    def words(self, column):
        self.left.discard(column)
        return self.cells[column]

    def fact(self, column, unit):
        """The cell as a fact, with its source and its remark."""
        self.left.discard(column)
        remark = self.remarks.pop(column, None)
        origin = self.provenance.get(column, "R" if self.all_recalled else None)
        if origin is None:
            sys.exit(f"{self.device}: {column} has no provenance")
        if origin == "R":
            derived = remark is not None and "derived" in remark
            trust = "derived" if derived else "recalled"
            source = "derived from recalled facts, see the note" if derived else RECALLED
        else:
            letter, _, source = origin.partition(":")
            trust = {"S": "seen", "D": "derived"}[letter]
            source = re.sub(r"([+/]| from )S:", lambda m: " + " if m[1] in "+/" else m[1], source)
        measured = (
            column.startswith("measured_")
            or "own-analysis" in source
            or (remark is not None and "measured" in remark)
        )
        kind = "measured" if measured else "declared"
        return fact(self.cells[column], unit, source, trust, kind, remark)


def clusters_of(row, units, flops_by_core):
    """The CPU clusters of a device: (core, cores, GHz, flops/cycle, source)."""
    if row.device in units:
        return units[row.device]
    # Not in cpu_units.csv, but the device's text names cores and clocks.
    found = []
    for count, core, clock in re.findall(
        r"(\d+)x (?:Cortex-)?([XA]\d+(?:AE)?) (\d+\.\d+)",
        row.cells["compute_units_detail"],
    ):
        core = f"Cortex-{core}"
        source = "recalled; as of the same core in other devices (cpu_units.csv)"
        found.append((core, count, clock, flops_by_core[core], source))
    return found


def peaks(row, kind, arch):
    """vector and matrix tables: {table: {precision: fact}}."""
    tables = {"vector": {}, "matrix": {}}
    for column, (table, precision, unit) in PEAKS.items():
        if not row.has(column):
            continue
        remark = row.remarks.get(column, "")
        # A `_mat_` cell of a machine without a matrix unit for that format is
        # its vector unit's dot product (dp4a, VNNI, sdot, AVX512-BF16).
        on_vector = (
            (kind == "cpu" and arch != "amx")
            or "AVX512" in remark
            or (arch in ("pascal", "volta") and precision == "int8")
        )
        if on_vector and precision in tables["vector"]:
            sys.exit(f"{row.device}: {column} would overwrite a vector peak")
        table = "vector" if on_vector else table
        tables[table][precision] = row.fact(column, unit)
    # CDNA2 has no TF32 but a full f32 matrix rate, told in a remark.
    told = re.search(r"fp32 matrix ([\d.]+)", row.remarks.get("tf32_mat_tflops", ""))
    if told:
        remark = row.remarks.pop("tf32_mat_tflops")
        tables["matrix"]["f32"] = fact(
            told[1], "TFLOP/s", RECALLED, "recalled", note=f"tf32: {remark}"
        )
    return tables


def flops_per_cycle(row, kind, arch):
    """f32 flops a cycle of one core's vector unit, where the widths are known."""
    if kind == "gpu":
        told = re.match(r"\d+ SM x (\d+) FP32", row.cells["compute_units_detail"])
        if told:
            words = f"{told[1]} f32 lanes x 2 (fused multiply-add), compute_units_detail"
            return fact(2 * int(told[1]), "FLOP/cycle", words, "derived")
        if arch in F32_LANES and row.cells["sm_or_cores"]:
            lanes = F32_LANES[arch]
            twice = " x 2 (dual issue)" if arch == "cdna3" else ""
            shown = lanes // 2 if twice else lanes
            words = f"{shown} f32 lanes{twice} x 2 (fused multiply-add) of the family {arch}, recalled"
            return fact(2 * lanes, "FLOP/cycle", words, "recalled")
    else:
        told = re.match(r"(\d)x(\d+)", row.cells["simd_width_bits"])
        if told:
            lanes = int(told[1]) * int(told[2]) // 32
            words = f"{told[1]} x {told[2]}-bit fused multiply-add, simd_width_bits"
            return fact(2 * lanes, "FLOP/cycle", words, "derived")
    return None


def side(words, kind):
    """The parts of `CPU ...; GPU ...` that speak of one unit.

    A part that says neither speaks of the GPU, of which the row is.
    """
    mine = []
    for part in words.split("; "):
        about_cpu = part.startswith("CPU ") or "Cortex" in part
        if about_cpu == (kind == "cpu"):
            mine.append(part)
    return "; ".join(mine)


def main_unit(row, kind, arch, soc):
    """The unit that the row's columns speak of, as (key, rendered) sections."""
    head = [("architecture", text(arch))]
    if row.has("compute_units_detail"):
        words = row.words("compute_units_detail")
        head.append(("detail", text(side(words, kind) if soc else words)))
    if row.has("simd_width_bits"):
        words = row.words("simd_width_bits")
        head.append(("simd", text(side(words, kind) if soc else words)))
    if row.has("sm_or_cores"):
        head.append(("cores", row.fact("sm_or_cores", "1")))
    per_cycle = flops_per_cycle(row, kind, arch)
    if per_cycle:
        head.append(("flops_per_cycle", per_cycle))
    if row.has("launch_overhead_us"):
        # The remark of a phone speaks of the NPU too; see npu_unit.
        head.append(("launch_overhead", row.fact("launch_overhead_us", "us")))
    sections = [("", head)]
    for table, entries in peaks(row, kind, arch).items():
        rows = [(p, entries[p]) for p in PRECISIONS if p in entries]
        sections.append((table, rows))
    clocks = []
    if row.has("base_clock_mhz"):
        clocks.append(("base", row.fact("base_clock_mhz", "MHz")))
    told = re.search(r"at (\d\.\d+)", row.told_f32)
    if kind == "cpu" and told:
        words = "clock at which the vector peaks are quoted, " + RECALLED
        clocks.append(
            ("sustained", fact(float(told[1]) * 1000, "MHz", words, "recalled"))
        )
    if row.has("boost_clock_mhz"):
        clocks.append(("boost", row.fact("boost_clock_mhz", "MHz")))
    sections.append(("clock", clocks))
    caches = [
        (key, row.fact(column, unit))
        for column, (key, unit) in CACHES.items()
        if row.has(column)
    ]
    if row.has("l3_or_llc_mb"):
        told = re.match(r"[\d.]+ L3 \+ ([\d.]+) SLC", row.remarks.get("l3_or_llc_mb", ""))
        if told:
            # A phone: the L3 is the CPU's (see cpu_unit), the rest shared.
            words = f"system-level cache, {RECALLED}"
            caches.append(("llc", fact(told[1], "MiB", words, "recalled")))
        else:
            caches.append(("llc", row.fact("l3_or_llc_mb", "MiB")))
    sections.append(("cache", caches))
    links = []
    if row.has("intra_link"):
        words = row.words("intra_link")
        links.append(("name", text(row.node["link"] if row.node else words)))
    for column, key in (
        ("intra_link_gbs_per_dir", "intra_node"),
        ("pcie_gbs_per_dir", "pcie"),
        ("internode_gbs_per_dir", "inter_node"),
    ):
        if row.has(column):
            links.append((key, row.fact(column, "GB/s")))
    if row.node:
        for key in ("devices", "adapters"):
            count, source, note = row.node[key]
            links.append((f"{key}_per_node", fact(count, "1", source, "seen", note=note)))
    sections.append(("link", links))
    if row.has("measured_peak_matmul_tflops"):
        # LLMCompass measured fp16; all the other matmul peaks are bf16.
        half = "f16" if row.device == "AMD Instinct MI210" else "bf16"
        peak = row.fact("measured_peak_matmul_tflops", "TFLOP/s")
        sections.append(("[gemm]", [("precision", text(half)), ("peak", peak)]))
    if row.has("measured_peak_bw_gbs"):
        rate = row.fact("measured_peak_bw_gbs", "GB/s")
        sections.append(("[bandwidth]", [("level", text("dram")), ("rate", rate)]))
    return sections


def cluster_sections(clusters):
    return [
        (
            "[cluster]",
            [
                ("core", text(core)),
                ("cores", fact(cores, "1", RECALLED, "recalled")),
                ("clock", fact(clock, "GHz", RECALLED, "recalled")),
                ("flops_per_cycle", fact(flops, "FLOP/cycle", source, "recalled")),
            ],
        )
        for core, cores, clock, flops, source in clusters
    ]


def cpu_unit(row, clusters):
    """A CPU known by its clusters: peaks are sums over them."""
    total = sum(int(n) * float(ghz) * float(f) for _, n, ghz, f, _ in clusters) / 1e3
    named = " + ".join(
        f"{n} x {core} x {ghz} GHz x {f}" for core, n, ghz, f, _ in clusters
    )
    head = [("architecture", text("neon"))]
    for key, column in (
        ("detail", "compute_units_detail"),
        ("simd", "simd_width_bits"),
    ):
        words = side(row.cells[column], "cpu")
        if words:
            head.append((key, text(words)))
    sections = [
        ("", head),
        (
            "vector",
            [
                ("f32", fact(total, "TFLOP/s", f"sum of clusters: {named}", "derived")),
                (
                    "f16",
                    fact(
                        2 * total,
                        "TFLOP/s",
                        "twice f32: every core is ARMv8.2 or later, with f16 arithmetic",
                        "derived",
                    ),
                ),
            ],
        ),
    ]
    told = re.match(r"[\d.]+ L3 \+", row.remarks.get("l3_or_llc_mb", ""))
    if told:
        sections.append(("cache", [("llc", row.fact("l3_or_llc_mb", "MiB"))]))
    return sections + cluster_sections(clusters)


def npu_unit(row, launch_remark):
    head = [("architecture", text(family(NPU_FAMILIES, row.family_key)))]
    told = re.search(r"NPU graph call ~(\d+)-(\d+)", launch_remark)
    if told:
        note = f"lower end of {told[1]}-{told[2]} us a graph call"
        head.append(
            ("launch_overhead", fact(told[1], "us", RECALLED, "recalled", note=note))
        )
    return [("", head), ("matrix", [("int8", row.fact("npu_int8_tops", "TOP/s"))])]


def profile(row, units, flops_by_core, node=None):
    """The whole TOML text of a device, or of a device in a node."""
    title = node["title"] if node else row.device
    name = slug(title)
    row.node = node
    if node:
        row.remarks.update(node["remarks"])
        row.notes = ". ".join(w.rstrip(". ") for w in (node["notes"], row.notes) if w)
    device_class = row.words("class") + (" cluster" if node else "")
    vendor = row.words("vendor")
    row.family_key = row.device
    clusters = clusters_of(row, units, flops_by_core)
    launch_remark = row.remarks.get("launch_overhead_us", "")
    row.told_f32 = row.remarks.get("fp32_vec_tflops", "")
    soc = "SoC" in device_class
    sections = {}
    npu = npu_unit(row, launch_remark) if row.has("npu_int8_tops") else None
    if device_class.endswith("CPU") or device_class == "SBC":
        default = "cpu"
        arch = family(CPU_FAMILIES, row.device)
        sections["cpu"] = main_unit(row, "cpu", arch, False)
        if clusters:
            sections["cpu"] += cluster_sections(clusters)
    else:
        default = "cpu" if device_class == "phone SoC" and clusters else "gpu"
        cpu = None
        gpu = None
        if row.has("fp32_vec_tflops"):
            arch = family(GPU_FAMILIES, row.device)
            gpu = main_unit(row, "gpu", arch, soc)
        if clusters:
            cpu = cpu_unit(row, clusters)
        for key, unit in (("cpu", cpu), ("gpu", gpu)):
            if unit:
                sections[key] = unit
    if npu:
        sections["npu"] = npu

    memory = [("bandwidth", row.fact("mem_bw_gbs", "GB/s"))]
    if row.has("mem_type"):
        memory.insert(0, ("technology", text(row.words("mem_type"))))
    if row.has("mem_gb"):
        memory.append(("size", row.fact("mem_gb", "GB")))
    if row.has("mem_bus_bits"):
        memory.append(("bus_width", row.fact("mem_bus_bits", "bit")))
        memory.append(("pin_rate", row.fact("mem_pin_gbit_s", "Gbit/s")))
    head = [
        ("format_version", str(FORMAT_VERSION)),
        ("name", text(name)),
        ("title", text(title)),
        ("vendor", text(vendor)),
        ("class", text(device_class)),
        ("peaks", text("dense")),
        ("default_unit", text(default)),
    ]
    year = row.fact("year", "year")
    tdp = row.fact("tdp_w", "W") if row.has("tdp_w") else None
    # Remarks on cells that are empty have no fact to stand beside.
    rest = "; ".join(f"{c}: {words}" for c, words in sorted(row.remarks.items()))
    notes = ". ".join(part.rstrip(". ") for part in (row.notes, rest) if part)
    head.append(("notes", text(notes)))
    head.append(("year", year))
    if tdp:
        head.append(("tdp", tdp))
    if row.left:
        sys.exit(f"{row.device}: cells that no key took: {sorted(row.left)}")

    lines = [
        "# Made by convert.py from the tables of facts; the format is FORMAT.md.",
        *(f"{key} = {value}" for key, value in head),
        "",
        "[memory]",
        *(f"{key} = {value}" for key, value in memory),
    ]
    for rule, key, why in explained(row, sections):
        lines += ["", "[[explained]]", f"rule = {text(rule)}", f"key = {text(key)}", f"why = {text(why)}"]
    for unit in ("cpu", "gpu", "npu"):
        for section, entries in sections.get(unit, []):
            if not entries:
                continue
            if section.startswith("["):
                title = f"[[unit.{unit}.{section.strip('[]')}]]"
            else:
                title = f"[unit.{unit}.{section}]" if section else f"[unit.{unit}]"
            lines += ["", title, *(f"{key} = {value}" for key, value in entries)]
    return name, "\n".join(lines) + "\n"


def explained(row, sections):
    """Contradictions that `check` finds and that have a reason."""
    if row.device.startswith("Apple M"):
        why = (
            "Apple's simdgroup matrix instructions run on the same vector lanes at "
            "about 0.8 of their peak (102.5 of 128 fused multiply-adds a core and "
            "cycle, metal-benchmarks), and f16 runs at the rate of f32."
        )
        yield "matrix-below-vector", "unit.gpu.matrix.f16", why


def main():
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    if len(arguments) != 1:
        sys.exit(__doc__)
    facts = Path(arguments[0])
    units, flops_by_core = {}, {}
    with open(facts / "cpu_units.csv", newline="", encoding="utf-8") as file:
        for r in csv.DictReader(file):
            flops = r["fp32_flops_per_cycle_per_core"]
            source = re.sub(r"^recalled \(R\): ", "recalled; ", r["provenance"])
            units.setdefault(r["device"], []).append(
                (r["core"], r["cores"], r["clock_ghz"], flops, source)
            )
            flops_by_core[r["core"]] = flops
    made = {}
    with open(facts / "hardware.csv", newline="", encoding="utf-8") as file:
        for cells in csv.DictReader(file):
            nodes = [n for n in NODES if n["device"] == cells["device"]]
            for node in (None, *nodes):
                name, words = profile(Row(cells), units, flops_by_core, node)
                if name in made:
                    sys.exit(f"two devices are named {name}")
                made[name] = words
    folder = Path(__file__).resolve().parent / "profiles"
    if "--check" in sys.argv:
        stale = [n for n, w in made.items() if not (folder / f"{n}.toml").is_file()
                 or (folder / f"{n}.toml").read_text(encoding="utf-8") != w]
        if stale:
            sys.exit(f"not as the tables give: {', '.join(stale)}")
        return
    folder.mkdir(exist_ok=True)
    for name, words in made.items():
        (folder / f"{name}.toml").write_text(words, encoding="utf-8")
    print(f"{len(made)} profiles")


if __name__ == "__main__":
    main()
