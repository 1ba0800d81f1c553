"""Trains demo-clip on the trained captioner's vision tower, which stays as it is: only the pooling head and the text
tower learn, from features that are computed once.

Each picture meets the captions of the whole batch and, for each, false captions that differ little: a single thing is
changed (a colour, a shape, a size, a place, the ground), or left and right are exchanged. Without those a CLIP learns
which words occur and neither what belongs together nor where things are.
"""
import argparse
import json
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from scenes import draw, grammar, sample
from scenes.contrast import altered, distractors, mirrored

from . import clip, data, vlm
from .train_vlm import VALIDATION, optimizer_for


WORDINGS = (grammar.caption, grammar.caption, grammar.caption, grammar.there_is, grammar.brief)


def false_ones(rng, scene):
    """Three scenes that the caption does not tell of, but almost."""
    return [altered(rng, scene), altered(rng, scene), mirrored(scene) or altered(rng, scene)]


@torch.no_grad()
def picks_right(model, features, scenes, hard, seed):
    """Share of scenes whose caption wins against its 16 distractors."""
    rng, right = np.random.default_rng(seed), 0
    pictures = model.pooled(features)
    for row, scene in enumerate(scenes):
        texts = model.texts([grammar.caption(scene), *distractors(rng, scene, scenes, hard)])
        right += int((pictures[row] @ texts.t()).argmax()) == 0
    return right / len(scenes)


@torch.no_grad()
def side_right(model, features, scenes):
    """Share of scenes whose caption wins against that of the mirrored scene."""
    rows = [(row, s) for row, s in enumerate(scenes) if mirrored(s)]
    pictures = model.pooled(features)
    right = 0
    for row, scene in rows:
        true, false = pictures[row] @ model.texts([grammar.caption(scene), grammar.caption(mirrored(scene))]).t()
        right += bool(true > false)
    return round(right / len(rows), 4)


@torch.no_grad()
def features_of(model, pixels):
    return torch.cat([model.vision.features(torch.from_numpy(np.array(pixels[i:i + 128]))).half()
                      for i in range(0, len(pixels), 128)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out")
    parser.add_argument("--cache", required=True)
    parser.add_argument("--scenes", type=int, default=24000)
    parser.add_argument("--init", required=True, help="the captioner's checkpoint")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch", type=int, default=80)
    parser.add_argument("--start", help="a checkpoint of this program whose fitting weights to start from")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    os.makedirs(options.out, exist_ok=True)
    pause = os.path.join(os.path.dirname(os.path.abspath(options.out)), "pause")
    captioner = vlm.load(options.init)[0]
    model = clip.Clip(clip.ClipConfig(vision=captioner.config.vision))
    model.vision.load_state_dict(captioner.vision.state_dict())
    if options.start:
        model.load_state_dict(torch.load(options.start, map_location="cpu")["model"], strict=False)
    model.vision.requires_grad_(False)
    cache = data.Cache(options.cache, data.Bucket(clip.IMAGE, clip.IMAGE), options.scenes)
    features = features_of(model.eval(), cache.pixels)
    held = [sample.scene(VALIDATION + i, clip.IMAGE, clip.IMAGE) for i in range(200)]
    held_features = features_of(model, np.stack([draw.render(s).pixels for s in held])).float()
    optimizer = optimizer_for((model.pool, model.text), options.rate)
    optimizer.add_param_group({"params": [model.logit_scale], "weight_decay": 0.0})
    started, losses = time.time(), []
    model.train()
    for step in range(1, options.steps + 1):
        while os.path.exists(pause):
            time.sleep(0.5)
        rng = np.random.default_rng([options.seed, step])
        index = rng.integers(0, options.scenes, options.batch)
        scenes = [cache.scenes[i] for i in index]
        wording = WORDINGS[int(rng.integers(len(WORDINGS)))]
        hard = grammar.caption if wording is grammar.brief else wording
        texts = model.texts([wording(s) for s in scenes] + [hard(f) for s in scenes for f in false_ones(rng, s)])
        pictures = model.pooled(features[torch.from_numpy(index)].float())
        scores = model.logit_scale.exp() * (pictures @ texts.t())
        same = torch.tensor([[a == b for b in keys] for keys in [[wording(s) for s in scenes]] for a in keys])
        scores[:, :options.batch] = scores[:, :options.batch].masked_fill(same & ~torch.eye(len(same), dtype=torch.bool), -1e4)
        target = torch.arange(options.batch)
        loss = (F.cross_entropy(scores, target) + F.cross_entropy(scores[:, :options.batch].t(), target)) / 2
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = options.rate * min(1, step / 200) * max(0.01, min(1, (options.steps - step) / (options.steps * 0.5)))
        optimizer.step()
        model.logit_scale.data.clamp_(0, 4.6052)            # CLIP's own limit, ln 100
        losses.append(float(loss))
        if step % 100 == 0 or step == options.steps:
            model.eval()
            line = {"step": step, "seconds": round(time.time() - started), "loss": round(float(np.mean(losses)), 4),
                    "scale": round(float(model.logit_scale.exp()), 2),
                    "of 17": picks_right(model, held_features, held, 0, 1),
                    "of 17, hard": picks_right(model, held_features, held, 16, 2),
                    "right before mirrored": side_right(model, held_features, held)}
            model.train()
            losses = []
            print(json.dumps(line), flush=True)
            with open(os.path.join(options.out, "log.jsonl"), "a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            clip.save(os.path.join(options.out, "checkpoint.pt"), model, step=step)


if __name__ == "__main__":
    main()
