"""Make the golden file that the operators workload is checked against.

Each operator is computed by PyTorch on the CPU in f64 from f32 inputs and
rounded once to f32: an implementation that shares nothing with ours, and as
near the true answer as f32 can hold. Nothing is downloaded. Run it with the
versions in `../../slm/goldens/requirements.txt`:

    python make_goldens.py            # writes beside this file

The same versions on the same machine give the same bytes. `README.md` beside
this file lists every tensor.
"""

import os

# Set before torch loads: one code path whatever the processor.
os.environ["MKL_CBWR"] = "COMPATIBLE"
os.environ["ATEN_CPU_CAPABILITY"] = "default"

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
SEED = 7


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.backends.mkldnn.enabled = False
    golden = {}
    for name, (inputs, operator) in operators().items():
        for argument, value in inputs.items():
            golden[f"input.{name}.{argument}"] = value
        wide = [
            value.double() if value.is_floating_point() else value
            for value in inputs.values()
        ]
        golden[f"output.{name}"] = operator(*wide).float().contiguous()
    path = HERE / "operators.golden.safetensors"
    save_file(golden, path)
    path.chmod(0o644)  # the library writes 0600
    for name, value in sorted(golden.items()):
        print(f"| `{name}` | {list(value.shape)} | {str(value.dtype)[6:]} |")


def operators():
    """Every operator by name: its inputs in order, and what it computes."""
    rng = torch.Generator().manual_seed(SEED)

    def normal(*shape, scale=1.0):
        return scale * torch.randn(shape, generator=rng)

    def away_from_zero(*shape):
        value = normal(*shape)
        return value + 0.5 * value.sign()

    return {
        "matmul": (dict(a=normal(33, 65), b=normal(65, 17)), torch.matmul),
        "matvec": (dict(a=normal(1, 130), b=normal(130, 75)), torch.matmul),
        # Scaled by 4, so that a softmax without its shift by the maximum is
        # still finite but one along the wrong axis is far off.
        "softmax": (
            dict(x=normal(7, 33, scale=4.0)),
            lambda x: torch.softmax(x, dim=-1),
        ),
        "layernorm": (
            dict(
                x=normal(9, 48, scale=2.0) + 0.5,
                gamma=1.0 + normal(48, scale=0.2),
                beta=normal(48, scale=0.2),
            ),
            lambda x, gamma, beta: F.layer_norm(x, (48,), gamma, beta, 1e-5),
        ),
        "rmsnorm": (
            dict(
                x=normal(9, 48, scale=2.0) + 0.5,
                gamma=1.0 + normal(48, scale=0.2),
            ),
            lambda x, gamma: F.rms_norm(x, (48,), gamma, 1e-6),
        ),
        "attention_prefill": (
            dict(
                q=normal(1, 4, 10, 16),
                k=normal(1, 2, 10, 16),
                v=normal(1, 2, 10, 16),
            ),
            lambda q, k, v: attention(q, k, v, causal=True),
        ),
        "attention_decode": (
            dict(
                q=normal(2, 4, 1, 16),
                k=normal(2, 2, 23, 16),
                v=normal(2, 2, 23, 16),
            ),
            lambda q, k, v: attention(q, k, v, causal=False),
        ),
        "gelu": (
            dict(x=normal(7, 33, scale=2.0)),
            lambda x: F.gelu(x, approximate="none"),
        ),
        "silu": (dict(x=normal(7, 33, scale=2.0)), F.silu),
        "tanh": (dict(x=normal(7, 33, scale=2.0)), torch.tanh),
        "exp": (dict(x=normal(7, 33, scale=2.0)), torch.exp),
        "relu": (dict(x=normal(7, 33)), torch.relu),
        "add": (dict(a=normal(7, 33), b=normal(7, 33)), torch.add),
        "mul": (dict(a=normal(7, 33), b=normal(7, 33)), torch.mul),
        "div": (dict(a=normal(7, 33), b=away_from_zero(7, 33)), torch.div),
        "pow": (
            dict(x=normal(7, 33), exponent=torch.tensor([2.0])),
            torch.pow,
        ),
        "embedding": (
            dict(
                table=normal(50, 16),
                ids=torch.randint(0, 50, (9,), generator=rng),
            ),
            lambda table, ids: F.embedding(ids, table),
        ),
        "conv2d": (
            dict(x=normal(2, 6, 9, 11), weight=normal(8, 3, 3, 3)),
            lambda x, w: F.conv2d(x, w, stride=2, padding=1, groups=2),
        ),
    }


def attention(q, k, v, causal):
    """Grouped-query attention; query head h reads key-value head h // group.

    PyTorch's own, checked against the formula softmax(q k^T / sqrt(d)) v.
    """
    theirs = F.scaled_dot_product_attention(
        q, k, v, is_causal=causal, enable_gqa=True
    )
    group = q.shape[1] // k.shape[1]
    k, v = (t.repeat_interleave(group, dim=1) for t in (k, v))
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later, float("-inf"))
    torch.testing.assert_close(theirs, torch.softmax(scores, -1) @ v)
    return theirs


if __name__ == "__main__":
    main()
