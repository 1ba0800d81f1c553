"""Writes scenes as files: `python3 -m scenes FOLDER` makes examples/scenes, with `--count N` held-out ones instead.

    python3 -m scenes FOLDER                              the dozen of examples/scenes
    python3 -m scenes FOLDER --count 100 --size 256x144   scene-0000.png with its caption in scene-0000.txt, ...
    python3 -m scenes FOLDER --count 20 --change          pairs scene-0000-a.png, -b.png, what changed in the .txt
"""
import argparse
import os

from PIL import Image

from . import draw, grammar, sample

# Names, held-out seeds and sizes of examples/scenes: every ground, every tone, one to four objects, with and without words
EXAMPLES = (
    ("one-shape", 39, 128, 128), ("two-shapes", 5, 128, 128), ("three-shapes", 2, 128, 128), ("four-shapes", 30, 128, 128),
    ("a-word", 57, 160, 96), ("a-number", 120, 160, 96), ("noisy", 12, 128, 128), ("gradient", 7, 256, 144),
    ("stripes", 0, 256, 144), ("wide-and-plain", 28, 512, 288), ("wide-with-a-word", 255, 512, 288), ("night", 19, 512, 288),
)


def write(folder, name, pixels, text):
    Image.fromarray(pixels).save(os.path.join(folder, name + ".png"), optimize=True)
    if text:
        with open(os.path.join(folder, name + ".txt"), "w", encoding="utf-8") as file:
            file.write(text + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--count", type=int)
    parser.add_argument("--size", default="128x128")
    parser.add_argument("--first", type=int, default=sample.HELD_OUT, help="seed of the first scene")
    parser.add_argument("--change", action="store_true")
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    if options.count is None:
        for name, seed, width, height in EXAMPLES:
            scene = sample.scene(sample.HELD_OUT + 2 * 10 ** 6 + seed, width, height)
            write(options.folder, name, draw.render(scene).pixels, grammar.caption(scene))
        return
    width, height = (int(x) for x in options.size.split("x"))
    for number in range(options.count):
        name = f"scene-{number:04}"
        if options.change:
            kind, before, after = sample.change(options.first + number, width, height)
            write(options.folder, name + "-a", draw.render(before).pixels, None)
            write(options.folder, name + "-b", draw.render(after).pixels, None)
            with open(os.path.join(options.folder, name + ".txt"), "w", encoding="utf-8") as file:
                file.write(grammar.change_caption(kind, before, after) + "\n")
        else:
            scene = sample.scene(options.first + number, width, height)
            write(options.folder, name, draw.render(scene).pixels, grammar.caption(scene))


if __name__ == "__main__":
    main()
