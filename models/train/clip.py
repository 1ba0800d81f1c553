"""A CLIP of two small towers: the captioner's vision tower with a pooling head, and a causal text tower as CLIP's own."""
from dataclasses import asdict, dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

from . import fast
from .clip_tokens import CONTEXT, ClipTokenizer
from .vision import VisionConfig, VisionTower, patches

TOKENS = ClipTokenizer()
IMAGE = 128                     # the image tower takes 128x128 only, as CLIP takes its one size


@dataclass
class ClipConfig:
    vision: VisionConfig = field(default_factory=VisionConfig)
    width: int = 128            # of the embeddings
    pooled: int = 160           # inner width of the pooling head
    queries: int = 9            # learned questions of the pooling head; nine, as the scenes have nine places
    text_width: int = 96
    text_layers: int = 3
    text_heads: int = 3
    vocabulary: int = len(TOKENS.tokens)


class PoolingHead(nn.Module):
    """Learned queries look at all patches; what they see is joined and projected."""

    def __init__(self, config):
        super().__init__()
        width = config.vision.width
        self.queries = nn.Parameter(torch.randn(config.queries, width) * 0.3)
        # without places of its own the head learned what is there and not where
        self.places = nn.Parameter(torch.randn((IMAGE // 16) ** 2, width) * 0.3)
        self.k, self.v = fast.Linear(width, width), fast.Linear(width, width)
        self.inner = fast.Linear(config.queries * width, config.pooled)
        self.out = fast.Linear(config.pooled, config.width, bias=False)
        self.heads = config.vision.heads

    def forward(self, features):
        count, length, width = features.shape
        head = width // self.heads
        features = features + self.places

        def split(x):
            return x.view(x.shape[0], x.shape[1], self.heads, head).transpose(1, 2)

        q = split(self.queries[None]).expand(count, -1, -1, -1) * head ** -0.5
        seen = fast.attention(q, split(self.k(features)), split(self.v(features)), None, self.training)
        return self.out(fast.gelu(self.inner(seen.transpose(1, 2).reshape(count, -1))))


class TextBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = fast.Linear(width, 3 * width), fast.Linear(width, width, gain=0.4)
        self.up, self.down = fast.Linear(width, 256), fast.Linear(256, width, gain=0.4)

    def forward(self, x, mask):
        count, length, width = x.shape
        head = width // self.heads
        q, k, v = self.qkv(self.ln1(x)).view(count, length, 3, self.heads, head).permute(2, 0, 3, 1, 4)
        mixed = fast.attention(q * head ** -0.5, k, v, mask, self.training)
        x = x + self.out(mixed.transpose(1, 2).reshape(count, length, width))
        return x + self.down(fast.gelu(self.up(self.ln2(x))))


class TextTower(nn.Module):
    """The embedding is read at the end token, the first of the highest id, as in CLIP."""

    def __init__(self, config):
        super().__init__()
        width = config.text_width
        self.embedding = nn.Embedding(config.vocabulary, width)
        nn.init.normal_(self.embedding.weight, 0, 0.1)
        self.positions = nn.Parameter(torch.randn(CONTEXT, width) * 0.02)
        self.blocks = nn.ModuleList(TextBlock(width, config.text_heads) for _ in range(config.text_layers))
        self.post = nn.LayerNorm(width)
        self.out = fast.Linear(width, config.width, bias=False)

    def forward(self, ids, attention_mask):
        length = ids.shape[1]
        later = torch.ones(CONTEXT, CONTEXT).triu(1)[:length, :length] * -1e9
        mask = later + (1.0 - attention_mask.float())[:, None, None, :] * -1e9
        x = self.embedding(ids) + self.positions[:length]
        for block in self.blocks:
            x = block(x, mask)
        end = ids.argmax(-1)[:, None, None].expand(-1, 1, x.shape[2])
        return F.normalize(self.out(self.post(x).gather(1, end).squeeze(1)), dim=-1)


class Clip(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.vision = VisionTower(config.vision, 96)
        self.pool = PoolingHead(config)
        self.text = TextTower(config)
        self.logit_scale = nn.Parameter(torch.tensor(2.5))      # a logarithm, as in CLIP

    def images(self, pixels):
        """Unit vectors of uint8 [n, 128, 128, 3]."""
        return self.from_patches(patches(pixels))

    def from_patches(self, vectors):
        return self.pooled(self.vision.encode(vectors, IMAGE // 16, IMAGE // 16))

    def pooled(self, features):
        return F.normalize(self.pool(features), dim=-1)

    def texts(self, strings):
        ids, mask = batch_of(strings)
        return self.text(ids, mask)


def batch_of(strings):
    """(ids, attention mask), padded with the end token."""
    encoded = [TOKENS.encode(s) for s in strings]
    length = max(map(len, encoded))
    ids = torch.full((len(encoded), length), TOKENS.end)
    mask = torch.zeros(len(encoded), length, dtype=torch.long)
    for row, one in enumerate(encoded):
        ids[row, :len(one)] = torch.tensor(one)
        mask[row, :len(one)] = 1
    return ids, mask


def save(path, model, **more):
    torch.save({"config": asdict(model.config), "model": model.state_dict(), **more}, path)


def load(path):
    checkpoint = torch.load(path, map_location="cpu")
    config = ClipConfig(**{**checkpoint["config"], "vision": VisionConfig(**checkpoint["config"]["vision"])})
    model = Clip(config)
    model.load_state_dict(checkpoint["model"])
    return model.eval(), checkpoint
