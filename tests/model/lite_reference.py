#!/usr/bin/python3
"""Decodes the detectors' raw tensors by itself, with numpy, and compares with what scry-lite's code made of them.

    lite_reference.py MODELS PROGRAM...     PROGRAM... is the command that runs lite_tensors

Written from the papers and MediaPipe's graphs, not from the C code: anchors by layer as arrays, decoding of all anchors at once,
suppression by an overlap matrix. Boxes and scores must agree to 0.001 for pictures of python3-skimage. The input tensor is compared
with the mean over exact areas as well. Packages: python3-numpy python3-pil python3-skimage
"""
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    from PIL import Image
    import skimage
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

LEAST, CLOSE = 0.30, 1e-3
PICTURES = ["astronaut.png", "camera.png", "chelsea.png", "coffee.png", "horse.png", "ihc.png", "rocket.jpg",
            "motorcycle_left.png", "retina.jpg"]


def grid(cells):
    y, x = np.mgrid[0:cells, 0:cells]
    return np.stack([(x.ravel() + 0.5) / cells, (y.ravel() + 0.5) / cells], 1)


def ssd_anchors():
    scales = np.linspace(0.2, 0.95, 6).tolist() + [1.0]
    layers = []
    for layer, cells in enumerate((19, 10, 5, 3, 2, 1)):
        if layer == 0:
            shapes = [(0.1, 1.0), (scales[0], 2.0), (scales[0], 0.5)]
        else:
            shapes = [(scales[layer], ratio) for ratio in (1.0, 2.0, 0.5, 3.0, 0.3333)]
            shapes.append(((scales[layer] * scales[layer + 1]) ** 0.5, 1.0))
        sizes = np.array([(s * r ** 0.5, s / r ** 0.5) for s, r in shapes])
        centres = np.repeat(grid(cells), len(shapes), 0)
        layers.append(np.hstack([centres, np.tile(sizes, (cells * cells, 1))]))
    return np.vstack(layers)


def face_anchors(kind):
    if kind == "full":
        return grid(48)
    return np.vstack([np.repeat(grid(16), 2, 0), np.repeat(grid(8), 6, 0)])


def overlaps(boxes):
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, :2] + boxes[:, None, 2:], boxes[None, :, :2] + boxes[None, :, 2:])
    both = np.prod(np.clip(high - low, 0, None), 2)
    area = np.prod(boxes[:, 2:], 1)
    return both / (area[:, None] + area[None, :] - both)


def clip(boxes):
    low = np.clip(boxes[:, :2], 0, 1)
    high = np.clip(boxes[:, :2] + boxes[:, 2:], 0, 1)
    return np.hstack([low, high - low])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def decode_objects(values, logits):
    anchors = ssd_anchors()
    kinds = 1 + np.argmax(logits[:, 1:], 1)
    scores = sigmoid(logits[np.arange(len(logits)), kinds])
    centre = values[:, [1, 0]] / 10 * anchors[:, 2:] + anchors[:, :2]
    size = np.exp(values[:, [3, 2]] / 5) * anchors[:, 2:]
    boxes = clip(np.hstack([centre - size / 2, size]))
    keep = np.where(scores >= LEAST)[0]
    keep = keep[np.argsort(-scores[keep], kind="stable")]
    found = []
    for i in keep:
        if all(kinds[j] != kinds[i] or overlaps(boxes[[i, j]])[0, 1] <= 0.5 for j in found):
            found.append(i)
    return [("objects", kinds[i], scores[i], boxes[i]) for i in found]


def decode_faces(kind, rows, logits, fit):
    side = 192.0 if kind == "full" else 128.0
    scores = sigmoid(np.clip(logits, -100, 100))
    centre = rows[:, :2] / side + face_anchors(kind)
    size = rows[:, 2:4] / side
    keep = np.where(scores >= LEAST)[0]
    boxes, scores = np.hstack([centre - size / 2, size])[keep], scores[keep]
    order = np.argsort(-scores, kind="stable")
    boxes, scores, found = boxes[order], scores[order], []
    while len(scores):
        same = overlaps(boxes)[0] > 0.3
        same[0] = True
        mean = (boxes[same] * scores[same, None]).sum(0) / scores[same].sum()
        mean = np.array([(mean[0] - fit[0]) / fit[2], (mean[1] - fit[1]) / fit[3], mean[2] / fit[2], mean[3] / fit[3]])
        mean = clip(mean[None])[0]
        if mean[2] > 0 and mean[3] > 0:
            found.append((kind, 0, scores[0], mean))
        boxes, scores = boxes[~same], scores[~same]
    return found


def areas(out, size):
    """Row i: how much of each source pixel lies under output pixel i, adding up to 1; bilinear where there are fewer."""
    weights = np.zeros((out, size))
    for i in range(out):
        if size > out:
            low, high = i * size / out, (i + 1) * size / out
            at = np.arange(size)
            weights[i] = np.clip(np.minimum(at + 1, high) - np.maximum(at, low), 0, None) * out / size
        else:
            middle = min(max((i + 0.5) * size / out - 0.5, 0), size - 1)
            first = int(middle)
            weights[i, first] += 1 - (middle - first)
            weights[i, min(first + 1, size - 1)] += middle - first
    return weights


def load(folder, name, columns):
    return np.fromfile(os.path.join(folder, name), np.float32).reshape(-1, columns).astype(np.float64)


def check(models, program, path):
    with tempfile.TemporaryDirectory() as folder:
        picture = Image.open(path).convert("RGB")
        ppm = os.path.join(folder, "picture.ppm")
        picture.save(ppm)
        names = [os.path.join(models, name) for name in ("objects.tflite", "objects.txt", "face_full.tflite",
                                                         "face_short.tflite")]
        subprocess.run(program + names + [ppm, folder], check=True)
        want = decode_objects(load(folder, "objects_boxes", 4),
                              load(folder, "objects_logits", os.path.getsize(folder + "/objects_logits") // 4 // 1917))
        for kind in ("full", "short"):
            want += decode_faces(kind, load(folder, kind + "_rows", 16), load(folder, kind + "_logits", 1)[:, 0],
                                 load(folder, kind + "_fit", 4)[0])
        got = [line.split() for line in open(os.path.join(folder, "decoded"))]
        pixels = np.asarray(picture, np.float64)
        pixels = np.einsum("yi,ijc,xj->yxc", areas(300, pixels.shape[0]), pixels, areas(300, pixels.shape[1]),
                           optimize=True) / 127.5 - 1
        input_error = np.abs(load(folder, "objects_input", 3) - pixels.reshape(-1, 3)).max()
    worst = 0.0
    same = len(got) == len(want)
    for a, b in zip(got, want):
        same = same and a[0] == b[0] and int(a[1]) == b[1]
        worst = max([worst, abs(float(a[2]) - b[2])] + [abs(float(x) - y) for x, y in zip(a[3:], b[3])])
    good = same and worst < CLOSE and input_error < CLOSE
    print("%s %-22s %2d findings, largest difference %.1e; largest of the input %.1e"
          % ("ok    " if good else "not ok", os.path.basename(path), len(want), worst, input_error))
    return good


def main():
    models, program = sys.argv[1], sys.argv[2:]
    if not os.path.exists(os.path.join(models, "objects.tflite")):
        print("skipped: no models in", models)
        sys.exit(77)
    data = os.path.join(os.path.dirname(skimage.__file__), "data")
    results = [check(models, program, os.path.join(data, name)) for name in PICTURES]
    sys.exit(0 if all(results) else 1)


main()
