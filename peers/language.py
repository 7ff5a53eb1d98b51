"""A language model's decoder in PyTorch, and its parity with Assay's.

What `peers/phonelm.py` and `peers/mstar.py` share: eager PyTorch as its users
write it, with its own `scaled_dot_product_attention` and `rms_norm`, queries,
keys and values in one product, gate and up in another.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import wireless


class Shape(NamedTuple):
    """A decoder of LLaMA's family, or without a gate of Nemotron's."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    ffn: int
    vocab: int
    # Rows of a learned table of positions.
    context: int
    # Tokens of a pass at most.
    seen: int
    epsilon: float
    activation: str = "silu"
    gated: bool = True
    # `rotary`, `learned` or `alibi`.
    positions: str = "rotary"
    theta: float = 10_000.0
    # Whether the head is the embedding's table.
    tied: bool = True

    @property
    def head(self):
        return self.width // self.heads

    def packed(self):
        """Rows of queries, keys and values in their one matrix."""
        sizes = [self.heads * self.head] + 2 * [self.kv_heads * self.head]
        starts = [0, sizes[0], sizes[0] + sizes[1]]
        rows = [slice(at, at + size) for at, size in zip(starts, sizes, strict=True)]
        return list(zip("qkv", rows, strict=True))


def decoder(shape):
    """The decoder of a shape."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    width, head, ffn = shape.width, shape.head, shape.ffn
    act = {"relu": F.relu, "silu": F.silu, "gelu": F.gelu, "tanh": torch.tanh}
    act = act[shape.activation]

    def rotate(x, cos, sin):
        first, second = x.chunk(2, dim=-1)
        return x * cos + torch.cat((-second, first), dim=-1) * sin

    class Norm(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(width))

        def forward(self, x):
            return F.rms_norm(x, (width,), self.weight, shape.epsilon)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.before, self.after = Norm(), Norm()
            self.qkv = nn.Linear(width, (shape.heads + 2 * shape.kv_heads) * head, bias=False)
            self.output = nn.Linear(shape.heads * head, width, bias=False)
            self.gate_up = nn.Linear(width, (1 + shape.gated) * ffn, bias=False)
            self.down = nn.Linear(ffn, width, bias=False)

        def forward(self, x, turns, bias):
            b, t, _ = x.shape
            packed = self.qkv(self.before(x)).view(b, t, -1, head).transpose(1, 2)
            q, k, v = packed.split((shape.heads, shape.kv_heads, shape.kv_heads), dim=1)
            if turns is not None:
                q, k = rotate(q, *turns), rotate(k, *turns)
            grouped = shape.heads != shape.kv_heads
            mixed = F.scaled_dot_product_attention(
                q, k, v, attn_mask=bias, is_causal=bias is None, enable_gqa=grouped
            )
            x = x + self.output(mixed.transpose(1, 2).reshape(b, t, width))
            inner = self.gate_up(self.after(x))
            if not shape.gated:
                return x + self.down(act(inner))
            gate, up = inner.chunk(2, dim=-1)
            return x + self.down(act(gate) * up)

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(shape.vocab, width)
            self.blocks = nn.ModuleList(Block() for _ in range(shape.layers))
            self.norm = Norm()
            self.head = None if shape.tied else nn.Linear(width, shape.vocab, bias=False)
            if shape.positions == "learned":
                self.positions = nn.Parameter(torch.zeros(shape.context, width))
            elif shape.positions == "alibi":
                self.register_buffer("bias", alibi(shape.heads, shape.seen)[None])
            else:
                turns = torch.arange(shape.seen)[:, None] * shape.theta ** (
                    -torch.arange(0, head, 2)[None, :] / head
                )
                turns = torch.cat((turns, turns), dim=-1)
                self.register_buffer("cos", turns.cos())
                self.register_buffer("sin", turns.sin())

        def hidden(self, x):
            """Of what the embedding gave, [B, T, D]."""
            t = x.shape[1]
            turns = bias = None
            if shape.positions == "learned":
                x = x + self.positions[:t]
            elif shape.positions == "alibi":
                bias = self.bias[:, :, :t, :t]
            else:
                turns = self.cos[:t], self.sin[:t]
            for block in self.blocks:
                x = block(x, turns, bias)
            return self.norm(x)

        def logits(self, hidden):
            return F.linear(hidden, (self.head or self.embedding).weight)

        def forward(self, tokens):
            return self.logits(self.hidden(self.embedding(tokens)))

        def loss(self, tokens):
            logits = self(tokens[:, :-1])
            return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())

    return Decoder()


def alibi(heads, tokens):
    """What ALiBi adds to scores, and what a query does not see, [H, T, T]: slopes
    of the next lower power of two, then every other one of twice as many."""
    import torch

    whole = 1 << (heads.bit_length() - 1)
    slopes = [2 ** (-8 * i / whole) for i in range(1, whole + 1)]
    slopes += [2 ** (-8 * (2 * i + 1) / (2 * whole)) for i in range(heads - whole)]
    bias = torch.tensor(slopes)[:, None, None] * torch.arange(tokens)
    later = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
    return bias.expand(heads, tokens, tokens).masked_fill(later, float("-inf"))


def with_random_weights(model, seed):
    """Weights of the size that keeps activations near 1; gains about 1 and
    offsets about 0, so that one left out is seen."""
    import torch

    torch.manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.normal_(std=0.1)
            elif weight.dim() == 1:
                weight.uniform_(0.5, 1.5)
            elif name.endswith(("embedding.weight", "positions")):
                weight.normal_(std=0.5)
            else:
                weight.normal_(std=weight.shape[1] ** -0.5)
    return model


def count(model):
    """Parameters."""
    return sum(weight.numel() for weight in model.parameters())


def published(model, shape):
    """Weights of a decoder, or gradients, and the rows of them, by the names
    that its family publishes."""
    whole, ffn = slice(None), shape.ffn
    yield "model.embed_tokens.weight", model.embedding.weight, whole
    if shape.positions == "learned":
        # The family has no such table, and so no name for it.
        yield "", model.positions, whole
    for index, block in enumerate(model.blocks):
        at = f"model.layers.{index}"
        for letter, rows in shape.packed():
            yield f"{at}.self_attn.{letter}_proj.weight", block.qkv.weight, rows
        yield f"{at}.self_attn.o_proj.weight", block.output.weight, whole
        up = 0
        if shape.gated:
            up = ffn
            yield f"{at}.mlp.gate_proj.weight", block.gate_up.weight, slice(0, ffn)
        yield f"{at}.mlp.up_proj.weight", block.gate_up.weight, slice(up, up + ffn)
        yield f"{at}.mlp.down_proj.weight", block.down.weight, whole
        yield f"{at}.input_layernorm.weight", block.before.weight, whole
        yield f"{at}.post_attention_layernorm.weight", block.after.weight, whole
    yield "model.norm.weight", model.norm.weight, whole
    if not shape.tied:
        yield "lm_head.weight", model.head.weight, whole


def parity(decoders):
    """Whether `assay verify` says right for decoders: their names, shapes and
    the texts of their model files."""
    import torch
    from safetensors.torch import save_file

    wireless.heading("`assay verify` on PyTorch's weights, logits, loss and gradients")
    print("| decoder | parameters | exit code | largest relative difference |")
    print("|---|---|---|---|")
    wrong = []
    for name, shape, text in decoders:
        model = with_random_weights(decoder(shape), 2)
        weights = {
            to: of.detach()[rows].clone().contiguous() for to, of, rows in published(model, shape)
        }
        model = model.double()
        tokens = torch.randint(shape.vocab, (2, 24))
        loss = model.loss(tokens)
        loss.backward()
        golden = {
            "input.tokens": tokens,
            "output.logits": model(tokens).detach().float().contiguous(),
            "output.loss": loss.detach().float().reshape(1),
        }
        for to, of, rows in published(model, shape):
            golden[f"output.grad.{to}"] = of.grad[rows].float().clone().contiguous()
        with tempfile.TemporaryDirectory() as folder:
            files = ("shape.toml", "weights.safetensors", "golden.safetensors")
            model_file, of_weights, of_golden = (Path(folder) / file for file in files)
            model_file.write_text(text)
            save_file(weights, of_weights)
            save_file(golden, of_golden)
            done, off = wireless.verified(
                "--model", model_file, weights=of_weights, golden=of_golden
            )
        cells = [name, f"{count(model):,}", str(done.returncode), off]
        print("| " + " | ".join(cells) + " |", flush=True)
        if done.returncode:
            wrong.append(name)
            print(done.stderr + done.stdout, file=sys.stderr)
    if wrong:
        sys.exit(f"not right: {', '.join(wrong)}")


def medians(script, turn):
    """Medians of PyTorch's turn in a process of its own, by variant."""
    command = [sys.executable, script, "--turn", turn]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    times = json.loads(answer.stdout)
    return {what: statistics.median(seconds) for what, seconds in times.items()}
