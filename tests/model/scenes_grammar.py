#!/usr/bin/python3
"""The scene generator keeps its word: same seed, same scene; captions and answers true; examples/scenes as it draws them.

Packages: python3-numpy python3-pil
"""
import os
import sys

import numpy as np
from PIL import Image

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "models"))
from scenes import contrast, draw, grammar, sample      # noqa: E402

SIZES = ((128, 128), (160, 96), (256, 144), (512, 288))
FAILED = []


def expect(truth, what):
    if not truth:
        FAILED.append(what)
        print("FAILED:", what)


def scenes(count):
    return [(seed, *SIZES[seed % len(SIZES)]) for seed in range(sample.HELD_OUT, sample.HELD_OUT + count)]


def same_seed_same_scene():
    for seed, width, height in scenes(12):
        a, b = (sample.scene(seed, width, height) for _ in range(2))
        expect(a == b, f"seed {seed} gives two scenes")
        expect((draw.render(a).pixels == draw.render(b).pixels).all(), f"seed {seed} gives two pictures")
    captions = {grammar.caption(sample.scene(seed)) for seed in range(300)}
    expect(len(captions) > 295, "other seeds give other scenes")


def colours_are_where_the_caption_says():
    for seed, width, height in scenes(60):
        scene = sample.scene(seed, width, height)
        picture = draw.render(scene)
        expect(picture.pixels.shape == (height, width, 3), f"seed {seed}: wrong size")
        for number, item in enumerate(scene.items, 1):
            inside = picture.pixels[picture.ids == number]
            nearest = min(grammar.COLORS, key=lambda c: np.abs(inside.mean(0) - grammar.COLORS[c]).sum())
            expect(nearest == item.color, f"seed {seed}: the {item.name} looks {nearest}")
            ys, xs = np.nonzero(picture.ids == number)
            cell = int(ys.mean() * 3 / height) * 3 + int(xs.mean() * 3 / width)
            expect(cell == item.cell, f"seed {seed}: the {item.name} is in cell {cell}, not {item.cell}")
        expect(scene.tone in grammar.caption(scene) and scene.ground in grammar.caption(scene), "the caption names the ground")


def answers_are_true_and_balanced():
    rng, yes, total = np.random.default_rng(1), 0, 0
    for seed, width, height in scenes(500):
        scene = sample.scene(seed, width, height)
        question, answer = grammar.yes_no_question(rng, scene)
        yes, total = yes + (answer == "Yes."), total + 1
        if question.startswith("Is there anything "):
            color = question[:-1].split()[-1]
            expect((answer == "Yes.") == any(i.color == color for i in scene.items), f"{question} {answer}")
        question, answer = grammar.color_question(rng, scene)
        expect(answer[:-1].lower() in (*grammar.COLORS, *grammar.TONES), f"{question} {answer}")
    expect(0.4 < yes / total < 0.6, f"{yes} of {total} answers are yes")


def changes_change_one_thing():
    kinds = set()
    for seed, width, height in scenes(60):
        kind, before, after = sample.change(seed, width, height)
        kinds.add(kind)
        a, b = draw.render(before), draw.render(after)
        same = (a.ids == 0) & (b.ids == 0)
        expect((a.pixels[same] == b.pixels[same]).all(), f"seed {seed}: the ground changed too")
        expect((a.pixels != b.pixels).any(), f"seed {seed}: nothing changed")
        moved = len(set(before.items) ^ set(after.items))
        expect(moved == (2 if kind == "moved" else 1), f"seed {seed}: {kind} changed {moved} objects")
        expect(grammar.change_caption(kind, before, after).endswith("."), "change caption")
    expect(kinds == {"moved", "added", "removed"}, f"only {kinds}")


def distractors_differ():
    rng, pool = np.random.default_rng(2), [sample.scene(seed) for seed in range(50)]
    for scene in pool[:20]:
        false = contrast.distractors(rng, scene, pool, 8)
        expect(len(set(false)) == 16 and grammar.caption(scene) not in false, "16 other captions")


def examples_are_current():
    from scenes.__main__ import EXAMPLES
    for name, seed, width, height in EXAMPLES:
        scene = sample.scene(sample.HELD_OUT + 2 * 10 ** 6 + seed, width, height)
        stem = os.path.join(ROOT, "examples", "scenes", name)
        with open(stem + ".txt", encoding="utf-8") as file:
            expect(file.read().strip() == grammar.caption(scene), f"{name}.txt is not the canonical caption")
        shipped = np.asarray(Image.open(stem + ".png").convert("RGB")).astype(int)
        # another Pillow may set a pixel of an outline differently
        expect(np.abs(shipped - draw.render(scene).pixels).mean() < 0.5, f"{name}.png is not what the generator draws")


def main():
    for check in (same_seed_same_scene, colours_are_where_the_caption_says, answers_are_true_and_balanced,
                  changes_change_one_thing, distractors_differ, examples_are_current):
        check()
    print("scenes:", f"{len(FAILED)} failed" if FAILED else "all true")
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
