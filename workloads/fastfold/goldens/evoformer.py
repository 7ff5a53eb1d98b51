"""The Evoformer by the letter of the supplement: algorithms 6 to 15, 18 and 19.

A part of `reference.py`, which says what it follows.

Legend: S sequences, E extra sequences, R residues, H heads, d width of a head; m
is [S, R, c_m], z is [R, R, c_z]. In equations s and t count sequences, i, j and k
residues, h heads. There is no batch.
"""

import math

import torch
from torch import einsum, nn

HIDDEN = 1e9  # taken from the score of a hidden key
SHARED = 1e-3  # added to the number of sequences that two residues share
MEAN = 1e-10  # added to the number of sequences in global attention


def norm(width):
    return nn.LayerNorm(width, eps=1e-5)


def bare(inputs, outputs):
    """The supplement's LinearNoBias."""
    return nn.Linear(inputs, outputs, bias=False)


def softmax(scores, seen, dim):
    """Softmax over keys, of which those with `seen` 0 are hidden: 1e9 less.

    f32 keeps nothing of a score beside 1e9 (the steps are 64), so the weights
    of a query without any key are all the same. f64 would keep some, and answer
    differently from the code that everybody runs; so there the score is set.
    """
    if scores.dtype == torch.float32:
        return (scores + HIDDEN * (seen - 1)).softmax(dim)
    return scores.masked_fill(seen == 0, -HIDDEN).softmax(dim)


class Attention(nn.Module):
    """What algorithms 7, 8, 13 and 14 share: [., ., C] to the same."""

    def __init__(self, channels, heads, width):
        super().__init__()
        self.linear_q = bare(channels, heads * width)
        self.linear_k = bare(channels, heads * width)
        self.linear_v = bare(channels, heads * width)
        self.linear_g = nn.Linear(channels, heads * width)
        self.linear_o = nn.Linear(heads * width, channels)
        self.split = (heads, width)

    def forward(self, x, products, mixture, keys, seen, bias=0.0):
        """`products` of queries and keys, `mixture` of weights and values;
        `keys` is the dimension of the weights that counts keys."""
        q = self.linear_q(x).unflatten(-1, self.split)  # [., ., H, d]
        k = self.linear_k(x).unflatten(-1, self.split)
        v = self.linear_v(x).unflatten(-1, self.split)
        g = self.linear_g(x).sigmoid().unflatten(-1, self.split)
        scores = einsum(products, q, k) / math.sqrt(self.split[1]) + bias
        a = softmax(scores, seen, keys)
        o = g * einsum(mixture, a, v)  # [., ., H, d]
        return self.linear_o(o.flatten(-2))


class MsaRowAttention(nn.Module):
    """Algorithm 7: along the residues of each sequence, biased by pairs."""

    def __init__(self, c_m, c_z, heads, width):
        super().__init__()
        self.layer_norm_m = norm(c_m)
        self.layer_norm_z = norm(c_z)
        self.linear_z = bare(c_z, heads)
        self.mha = Attention(c_m, heads, width)

    def forward(self, m, z, mask):
        b = self.linear_z(self.layer_norm_z(z))  # [R, R, H]
        return self.mha(
            self.layer_norm_m(m),
            "sihd,sjhd->sijh",
            "sijh,sjhd->sihd",
            keys=2,
            seen=mask[:, None, :, None],
            bias=b[None],
        )


class MsaAttention(nn.Module):
    """Algorithm 8: along the sequences of each residue."""

    def __init__(self, c_m, heads, width):
        super().__init__()
        self.layer_norm_m = norm(c_m)
        self.mha = Attention(c_m, heads, width)

    def forward(self, m, mask):
        return self.mha(
            self.layer_norm_m(m),
            "sihd,tihd->stih",
            "stih,tihd->sihd",
            keys=1,
            seen=mask[None, :, :, None],
        )


class MsaColumnAttention(nn.Module):
    """A level that the published names have."""

    def __init__(self, c_m, heads, width):
        super().__init__()
        self._msa_att = MsaAttention(c_m, heads, width)

    def forward(self, m, mask):
        return self._msa_att(m, mask)


class GlobalAttention(nn.Module):
    """Algorithm 19, after its norm: one query, the mean, a residue; one key
    and one value a sequence for all heads."""

    def __init__(self, c_e, heads, width):
        super().__init__()
        self.linear_q = bare(c_e, heads * width)
        self.linear_k = bare(c_e, width)
        self.linear_v = bare(c_e, width)
        self.linear_g = nn.Linear(c_e, heads * width)
        self.linear_o = nn.Linear(heads * width, c_e)
        self.split = (heads, width)

    def forward(self, m, mask):
        total = einsum("sic,si->ic", m, mask)
        mean = total / (mask.sum(0)[:, None] + MEAN)  # [R, C]
        q = self.linear_q(mean).unflatten(-1, self.split)  # [R, H, d]
        k, v = self.linear_k(m), self.linear_v(m)  # [E, R, d]
        g = self.linear_g(m).sigmoid().unflatten(-1, self.split)
        scores = einsum("ihd,sid->sih", q, k) / math.sqrt(self.split[1])
        a = softmax(scores, mask[:, :, None], 0)
        o = g * einsum("sih,sid->ihd", a, v)[None]  # [E, R, H, d]
        return self.linear_o(o.flatten(-2))


class MsaColumnGlobalAttention(nn.Module):
    def __init__(self, c_e, heads, width):
        super().__init__()
        self.layer_norm_m = norm(c_e)
        self.global_attention = GlobalAttention(c_e, heads, width)

    def forward(self, m, mask):
        return self.global_attention(self.layer_norm_m(m), mask)


class Transition(nn.Module):
    """Algorithms 9 and 15."""

    def __init__(self, channels, factor):
        super().__init__()
        self.layer_norm = norm(channels)
        self.linear_1 = nn.Linear(channels, factor * channels)
        self.linear_2 = nn.Linear(factor * channels, channels)

    def forward(self, x):
        return self.linear_2(self.linear_1(self.layer_norm(x)).relu())


class OuterProductMean(nn.Module):
    """Algorithm 10."""

    def __init__(self, c_m, c_z, hidden):
        super().__init__()
        self.layer_norm = norm(c_m)
        self.linear_1 = nn.Linear(c_m, hidden)
        self.linear_2 = nn.Linear(c_m, hidden)
        self.linear_out = nn.Linear(hidden * hidden, c_z)

    def forward(self, m, mask):
        m = self.layer_norm(m)
        a = self.linear_1(m) * mask[:, :, None]  # [S, R, c]
        b = self.linear_2(m) * mask[:, :, None]
        o = einsum("sic,sjd->ijcd", a, b)  # [R, R, c, c]
        shared = einsum("si,sj->ij", mask, mask)
        return self.linear_out(o.flatten(-2)) / (SHARED + shared[:, :, None])


class TriangleMultiplication(nn.Module):
    """Algorithms 11 (outgoing edges) and 12 (incoming)."""

    def __init__(self, channels, hidden, products):
        super().__init__()
        self.layer_norm_in = norm(channels)
        self.layer_norm_out = norm(hidden)
        self.linear_a_p = nn.Linear(channels, hidden)
        self.linear_a_g = nn.Linear(channels, hidden)
        self.linear_b_p = nn.Linear(channels, hidden)
        self.linear_b_g = nn.Linear(channels, hidden)
        self.linear_g = nn.Linear(channels, channels)
        self.linear_z = nn.Linear(hidden, channels)
        self.products = products

    def forward(self, z, mask):
        z = self.layer_norm_in(z)
        mask = mask[:, :, None]
        a = mask * self.linear_a_g(z).sigmoid() * self.linear_a_p(z)
        b = mask * self.linear_b_g(z).sigmoid() * self.linear_b_p(z)
        product = self.layer_norm_out(einsum(self.products, a, b))
        return self.linear_g(z).sigmoid() * self.linear_z(product)


OUTGOING = "ikc,jkc->ijc"
INCOMING = "kic,kjc->ijc"


class TriangleAttentionStart(nn.Module):
    """Algorithm 13: of edge ij with the edges ik."""

    def __init__(self, channels, heads, width):
        super().__init__()
        self.layer_norm = norm(channels)
        self.linear = bare(channels, heads)
        self.mha = Attention(channels, heads, width)

    def forward(self, z, mask):
        z = self.layer_norm(z)
        b = self.linear(z)  # b_jk
        return self.mha(
            z,
            "ijhd,ikhd->ijkh",
            "ijkh,ikhd->ijhd",
            keys=2,
            seen=mask[:, None, :, None],
            bias=b[None],
        )


class TriangleAttentionEnd(TriangleAttentionStart):
    """Algorithm 14: of edge ij with the edges kj."""

    def forward(self, z, mask):
        z = self.layer_norm(z)
        b = einsum("kih->ikh", self.linear(z))  # b_ki
        return self.mha(
            z,
            "ijhd,kjhd->ijkh",
            "ijkh,kjhd->ijhd",
            keys=2,
            seen=einsum("kj->jk", mask)[None, :, :, None],
            bias=b[:, None],
        )


class Core(nn.Module):
    """What a block of either stack does after attention over the MSA."""

    def __init__(self, c_m, c_z, stack):
        super().__init__()
        heads, width = stack["pair_heads"], stack["pair_head_width"]
        hidden, factor = stack["triangle_hidden"], stack["transition_factor"]
        self.msa_transition = Transition(c_m, factor)
        self.outer_product_mean = OuterProductMean(c_m, c_z, stack["outer_hidden"])
        self.tri_mul_out = TriangleMultiplication(c_z, hidden, OUTGOING)
        self.tri_mul_in = TriangleMultiplication(c_z, hidden, INCOMING)
        self.tri_att_start = TriangleAttentionStart(c_z, heads, width)
        self.tri_att_end = TriangleAttentionEnd(c_z, heads, width)
        self.pair_transition = Transition(c_z, factor)


class Block(nn.Module):
    """A block of the Evoformer (algorithm 6) or, with `extra`, of the extra
    MSA stack (algorithm 18)."""

    def __init__(self, c_m, c_z, stack, extra=False):
        super().__init__()
        heads, width = stack["msa_heads"], stack["msa_head_width"]
        column = MsaColumnGlobalAttention if extra else MsaColumnAttention
        self.msa_att_row = MsaRowAttention(c_m, c_z, heads, width)
        self.msa_att_col = column(c_m, heads, width)
        self.core = Core(c_m, c_z, stack)

    def forward(self, m, z, msa_mask, pair_mask, see=lambda name, x: None):
        """`see` gets m or z after each part, by the part's name."""
        m = m + self.msa_att_row(m, z, msa_mask)
        see("msa_att_row", m)
        m = m + self.msa_att_col(m, msa_mask)
        see("msa_att_col", m)
        m = m + self.core.msa_transition(m)
        see("msa_transition", m)
        z = z + self.core.outer_product_mean(m, msa_mask)
        see("outer_product_mean", z)
        for name in ("tri_mul_out", "tri_mul_in", "tri_att_start", "tri_att_end"):
            z = z + getattr(self.core, name)(z, pair_mask)
            see(name, z)
        z = z + self.core.pair_transition(z)
        see("pair_transition", z)
        return m, z
