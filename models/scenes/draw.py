"""From a scene to pixels, and to the map of which pixel belongs to what (training labels come from it)."""
import io
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from . import glyphs

PRINTED_ID = 9              # of the printed word in Picture.ids; objects are 1 to 4, the ground is 0


@dataclass
class Picture:
    pixels: np.ndarray      # uint8 [height, width, 3], RGB
    ids: np.ndarray         # uint8 [height, width]


def _polygon(item):
    x, y, r = item.x, item.y, item.radius
    if item.shape == "square":
        h = r * 0.88
        return [(x - h, y - h), (x + h, y - h), (x + h, y + h), (x - h, y + h)]
    if item.shape == "triangle":
        return [(x, y - r), (x + r, y + r * 0.85), (x - r, y + r * 0.85)]
    if item.shape == "diamond":
        return [(x, y - r * 1.1), (x + r * 0.8, y), (x, y + r * 1.1), (x - r * 0.8, y)]
    if item.shape == "star":
        spokes = [(r * 1.12 if k % 2 == 0 else r * 0.45, k * math.pi / 5) for k in range(10)]
        return [(x + length * math.sin(a), y - length * math.cos(a)) for length, a in spokes]
    t = r * 0.36            # cross
    return [(x - t, y - r), (x + t, y - r), (x + t, y - t), (x + r, y - t), (x + r, y + t), (x + t, y + t),
            (x + t, y + r), (x - t, y + r), (x - t, y + t), (x - r, y + t), (x - r, y - t), (x - t, y - t)]


def _draw_item(canvas, item, fill):
    if item.shape in ("circle", "oval"):
        rx = ry = item.radius
        if item.shape == "oval":
            rx, ry = (item.radius * 0.62, item.radius * 1.12) if item.tall else (item.radius * 1.12, item.radius * 0.62)
        canvas.ellipse((item.x - rx, item.y - ry, item.x + rx, item.y + ry), fill=fill)
    else:
        canvas.polygon(_polygon(item), fill=fill)


def _print_box(printed):
    half_width = glyphs.width(printed.text) * printed.scale / 2
    half_height = glyphs.HEIGHT * printed.scale / 2
    return printed.x - half_width, printed.y - half_height, printed.x + half_width, printed.y + half_height


def _draw_print(canvas, printed):
    left, top, _, _ = _print_box(printed)
    s = printed.scale
    for x0, y0, x1, y1 in glyphs.runs(printed.text):
        # one pixel less on the far sides: Pillow's rectangle includes its corner
        canvas.rectangle((round(left + x0 * s), round(top + y0 * s),
                          round(left + x1 * s) - 1, round(top + y1 * s) - 1), fill=printed.fill)


def _ground(scene):
    """What the ground adds to its base colour: float32 [height, width, 1 or 3]."""
    seed, angle, strength, phase = scene.look
    height, width = scene.height, scene.width
    if scene.ground == "plain":
        return np.zeros((1, 1, 1), np.float32)
    if scene.ground == "noisy":
        grain = np.random.default_rng(seed).standard_normal((height, width, 3), np.float32)
        return grain * np.float32(18 + 12 * strength)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    along = x * np.float32(math.cos(math.radians(angle))) + y * np.float32(math.sin(math.radians(angle)))
    if scene.ground == "gradient":
        # from the tone's own side inwards, so that black stays the darkest and white the lightest word
        ramp = (along - along.min()) / (along.max() - along.min())
        depth = 60 + 20 * strength
        shift = {"black": ramp * depth, "white": -ramp * depth, "gray": (ramp - 0.5) * depth}[scene.tone]
        return shift[..., None]
    period = (7 + 3 * strength) * max(min(height, width) / 128, 1)
    wave = np.sign(np.sin(2 * np.pi * (along / np.float32(period) + np.float32(phase))))
    lift = {"black": 22, "white": -22, "gray": 0}[scene.tone]
    return (wave * np.float32(22) + np.float32(lift))[..., None]


def render(scene):
    image = Image.new("RGB", (scene.width, scene.height), (0, 0, 0))
    mask = Image.new("L", (scene.width, scene.height), 0)
    canvas, marks = ImageDraw.Draw(image), ImageDraw.Draw(mask)
    for number, item in enumerate(scene.items, 1):
        _draw_item(canvas, item, item.fill)
        _draw_item(marks, item, number)
    ids = np.asarray(mask)
    pixels = np.asarray(image)
    if scene.printed:
        ink = Image.new("RGB", (scene.width, scene.height), (1, 2, 3))
        _draw_print(ImageDraw.Draw(ink), scene.printed)
        marks.rectangle([round(v) for v in _print_box(scene.printed)], fill=PRINTED_ID)
        ids = np.asarray(mask)
        inked = (np.asarray(ink) != (1, 2, 3)).any(-1)
    ground = np.asarray(scene.base, np.float32) + _ground(scene)
    if scene.ground == "noisy":         # the grain lies over everything, as a camera's would
        full = np.where((ids > 0)[..., None], pixels, np.float32(scene.base))
        full = np.where((ids == PRINTED_ID)[..., None], np.float32(scene.base), full)
        if scene.printed:
            full = np.where(inked[..., None], np.float32(scene.printed.fill), full)
        full = full + _ground(scene)
    else:
        thing = (ids > 0) & (ids != PRINTED_ID)
        full = np.where(thing[..., None], pixels, ground)
        if scene.printed:
            full = np.where(inked[..., None], np.float32(scene.printed.fill), full)
    return Picture(np.clip(full, 0, 255).astype(np.uint8), ids)


def as_jpeg(pixels, quality):
    """The picture after a JPEG round trip."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))


def resized(pixels, width, height, method=Image.BICUBIC):
    return np.asarray(Image.fromarray(pixels).resize((width, height), method))


def letterboxed(pixels, width, height):
    """Centred on black, as libmtmd does when a frame's aspect ratio is not that of its patch grid."""
    if pixels.shape[:2] == (height, width):
        return pixels
    out = np.zeros((height, width, 3), np.uint8)
    top, left = (height - pixels.shape[0]) // 2, (width - pixels.shape[1]) // 2
    out[top:top + pixels.shape[0], left:left + pixels.shape[1]] = pixels
    return out
