"""From a seed to a scene: where chance enters. Sizes hold the lessons of the first training runs.

A patch of the vision tower is 16 pixels. Objects less than about 1.3 patches across are learned badly, so the small
radius has a floor of 10.4 pixels, and small and large stay apart in pixels over all the small frame sizes.
"""
import dataclasses

import numpy as np

from .grammar import COLORS, GROUNDS, SHAPES, SIZES, TONES, WORDS, Item, Print, Scene

SMALL_FLOOR = 10.4          # pixels: 1.3 patches across
GLYPH_FLOOR = 3.2           # pixels a glyph unit: a character is then a patch wide and 1.4 high
PRINTED_SHARE = 0.35
JITTER = 12                 # of every colour channel


def _jittered(rng, color):
    return tuple(int(np.clip(c + j, 0, 255)) for c, j in zip(color, rng.integers(-JITTER, JITTER + 1, 3)))


def _centre(rng, cell, width, height, half_width, half_height):
    """A place inside the cell that keeps the thing within it, and at least some freedom where it is too big for that."""
    cell_width, cell_height = width / 3, height / 3
    free_x = max(cell_width / 2 - half_width, 1.5)
    free_y = max(cell_height / 2 - half_height, 1.5)
    free_x, free_y = min(free_x, cell_width * 0.2), min(free_y, cell_height * 0.2)
    return ((cell % 3 + 0.5) * cell_width + float(rng.uniform(-free_x, free_x)),
            (cell // 3 + 0.5) * cell_height + float(rng.uniform(-free_y, free_y)))


def _radius(rng, size, width, height):
    cell = min(width, height) / 3
    if size == "large":
        return float(rng.uniform(0.42, 0.46)) * cell
    return float(rng.uniform(max(0.25 * cell, SMALL_FLOOR), max(0.267 * cell, SMALL_FLOOR + 0.4)))


def _item(rng, cell, width, height):
    color = list(COLORS)[int(rng.integers(len(COLORS)))]
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    size = SIZES[int(rng.integers(2))]
    radius = _radius(rng, size, width, height)
    x, y = _centre(rng, cell, width, height, radius, radius)
    return Item(size, color, shape, cell, x, y, radius, _jittered(rng, COLORS[color]), bool(rng.integers(2)))


def _printed(rng, cell, width, height, tone):
    text = WORDS[int(rng.integers(len(WORDS)))]
    scale = max(0.08 * min(width, height) / 3, GLYPH_FLOOR) * float(rng.uniform(0.97, 1.05))
    half_width, half_height = (len(text) * 6 - 1) * scale / 2, 7 * scale / 2
    x, y = _centre(rng, cell, width, height, half_width, half_height)
    dark = tone == "white" or (tone == "gray" and bool(rng.integers(2)))
    return Print(text, cell, x, y, scale, (8, 8, 8) if dark else (247, 247, 247))


def draw_scene(rng, width, height):
    """A scene from a generator that the caller owns."""
    count = int(rng.integers(1, 5))
    cells = [int(c) for c in rng.permutation(9)]
    tone = list(TONES)[int(rng.integers(3))]
    ground = GROUNDS[int(rng.integers(len(GROUNDS)))]
    items = tuple(_item(rng, cell, width, height) for cell in sorted(cells[:count]))
    printed = _printed(rng, cells[4], width, height, tone) if rng.random() < PRINTED_SHARE else None
    # the ground's own numbers: a seed for its noise, an angle, a strength in 0..1, a phase in 0..1
    look = (int(rng.integers(1 << 31)), float(rng.uniform(0, 360)), float(rng.random()), float(rng.random()))
    return Scene(width, height, items, tone, ground, _jittered(rng, TONES[tone]), printed, look)


def scene(seed, width=128, height=128):
    """The scene of a seed at a frame size. Training uses seeds below HELD_OUT only."""
    return draw_scene(np.random.default_rng([seed, width, height]), width, height)


HELD_OUT = 10 ** 9          # seeds from here on are for measuring: no training run may touch them


def change(seed, width=128, height=128):
    """(kind, before, after): one object moved, added or removed; the ground and all the rest stay the same."""
    rng = np.random.default_rng([seed, width, height, 1])
    before = draw_scene(rng, width, height)
    taken = {i.cell for i in before.items} | ({before.printed.cell} if before.printed else set())
    free = [cell for cell in range(9) if cell not in taken]
    kinds = ["moved"] + ["added"] * (len(before.items) < 4) + ["removed"] * (len(before.items) > 1)
    kind = kinds[int(rng.integers(len(kinds)))]
    items = list(before.items)
    if kind != "added":
        gone = items.pop(int(rng.integers(len(items))))
    if kind != "removed":
        cell = free[int(rng.integers(len(free)))]
        new = _item(rng, cell, width, height)
        if kind == "moved":
            x, y = _centre(rng, cell, width, height, gone.radius, gone.radius)
            new = dataclasses.replace(gone, cell=cell, x=x, y=y)
        items.append(new)
    items.sort(key=lambda i: i.cell)
    return kind, before, dataclasses.replace(before, items=tuple(items))
