#!/usr/bin/python3
"""Reading is right: the share of words that scry reads in the pictures of reading_pictures.py.

    reading.py SCRY pages       at least 98 % of the words of 20 rendered pages, and few that are not there
    reading.py SCRY screens     at least 90 % of the words of 10 screenshots of real programs

A word counts when it is read exactly (marks at its ends apart), anywhere in the picture, as often as it stands there.
"""
import collections
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

LEAST = {"pages": 0.98, "screens": 0.90}
PROGRAMS = {"pages": [], "screens": ["Xvfb", "xterm", "mousepad", "dillo", "netsurf-gtk", "dbus-run-session"]}


def words(text):
    stripped = (re.sub(r"^\W+|\W+$", "", word) for word in text.split())
    return collections.Counter(word for word in stripped if word)


def main():
    scry, what = sys.argv[1], sys.argv[2]
    missing = [program for program in PROGRAMS[what] if shutil.which(program) is None]
    if missing:
        print("skipped: not installed:", " ".join(missing))
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        maker = os.path.join(os.path.dirname(os.path.abspath(__file__)), "reading_pictures.py")
        if subprocess.run([sys.executable, maker, what, folder]).returncode != 0:
            print("the pictures could not be made")
            sys.exit(77 if shutil.which("fc-list") is None else 1)
        pictures = sorted(glob.glob(folder + "/*.png"))
        run = subprocess.run([scry, "describe", "-b", "lite", "--json"] + pictures, stdout=subprocess.PIPE, text=True)
        truths = [words(open(path[:-4] + ".txt").read()) for path in pictures]
    right = wanted = told = 0
    for path, truth, line in zip(pictures, truths, run.stdout.splitlines()):
        seen = json.loads(line)
        read = words(" ".join(word["text"] for word in seen.get("words", [])))
        hits = sum((truth & read).values())
        right, wanted, told = right + hits, wanted + sum(truth.values()), told + sum(read.values())
        lost = " ".join(sorted((truth - read).elements()))
        print("%-16s %-7s %3d of %3d words, %6.0f ms%s" % (
            os.path.basename(path)[:-4], seen.get("picture", {}).get("kind", "?"), hits, sum(truth.values()),
            seen.get("timings_ms", {}).get("prompt", 0), "; not: " + lost[:90] if lost else ""))
    share = right / max(1, wanted)
    invented = (told - right) / max(1, told)
    good = share >= LEAST[what] and (what == "screens" or invented < 0.03)
    print("%s: %.2f %% of %d words read, %.2f %% of those told are not in the truth" % (
        what, 100 * share, wanted, 100 * invented))
    sys.exit(0 if good else 1)


main()
