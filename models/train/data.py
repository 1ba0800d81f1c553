"""Training pictures: a cache of rendered scenes for each frame size, so that rendering does not slow the training down.

A bucket is one frame size and the patch grid that libmtmd gives it. libmtmd rounds each side to a multiple of 32
(half away from zero) and centres the frame on black where the rounded shape differs, so 256x144 becomes 256x160.
"""
import multiprocessing
import os
import pickle
from dataclasses import dataclass

import numpy as np
from PIL import Image

from scenes import draw, grammar, sample

PATCH = 16
COLORS, WORDS = list(grammar.COLORS), list(grammar.WORDS)
TONES = list(grammar.TONES)
LABELS = (len(COLORS) + 1, len(grammar.SHAPES) + 1, len(grammar.SIZES) + 1, len(WORDS) + 1)
GROUND_LABELS = (len(grammar.GROUNDS), len(TONES))


@dataclass(frozen=True)
class Bucket:
    width: int
    height: int

    @property
    def padded(self):
        """(width, height) of the patch grid in pixels."""
        return tuple(int(np.floor(side / 32 + 0.5)) * 32 for side in (self.width, self.height))

    @property
    def name(self):
        return f"{self.width}x{self.height}"


def augmented(rng, pixels):
    """What happens to frames on their way: a third meets JPEG, a quarter is scaled away and back."""
    height, width = pixels.shape[:2]
    if rng.random() < 0.25:
        factor = float(rng.uniform(0.8, 2.5))
        there, back = (int(m) for m in rng.choice((Image.BILINEAR, Image.BICUBIC, Image.LANCZOS), 2))
        away = draw.resized(pixels, round(width * factor), round(height * factor), there)
        pixels = draw.resized(away, width, height, back)
    if rng.random() < 0.33:
        pixels = draw.as_jpeg(pixels, int(rng.integers(30, 96)))
    return pixels


def patch_labels(scene, ids):
    """int8 [4, rows, columns]: colour, shape, size, word of what covers at least a sixteenth of each patch; 0 is none."""
    rows, columns = ids.shape[0] // PATCH, ids.shape[1] // PATCH
    patches = ids.reshape(rows, PATCH, columns, PATCH)
    labels = np.zeros((4, rows, columns), np.int8)
    best = np.full((rows, columns), PATCH * PATCH // 16)
    for number, item in enumerate(scene.items, 1):
        covered = (patches == number).sum((1, 3))
        here = covered > best
        best = np.where(here, covered, best)
        labels[0][here] = 1 + COLORS.index(item.color)
        labels[1][here] = 1 + grammar.SHAPES.index(item.shape)
        labels[2][here] = 1 + grammar.SIZES.index(item.size)
    if scene.printed:
        here = (patches == draw.PRINTED_ID).sum((1, 3)) > best
        labels[:3, here] = 0
        labels[3][here] = 1 + WORDS.index(scene.printed.text)
    return labels


def example(bucket, seed):
    """(scene, pixels on the padded grid, patch labels) of a training seed."""
    assert seed < sample.HELD_OUT
    scene = sample.scene(seed, bucket.width, bucket.height)
    picture = draw.render(scene)
    pixels = augmented(np.random.default_rng([seed, bucket.width, bucket.height, 2]), picture.pixels)
    ids = np.zeros(bucket.padded[::-1], np.uint8)
    top, left = (bucket.padded[1] - bucket.height) // 2, (bucket.padded[0] - bucket.width) // 2
    ids[top:top + bucket.height, left:left + bucket.width] = picture.ids
    return scene, draw.letterboxed(pixels, *bucket.padded), patch_labels(scene, ids)


def _part(arguments):
    bucket, first, count = arguments
    return [example(bucket, seed) for seed in range(first, first + count)]


class Cache:
    """All examples of a bucket in memory: pixels [n, height, width, 3], labels [n, 4, rows, columns], scenes."""

    def __init__(self, folder, bucket, count):
        self.bucket, self.count = bucket, count
        stem = os.path.join(folder, f"cache-{bucket.name}-{count}")
        if not os.path.exists(stem + ".pkl"):
            self._build(stem)
        self.pixels = np.load(stem + "-pixels.npy", mmap_mode="r")
        with open(stem + ".pkl", "rb") as file:
            self.scenes, self.labels = pickle.load(file)

    def _build(self, stem):
        width, height = self.bucket.padded
        pixels = np.lib.format.open_memmap(stem + "-pixels.npy", "w+", np.uint8, (self.count, height, width, 3))
        labels = np.empty((self.count, 4, height // PATCH, width // PATCH), np.int8)
        scenes, step = [], 250
        jobs = [(self.bucket, first, min(step, self.count - first)) for first in range(0, self.count, step)]
        with multiprocessing.Pool(os.cpu_count()) as pool:
            for part in pool.imap(_part, jobs):
                for scene, picture, marks in part:
                    pixels[len(scenes)], labels[len(scenes)] = picture, marks
                    scenes.append(scene)
        pixels.flush()
        with open(stem + ".pkl", "wb") as file:
            pickle.dump((scenes, labels), file)

    def pick(self, rng, count):
        index = rng.integers(0, self.count, count)
        return np.stack([self.pixels[i] for i in index]), self.labels[index], [self.scenes[i] for i in index]


def ground_labels(scenes):
    return np.array([(grammar.GROUNDS.index(s.ground), TONES.index(s.tone)) for s in scenes])
