"""Make the golden files that the snr workload is checked against.

The three modulation networks of Wang et al. (IEEE WCL 2020), written for
PyTorch from the paper's Table I, with random weights at tiny sizes. The
interference networks of that paper are those of `../../interference/goldens`,
whose script this one uses. Nothing is downloaded. Run it with the versions in
`../../interference/goldens/requirements.txt`:

    python make_goldens.py            # writes beside this file

`README.md` beside this file lists what each file holds.

Legend: B batch, L length (samples), C channels.
"""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # Set before torch loads: one code path whatever the processor.
    os.environ["MKL_CBWR"] = "COMPATIBLE"
    os.environ["ATEN_CPU_CAPABILITY"] = "default"

import torch.nn.functional as F
from torch import nn

HERE = Path(__file__).resolve().parent
INTERFERENCE = HERE.parent.parent / "interference" / "goldens"


def interference():
    """`make_goldens` of the interference workload; it has this file's name."""
    from importlib.util import module_from_spec, spec_from_file_location

    name = "interference_goldens"
    if name not in sys.modules:
        spec = spec_from_file_location(name, INTERFERENCE / "make_goldens.py")
        sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def widened(x):
    """Two zeros at each end of the length; each convolution takes two away,
    so the length grows by two a layer."""
    return F.pad(x, (2, 2))


class McCnn(nn.Module):
    def __init__(self, length, filters1, filters2, fc, classes, dropout=0.0):
        super().__init__()
        self.conv1 = nn.Conv2d(1, filters1, (1, 3))
        self.conv2 = nn.Conv2d(filters1, filters2, (2, 3))
        self.fc1 = nn.Linear(filters2 * (length + 4), fc)
        self.fc2 = nn.Linear(fc, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, samples):  # [B, L, 2]
        x = samples.transpose(1, 2).unsqueeze(1)  # [B, 1, 2, L]
        x = self.dropout(self.conv1(widened(x)).relu())  # [B, C1, 2, L+2]
        x = self.dropout(self.conv2(widened(x)).relu())  # [B, C2, 1, L+4]
        x = x.flatten(1)  # [B, C2 (L+4)]
        x = self.dropout(self.fc1(x).relu())
        return self.fc2(x)  # [B, classes]


class McCldnn(nn.Module):
    """The LSTM sees one step. The last padding, that nothing convolves, makes
    the published 11200: 80 (128 + 12)."""

    def __init__(
        self,
        length,
        filters1,
        filters2,
        filters3,
        filters4,
        lstm,
        fc,
        classes,
        dropout=0.0,
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(1, filters1, (1, 3))
        self.conv2 = nn.Conv2d(filters1, filters2, (2, 3))
        self.conv3 = nn.Conv2d(filters2, filters3, (1, 3))
        self.conv4 = nn.Conv2d(filters3, filters4, (1, 3))
        self.lstm = nn.LSTM(filters4 * (length + 12), lstm, batch_first=True)
        self.fc1 = nn.Linear(lstm, fc)
        self.fc2 = nn.Linear(fc, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, samples):  # [B, L, 2]
        x = samples.transpose(1, 2).unsqueeze(1)  # [B, 1, 2, L]
        x = self.dropout(self.conv1(widened(x)).relu())  # [B, C1, 2, L+2]
        x = self.dropout(self.conv2(widened(x)).relu())  # [B, C2, 1, L+4]
        x = self.dropout(self.conv3(widened(x)).relu())  # [B, C3, 1, L+6]
        x = self.dropout(self.conv4(widened(x)).relu())  # [B, C4, 1, L+8]
        x = widened(x).flatten(1)  # [B, C4 (L+12)]
        x, _ = self.lstm(x.unsqueeze(1))  # [B, 1, lstm]
        x = self.dropout(self.fc1(x.squeeze(1)).relu())
        return self.fc2(x)  # [B, classes]


NETWORKS = {
    "mc-cnn": McCnn,
    "mc-resnet": interference().ResNet,
    "mc-resnet-5": interference().ResNet,
    "mc-cldnn": McCldnn,
}

# `mc-resnet` has 3 stacks where one SNR is trained on, 5 (here `mc-resnet-5`)
# where boosting chooses several.
_RESNET = dict(second_relu=False, activation="selu")

FULL = {
    "mc-cnn": dict(length=128, filters1=256, filters2=80, fc=256, classes=10),
    "mc-resnet": dict(
        length=128, width=32, stacks=3, fc=128, classes=10, **_RESNET
    ),
    "mc-resnet-5": dict(
        length=128, width=32, stacks=5, fc=128, classes=10, **_RESNET
    ),
    "mc-cldnn": dict(
        length=128,
        filters1=256,
        filters2=256,
        filters3=80,
        filters4=80,
        lstm=50,
        fc=256,
        classes=10,
    ),
}

DROPOUT = {
    "mc-cnn": 0.6,
    "mc-resnet": 0.25,
    "mc-resnet-5": 0.1,
    "mc-cldnn": 0.6,
}

TINY = {
    "mc-cnn": dict(length=32, filters1=4, filters2=3, fc=16, classes=5),
    "mc-resnet": dict(
        length=32, width=8, stacks=3, fc=16, classes=5, **_RESNET
    ),
    "mc-resnet-5": dict(
        length=64, width=6, stacks=5, fc=16, classes=5, **_RESNET
    ),
    "mc-cldnn": dict(
        length=32,
        filters1=4,
        filters2=5,
        filters3=3,
        filters4=3,
        lstm=6,
        fc=10,
        classes=5,
    ),
}

SEEDS = {"mc-cnn": 11, "mc-resnet": 12, "mc-resnet-5": 13, "mc-cldnn": 14}


def main():
    shared = interference()
    shared.fix()
    for name, sizes in TINY.items():
        network, seed = NETWORKS[name], SEEDS[name]
        print(shared.make(HERE, f"{name}-tiny", name, network, sizes, seed))


if __name__ == "__main__":
    main()
