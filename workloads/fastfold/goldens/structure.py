"""The structure module by the letter of the supplement: algorithms 20, 22 and 23.

A part of `reference.py`, which says what it follows.

Legend: R residues, H heads, c width of a head, P points of a head; z is
[R, R, c_z]. In equations i and j count residues, h heads, p points, x and y axes.
"""

import math

import torch
import torch.nn.functional as F
from evoformer import norm, softmax
from torch import einsum, nn

LENGTH = 1e-8  # keeps lengths away from zero: of points, of angles' vectors
ANGSTROMS = 10.0  # in the module's unit of length


class InvariantPointAttention(nn.Module):
    """Algorithm 22, with the biases of DeepMind's code."""

    def __init__(self, config):
        super().__init__()
        c_s, c_z, sizes = config["c_s"], config["c_z"], config["structure"]
        heads, width = sizes["heads"], sizes["width"]
        queries, values = sizes["query_points"], sizes["value_points"]
        self.linear_q = nn.Linear(c_s, heads * width)
        self.linear_kv = nn.Linear(c_s, 2 * heads * width)
        self.linear_q_points = nn.Linear(c_s, 3 * heads * queries)
        self.linear_kv_points = nn.Linear(c_s, 3 * heads * (queries + values))
        self.linear_b = nn.Linear(c_z, heads)
        self.head_weights = nn.Parameter(torch.empty(heads))
        mixed = heads * (c_z + width + 4 * values)
        self.linear_out = nn.Linear(mixed, c_s)
        self.heads, self.width = heads, width
        self.queries, self.values = queries, values

    def placed(self, layer, s, frames):
        """Points in each residue's frame, where they are in the whole:
        [R, H, P, 3]. A layer gives all x, then all y, then all z."""
        rotation, translation = frames
        local = layer(s).unflatten(-1, (3, self.heads, -1))  # [R, 3, H, P]
        whole = einsum("ixy,iyhp->ihpx", rotation, local)
        return whole + translation[:, None, None]

    def forward(self, s, z, frames, mask):
        rotation, translation = frames
        c = self.width
        q = self.linear_q(s).unflatten(-1, (self.heads, c))  # [R, H, c]
        kv = self.linear_kv(s).unflatten(-1, (self.heads, 2 * c))
        k, v = kv[..., :c], kv[..., c:]
        q_points = self.placed(self.linear_q_points, s, frames)
        kv_points = self.placed(self.linear_kv_points, s, frames)
        k_points = kv_points[:, :, : self.queries]
        v_points = kv_points[:, :, self.queries :]
        b = self.linear_b(z)  # [R, R, H]

        w_c = math.sqrt(2 / (9 * self.queries))
        w_l = math.sqrt(1 / 3)
        gamma = F.softplus(self.head_weights)
        square = (q_points[:, None] - k_points[None]).square().sum((-1, -2))
        scores = w_l * (
            einsum("ihc,jhc->ijh", q, k) / math.sqrt(c)
            + b
            - gamma * w_c / 2 * square
        )
        a = softmax(scores, mask[None, :, None], 1)  # [R, R, H]

        o_pair = einsum("ijh,ijc->ihc", a, z)
        o = einsum("ijh,jhc->ihc", a, v)
        o_points = einsum("ijh,jhpx->ihpx", a, v_points)
        o_points = o_points - translation[:, None, None]
        o_points = einsum("iyx,ihpy->ihpx", rotation, o_points)
        lengths = (o_points.square().sum(-1) + LENGTH).sqrt()  # [R, H, P]
        axes = o_points.flatten(1, 2).unbind(-1)  # x, y and z, each [R, H P]
        mixed = [o.flatten(1), *axes, lengths.flatten(1), o_pair.flatten(1)]
        return self.linear_out(torch.cat(mixed, -1))


class TransitionLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.linear_1 = nn.Linear(c, c)
        self.linear_2 = nn.Linear(c, c)
        self.linear_3 = nn.Linear(c, c)

    def forward(self, s):
        x = self.linear_1(s).relu()
        return s + self.linear_3(self.linear_2(x).relu())


class StructureTransition(nn.Module):
    """Algorithm 20, lines 8 and 9."""

    def __init__(self, c):
        super().__init__()
        self.layers = nn.ModuleList([TransitionLayer(c)])
        self.layer_norm = norm(c)

    def forward(self, s):
        for layer in self.layers:
            s = layer(s)
        return self.layer_norm(s)


class AngleLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.linear_1 = nn.Linear(c, c)
        self.linear_2 = nn.Linear(c, c)

    def forward(self, a):
        return a + self.linear_2(self.linear_1(a.relu()).relu())


class AngleResnet(nn.Module):
    """Algorithm 20, lines 11 to 14, with a ReLU first as in DeepMind's code."""

    def __init__(self, c_s, c, blocks, angles):
        super().__init__()
        self.linear_in = nn.Linear(c_s, c)
        self.linear_initial = nn.Linear(c_s, c)
        self.layers = nn.ModuleList(AngleLayer(c) for _ in range(blocks))
        self.linear_out = nn.Linear(c, 2 * angles)

    def forward(self, s, initial):
        a = self.linear_in(s.relu()) + self.linear_initial(initial.relu())
        for layer in self.layers:
            a = layer(a)
        a = self.linear_out(a.relu()).unflatten(-1, (-1, 2))  # [R, 7, 2]
        return a / a.square().sum(-1, keepdim=True).clamp(min=LENGTH).sqrt()


class BackboneUpdate(nn.Module):
    """Algorithm 23: frames that move the backbone's."""

    def __init__(self, c_s):
        super().__init__()
        self.linear = nn.Linear(c_s, 6)

    def forward(self, s):
        b, c, d, *translation = self.linear(s).unbind(-1)
        length = (1 + b.square() + c.square() + d.square()).sqrt()
        a, b, c, d = 1 / length, b / length, c / length, d / length
        aa, bb, cc, dd = a * a, b * b, c * c, d * d
        rows = [
            [aa + bb - cc - dd, 2 * b * c - 2 * a * d, 2 * b * d + 2 * a * c],
            [2 * b * c + 2 * a * d, aa - bb + cc - dd, 2 * c * d - 2 * a * b],
            [2 * b * d - 2 * a * c, 2 * c * d + 2 * a * b, aa - bb - cc + dd],
        ]
        rotation = torch.stack([torch.stack(row, -1) for row in rows], -2)
        return rotation, torch.stack(translation, -1)


class StructureModule(nn.Module):
    """Algorithm 20 without side chains."""

    def __init__(self, config):
        super().__init__()
        c_s, sizes = config["c_s"], config["structure"]
        self.layer_norm_s = norm(c_s)
        self.layer_norm_z = norm(config["c_z"])
        self.linear_in = nn.Linear(c_s, c_s)
        self.ipa = InvariantPointAttention(config)
        self.layer_norm_ipa = norm(c_s)
        self.transition = StructureTransition(c_s)
        self.bb_update = BackboneUpdate(c_s)
        self.angle_resnet = AngleResnet(
            c_s, sizes["resnet_width"], sizes["resnet_blocks"], sizes["angles"]
        )
        self.iterations = sizes["iterations"]

    def forward(self, single, z, mask):
        """The last single representation, the last frames (rotation and
        translation in angstroms), the angles of each iteration."""
        initial = self.layer_norm_s(single)
        z = self.layer_norm_z(z)
        s = self.linear_in(initial)
        count = len(s)
        rotation = torch.eye(3, dtype=s.dtype).expand(count, 3, 3)
        translation = s.new_zeros(count, 3)
        angles = []
        for _ in range(self.iterations):
            s = s + self.ipa(s, z, (rotation, translation), mask)
            s = self.transition(self.layer_norm_ipa(s))
            turn, move = self.bb_update(s)
            translation = einsum("ixy,iy->ix", rotation, move) + translation
            rotation = einsum("ixy,iyw->ixw", rotation, turn)
            angles.append(self.angle_resnet(s, initial))
        return s, rotation, ANGSTROMS * translation, torch.stack(angles)
