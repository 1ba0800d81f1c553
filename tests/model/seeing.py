#!/usr/bin/python3
"""Seeing is right: python3-skimage's pictures by name, and wallpapers in which nothing wrong may be said.

    seeing.py SCRY         SCRY is the command; prints a line a picture, with all scores

Packages: python3-skimage plasma-workspace-wallpapers
"""
import glob
import json
import os
import subprocess
import sys

try:
    import skimage
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

DATA = os.path.join(os.path.dirname(skimage.__file__), "data")
# What must be named (and where its middle is, within 0.15), and pictures in which nothing may be.
NAMED = {
    "chelsea.png": [("Cat", 0.5, 0.5)],
    "coffee.png": [("Coffee cup", 0.5, 0.45)],
    "astronaut.png": [("Person", 0.4, 0.5), ("face", 0.44, 0.23)],
    "camera.png": [("Person", 0.3, 0.54), ("face", 0.46, 0.31)],
}
NOTHING = ["retina.jpg", "coins.png", "moon.png", "brick.png", "grass.png", "gravel.png", "cell.png", "phantom.png",
           "hubble_deep_field.jpg", "page.png", "text.png", "rocket.jpg", "ihc.png", "horse.png", "logo.png"]
KINDS = {"astronaut.png": "photo", "coffee.png": "photo", "page.png": "page", "bw_text.png": "page"}
# Wallpapers that show something with a name; every other one is abstract, a landscape or a drawing.
WALLPAPERS = {"ColorfulCups": {"Coffee cup", "Mug"}}


def describe(scry, paths):
    run = subprocess.run([scry, "describe", "-b", "lite", "--json"] + paths, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def scores(seen):
    return ", ".join("%s %.2f" % (label["label"], label["p"]) for label in seen.get("labels", [])) or "nothing"


def is_there(seen, name, x, y):
    width, height = seen["frame"]["width"], seen["frame"]["height"]
    for label in seen["labels"]:
        box = label.get("box", [0, 0, 0, 0])
        middle = ((box[0] + box[2] / 2) / width, (box[1] + box[3] / 2) / height)
        if label["label"] == name and abs(middle[0] - x) < 0.15 and abs(middle[1] - y) < 0.15:
            return True
    return False


def wallpapers():
    found = []
    for folder in sorted(glob.glob("/usr/share/wallpapers/*/contents/images")):
        pictures = [p for p in glob.glob(folder + "/*") if p.endswith((".png", ".jpg"))]
        if pictures:
            found.append(max(pictures, key=os.path.getsize))
    return found


def main():
    scry, failed = sys.argv[1], 0

    def verdict(good, name, seen):
        nonlocal failed
        failed += not good
        print("%s %-26s %-40s %s" % ("ok    " if good else "not ok", name, scores(seen), seen.get("text", seen)))

    names = list(NAMED) + NOTHING + ["bw_text.png"]
    for name, seen in zip(names, describe(scry, [os.path.join(DATA, name) for name in names])):
        good = "labels" in seen and all(is_there(seen, *want) for want in NAMED.get(name, []))
        good = good and (name in NAMED or not seen["labels"])
        good = good and (name not in NAMED or {l["label"] for l in seen["labels"]} == {w[0] for w in NAMED[name]})
        good = good and seen["picture"]["kind"] == KINDS.get(name, seen["picture"]["kind"])
        verdict(good, name, seen)
    papers = wallpapers()
    if len(papers) < 30:
        print("skipped: %d wallpapers, 30 wanted; apt install plasma-workspace-wallpapers" % len(papers))
    for path, seen in zip(papers, describe(scry, papers)):
        name = path.split("/")[4]
        labels = {label["label"] for label in seen.get("labels", [])}
        verdict("labels" in seen and labels <= WALLPAPERS.get(name, set()), name, seen)
    print("%d pictures, %d failed" % (len(names) + len(papers), failed))
    sys.exit(1 if failed else 0)


main()
