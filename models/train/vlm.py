"""A picture and a chat turn through tower and text model: positions, packing for training, greedy answers."""
import os
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import nn

from scenes import grammar

from .chat import HEAD_IDS, TOKENS, prompt_ids
from .text import Layout, TextConfig, TextModel
from .vision import VisionConfig, VisionTower

@dataclass
class VlmConfig:
    vision: VisionConfig = field(default_factory=VisionConfig)
    text: TextConfig = field(default_factory=lambda: TextConfig(vocabulary=len(TOKENS.tokens)))


class Vlm(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.vision = VisionTower(config.vision, config.text.width)
        self.text = TextModel(config.text)

    def prefix_positions(self, rows, columns):
        """([prefix, 4] positions of head and picture, the next position): as Qwen-VL counts on 2x2 merged blocks."""
        head = len(HEAD_IDS)
        picture = [(head, head + y, head + x, 0) for y in range(rows) for x in range(columns)]
        return [(i, i, i, 0) for i in range(head)] + picture, head + max(rows, columns)

    def embed(self, picture, ids):
        """[batch, prefix + len(ids), width] from merged picture vectors and the ids after them."""
        table = self.text.embedding.weight
        head = table[torch.tensor(HEAD_IDS)].expand(len(picture), -1, -1)
        return torch.cat((head, picture, self.text.embedding(ids)), 1)

    def run(self, picture, grid, ids, branches):
        """Hidden states of the branches' positions; ids [batch, sum of branches] are packed as `branches` says."""
        positions, after = self.prefix_positions(*grid)
        layout = Layout(len(positions), branches)
        for count, length in branches:
            positions = positions + [(after + i, after + i, after + i, 0) for i in range(length)] * count
        hidden = self.text(self.embed(picture, ids), torch.tensor(positions), layout)
        return hidden[:, layout.prefix:]

    @torch.no_grad()
    def first_logits(self, pixels, prompt):
        """Logits of the first answer token for one uint8 picture [height, width, 3]."""
        return self.next_logits(self.vision(torch.from_numpy(pixels)[None]), _grid(pixels), prompt_ids(prompt))

    @torch.no_grad()
    def next_logits(self, picture, grid, ids):
        hidden = self.run(picture, grid, torch.tensor([ids]), [(1, len(ids))])
        return self.text.logits(hidden[0, -1])

    @torch.no_grad()
    def answer(self, pixels, prompt, limit=80):
        """Greedy answer to a prompt about one picture. No cache: for checks, not for speed."""
        picture, ids, out = self.vision(torch.from_numpy(pixels)[None]), prompt_ids(prompt), []
        while len(out) < limit:
            best = int(self.next_logits(picture, _grid(pixels), ids + out).argmax())
            if best == TOKENS.end:
                break
            out.append(best)
        return TOKENS.decode(out)


def _grid(pixels):
    return pixels.shape[0] // 32, pixels.shape[1] // 32


# --- packing ---------------------------------------------------------------------------------------------------

IGNORED = -100


@dataclass
class Turns:
    """Packed chat turns of a batch: ids and targets [batch, positions], the branch groups, the first-answer marks."""
    ids: torch.Tensor
    targets: torch.Tensor
    branches: list
    first: torch.Tensor         # bool: this position predicts the first token of a question's answer


def pack(groups):
    """groups: a list (one for each branch group) of lists (pictures) of lists of (prompt, answer), equally many each."""
    ids, targets, firsts, branches = [], [], [], []
    for number, group in enumerate(groups):
        turns = [[(prompt_ids(p), TOKENS.encode(a) + [TOKENS.end]) for p, a in pairs] for pairs in group]
        length = max(len(p) + len(a) - 1 for pairs in turns for p, a in pairs)
        count = len(turns[0])
        block = np.zeros((len(turns), count, length), np.int64)
        wanted = np.full_like(block, IGNORED)
        first = np.zeros(block.shape, bool)
        for row, pairs in enumerate(turns):
            for column, (prompt, answer) in enumerate(pairs):
                block[row, column, :len(prompt) + len(answer) - 1] = prompt + answer[:-1]
                wanted[row, column, len(prompt) - 1:len(prompt) + len(answer) - 1] = answer
                first[row, column, len(prompt) - 1] = number > 0
        branches.append((count, length))
        for whole, part in ((ids, block), (targets, wanted), (firsts, first)):
            whole.append(torch.from_numpy(part.reshape(len(turns), -1)))
    return Turns(torch.cat(ids, 1), torch.cat(targets, 1), branches, torch.cat(firsts, 1))


def _one_of(rng, choices):
    return choices[int(rng.integers(len(choices)))]


def caption_turn(rng, scene, other=0.2):
    """(prompt, answer): mostly the canonical caption, at times another wording with the prompt that asks for it."""
    if rng.random() < other:
        prompts, text = _one_of(rng, [pair for pair in grammar.alternatives(scene) if pair[0]])
        return _one_of(rng, prompts), text
    return _one_of(rng, grammar.CAPTION_PROMPTS), grammar.caption(scene)


def training_turns(rng, scenes, count=4):
    """One description and up to four questions for each scene: two yes/no, a colour, and any of the others."""
    def questions(scene):
        last = _one_of(rng, (grammar.other_question, grammar.other_question, grammar.yes_no_question))
        asks = (grammar.yes_no_question, grammar.yes_no_question, grammar.color_question, last)
        chosen = rng.permutation(4)[:count] if count < 4 else range(4)
        return [asks[i](rng, scene) for i in chosen]

    asked = [questions(scene) for scene in scenes]
    return pack([[[caption_turn(rng, scene)] for scene in scenes], asked])


# --- files -----------------------------------------------------------------------------------------------------

def save(path, model, **more):
    torch.save({"config": asdict(model.config), "model": model.state_dict(), **more}, path + ".new")
    os.replace(path + ".new", path)


def load(path):
    """(model in evaluation mode, the whole checkpoint)."""
    checkpoint = torch.load(path, map_location="cpu")
    text = {k: v for k, v in checkpoint["config"]["text"].items() if k != "rope_axes"}
    config = VlmConfig(VisionConfig(**checkpoint["config"]["vision"]), TextConfig(**text))
    model = Vlm(config)
    model.load_state_dict(checkpoint["model"])
    return model.eval(), checkpoint
