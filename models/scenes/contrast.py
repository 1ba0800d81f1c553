"""False captions for a scene, from easy (another scene's) to hard (one thing changed)."""
import dataclasses

from .grammar import COLORS, GROUNDS, SHAPES, SIZES, TONES, WORDS, caption


def _other(rng, value, among):
    choices = [x for x in among if x != value]
    return choices[int(rng.integers(len(choices)))]


def altered(rng, scene):
    """The scene with one thing changed: what a hard distractor describes."""
    kind = int(rng.integers(7))
    if kind == 5:
        return dataclasses.replace(scene, ground=_other(rng, scene.ground, GROUNDS))
    if kind == 6:
        return dataclasses.replace(scene, tone=_other(rng, scene.tone, TONES))
    if kind == 4 and scene.printed:
        return dataclasses.replace(scene, printed=dataclasses.replace(
            scene.printed, text=_other(rng, scene.printed.text, WORDS)))
    items = list(scene.items)
    at = int(rng.integers(len(items)))
    if kind == 3 and len(items) != 2:       # the relation of two may read the same after a move
        taken = {i.cell for i in items} | ({scene.printed.cell} if scene.printed else set())
        free = [c for c in range(9) if c not in taken]
        items[at] = dataclasses.replace(items[at], cell=free[int(rng.integers(len(free)))])
        return dataclasses.replace(scene, items=tuple(sorted(items, key=lambda i: i.cell)))
    if kind in (0, 3, 4):
        items[at] = dataclasses.replace(items[at], color=_other(rng, items[at].color, COLORS))
    elif kind == 1:
        items[at] = dataclasses.replace(items[at], shape=_other(rng, items[at].shape, SHAPES))
    else:
        items[at] = dataclasses.replace(items[at], size=_other(rng, items[at].size, SIZES))
    return dataclasses.replace(scene, items=tuple(items))


def distractors(rng, scene, pool, hard):
    """16 captions that are not the scene's: `hard` of them with one thing changed, the rest of other scenes."""
    right, found = caption(scene), []
    while len(found) < 16:
        from_ = altered(rng, scene) if len(found) < hard else pool[int(rng.integers(len(pool)))]
        text = caption(from_)
        if text != right and text not in found:
            found.append(text)
    return found


def _recoloured(scene, names):
    items = tuple(dataclasses.replace(i, color=names.get(i.color, i.color)) for i in scene.items)
    return dataclasses.replace(scene, items=items)


def red_blue_swapped(scene):
    """What a pipeline that swaps the channels should see, or None where the caption would stay the same."""
    names = {"red": "blue", "blue": "red", "yellow": "cyan", "cyan": "yellow"}
    return _recoloured(scene, names) if any(i.color in names for i in scene.items) else None


def mirrored(scene):
    """The scene with left and right exchanged, or None where the caption would stay the same."""
    def place(thing):
        return dataclasses.replace(thing, cell=thing.cell // 3 * 3 + 2 - thing.cell % 3)
    items = tuple(sorted((place(i) for i in scene.items), key=lambda i: i.cell))
    other = dataclasses.replace(scene, items=items, printed=scene.printed and place(scene.printed))
    return other if caption(other) != caption(scene) else None


def circles_as_ovals(scene):
    """What a pipeline that squashes frames should see, or None where there is no circle."""
    items = tuple(dataclasses.replace(i, shape="oval" if i.shape == "circle" else i.shape) for i in scene.items)
    return dataclasses.replace(scene, items=items) if items != scene.items else None
