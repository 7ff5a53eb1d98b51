"""The Evoformer block in eager PyTorch at its best: PyTorch's side of
`peers/fastfold.py`, which says what was chosen.

X and Y are the axes of the MSA representation m [S, R, 256] or of the pair
representation z [R, R, 128]; H heads, d width of a head.
"""

import torch
import torch.nn.functional as F
from torch import nn

HEADS, WIDTH, PAIR_HEADS = 8, 32, 4
C_M, C_Z, OUTER, FACTOR = 256, 128, 32, 4
MSA_DROPOUT, PAIR_DROPOUT = 0.15, 0.25
STEPS, SDPA = "by its steps", "scaled_dot_product_attention"


def attend(q, k, v, mask, bias, how):
    """q, k and v [X, H, Y, d]; mask [X, 1, 1, Y] and bias [1, H, Y, Y] are
    added to the scores."""
    if how == SDPA:
        added = mask if bias is None else mask + bias
        return F.scaled_dot_product_attention(q, k, v, attn_mask=added)
    scores = torch.matmul(q * WIDTH**-0.5, k.transpose(-1, -2))
    scores += mask
    if bias is not None:
        scores += bias
    return torch.matmul(scores.softmax(-1), v)


def gated(qkv, gate, heads, mask, bias, how):
    """From projections [X, Y, 3 H d] and [X, Y, H d] to gated values."""
    q, k, v = qkv.unflatten(-1, (3, heads, WIDTH)).permute(2, 0, 3, 1, 4)
    values = attend(q, k, v, mask, bias, how)  # [X, H, Y, d]
    return values.transpose(1, 2).flatten(-2) * gate.sigmoid()


class Attention(nn.Module):
    """FastFold's: queries, keys and values are one product."""

    def __init__(self, channels, heads):
        super().__init__()
        self.qkv = nn.Linear(channels, 3 * heads * WIDTH, bias=False)
        self.gate = nn.Linear(channels, heads * WIDTH)
        self.out = nn.Linear(heads * WIDTH, channels)
        self.heads = heads

    def forward(self, x, mask, bias, how):
        mask = (1e9 * (mask - 1))[:, None, None, :]
        return self.out(
            gated(self.qkv(x), self.gate(x), self.heads, mask, bias, how)
        )


class Transition(nn.Sequential):
    def __init__(self, channels):
        super().__init__(
            nn.LayerNorm(channels),
            nn.Linear(channels, FACTOR * channels),
            nn.ReLU(inplace=True),
            nn.Linear(FACTOR * channels, channels),
        )


class OuterProductMean(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(C_M)
        self.both = nn.Linear(C_M, 2 * OUTER)
        self.out = nn.Linear(OUTER * OUTER, C_Z)

    def forward(self, m, mask):
        r = m.shape[1]
        both = self.both(self.norm(m)) * mask[:, :, None]
        a, b = (side.flatten(1) for side in both.chunk(2, -1))  # [S, R c]
        outer = (a.t() @ b).view(r, OUTER, r, OUTER)
        outer = outer.transpose(1, 2).flatten(-2)  # [R, R, c c]
        shared = mask.t() @ mask + 1e-3
        return self.out(outer) / shared[:, :, None]


class TriangleMultiplication(nn.Module):
    """FastFold's: both sides are one product, their gates another."""

    def __init__(self, outgoing):
        super().__init__()
        self.norm_in, self.norm_out = nn.LayerNorm(C_Z), nn.LayerNorm(C_Z)
        self.sides = nn.Linear(C_Z, 2 * C_Z)
        self.gates = nn.Linear(C_Z, 2 * C_Z)
        self.gate = nn.Linear(C_Z, C_Z)
        self.out = nn.Linear(C_Z, C_Z)
        self.outgoing = outgoing

    def forward(self, z, mask):
        z = self.norm_in(z)
        sides = self.sides(z) * self.gates(z).sigmoid() * mask[:, :, None]
        a, b = sides.permute(2, 0, 1).contiguous().chunk(2)  # [c, R, R]
        if self.outgoing:
            product = torch.matmul(a, b.transpose(1, 2))
        else:
            product = torch.matmul(a.transpose(1, 2), b)
        update = self.out(self.norm_out(product.permute(1, 2, 0)))
        return update * self.gate(z).sigmoid()


class Biased(nn.Module):
    """Attention along rows, biased by pairs."""

    def __init__(self, channels, heads, own_norm):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.norm_z = nn.LayerNorm(C_Z) if own_norm else None
        self.bias = nn.Linear(C_Z, heads, bias=False)
        self.attention = Attention(channels, heads)

    def forward(self, x, z, mask, how):
        x = self.norm(x)
        bias = self.bias(self.norm_z(z) if self.norm_z else x)
        return self.attention(x, mask, bias.permute(2, 0, 1)[None], how)


class Block(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.row = Biased(C_M, HEADS, own_norm=True)
        self.column_norm = nn.LayerNorm(C_M)
        self.column = Attention(C_M, HEADS)
        self.msa_transition = Transition(C_M)
        self.outer = OuterProductMean()
        self.outgoing = TriangleMultiplication(outgoing=True)
        self.incoming = TriangleMultiplication(outgoing=False)
        self.start = Biased(C_Z, PAIR_HEADS, own_norm=False)
        self.end = Biased(C_Z, PAIR_HEADS, own_norm=False)
        self.pair_transition = Transition(C_Z)
        self.how = how

    def dropped(self, update, rate, shared):
        """Dropout with the same mask for all of dimension `shared`."""
        if not self.training:
            return update
        shape = list(update.shape)
        shape[shared] = 1
        return update * F.dropout(update.new_ones(shape), rate)

    def added(self, x, update):
        """In place, unless autograd needs `x`."""
        return x + update if torch.is_grad_enabled() else x.add_(update)

    def forward(self, m, z, msa_mask, pair_mask):
        how = self.how
        # These are the inputs, which stay.
        m = m + self.dropped(self.row(m, z, msa_mask, how), MSA_DROPOUT, 0)
        normed = self.column_norm(m).transpose(0, 1)  # [R, S, c_m]
        update = self.column(normed, msa_mask.t(), None, how)
        m = self.added(m, update.transpose(0, 1))
        m = self.added(m, self.msa_transition(m))
        z = z + self.outer(m, msa_mask)
        for part in (self.outgoing, self.incoming):
            z = self.added(z, self.dropped(part(z, pair_mask), PAIR_DROPOUT, 0))
        update = self.start(z, z, pair_mask, how)
        z = self.added(z, self.dropped(update, PAIR_DROPOUT, 0))
        turned = z.transpose(0, 1)
        update = self.end(turned, turned, pair_mask.t(), how).transpose(0, 1)
        z = self.added(z, self.dropped(update, PAIR_DROPOUT, 1))
        return m, self.added(z, self.pair_transition(z))


def of_reference(weights, how):
    """The block with a reference block's weights, by their published names."""
    made = Block(how).eval()

    def take(layer, *names):
        """One layer of several, one under the other."""
        for kind, into in layer.named_parameters():
            into.copy_(torch.cat([weights[f"{name}.{kind}"] for name in names]))

    def attention(into, name):
        take(into.qkv, *(f"{name}.linear_{part}" for part in "qkv"))
        take(into.gate, f"{name}.linear_g")
        take(into.out, f"{name}.linear_o")

    def transition(into, name):
        take(into[0], f"{name}.layer_norm")
        take(into[1], f"{name}.linear_1")
        take(into[3], f"{name}.linear_2")

    with torch.no_grad():
        take(made.row.norm, "msa_att_row.layer_norm_m")
        take(made.row.norm_z, "msa_att_row.layer_norm_z")
        take(made.row.bias, "msa_att_row.linear_z")
        attention(made.row.attention, "msa_att_row.mha")
        take(made.column_norm, "msa_att_col._msa_att.layer_norm_m")
        attention(made.column, "msa_att_col._msa_att.mha")
        transition(made.msa_transition, "core.msa_transition")
        transition(made.pair_transition, "core.pair_transition")
        outer = "core.outer_product_mean"
        take(made.outer.norm, f"{outer}.layer_norm")
        take(made.outer.both, f"{outer}.linear_1", f"{outer}.linear_2")
        take(made.outer.out, f"{outer}.linear_out")
        for into, name in [
            (made.outgoing, "core.tri_mul_out"),
            (made.incoming, "core.tri_mul_in"),
        ]:
            take(into.norm_in, f"{name}.layer_norm_in")
            take(into.norm_out, f"{name}.layer_norm_out")
            take(into.sides, f"{name}.linear_a_p", f"{name}.linear_b_p")
            take(into.gates, f"{name}.linear_a_g", f"{name}.linear_b_g")
            take(into.gate, f"{name}.linear_g")
            take(into.out, f"{name}.linear_z")
        for into, name in [
            (made.start, "core.tri_att_start"),
            (made.end, "core.tri_att_end"),
        ]:
            take(into.norm, f"{name}.layer_norm")
            take(into.bias, f"{name}.linear")
            attention(into.attention, f"{name}.mha")
    return made
