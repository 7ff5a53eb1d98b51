"""AlphaFold 2 in PyTorch, by the letter of its supplement.

Jumper et al., "Highly accurate protein structure prediction with AlphaFold",
Nature 2021, supplementary information: algorithm 2 without ensembles, training
and side chains. Written from the equations, to be compared with: indices are
theirs, nothing is merged, fused, chunked or fast, and it shares no code with
ours. The blocks are in `evoformer.py`, the structure module in `structure.py`.
Parameters have the names of OpenFold's published weights.

Where the supplement and DeepMind's code differ, or the supplement says nothing,
the code is followed; `README.md` lists these places.

Legend: S sequences, E extra sequences, T templates, R residues, H heads, d width
of a head; m is [S, R, c_m], z is [R, R, c_z]. In equations s and t count
sequences (in templates t counts those), i, j and k residues, h heads, p points.
There is no batch.
"""

import math

import torch
import torch.nn.functional as F
from evoformer import (
    INCOMING,
    OUTGOING,
    Block,
    Transition,
    TriangleAttentionEnd,
    TriangleAttentionStart,
    TriangleMultiplication,
    bare,
    norm,
    softmax,
)
from structure import StructureModule
from torch import einsum, nn

NEAREST, FARTHEST = 3.25, 20.75  # first and last bin's begin in recycling


class Evoformer(nn.Module):
    def __init__(self, config):
        super().__init__()
        c_m, c_z, stack = config["c_m"], config["c_z"], config["evoformer"]
        self.blocks = nn.ModuleList(
            Block(c_m, c_z, stack) for _ in range(stack["blocks"])
        )
        self.linear = nn.Linear(c_m, config["c_s"])

    def forward(self, m, z, msa_mask, pair_mask):
        for block in self.blocks:
            m, z = block(m, z, msa_mask, pair_mask)
        return m, z, self.linear(m[0])


class ExtraMsaStack(nn.Module):
    def __init__(self, config):
        super().__init__()
        c_e, c_z, stack = config["c_e"], config["c_z"], config["extra"]
        self.blocks = nn.ModuleList(
            Block(c_e, c_z, stack, extra=True) for _ in range(stack["blocks"])
        )

    def forward(self, m, z, msa_mask, pair_mask):
        for block in self.blocks:
            m, z = block(m, z, msa_mask, pair_mask)
        return z


class InputEmbedder(nn.Module):
    """Algorithms 3 to 5."""

    def __init__(self, config):
        super().__init__()
        c_m, c_z, features = config["c_m"], config["c_z"], config["features"]
        self.reach = features["relative_positions"]
        self.linear_tf_z_i = nn.Linear(features["target"], c_z)
        self.linear_tf_z_j = nn.Linear(features["target"], c_z)
        self.linear_tf_m = nn.Linear(features["target"], c_m)
        self.linear_msa_m = nn.Linear(features["msa"], c_m)
        self.linear_relpos = nn.Linear(2 * self.reach + 1, c_z)

    def forward(self, target, index, msa):
        a, b = self.linear_tf_z_i(target), self.linear_tf_z_j(target)
        apart = (index[:, None] - index[None, :]).clamp(-self.reach, self.reach)
        classes = 2 * self.reach + 1
        one_hot = F.one_hot((apart + self.reach).long(), classes)  # [R, R, 65]
        z = a[:, None] + b[None, :] + self.linear_relpos(one_hot.to(a.dtype))
        m = self.linear_msa_m(msa) + self.linear_tf_m(target)[None]
        return m, z


class RecyclingEmbedder(nn.Module):
    """Algorithm 32; bins as in DeepMind's code."""

    def __init__(self, config):
        super().__init__()
        self.bins = config["features"]["recycling_bins"]
        self.linear = nn.Linear(self.bins, config["c_z"])
        self.layer_norm_m = norm(config["c_m"])
        self.layer_norm_z = norm(config["c_z"])

    def forward(self, m, z, previous_m, previous_z, positions):
        apart = positions[:, None] - positions[None, :]
        distance = apart.square().sum(-1).sqrt()[:, :, None]  # [R, R, 1]
        lower = torch.linspace(NEAREST, FARTHEST, self.bins, dtype=z.dtype)
        upper = torch.cat([lower[1:], lower.new_tensor([math.inf])])
        one_hot = (distance > lower) & (distance < upper)  # [R, R, bins]
        z = z + self.linear(one_hot.to(z.dtype)) + self.layer_norm_z(previous_z)
        first = m[0] + self.layer_norm_m(previous_m)
        return torch.cat([first[None], m[1:]]), z


class TemplateAngleEmbedder(nn.Module):
    """Algorithm 2, line 7."""

    def __init__(self, config):
        super().__init__()
        self.linear_1 = nn.Linear(config["template"]["angle_features"], config["c_m"])
        self.linear_2 = nn.Linear(config["c_m"], config["c_m"])

    def forward(self, angles):
        return self.linear_2(self.linear_1(angles).relu())


class Embedder(nn.Module):
    """One layer: algorithm 2, lines 9 and 15."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x):
        return self.linear(x)


class TemplateBlock(nn.Module):
    """A block of algorithm 16."""

    def __init__(self, config):
        super().__init__()
        c_t, sizes = config["c_t"], config["template"]
        heads, width, hidden = sizes["heads"], sizes["head_width"], sizes["hidden"]
        self.tri_att_start = TriangleAttentionStart(c_t, heads, width)
        self.tri_att_end = TriangleAttentionEnd(c_t, heads, width)
        self.tri_mul_out = TriangleMultiplication(c_t, hidden, OUTGOING)
        self.tri_mul_in = TriangleMultiplication(c_t, hidden, INCOMING)
        self.pair_transition = Transition(c_t, sizes["factor"])

    def forward(self, t, mask):
        t = t + self.tri_att_start(t, mask)
        t = t + self.tri_att_end(t, mask)
        t = t + self.tri_mul_out(t, mask)
        t = t + self.tri_mul_in(t, mask)
        return t + self.pair_transition(t)


class TemplatePairStack(nn.Module):
    """Algorithm 16, of one template."""

    def __init__(self, config):
        super().__init__()
        self.blocks = nn.ModuleList(
            TemplateBlock(config) for _ in range(config["template"]["blocks"])
        )
        self.layer_norm = norm(config["c_t"])

    def forward(self, t, mask):
        for block in self.blocks:
            t = block(t, mask)
        return self.layer_norm(t)


class PointwiseAttention(nn.Module):
    def __init__(self, c_z, c_t, heads, width):
        super().__init__()
        self.linear_q = bare(c_z, heads * width)
        self.linear_k = bare(c_t, heads * width)
        self.linear_v = bare(c_t, heads * width)
        self.linear_o = nn.Linear(heads * width, c_z)
        self.split = (heads, width)


class TemplatePointwiseAttention(nn.Module):
    """Algorithm 17: of each pair, over the templates."""

    def __init__(self, config):
        super().__init__()
        sizes = config["template"]
        heads, width = sizes["pointwise_heads"], sizes["pointwise_head_width"]
        self.mha = PointwiseAttention(config["c_z"], config["c_t"], heads, width)

    def forward(self, t, z, mask):
        mha, split = self.mha, self.mha.split
        q = mha.linear_q(z).unflatten(-1, split)  # [R, R, H, d]
        k = mha.linear_k(t).unflatten(-1, split)  # [T, R, R, H, d]
        v = mha.linear_v(t).unflatten(-1, split)
        scores = einsum("ijhd,tijhd->tijh", q, k) / math.sqrt(split[1])
        a = softmax(scores, mask[:, None, None, None], 0)
        o = einsum("tijh,tijhd->ijhd", a, v)
        return mha.linear_o(o.flatten(-2)) * (mask.sum() > 0)


class PlddtHead(nn.Module):
    """Algorithm 29, its logits."""

    def __init__(self, c_s, hidden, bins):
        super().__init__()
        self.layer_norm = norm(c_s)
        self.linear_1 = nn.Linear(c_s, hidden)
        self.linear_2 = nn.Linear(hidden, hidden)
        self.linear_3 = nn.Linear(hidden, bins)

    def forward(self, s):
        s = self.linear_1(self.layer_norm(s)).relu()
        return self.linear_3(self.linear_2(s).relu())


class DistogramHead(nn.Module):
    """Section 1.9.8: the logits of ij and ji are the same."""

    def __init__(self, c_z, bins):
        super().__init__()
        self.linear = nn.Linear(c_z, bins)

    def forward(self, z):
        half = self.linear(z)
        return half + half.transpose(0, 1)


class Heads(nn.Module):
    def __init__(self, config):
        super().__init__()
        sizes, c_s = config["heads"], config["c_s"]
        self.plddt = PlddtHead(c_s, sizes["plddt_hidden"], sizes["plddt_bins"])
        self.distogram = DistogramHead(config["c_z"], sizes["distogram_bins"])
        self.masked_msa = Embedder(config["c_m"], sizes["masked_msa_classes"])
        self.experimentally_resolved = Embedder(c_s, sizes["resolved_atoms"])


class AlphaFold(nn.Module):
    """Algorithm 2, one pass: the previous one's results are inputs."""

    def __init__(self, config):
        super().__init__()
        c_t, c_e = config["c_t"], config["c_e"]
        self.input_embedder = InputEmbedder(config)
        self.recycling_embedder = RecyclingEmbedder(config)
        self.template_angle_embedder = TemplateAngleEmbedder(config)
        pair_features = config["template"]["pair_features"]
        self.template_pair_embedder = Embedder(pair_features, c_t)
        self.template_pair_stack = TemplatePairStack(config)
        self.template_pointwise_att = TemplatePointwiseAttention(config)
        self.extra_msa_embedder = Embedder(config["features"]["extra"], c_e)
        self.extra_msa_stack = ExtraMsaStack(config)
        self.evoformer = Evoformer(config)
        self.structure_module = StructureModule(config)
        self.aux_heads = Heads(config)

    def forward(self, inputs):
        """Inputs and outputs are those of the golden file, by name."""
        seq_mask = inputs["seq_mask"]
        pair_mask = seq_mask[:, None] * seq_mask[None, :]
        m, z = self.input_embedder(
            inputs["target_feat"], inputs["residue_index"], inputs["msa_feat"]
        )
        m, z = self.recycling_embedder(
            m,
            z,
            inputs["previous_m"],
            inputs["previous_z"],
            inputs["previous_positions"],
        )
        found = {"embedded_m": m, "embedded_z": z}

        stack = self.template_pair_stack
        pairs = self.template_pair_embedder(inputs["template_pair_feat"])
        t = torch.stack([stack(pair, pair_mask) for pair in pairs])  # [T, R, R, c_t]
        z = z + self.template_pointwise_att(t, z, inputs["template_mask"])
        found["templates_z"] = z
        rows = self.template_angle_embedder(inputs["template_angle_feat"])
        sequences = len(m)
        m = torch.cat([m, rows])  # [S + T, R, c_m]
        msa_mask = torch.cat([inputs["msa_mask"], inputs["template_angle_mask"]])

        extra = self.extra_msa_embedder(inputs["extra_msa_feat"])
        z = self.extra_msa_stack(extra, z, inputs["extra_msa_mask"], pair_mask)
        found["extra_z"] = z
        m, z, single = self.evoformer(m, z, msa_mask, pair_mask)
        m = m[:sequences]
        s, rotation, translation, angles = self.structure_module(single, z, seq_mask)
        heads = self.aux_heads
        return found | {
            "m": m,
            "z": z,
            "single": single,
            "frames_rotation": rotation,
            "frames_translation": translation,
            "angles": angles,
            "plddt": heads.plddt(s),
            "distogram": heads.distogram(z),
            "masked_msa": heads.masked_msa(m),
            "experimentally_resolved": heads.experimentally_resolved(single),
        }
