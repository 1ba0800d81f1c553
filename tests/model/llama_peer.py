#!/usr/bin/python3
"""scry-llama against llama-server on the same files: captions word for word, and what `scry ask` says, with scores.

    llama_peer.py [demo-vlm|demo-vlm-attn ...] [--scenes 200] [--gguf FILE --mmproj FILE] [--truth 1000]

Captions are greedy on both sides and must be identical. Scores against the scenes' own truth are asked of scry alone.
Set SCRY to another scry. Exit status 77 (skipped) without a llama-server or without the model. Packages: python3-numpy
python3-pil
"""
import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "models"))
from PIL import Image                           # noqa: E402
from scenes import draw, grammar, sample        # noqa: E402
from train import peer                          # noqa: E402

SCRY = os.environ.get("SCRY", os.path.join(ROOT, "build", "scry"))
SIZES = ((128, 128), (160, 96), (256, 144), (128, 128), (160, 96), (128, 128), (256, 144), (128, 128), (160, 96), (512, 288))
FIRST = sample.HELD_OUT + 90_000


def scry(arguments, files, pictures):
    """One JSON document a picture; None where scry said that it failed."""
    command = [SCRY, *arguments[:1], "--json", "--gguf", files[0], "--mmproj", files[1], *arguments[1:], *pictures]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    results = [json.loads(line) for line in run.stdout.splitlines()]
    if len(results) != len(pictures):
        raise RuntimeError(f"{len(results)} answers for {len(pictures)} pictures; {run.stderr.strip()[:500]}")
    return results


def save(folder, count):
    scenes = []
    for number in range(count):
        scene = sample.scene(FIRST + number, *SIZES[number % len(SIZES)])
        path = os.path.join(folder, f"{number}.png")
        Image.fromarray(draw.render(scene).pixels).save(path)
        scenes.append((path, scene))
    return scenes


def by_prompt(scenes, prompts):
    groups = collections.defaultdict(list)
    for number, item in enumerate(scenes):
        groups[prompts(number, item[1])].append(item)
    return groups


def captions(files, scenes):
    """{path: (scry's words, the truth)}"""
    said = {}
    for prompt, group in by_prompt(scenes, lambda n, _: grammar.CAPTION_PROMPTS[n % len(grammar.CAPTION_PROMPTS)]).items():
        results = scry(["describe", "--temperature", "0", "-n", "80", "--deadline", "600", "-p", prompt], files,
                       [path for path, _ in group])
        for (path, scene), result in zip(group, results):
            said[path] = (result["text"], grammar.caption(scene), prompt)
    return said


def compare(files, scenes, said):
    same = 0
    with peer.LlamaServer(*files) as server:
        for path, _ in scenes:
            words = server.ask(np.asarray(Image.open(path)), said[path][2]).strip()
            same += words == said[path][0]
            if words != said[path][0]:
                print(f"  {os.path.basename(path)}: scry:         {said[path][0]}\n    llama-server: {words}")
    return same


def area_under_curve(scores):
    """Of (score, truth): the chance that a true one scores above a false one."""
    true = np.array([s for s, t in scores if t])
    false = np.array([s for s, t in scores if not t])
    if len(true) == 0 or len(false) == 0:
        return float("nan")
    return float(np.mean((true[:, None] > false[None]) + 0.5 * (true[:, None] == false[None])))


def yes_no(files, scenes):
    """Share of right answers, area under the curve, tokens decoded."""
    asked = by_prompt(scenes, lambda n, scene: grammar.yes_no_question(np.random.default_rng(n), scene))
    right, tokens, scores = 0, 0, []
    for (question, answer), group in asked.items():
        for result in scry(["ask", "--yes-no", "--deadline", "600", question], files, [path for path, _ in group]):
            probability = {label["label"]: label["p"] for label in result["labels"]}
            truth = answer.startswith("Yes")
            scores.append((probability["Yes"], truth))
            right += (probability["Yes"] > 0.5) == truth
            tokens += result["usage"]["tokens"]
    return right / len(scenes), area_under_curve(scores), tokens


def choices(files, scenes):
    """Colour questions with the grammar's colours as the choices."""
    asked = by_prompt(scenes, lambda n, scene: grammar.color_question(np.random.default_rng(n), scene))
    right, tokens = 0, 0
    for (question, answer), group in asked.items():
        for result in scry(["ask", "--choices", ",".join([*grammar.COLORS, *grammar.TONES]), "--deadline", "600", question], files,
                           [path for path, _ in group]):
            right += result["text"].lower() == answer.rstrip(".").lower()
            tokens += result["usage"]["tokens"]
    return right / len(scenes), tokens


def pair(name):
    folder = os.path.join(ROOT, "models", name)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    text = [f for f in names if f.endswith(".gguf") and not f.startswith("mmproj")]
    vision = [f for f in names if f.startswith("mmproj")]
    return (os.path.join(folder, text[0]), os.path.join(folder, vision[0])) if text and vision else None


def check(name, files, options):
    with tempfile.TemporaryDirectory() as folder:
        scenes = save(folder, max(options.scenes, options.truth))
        began = time.time()
        said = captions(files, scenes)
        true = sum(words == truth for words, truth, _ in said.values()) / len(scenes)
        took = time.time() - began
        same = compare(files, scenes[:options.scenes], said)
        print(f"{name}: {same} of {options.scenes} captions identical to llama-server's; {100 * true:.1f} % of {len(scenes)} "
              f"right ({1000 * took / len(scenes):.0f} ms a scene)")
        share, area, tokens = yes_no(files, scenes)
        print(f"{name}: yes/no {100 * share:.1f} % right, area under the curve {area:.4f}, {tokens} tokens decoded")
        colors, decoded = choices(files, scenes)
        print(f"{name}: choices {100 * colors:.1f} % right, {decoded} tokens decoded")
    good = same == options.scenes and tokens == decoded == 0
    return good and (options.gguf or (true >= 0.95 and share >= 0.97))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["demo-vlm"])
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--truth", type=int, default=0)
    parser.add_argument("--gguf")
    parser.add_argument("--mmproj")
    options = parser.parse_args()
    if peer.server_command(peer.runtime_folder())[0] is None:
        print("no llama-server: run tools/fetch-runtime")
        return 77
    models = {"files": (options.gguf, options.mmproj)} if options.gguf else {name: pair(name) for name in options.names}
    missing = [name for name, files in models.items() if files is None]
    if missing:
        print("no model files: " + " ".join(missing))
        return 77
    return 0 if all([check(name, files, options) for name, files in models.items()]) else 1


if __name__ == "__main__":
    sys.exit(main())
