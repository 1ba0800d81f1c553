"""The vision tower: llama.cpp's `qwen3vl_merger` graph in PyTorch, without deepstack.

Facts about libmtmd that this file depends on, each found by comparing log-probabilities with llama-server:
pixels are (x/255 - 0.5) / 0.5; a patch vector is in (channel, y, x) order; patches come in 2x2 blocks, row-major, and
inside a block top-left, top-right, bottom-left, bottom-right; the position table is row-major and, where the grid is
not its own, interpolated bilinearly with aligned corners; rotary positions take the row for the first quarter of the
head and the column for the second, both at 10000^(-4i/head).
"""
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from . import fast

PATCH, MERGE = 16, 2


@dataclass
class VisionConfig:
    width: int = 96
    layers: int = 4
    heads: int = 3
    inner: int = 256
    table: int = 8              # the position table has table x table rows
    eps: float = 1e-6


def block_order(rows, columns):
    """Row-major index of each patch, listed in the order of the 2x2 blocks."""
    index = torch.arange(rows * columns).view(rows // 2, 2, columns // 2, 2)
    return index.permute(0, 2, 1, 3).reshape(-1)


def patches(pixels):
    """uint8 [n, height, width, 3] to [n, patches in block order, 3 * PATCH * PATCH]."""
    count, height, width, _ = pixels.shape
    x = pixels.float().mul_(2 / 255).sub_(1)
    x = x.view(count, height // 32, 2, PATCH, width // 32, 2, PATCH, 3).permute(0, 1, 4, 2, 5, 7, 3, 6)
    return x.reshape(count, -1, 3 * PATCH * PATCH)


class VisionBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, small = config.width, 1 / math.sqrt(2 * config.layers)
        self.heads = config.heads
        self.ln1, self.ln2 = nn.LayerNorm(width, config.eps), nn.LayerNorm(width, config.eps)
        self.qkv, self.out = fast.Linear(width, 3 * width), fast.Linear(width, width, gain=small)
        self.up, self.down = fast.Linear(width, config.inner), fast.Linear(config.inner, width, gain=small)

    def forward(self, x, rope):
        count, length, width = x.shape
        head = width // self.heads
        q, k, v = self.qkv(self.ln1(x)).view(count, length, 3, self.heads, head).permute(2, 0, 3, 1, 4)
        q, k = fast.rotate(q * head ** -0.5, *rope), fast.rotate(k, *rope)
        mixed = fast.attention(q, k, v, None, self.training)
        x = x + self.out(mixed.transpose(1, 2).reshape(count, length, width))
        return x + self.down(fast.gelu(self.up(self.ln2(x))))


class VisionTower(nn.Module):
    """pixels to patch features (`features`), and from there to one vector for each 2x2 block (`merge`)."""

    def __init__(self, config, text_width):
        super().__init__()
        self.config, width = config, config.width
        self.patch = fast.Linear(3 * PATCH * PATCH, width)
        self.positions = nn.Parameter(torch.randn(config.table ** 2, width) * 0.1)
        self.blocks = nn.ModuleList(VisionBlock(config) for _ in range(config.layers))
        self.post = nn.LayerNorm(width, config.eps)
        self.merge1 = fast.Linear(4 * width, 4 * width)
        self.merge2 = fast.Linear(4 * width, text_width)

    def _rope(self, rows, columns):
        head = self.config.width // self.config.heads
        frequency = 10000.0 ** (-torch.arange(head // 4) * 4.0 / head)
        order = block_order(rows, columns)
        y, x = (order // columns).float(), (order % columns).float()
        angle = torch.cat((y[:, None] * frequency, x[:, None] * frequency), -1)
        return angle.cos(), angle.sin()

    def _positions(self, rows, columns):
        size, table = self.config.table, self.positions
        if (rows, columns) != (size, size):
            grid = table.view(1, size, size, -1).permute(0, 3, 1, 2)
            grid = F.interpolate(grid, (rows, columns), mode="bilinear", align_corners=True)
            table = grid[0].permute(1, 2, 0).reshape(rows * columns, -1)
        return table[block_order(rows, columns)]

    def features(self, pixels):
        rows, columns = pixels.shape[1] // PATCH, pixels.shape[2] // PATCH
        return self.encode(patches(pixels), rows, columns)

    def encode(self, vectors, rows, columns):
        x = self.patch(vectors) + self._positions(rows, columns)
        rope = self._rope(rows, columns)
        for block in self.blocks:
            x = block(x, rope)
        return self.post(x)

    def merge(self, features):
        count, length, width = features.shape
        return self.merge2(fast.gelu(self.merge1(features.reshape(count, length // 4, 4 * width))))

    def forward(self, pixels):
        return self.merge(self.features(pixels))
