"""The text models: llama.cpp's `qwen35` (hybrid) and `qwen3vl` (attention only) graphs in PyTorch.

Training packs a picture's caption and questions behind one shared prefix (head and image): a `Layout` says how. Every
branch sees the prefix and itself only and starts at the same position, so this equals training each on its own while
the vision tower's work is paid once. Attention does it with a mask; the delta rule starts each branch from the state
(and the last convolution inputs) that the prefix left.
"""
import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

from . import fast


@dataclass
class TextConfig:
    arch: str = "qwen35"            # or "qwen3vl"
    width: int = 96
    layers: int = 4
    heads: int = 3
    head: int = 32
    inner: int = 256
    vocabulary: int = 512
    eps: float = 1e-6
    rope_base: float = 10000.0
    rope_sections: tuple = (6, 5, 5, 0)
    full_every: int = 2             # qwen35: every so many layers one of full attention, the others delta nets
    conv: int = 4


@dataclass
class Layout:
    """One prefix and then groups of (count, length) branches of equal length, all in one row of the batch."""
    prefix: int
    branches: list = field(default_factory=list)

    @property
    def length(self):
        return self.prefix + sum(count * length for count, length in self.branches)

    def mask(self):
        """Additive float mask [length, length]."""
        owner = torch.zeros(self.length, dtype=torch.long)
        at, number = self.prefix, 0
        for count, length in self.branches:
            for _ in range(count):
                number += 1
                owner[at:at + length] = number
                at += length
        allowed = (owner[None, :] == owner[:, None]) | (owner[None, :] == 0)
        allowed &= torch.ones(self.length, self.length, dtype=torch.bool).tril()
        return torch.zeros(self.length, self.length).masked_fill_(~allowed, -1e9)

    def over_branches(self, tensors, prefix_step, branch_step):
        """Runs prefix_step(tensors) -> (out, memory), then branch_step(tensors, memory) on each group as a batch of its
        own (memory repeated); tensors are [batch, length, ...]; returns the outputs joined again."""
        batch = tensors[0].shape[0]
        out, memory = prefix_step([t[:, :self.prefix] for t in tensors])
        outs, at = [out], self.prefix
        for count, length in self.branches:
            part = [t[:, at:at + count * length].reshape(batch * count, length, *t.shape[2:]) for t in tensors]
            own = [m.repeat_interleave(count, 0) for m in memory]
            result = branch_step(part, own)
            outs.append(result.reshape(batch, count * length, *result.shape[2:]))
            at += count * length
        return torch.cat(outs, 1)


class FeedForward(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.norm = fast.RmsNorm(config.width, config.eps)
        self.gate_up = fast.Linear(config.width, 2 * config.inner, bias=False)
        self.down = fast.Linear(config.inner, config.width, bias=False, gain=1 / math.sqrt(2 * config.layers))

    def forward(self, x):
        return x + self.down(fast.swiglu(self.gate_up(self.norm(x))))


class AttentionBlock(nn.Module):
    """`qwen3vl`: attention with normalised queries and keys. `gated` (qwen35): the query projection also makes a gate."""

    def __init__(self, config, gated):
        super().__init__()
        inner = config.heads * config.head
        self.config, self.gated = config, gated
        self.norm = fast.RmsNorm(config.width, config.eps)
        self.q_norm, self.k_norm = (fast.RmsNorm(config.head, config.eps) for _ in range(2))
        self.q = fast.Linear(config.width, inner * (2 if gated else 1), bias=False)
        self.k, self.v = (fast.Linear(config.width, inner, bias=False) for _ in range(2))
        self.out = fast.Linear(inner, config.width, bias=False, gain=1 / math.sqrt(2 * config.layers))
        self.feed = FeedForward(config)

    def queries_keys_values(self, x, rope):
        """q (scaled), k, v as [n, heads, length, head], and the gate or None."""
        batch, length, _ = x.shape
        shape = (batch, length, self.config.heads, -1)
        h = self.norm(x)
        q, k, v = self.q(h).view(shape), self.k(h).view(shape), self.v(h).view(shape)
        gate = None
        if self.gated:
            q, gate = q.chunk(2, -1)
        q = fast.rotate(self.q_norm(q), *rope).transpose(1, 2) * self.config.head ** -0.5
        k = fast.rotate(self.k_norm(k), *rope).transpose(1, 2)
        return q, k, v.transpose(1, 2), gate

    def finish(self, x, mixed, gate):
        mixed = mixed.transpose(1, 2)
        if gate is not None:
            mixed = mixed * torch.sigmoid(gate)
        return self.feed(x + self.out(mixed.reshape(*x.shape[:2], -1)))

    def forward(self, x, rope, layout, mask):
        q, k, v, gate = self.queries_keys_values(x, rope)
        return self.finish(x, fast.attention(q, k, v, mask, self.training), gate)


class DeltaBlock(nn.Module):
    """`qwen35`'s recurrent layer: a short causal convolution, then the gated delta rule."""

    def __init__(self, config):
        super().__init__()
        inner = config.heads * config.head
        self.config = config
        self.norm = fast.RmsNorm(config.width, config.eps)
        self.qkv = fast.Linear(config.width, 3 * inner, bias=False)
        self.z = fast.Linear(config.width, inner, bias=False)
        self.beta = fast.Linear(config.width, config.heads, bias=False)
        self.alpha = fast.Linear(config.width, config.heads, bias=False)
        self.conv = nn.Parameter(torch.randn(3 * inner, config.conv) * 0.3)
        # decays from slow to fast over the heads: exp(-softplus(dt) * exp(log_a)) per position
        self.log_a = nn.Parameter(torch.linspace(-2.5, 0.0, config.heads))
        self.dt = nn.Parameter(torch.full((config.heads,), -1.0))
        self.out_norm = fast.RmsNorm(config.head, config.eps)
        self.out = fast.Linear(inner, config.width, bias=False, gain=1 / math.sqrt(2 * config.layers))
        self.feed = FeedForward(config)

    def _mix(self, tensors, memory):
        """One batch of sequences from the given memory (last convolution inputs, state) or from nothing."""
        raw, log_decay, beta = tensors
        before = raw.new_zeros(raw.shape[0], self.config.conv - 1, raw.shape[2]) if memory is None else memory[0]
        padded = torch.cat((before, raw), 1)
        mixed = sum(padded[:, i:i + raw.shape[1]] * self.conv[:, i] for i in range(self.config.conv))
        q, k, v = (t.reshape(*t.shape[:2], self.config.heads, -1).transpose(1, 2) for t in F.silu(mixed).chunk(3, -1))
        q = F.normalize(q, dim=-1, eps=self.config.eps) * self.config.head ** -0.5
        k = F.normalize(k, dim=-1, eps=self.config.eps)
        out, state = fast.delta_rule(q, k, v, log_decay.transpose(1, 2), beta.transpose(1, 2),
                                     None if memory is None else memory[1], self.training)
        return out.transpose(1, 2), [padded[:, raw.shape[1]:], state]

    def forward(self, x, rope, layout, mask):
        h = self.norm(x)
        log_decay = -F.softplus(self.alpha(h) + self.dt) * self.log_a.exp()
        tensors = [self.qkv(h), log_decay, torch.sigmoid(self.beta(h))]
        out = layout.over_branches(tensors, lambda t: self._mix(t, None), lambda t, memory: self._mix(t, memory)[0])
        z = self.z(h).view(*x.shape[:2], self.config.heads, -1)
        gated = self.out_norm(out) * F.silu(z)
        return self.feed(x + self.out(gated.reshape(*x.shape[:2], -1)))


class TextModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        nn.init.normal_(self.embedding.weight, 0, 1 / math.sqrt(config.width))
        self.blocks = nn.ModuleList(self._block(i) for i in range(config.layers))
        self.norm = fast.RmsNorm(config.width, config.eps)
        half = config.head // 2
        self.register_buffer("frequency", config.rope_base ** (-torch.arange(half) * 2.0 / config.head), False)
        self.register_buffer("axis", torch.tensor([self._axis(i) for i in range(half)]), False)

    def _block(self, index):
        config = self.config
        if config.arch == "qwen35" and (index + 1) % config.full_every:
            return DeltaBlock(config)
        return AttentionBlock(config, gated=config.arch == "qwen35")

    def _axis(self, i):
        """Which of (time, row, column) turns pair i: interleaved within the sections, as ggml's interleaved M-RoPE."""
        sections = self.config.rope_sections
        for axis in (1, 2, 0):
            if i % 3 == axis and i < 3 * sections[axis]:
                return axis
        return 3

    def rope(self, positions):
        """cos and sin [length, 1, head/2] of positions [length, 4]."""
        angle = positions.float()[:, self.axis] * self.frequency
        return angle.cos().unsqueeze(1), angle.sin().unsqueeze(1)

    def forward(self, embedded, positions, layout):
        """embedded [batch, length, width] to normalised hidden states; `positions` are the same for the whole batch."""
        rope, mask = self.rope(positions), layout.mask()
        x = embedded
        for block in self.blocks:
            x = block(x, rope, layout, mask)
        return self.norm(x)

    def logits(self, hidden):
        return hidden @ self.embedding.weight.t()
