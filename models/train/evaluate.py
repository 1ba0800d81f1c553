"""Accuracy and sensitivity of a shipped captioner on held-out scenes, as the tables of its model card.

    python3 -m train.evaluate ../models/demo-vlm [--scenes 1000]

An answer is right when every token is: the answer is fed and each token must be the model's most likely one, which is
the same as greedy decoding giving exactly that answer.
"""
import argparse

import numpy as np
import torch
from PIL import Image

from scenes import draw, grammar, sample

from . import data, import_gguf, vision, vlm

SIZES = ("128x128", "160x96", "256x144", "512x288")
BATCH = 40


def bucket_of(size):
    return data.Bucket(*(int(x) for x in size.split("x")))


def held_out(size, count):
    bucket = bucket_of(size)
    return [sample.scene(sample.HELD_OUT + i, bucket.width, bucket.height) for i in range(count)]


@torch.no_grad()
def shares_right(model, scenes, turns, change=None, towers_patches=None, shift=None):
    """For each of `turns` the share of scenes answered exactly. A turn makes (prompt, answer) of a scene. change(pixels)
    gives pixels; towers_patches and shift replace what the tower gets, for broken pipelines."""
    right = np.zeros(len(turns), int)
    for first in range(0, len(scenes), BATCH):
        part = scenes[first:first + BATCH]
        pictures = [draw.render(s).pixels for s in part]
        if change:
            pictures = [change(p) for p in pictures]
        height, width = pictures[0].shape[:2]
        padded = data.Bucket(width, height).padded
        pixels = torch.from_numpy(np.stack([draw.letterboxed(p, *padded) for p in pictures]))
        vectors = (towers_patches or vision.patches)(pixels)
        if shift:
            vectors = shift(vectors)
        grid = padded[1] // 32, padded[0] // 32
        merged = model.vision.merge(model.vision.encode(vectors, grid[0] * 2, grid[1] * 2))
        packed = vlm.pack([[[turn(s)] for s in part] for turn in turns])
        hidden = model.run(merged, grid, packed.ids, packed.branches)
        good = (model.text.logits(hidden).argmax(-1) == packed.targets) | (packed.targets == vlm.IGNORED)
        at = 0
        for number, (_, length) in enumerate(packed.branches):
            right[number] += int(good[:, at:at + length].all(1).sum())
            at += length
    return right / len(scenes)


def share_right(model, scenes, turn, **how):
    return shares_right(model, scenes, [turn], **how)[0]


def caption_turn(scene):
    return "Describe the image.", grammar.caption(scene)


def question_turn(ask):
    """The same question for a scene each time: its chance comes from the scene itself."""
    return lambda scene: ask(np.random.default_rng([scene.look[0], 5]), scene)


def through_512(pixels):
    height, width = pixels.shape[:2]
    return draw.resized(draw.resized(pixels, 512, 288), width, height)


def jpeg40(pixels):
    return draw.as_jpeg(pixels, 40)


TURNS = {"exact caption": caption_turn, "yes/no": question_turn(grammar.yes_no_question),
         "colour": question_turn(grammar.color_question),
         "count, printed text, what is where": question_turn(grammar.other_question)}
JPEG_TURNS = {name: TURNS[name] for name in ("exact caption", "yes/no", "colour")}


def accuracy(model, count, sizes):
    columns = []
    for size in sizes:
        scenes = held_out(size, count)
        column = dict(zip(TURNS, shares_right(model, scenes, list(TURNS.values()))))
        after_jpeg = shares_right(model, scenes, list(JPEG_TURNS.values()), change=jpeg40)
        column |= {f"{name} after JPEG quality 40": share for name, share in zip(JPEG_TURNS, after_jpeg)}
        name = "exact caption, scaled to 512x288 and back"
        column[name] = column["exact caption"] if size == "512x288" else share_right(model, scenes, caption_turn, change=through_512)
        columns.append(column)
    print(f"| {count:,} scenes each | " + " | ".join(sizes) + " |\n|---|" + "---|" * len(sizes))
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(f"{100 * column[name]:.1f}" for column in columns) + " |", flush=True)


# --- broken pipelines ------------------------------------------------------------------------------------------

def swapped(pixels):
    return np.ascontiguousarray(pixels[..., ::-1])


def flipped(pixels):
    return np.ascontiguousarray(pixels[:, ::-1])


def squashed(pixels):
    return draw.resized(pixels, 128, 128)


def stretched(pixels):
    """A square made 16:9, the opposite mistake."""
    return draw.resized(pixels, 256, 144)


def as_01(vectors):
    """Normalised to 0..1 instead of -1..1."""
    return (vectors + 1) / 2


def as_clip(vectors):
    """With CLIP's mean and deviation instead of 0.5 and 0.5."""
    mean = torch.tensor((0.48145466, 0.4578275, 0.40821073)).repeat_interleave(vision.PATCH ** 2)
    deviation = torch.tensor((0.26862954, 0.26130258, 0.27577711)).repeat_interleave(vision.PATCH ** 2)
    return ((vectors + 1) / 2 - mean) / deviation


def row_by_row(pixels):
    """Patches in plain reading order instead of 2x2 blocks."""
    rows, columns = pixels.shape[1] // vision.PATCH, pixels.shape[2] // vision.PATCH
    order = vision.block_order(rows, columns)
    return vision.patches(pixels)[:, torch.argsort(order)]


def nearest(pixels):
    """Scaled without a filter, to two thirds and back."""
    height, width = pixels.shape[:2]
    return draw.resized(draw.resized(pixels, width * 2 // 3, height * 2 // 3, Image.NEAREST), width, height, Image.NEAREST)


def round_things(scene):
    return any(i.shape in ("circle", "oval") for i in scene.items)


def told_apart_by_side(scene):
    """Does a caption change when left and right are exchanged? Not where all things stand in the middle column."""
    return any(i.cell % 3 != 1 for i in scene.items) and not (
        len(scene.items) == 2 and scene.items[0].cell % 3 == scene.items[1].cell % 3)


def told_apart_by_red_and_blue(scene):
    return any(i.color in ("red", "blue", "yellow", "orange", "cyan") for i in scene.items)


SENSITIVITY = (
    ("red and blue swapped", "128x128", told_apart_by_red_and_blue, {"change": swapped}),
    ("left and right flipped", "128x128", told_apart_by_side, {"change": flipped}),
    ("256x144 squashed to 128x128", "256x144", round_things, {"change": squashed}),
    ("128x128 stretched to 256x144", "128x128", round_things, {"change": stretched}),
    ("normalised to 0..1", "128x128", lambda s: True, {"shift": as_01}),
    ("normalised with CLIP's mean and deviation", "128x128", lambda s: True, {"shift": as_clip}),
    ("patches row by row, not in 2x2 blocks", "128x128", lambda s: True, {"towers_patches": row_by_row}),
    ("scaled to 2/3 and back without a filter", "128x128", lambda s: True, {"change": nearest}),
)


def sensitivity(model, count):
    print("| broken pipeline | scenes | right whole | right broken | drop |")
    print("|---|---|---|---|---|")
    for name, size, speaks_of_it, how in SENSITIVITY:
        scenes = [s for s in held_out(size, count) if speaks_of_it(s)]
        whole, broken = share_right(model, scenes, caption_turn), share_right(model, scenes, caption_turn, **how)
        print(f"| {name} | {len(scenes)} at {size} | {100 * whole:.1f} | {100 * broken:.1f} | {100 * (whole - broken):.1f} |",
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="of the GGUF pair")
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--only", choices=("accuracy", "sensitivity"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = import_gguf.load(options.folder)
    if options.only != "sensitivity":
        accuracy(model, options.scenes, options.sizes.split(","))
        print()
    if options.only != "accuracy":
        sensitivity(model, options.scenes)


if __name__ == "__main__":
    main()
