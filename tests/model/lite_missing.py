#!/usr/bin/python3
"""The lite tier with parts missing: without weights it reads, without Tesseract's data it sees, damaged files are told.

    lite_missing.py SCRY MODELS       MODELS holds the folder `lite`
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

try:
    import skimage
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

DATA = os.path.join(os.path.dirname(skimage.__file__), "data")
PICTURES = [os.path.join(DATA, "chelsea.png"), os.path.join(DATA, "page.png")]


def describe(scry, models, **more):
    # Nothing from this machine's other places.
    env = dict(os.environ, SCRY_MODELS=models, HOME="/nonexistent", XDG_DATA_HOME="/nonexistent", **more)
    run = subprocess.run([scry, "describe", "-v", "-b", "lite", "--json"] + PICTURES, env=env, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return [json.loads(line) for line in run.stdout.splitlines()], run.stderr


def main():
    scry, models = sys.argv[1], sys.argv[2]
    if not os.path.exists(os.path.join(models, "lite", "objects.tflite")):
        print("skipped: no models in", models)
        sys.exit(77)
    failed = 0

    def check(good, what, told):
        nonlocal failed
        failed += not good
        print("%s %s: %s" % ("ok    " if good else "not ok", what, told))

    with tempfile.TemporaryDirectory() as empty:
        (cat, page), _ = describe(scry, empty)
        check(not cat["labels"] and "no model to name things with" in cat["text"], "no weights, a cat", cat["text"])
        check("markers" in page["text"], "no weights, a page", page["text"])
        (cat, page), _ = describe(scry, models, TESSDATA_PREFIX=empty)
        check(cat["text"] == "A cat, close up.", "no language data, a cat", cat["text"])
        check("for want of language data" in page["text"], "no language data, a page", page["text"])
        for name in ("objects.tflite", "face_full.tflite", "objects.txt"):
            broken = os.path.join(empty, name + ".d")
            shutil.copytree(os.path.join(models, "lite"), os.path.join(broken, "lite"))
            path = os.path.join(broken, "lite", name)
            data = open(path, "rb").read()
            open(path, "wb").write(data[:len(data) // 2])
            seen, told = describe(scry, broken)
            check(len(seen) == 2 and "markers" in seen[1]["text"] and "going on without it" in told,
                  "half of " + name, next((line for line in told.split("\n") if "going on" in line), told))
    sys.exit(1 if failed else 0)


main()
