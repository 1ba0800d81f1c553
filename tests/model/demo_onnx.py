#!/usr/bin/python3
"""demo-clip and demo-onnx-vlm through ONNX Runtime's Python: right captions, right answers, tokenizer files, a broken pipeline.

ONNX Runtime for Python comes from the private runtime (RUNTIME/bin/python3), from SCRY_ORT_PYTHON, or from the system;
exit status 77 (skipped) without one or without the weights. Packages there: python3-onnxruntime python3-pil (which bring numpy)
"""
import json
import os
import subprocess
import sys
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "models"))


def pythons():
    """Commands that may start a Python with onnxruntime, best first."""
    if os.environ.get("SCRY_ORT_PYTHON"):
        yield os.environ["SCRY_ORT_PYTHON"].split()
    from train import peer
    yield [os.path.join(peer.runtime_folder(), "bin", "python3")]
    yield [sys.executable]


def restart_with_onnxruntime():
    """Runs this file again under a Python that has onnxruntime, or returns 77."""
    for name in ("demo-clip", "demo-onnx-vlm"):
        if not os.path.isdir(os.path.join(ROOT, "models", name)):
            print(f"skipped: no weights in models/{name}; models/train/run makes them")
            return 77
    for command in pythons():
        try:
            found = subprocess.run([*command, "-c", "import onnxruntime, numpy, PIL"], capture_output=True, check=False)
        except OSError:
            continue
        if found.returncode == 0:
            # Debian's package complains about every operator when it is loaded; only what we print is of use
            result = subprocess.run([*command, os.path.abspath(__file__), "--inside"], stderr=subprocess.PIPE, text=True, check=False)
            sys.stderr.write("".join(line for line in result.stderr.splitlines(True)
                                     if line.strip() and not line.startswith("Schema error")))
            return result.returncode
    print("skipped: no Python with onnxruntime, numpy and Pillow")
    return 77


def tokenizer_files():
    """The shipped files hold the tokenizers that the models were trained with."""
    from train.chat import TOKENS
    from train.clip_tokens import ClipTokenizer
    from train.tokens import CONTROL
    with open(os.path.join(ROOT, "models/demo-onnx-vlm/tokenizer.json"), encoding="utf-8") as file:
        model = json.load(file)
    vocabulary = {**model["model"]["vocab"], **{t["content"]: t["id"] for t in model["added_tokens"]}}
    right = vocabulary == TOKENS.ids and len(model["added_tokens"]) == len(CONTROL)
    for name, text in ClipTokenizer().files().items():
        with open(os.path.join(ROOT, "models/demo-clip", name), encoding="utf-8") as file:
            right = right and file.read() == text
    return right


def inside():
    from scenes import draw, grammar
    from train import ort_reference as reference
    started, scenes = time.time(), reference.held_out(1100)[1000:]
    clip = reference.OrtClip(os.path.join(ROOT, "models/demo-clip"))
    of_17 = reference.clip_right(clip, scenes, 0)
    turned = [s for s in scenes if reference.mirrored(s)][:60]
    flipped = reference.clip_right(clip, turned, 0, reference.mirrored, lambda p: p[:, ::-1].copy())
    captioner = reference.OrtCaptioner(os.path.join(ROOT, "models/demo-onnx-vlm"))
    captions = reference.caption_right(captioner, scenes)
    answers = reference.question_right(captioner, scenes[:60], grammar.yes_no_question)
    swapped = reference.caption_right(captioner, scenes[:40], lambda p: p[..., ::-1].copy())
    jpeg = captioner.answer(draw.as_jpeg(draw.render(scenes[0]).pixels, 60), "Describe the image.")
    files = tokenizer_files()
    print(f"demo-clip: right of 17 {100 * of_17:.0f} %, flipped pictures {100 * flipped:.0f} %, {len(scenes)} scenes\n"
          f"demo-onnx-vlm: captions {100 * captions:.0f} %, yes/no {100 * answers:.0f} %, red and blue swapped "
          f"{100 * swapped:.0f} %, {len(scenes)} scenes; says: {jpeg}\n"
          f"tokenizer files {'as trained' if files else 'DIFFER'}; {time.time() - started:.0f} s")
    return 0 if (of_17 >= 0.92 and flipped <= of_17 - 0.2 and captions >= 0.88 and answers >= 0.9
                 and swapped <= captions - 0.2 and files) else 1


if __name__ == "__main__":
    sys.exit(inside() if "--inside" in sys.argv else restart_with_onnxruntime())
