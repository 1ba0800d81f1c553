"""Trains a captioner. `python3 -m train.train_vlm --help` from the models folder; `run` holds the recipes.

Two processes of one thread each share every batch and add their gradients once a step: on a machine with other work
that is several times faster than two threads, which would wait for each other in every operation. The sum is the same
in both, so they stay equal, and the result depends on the seed alone.

Two kinds of steps. A vision step teaches only the tower, with a helper head that names colour, shape, size and word of
every patch (dropped at export): it costs a third and is what small shapes need: they
come late and suddenly, and no text can be right before. A joint step teaches everything with
packed turns. The learning rate warms up, stays, and falls linearly to zero over the last `--decay` steps; a checkpoint
holds all state, so a run may be stopped, resumed, and ended early by resuming with a smaller `--steps`.
While a file named `pause` is in the run's parent folder, the run sleeps: for measurements of others on this machine.
"""
import argparse
import json
import multiprocessing
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from scenes import draw, grammar, sample

from . import data, vlm
from .vision import VisionConfig, block_order

FIRST_TOKEN_WEIGHT = 5.0        # few tokens answer questions; without this they stay near chance for long
WORKERS = 2
VALIDATION = sample.HELD_OUT + 10 ** 6


class PatchHeads(nn.Module):
    """What the tower's features must tell by themselves while training: per patch and, on the mean, the ground."""

    def __init__(self, width):
        super().__init__()
        self.patch = nn.Linear(width, sum(data.LABELS))
        self.ground = nn.Linear(width, sum(data.GROUND_LABELS))

    def loss(self, features, labels, grounds):
        """features [n, patches in block order, width]; labels [n, 4, rows, columns]; grounds [n, 2]."""
        order = block_order(*labels.shape[-2:])
        labels = labels.flatten(2)[:, :, order]
        weight = torch.where((labels[:, 0] > 0) | (labels[:, 3] > 0), 1.0, 0.25)
        total, at, scores = 0, 0, self.patch(features)
        for number, (classes, importance) in enumerate(zip(data.LABELS, (0.5, 3.0, 0.5, 2.0))):
            part = F.cross_entropy(scores[..., at:at + classes].transpose(1, 2), labels[:, number], reduction="none")
            total, at = total + importance * (part * weight).sum() / weight.sum(), at + classes
        scores, at = self.ground(features.mean(1)), 0
        for number, classes in enumerate(data.GROUND_LABELS):
            total, at = total + 0.3 * F.cross_entropy(scores[:, at:at + classes], grounds[:, number]), at + classes
        return total / 4


class Feed:
    """Batches: a bucket by its share (the same in all workers at a step), then random examples of its cache."""

    def __init__(self, folder, spec):
        self.caches, self.shares, self.sizes = [], [], []
        for entry in spec.split(","):
            size, count, share, batch = entry.split(":")
            bucket = data.Bucket(*(int(x) for x in size.split("x")))
            self.caches.append(data.Cache(folder, bucket, int(count)))
            self.shares.append(float(share))
            self.sizes.append(int(batch) // WORKERS)
        self.shares = np.array(self.shares) / sum(self.shares)

    def next(self, common, own, half=False):
        """`half`: the half with the shorter or with the longer captions, so that less is padding."""
        which = int(common.choice(len(self.caches), p=self.shares))
        pixels, labels, scenes = self.caches[which].pick(own, self.sizes[which])
        if half:
            order = np.argsort([len(grammar.caption(s)) for s in scenes], kind="stable")
            middle = len(order) // 2
            order = order[middle:] if common.integers(2) else order[:middle]
            pixels, labels, scenes = pixels[order], labels[order], [scenes[i] for i in order]
        return torch.from_numpy(pixels), torch.from_numpy(labels.astype(np.int64)), scenes


def text_loss(model, pixels, features, turns):
    """(weighted loss, right [picks], the boolean picks): the picks are the positions with a target."""
    grid = pixels.shape[1] // 32, pixels.shape[2] // 32
    hidden = model.run(model.vision.merge(features), grid, turns.ids, turns.branches)
    picks = turns.targets != vlm.IGNORED
    logits, wanted = model.text.logits(hidden[picks]), turns.targets[picks]
    weight = 1 + (FIRST_TOKEN_WEIGHT - 1) * turns.first[picks].float()
    loss = (F.cross_entropy(logits, wanted, reduction="none") * weight).sum() / weight.sum()
    return loss, logits.argmax(-1) == wanted, picks


class Validation:
    """The same held-out scenes each time: share of captions, yes/no, colour and other answers right in every token."""

    def __init__(self, sizes, count):
        rng = np.random.default_rng(VALIDATION)
        self.batches = []
        for size in sizes:
            bucket = data.Bucket(*(int(x) for x in size.split("x")))
            for first in range(0, count, 32):
                scenes = [sample.scene(VALIDATION + first + i, bucket.width, bucket.height) for i in range(32)]
                pixels = np.stack([draw.letterboxed(draw.render(s).pixels, *bucket.padded) for s in scenes])
                ask = (grammar.yes_no_question, grammar.color_question, grammar.other_question)
                turns = vlm.pack([[[vlm.caption_turn(rng, s, other=0)] for s in scenes],
                                  [[q(rng, s) for q in ask] for s in scenes]])
                self.batches.append((size, torch.from_numpy(pixels), turns))

    @torch.no_grad()
    def measure(self, model):
        model.eval()
        right, total = {}, {}
        for size, pixels, turns in self.batches:
            _, good, picks = text_loss(model, pixels, model.vision.features(pixels), turns)
            fine = torch.ones_like(picks)
            fine[picks] = good
            at = 0
            names = [f"caption {size}", "yes/no", "color", "other"]
            lengths = [length for count, length in turns.branches for _ in range(count)]
            for name, length in zip(names, lengths):
                right[name] = right.get(name, 0) + int(fine[:, at:at + length].all(1).sum())
                total[name] = total.get(name, 0) + len(fine)
                at += length
        model.train()
        return {name: round(right[name] / total[name], 4) for name in right}


def learning_rate(step, options):
    return options.rate * min(1, step / options.warm) * min(1, max(0.01, (options.steps - step) / options.decay))


def vision_step(step, options):
    return step <= options.vision_until


def tower_rests(step, options):
    """Joint steps that teach the text only: when the tower is good, its backward pass is a quarter of a step's work."""
    return options.freeze_tower or (not vision_step(step, options) and step % options.tower_every != 0)


def optimizer_for(modules, rate):
    parameters = [p for m in modules for p in m.parameters() if p.requires_grad]
    return torch.optim.AdamW([{"params": [p for p in parameters if p.dim() > 1], "weight_decay": 0.02},
                              {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0}],
                             lr=rate, betas=(0.9, 0.98))


class Exchange:
    """Sums the gradients of all workers through shared memory. Two places a worker, used in turn, so that one barrier
    a step is enough."""

    def __init__(self, size):
        self.places = torch.zeros(2, WORKERS, size).share_memory_()
        self.barrier = multiprocessing.Barrier(WORKERS)

    def sum(self, step, rank, parameters):
        # Only what has a gradient: with zeros for the rest, Adam would take a parameter that learns in few steps for one
        # with small gradients and move it several times too far.
        parameters = [p for p in parameters if p.grad is not None]
        place, at = self.places[step % 2], 0
        for p in parameters:
            place[rank, at:at + p.numel()] = p.grad.flatten()
            at += p.numel()
        self.barrier.wait()
        total, at = place[:, :at].sum(0).div_(WORKERS), 0
        for p in parameters:
            p.grad = total[at:at + p.numel()].view_as(p)
            at += p.numel()


def one_step(step, options, model, heads, feed, rank, exchange, optimizer):
    """(text loss or None, vision loss) of this worker's half."""
    rng = np.random.default_rng([options.seed, step, 1 + rank])
    half = options.half_joint and not vision_step(step, options)
    pixels, labels, scenes = feed.next(np.random.default_rng([options.seed, step]), rng, half)
    still = tower_rests(step, options)
    with torch.set_grad_enabled(not still):
        features = model.vision.features(pixels)
    of_vision = torch.zeros(())
    if not still:
        of_vision = heads.loss(features, labels, torch.from_numpy(data.ground_labels(scenes)))
    of_text = None
    loss = of_vision
    if not vision_step(step, options):
        of_text, _, _ = text_loss(model, pixels, features, vlm.training_turns(rng, scenes, options.questions))
        loss = of_text + of_vision * 0.3
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    parameters = [p for g in optimizer.param_groups for p in g["params"]]
    exchange.sum(step, rank, parameters)
    nn.utils.clip_grad_norm_(parameters, 1.0)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, options)
    optimizer.step()
    return None if of_text is None else float(of_text), float(of_vision)


def build(options):
    """(model, heads): new with the seed, or with a trained tower (and what else fits) from `--init`."""
    torch.manual_seed(options.seed)
    config = vlm.VlmConfig(vision=VisionConfig(width=options.vision_width, heads=options.vision_width // 32))
    config.text.arch = options.arch
    model, heads = vlm.Vlm(config), PatchHeads(config.vision.width)
    if options.init:
        checkpoint = torch.load(options.init, map_location="cpu")
        own = model.state_dict()
        fitting = {k: v for k, v in checkpoint["model"].items() if k in own and own[k].shape == v.shape}
        if options.init_tower_only:
            fitting = {k: v for k, v in fitting.items() if k.startswith("vision.") and not k.startswith("vision.merge")}
        model.load_state_dict(fitting, strict=False)
        heads.load_state_dict(checkpoint["heads"])
    if options.freeze_tower:
        for name, parameter in model.vision.named_parameters():
            parameter.requires_grad_(name.startswith("merge"))
    return model, heads


def options_from_command_line():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", help="folder of the run: log.jsonl and checkpoint.pt")
    parser.add_argument("--cache", required=True, help="folder for rendered scenes")
    parser.add_argument("--feed", required=True, help="WxH:SCENES:SHARE:BATCH,... buckets")
    parser.add_argument("--arch", default="qwen35", choices=("qwen35", "qwen3vl"))
    parser.add_argument("--vision-width", type=int, default=96)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--decay", type=int, required=True, help="the last so many steps lower the rate to zero")
    parser.add_argument("--vision-until", type=int, default=0, help="the first so many steps are vision steps")
    parser.add_argument("--tower-every", type=int, default=1, help="of the joint steps one in so many teaches the tower too")
    parser.add_argument("--questions", type=int, default=4, help="questions a picture beside the caption, 1 to 4")
    parser.add_argument("--half-joint", action="store_true", help="joint steps take half of a batch")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--warm", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--init", help="checkpoint whose fitting weights to start from")
    parser.add_argument("--init-tower-only", action="store_true", help="take the tower from --init and nothing else")
    parser.add_argument("--freeze-tower", action="store_true")
    parser.add_argument("--every", type=int, default=150, help="steps between measurements")
    parser.add_argument("--stop", type=int, help="stop after this step though the rate has not fallen yet")
    parser.add_argument("--validate", default="128x128,160x96,256x144")
    return parser.parse_args()


def worker(rank, options, exchange):
    torch.set_num_threads(1)
    checkpoint_path = os.path.join(options.out, "checkpoint.pt")
    model, heads = build(options)
    optimizer = optimizer_for((model, heads), options.rate)
    step, active = 0, 0.0
    if os.path.exists(checkpoint_path):
        saved = torch.load(checkpoint_path, map_location="cpu")
        model.load_state_dict(saved["model"])
        heads.load_state_dict(saved["heads"])
        optimizer.load_state_dict(saved["optimizer"])
        step, active = saved["step"], saved["active"]
    feed = Feed(options.cache, options.feed)
    validation = Validation(options.validate.split(","), 64) if rank == 0 else None
    pause = os.path.join(os.path.dirname(os.path.abspath(options.out)), "pause")
    losses = []
    while step < min(options.steps, options.stop or options.steps):
        while os.path.exists(pause):
            time.sleep(0.5)
        started = time.time()
        step += 1
        losses.append(one_step(step, options, model, heads, feed, rank, exchange, optimizer))
        active += time.time() - started
        if rank == 0 and (step % options.every == 0 or step == options.steps):
            text = [t for t, _ in losses if t is not None]
            line = {"step": step, "seconds": round(active), "text": round(float(np.mean(text)), 4) if text else None,
                    "vision": round(float(np.mean([v for _, v in losses if v] or [0])), 4),
                    "rate": round(learning_rate(step, options), 6), **validation.measure(model)}
            losses = []
            print(json.dumps(line), flush=True)
            with open(os.path.join(options.out, "log.jsonl"), "a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            vlm.save(checkpoint_path, model, heads=heads.state_dict(), optimizer=optimizer.state_dict(),
                     step=step, active=active)


def main():
    options = options_from_command_line()
    os.makedirs(options.out, exist_ok=True)
    Feed(options.cache, options.feed)               # renders what is missing, once
    model, heads = build(options)
    exchange = Exchange(sum(p.numel() for m in (model, heads) for p in m.parameters() if p.requires_grad))
    workers = [multiprocessing.Process(target=worker, args=(rank, options, exchange)) for rank in range(WORKERS)]
    for process in workers:
        process.start()
    for process in workers:
        process.join()
    raise SystemExit(max(abs(process.exitcode) for process in workers))


if __name__ == "__main__":
    main()
