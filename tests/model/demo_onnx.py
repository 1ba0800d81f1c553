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
    if not any(there(name) for name in ("demo-clip", "demo-onnx-vlm")):
        print("skipped: no weights in models/demo-clip and models/demo-onnx-vlm; models/train/run makes them")
        return 77
    for command in pythons():
        try:
            found = subprocess.run([*command, "-c", "import onnxruntime, numpy, PIL"], capture_output=True, check=False)
        except OSError:
            continue
        if found.returncode == 0:
            # Debian's package complains about every operator when it is loaded; only what we print is of use
            result = subprocess.run([*command, os.path.abspath(__file__), "--inside"], stderr=subprocess.PIPE, text=True,
                                    check=False)
            sys.stderr.write("".join(line for line in result.stderr.splitlines(True)
                                     if line.strip() and not line.startswith("Schema error")))
            return result.returncode
    print("skipped: no Python with onnxruntime, numpy and Pillow")
    return 77


def there(name):
    return os.path.isdir(os.path.join(ROOT, "models", name, "onnx"))


def check_clip(reference, scenes):
    from train.clip_tokens import ClipTokenizer
    folder = os.path.join(ROOT, "models/demo-clip")
    clip = reference.OrtClip(folder)
    of_17 = reference.clip_right(clip, scenes, 0)
    turned = [s for s in scenes if reference.mirrored(s)][:60]
    whole = reference.clip_right(clip, turned, 0, reference.mirrored)
    flipped = reference.clip_right(clip, turned, 0, reference.mirrored, lambda p: p[:, ::-1].copy())
    files = all(open(os.path.join(folder, name), encoding="utf-8").read() == text
                for name, text in ClipTokenizer().files().items())
    print(f"demo-clip: right of 17 {100 * of_17:.0f} %; with the mirrored caption among them {100 * whole:.0f} %, of flipped "
          f"pictures {100 * flipped:.0f} %; tokenizer files {'as trained' if files else 'DIFFER'}; {len(scenes)} scenes")
    return of_17 >= 0.95 and flipped <= whole - 0.2 and files


def check_captioner(reference, scenes):
    from scenes import grammar
    from train.chat import TOKENS
    folder = os.path.join(ROOT, "models/demo-onnx-vlm")
    captioner = reference.OrtCaptioner(folder)
    captions = reference.caption_right(captioner, scenes)
    answers = reference.question_right(captioner, scenes[:60], grammar.yes_no_question)
    swapped = reference.caption_right(captioner, scenes[:40], lambda p: p[..., ::-1].copy())
    with open(os.path.join(folder, "tokenizer.json"), encoding="utf-8") as file:
        tokenizer = json.load(file)
    files = {**tokenizer["model"]["vocab"], **{t["content"]: t["id"] for t in tokenizer["added_tokens"]}} == TOKENS.ids
    print(f"demo-onnx-vlm: captions {100 * captions:.0f} %, yes/no {100 * answers:.0f} %, red and blue swapped "
          f"{100 * swapped:.0f} %; tokenizer.json {'as trained' if files else 'DIFFERS'}; {len(scenes)} scenes")
    return captions >= 0.88 and answers >= 0.9 and swapped <= captions - 0.2 and files


def inside():
    from train import ort_reference as reference
    started, scenes = time.time(), reference.held_out(1100)[1000:]
    results = [check(reference, scenes) for name, check in (("demo-clip", check_clip), ("demo-onnx-vlm", check_captioner))
               if there(name)]
    print(f"{time.time() - started:.0f} s")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(inside() if "--inside" in sys.argv else restart_with_onnxruntime())
