#!/usr/bin/python3
"""demo-vlm and demo-vlm-attn through llama-server's own HTTP API: 100 held-out scenes, answers, and a broken pipeline.

    demo_vlm.py [demo-vlm|demo-vlm-attn ...] [--scenes 100]

Exit status 77 (skipped) without a llama-server (tools/fetch-runtime brings one) or without the weights. Packages: python3-numpy python3-pil
"""
import argparse
import os
import sys
import time

import numpy as np

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "models"))
from scenes import draw, grammar, sample        # noqa: E402
from train import peer                          # noqa: E402

# Of every ten scenes: mostly small ones, which are quick, and each size that training knew.
SIZES = ((128, 128), (160, 96), (256, 144), (128, 128), (160, 96), (128, 128), (256, 144), (128, 128), (160, 96), (512, 288))
CAPTIONS, ANSWERS, BROKEN_DROP = 0.95, 0.95, 0.20       # a sample of 100 of figures of 98 % and more


def scene_at(number):
    return sample.scene(sample.HELD_OUT + 50_000 + number, *SIZES[number % len(SIZES)])


def measure(server, count):
    """Shares of right captions, right answers and right captions with red and blue swapped."""
    captions = answers = broken = asked = 0
    for number in range(count):
        scene = scene_at(number)
        pixels = draw.render(scene).pixels
        said = server.ask(pixels, grammar.CAPTION_PROMPTS[number % len(grammar.CAPTION_PROMPTS)])
        captions += said == grammar.caption(scene)
        if said != grammar.caption(scene):
            print(f"  scene {number}: {said}\n  truth:   {grammar.caption(scene)}")
        ask = (grammar.yes_no_question, grammar.color_question)[number % 2]
        question, answer = ask(np.random.default_rng(number), scene)
        answers += server.ask(pixels, question) == answer
        if number % 4 == 0:
            asked += 1
            broken += server.ask(np.ascontiguousarray(pixels[..., ::-1]), "Describe the image.") == grammar.caption(scene)
    return captions / count, answers / count, broken / asked


def check(name, count):
    folder = os.path.join(ROOT, "models", name)
    text, = (f for f in os.listdir(folder) if f.endswith(".gguf") and not f.startswith("mmproj"))
    vision, = (f for f in os.listdir(folder) if f.startswith("mmproj"))
    started = time.time()
    with peer.LlamaServer(os.path.join(folder, text), os.path.join(folder, vision)) as server:
        captions, answers, broken = measure(server, count)
    print(f"{name}: captions {100 * captions:.0f} %, answers {100 * answers:.0f} %, captions with red and blue swapped "
          f"{100 * broken:.0f} %, {count} scenes, {time.time() - started:.0f} s")
    return captions >= CAPTIONS and answers >= ANSWERS and captions - broken >= BROKEN_DROP


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["demo-vlm", "demo-vlm-attn"])
    parser.add_argument("--scenes", type=int)
    options = parser.parse_args()
    if peer.server_command(peer.runtime_folder())[0] is None:
        print("skipped: no llama-server; run tools/fetch-runtime")
        return 77
    missing = [name for name in options.names if not os.path.isdir(os.path.join(ROOT, "models", name))]
    if missing:
        print(f"skipped: no weights in models/{missing[0]}; models/train/run makes them")
        return 77
    # a hundred for the first, the hybrid one; the attention-only one proves the same pipeline with fewer
    counts = [options.scenes or (100 if number == 0 else 40) for number in range(len(options.names))]
    return 0 if all([check(name, count) for name, count in zip(options.names, counts)]) else 1


if __name__ == "__main__":
    sys.exit(main())
