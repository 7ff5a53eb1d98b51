"""Make the golden files that the interference workload is checked against.

The five networks of Zhang et al. (SPAWC 2019), written for PyTorch from the
paper's Table II, with random weights at tiny sizes: an implementation that
shares nothing with ours. Nothing is downloaded. Run it with the versions in
`requirements.txt`:

    python make_goldens.py            # writes beside this file

Answers are computed in f64 from f32 weights and inputs and rounded once to
f32. The same versions on the same machine give the same bytes. `README.md`
beside this file lists what each file holds. `../../snr/goldens` and
`peers/wireless.py` use the networks from here.

Legend: B batch, L length (samples or bins), C channels, T steps.
"""

import os

if __name__ == "__main__":
    # Set before torch loads: one code path whatever the processor.
    os.environ["MKL_CBWR"] = "COMPATIBLE"
    os.environ["ATEN_CPU_CAPABILITY"] = "default"

import copy
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).resolve().parent

BATCH = 6
# A gradient this much smaller than its network's largest is zero but for
# rounding: a bias right before a batch norm, which removes it.
NO_GRADIENT = 1e-9


class Cnn(nn.Module):
    """`cnn` and, with other sizes, `schmidt-cnn`."""

    def __init__(self, length, filters1, filters2, fc, classes, dropout=0.0):
        super().__init__()
        self.conv1 = nn.Conv2d(1, filters1, (3, 1))
        self.conv2 = nn.Conv2d(filters1, filters2, (3, 2))
        self.fc1 = nn.Linear(filters2 * (length - 4), fc)
        self.fc2 = nn.Linear(fc, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, samples):  # [B, L, 2]
        x = samples.unsqueeze(1)  # [B, 1, L, 2]
        x = self.conv1(x).relu()  # [B, C1, L-2, 2]
        x = self.dropout(self.conv2(x).relu())  # [B, C2, L-4, 1]
        x = x.flatten(1)  # [B, C2 (L-4)]
        x = self.dropout(self.fc1(x).relu())
        return self.fc2(x)  # [B, classes]


class ResidualUnit(nn.Module):
    def __init__(self, width, second_relu):
        super().__init__()
        self.conv1 = nn.Conv1d(width, width, 5, padding=2)
        self.norm1 = nn.BatchNorm1d(width)
        self.conv2 = nn.Conv1d(width, width, 5, padding=2)
        self.norm2 = nn.BatchNorm1d(width)
        self.second_relu = second_relu

    def forward(self, x):  # [B, C, L]
        y = self.norm1(self.conv1(x).relu())
        y = self.conv2(y)
        if self.second_relu:
            y = y.relu()
        return x + self.norm2(y)


class ResidualStack(nn.Module):
    """Halves the length, rounding down."""

    def __init__(self, channels, width, second_relu):
        super().__init__()
        self.conv = nn.Conv1d(channels, width, 1)
        self.norm = nn.BatchNorm1d(width)
        self.units = nn.ModuleList(
            ResidualUnit(width, second_relu) for _ in range(2)
        )

    def forward(self, x):  # [B, channels, L]
        x = self.norm(self.conv(x))  # [B, C, L]
        for unit in self.units:
            x = unit(x)
        return F.max_pool1d(x, 2)  # [B, C, L/2]


class ResNet(nn.Module):
    """SPAWC: a ReLU after each convolution and in the head. WCL's modulation
    ResNet: `second_relu` false, a SELU in the head."""

    def __init__(
        self,
        length,
        width,
        stacks,
        fc,
        classes,
        second_relu=True,
        activation="relu",
        dropout=0.0,
    ):
        super().__init__()
        self.stacks = nn.ModuleList(
            ResidualStack(width if stack else 2, width, second_relu)
            for stack in range(stacks)
        )
        self.fc1 = nn.Linear(width * (length >> stacks), fc)
        self.fc2 = nn.Linear(fc, fc)
        self.fc3 = nn.Linear(fc, classes)
        self.activation = {"relu": F.relu, "selu": F.selu}[activation]
        self.dropout = nn.AlphaDropout(dropout)

    def forward(self, samples):  # [B, L, 2]
        x = samples.transpose(1, 2)  # [B, 2, L]
        for stack in self.stacks:
            x = stack(x)
        x = x.flatten(1)  # [B, C L/2^stacks]
        x = self.dropout(self.activation(self.fc1(x)))
        x = self.dropout(self.activation(self.fc2(x)))
        return self.fc3(x)  # [B, classes]


class Cldnn(nn.Module):
    def __init__(
        self,
        length,
        filters1,
        filters2,
        steps,
        step_width,
        lstm,
        fc,
        classes,
        dropout=0.0,
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(1, filters1, (3, 1))
        self.conv2 = nn.Conv2d(filters1, filters2, (3, 2))
        self.fc1 = nn.Linear(filters2 * (length - 4), steps * step_width)
        self.lstm = nn.LSTM(step_width, lstm, batch_first=True)
        self.fc2 = nn.Linear(steps * lstm, fc)
        self.fc3 = nn.Linear(fc, classes)
        self.steps = steps
        self.dropout = nn.Dropout(dropout)

    def forward(self, samples):  # [B, L, 2]
        x = samples.unsqueeze(1)  # [B, 1, L, 2]
        x = self.dropout(self.conv1(x).relu())  # [B, C1, L-2, 2]
        x = self.dropout(self.conv2(x).relu())  # [B, C2, L-4, 1]
        x = self.fc1(x.flatten(1))  # no activation
        x = x.unflatten(1, (self.steps, -1))  # [B, T, step width]
        x, _ = self.lstm(x)  # [B, T, lstm]
        x = self.dropout(self.fc2(x.flatten(1)).relu())
        return self.fc3(x)  # [B, classes]


class Lstm(nn.Module):
    def __init__(self, length, lstm1, lstm2, classes):
        super().__init__()
        self.lstm1 = nn.LSTM(2, lstm1, batch_first=True)
        self.lstm2 = nn.LSTM(lstm1, lstm2, batch_first=True)
        self.fc = nn.Linear(length * lstm2, classes)

    def forward(self, samples):  # [B, L, 2]
        x, _ = self.lstm1(samples)  # [B, L, lstm1]
        x, _ = self.lstm2(x)  # [B, L, lstm2]
        return self.fc(x.flatten(1))  # [B, classes]


NETWORKS = {
    "cnn": Cnn,
    "schmidt-cnn": Cnn,
    "resnet": ResNet,
    "cldnn": Cldnn,
    "lstm": Lstm,
}

FULL = {
    "cnn": dict(length=128, filters1=256, filters2=256, fc=1024, classes=15),
    "schmidt-cnn": dict(
        length=128, filters1=64, filters2=1024, fc=128, classes=15
    ),
    "resnet": dict(
        length=128,
        width=32,
        stacks=5,
        fc=128,
        classes=15,
        second_relu=True,
        activation="relu",
    ),
    "cldnn": dict(
        length=128,
        filters1=256,
        filters2=256,
        steps=2,
        step_width=512,
        lstm=256,
        fc=256,
        classes=15,
    ),
    "lstm": dict(length=128, lstm1=512, lstm2=4, classes=15),
}

# Dropout where the paper has it; goldens have none.
DROPOUT = {
    "cnn": 0.6,
    "schmidt-cnn": 0.6,
    "resnet": 0.1,
    "cldnn": 0.6,
    "lstm": None,
}

TINY = {
    "cnn": dict(length=32, filters1=4, filters2=6, fc=16, classes=5),
    "schmidt-cnn": dict(length=26, filters1=3, filters2=8, fc=12, classes=5),
    "resnet": dict(
        length=32,
        width=8,
        stacks=3,
        fc=16,
        classes=5,
        second_relu=True,
        activation="relu",
    ),
    "cldnn": dict(
        length=32,
        filters1=4,
        filters2=6,
        steps=2,
        step_width=12,
        lstm=8,
        fc=10,
        classes=5,
    ),
    "lstm": dict(length=32, lstm1=12, lstm2=4, classes=5),
}

SEEDS = {"cnn": 1, "schmidt-cnn": 2, "resnet": 3, "cldnn": 4, "lstm": 5}


def main():
    fix()
    for name, sizes in TINY.items():
        seed = SEEDS[name]
        print(make(HERE, f"{name}-tiny", name, NETWORKS[name], sizes, seed))


def fix():
    """One way to compute, whatever the machine."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.backends.mkldnn.enabled = False


def make(folder, stem, name, network, sizes, seed, train=True):
    """Write STEM.config.toml, STEM.weights.safetensors and
    STEM.golden.safetensors, the last with a training step if `train`. Returns
    what it made, in words."""
    rng = torch.Generator().manual_seed(seed)
    model = network(**sizes).eval()
    randomise(model, rng)
    settle(model, sizes["length"], rng)
    samples = torch.randn(BATCH, sizes["length"], 2, generator=rng)
    targets = torch.randint(sizes["classes"], (BATCH,), generator=rng)

    weights = {
        key: value
        for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    golden, words = answers(model, samples, targets, train)
    write_config(folder / f"{stem}.config.toml", stem, name, sizes)
    save(weights, folder / f"{stem}.weights.safetensors")
    save(golden, folder / f"{stem}.golden.safetensors")
    return f"{stem}: {count(model)} parameters, {words}"


def count(model):
    return sum(weight.numel() for weight in model.parameters())


@torch.no_grad()
def randomise(model, rng):
    """Fill every parameter, so that none can be left out unseen; the spread
    of what passes through is kept near one."""
    for key, weight in sorted(model.named_parameters()):
        noise = torch.randn(weight.shape, generator=rng)
        if "bias" in key:
            weight.copy_(0.2 * noise)
        elif weight.dim() == 1:
            weight.copy_(1.0 + 0.2 * noise)
        else:
            weight.copy_(noise * (2.0 / weight[0].numel()) ** 0.5)


@torch.no_grad()
def settle(model, length, rng):
    """Running statistics near the true ones, lest the answers explode, but
    not so near that a batch's own would do."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d)]
    if not norms:
        return
    usual = norms[0].momentum
    for norm in norms:
        norm.momentum = 1.0
    model.train()
    model(torch.randn(64, length, 2, generator=rng))
    model.eval()
    for norm in norms:
        norm.momentum = usual
        mean, variance = norm.running_mean, norm.running_var
        noise = torch.randn(mean.shape, generator=rng)
        mean += 0.3 * noise * variance.sqrt()
        variance *= 0.5 + torch.rand(mean.shape, generator=rng)


def answers(model, samples, targets, train):
    """What the golden file holds; how far off f32 is and what was left out,
    in words."""
    wide = copy.deepcopy(model).double()
    with torch.no_grad():
        logits = wide(samples.double())
        off = relative(model(samples), logits)
    golden = {"input.samples": samples, "output.logits": logits}
    words = f"largest logit {logits.abs().max():.2f}, f32 off by {off:.0e}"
    if train:
        golden["input.targets"] = targets
        right = step(wide, samples.double(), targets)
        near = step(copy.deepcopy(model), samples, targets)
        zero = zero_gradients(right)
        right = {key: right[key] for key in right if key not in zero}
        off = max(relative(near[key], right[key]) for key in right)
        words += f", step {off:.0e}"
        words += "".join(f"\n  left out, zero: {key}" for key in zero)
        golden |= right
    return {
        key: value.float() if value.is_floating_point() else value
        for key, value in golden.items()
    }, words


def zero_gradients(made):
    largest = {
        key: value.abs().max()
        for key, value in made.items()
        if key.startswith("output.grad.")
    }
    least = NO_GRADIENT * max(largest.values())
    return [key for key, value in largest.items() if value < least]


def relative(near, right):
    """As `assay_kit::compare`: relative to the largest magnitude."""
    return ((near - right).abs().max() / right.abs().max()).item()


def step(model, samples, targets):
    """Loss, gradients, and what the batch norms remember, of one step."""
    model.train()
    loss = F.cross_entropy(model(samples), targets)
    loss.backward()
    made = {"output.loss": loss.detach().reshape(1)}
    for key, weight in model.named_parameters():
        made[f"output.grad.{key}"] = weight.grad
    for key, buffer in model.named_buffers():
        if buffer.is_floating_point():
            made[f"output.updated.{key}"] = buffer.clone()
    return made


def table(name, sizes):
    """The sizes by the keys of `../models/*.toml`; goldens drop nothing."""
    keys = [f"filters{i}" for i in range(1, 5)]
    filters = [sizes[key] for key in keys if key in sizes]
    if "resnet" in name:
        return dict(
            stacks=sizes["stacks"],
            width=sizes["width"],
            window=5,
            units=sizes["fc"],
            second_relu=sizes["second_relu"],
            selu=sizes["activation"] == "selu",
            dropout=0.0,
        )
    if name == "lstm":
        return dict(hidden=[sizes["lstm1"], sizes["lstm2"]])
    if name == "cldnn":
        return dict(
            filters=filters,
            steps=sizes["steps"],
            hidden=[sizes["step_width"], sizes["lstm"]],
            units=sizes["fc"],
            dropout=0.0,
        )
    if name == "mc-cldnn":
        return dict(
            filters=filters, hidden=sizes["lstm"], units=sizes["fc"], dropout=0.0
        )
    dropout = 0.0 if name == "mc-cnn" else [0.0, 0.0, 0.0]
    return dict(filters=filters, units=sizes["fc"], dropout=dropout)


def write_config(path, stem, name, sizes):
    kind = {"schmidt-cnn": "cnn", "mc-resnet-5": "mc-resnet"}.get(name, name)
    lines = [
        f'network = "{kind}"',
        f"length = {sizes['length']}",
        f"classes = {sizes['classes']}",
        "",
        "[size]",
    ]
    for key, value in {**table(name, sizes), "learning_rate": 1e-3}.items():
        lines.append(f"{key} = {str(value).lower()}")
    path.write_text("\n".join(lines) + "\n")


def save(tensors, path):
    save_file(
        {key: value.contiguous() for key, value in tensors.items()}, path
    )
    path.chmod(0o644)  # the library writes 0600


if __name__ == "__main__":
    main()
