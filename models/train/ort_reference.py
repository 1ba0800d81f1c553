"""demo-clip and demo-onnx-vlm run by ONNX Runtime through Python: the reference for scry-onnx, and their evaluation.

    PYTHON -m train.ort_reference clip ../models/demo-clip [--scenes 1000] [--broken]
    PYTHON -m train.ort_reference vlm ../models/demo-onnx-vlm [--scenes 1000] [--broken]

PYTHON is one with onnxruntime, numpy and Pillow; no torch here. `--broken` prints the sensitivity table instead.
"""
import argparse
import json
import os

import numpy as np
import onnxruntime
from PIL import Image

from scenes import draw, grammar, sample
from scenes.contrast import circles_as_ovals, distractors, mirrored, red_blue_swapped

from .chat import HEAD_IDS, TOKENS, prompt_ids
from .clip_tokens import ClipTokenizer


def session(folder, name):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(os.path.join(folder, "onnx", name), options, providers=["CPUExecutionProvider"])


class Preprocessor:
    """What preprocessor_config.json says: shortest side to size, centre crop, rescale, normalise."""

    def __init__(self, folder):
        with open(os.path.join(folder, "preprocessor_config.json"), encoding="utf-8") as file:
            self.config = json.load(file)

    def __call__(self, pixels):
        """uint8 [height, width, 3] to float32 [1, 3, height, width]."""
        side = self.config["size"]["shortest_edge"]
        crop = self.config["crop_size"]["width"]
        height, width = pixels.shape[:2]
        if min(height, width) != side:
            scale = side / min(height, width)
            pixels = draw.resized(pixels, round(width * scale), round(height * scale), Image.BICUBIC)
            height, width = pixels.shape[:2]
        top, left = (height - crop) // 2, (width - crop) // 2
        x = pixels[top:top + crop, left:left + crop].astype(np.float32) * np.float32(self.config["rescale_factor"])
        x = (x - np.float32(self.config["image_mean"])) / np.float32(self.config["image_std"])
        return np.ascontiguousarray(x.transpose(2, 0, 1)[None])


class OrtClip:
    def __init__(self, folder):
        self.prepare, self.tokens = Preprocessor(folder), ClipTokenizer()
        self.vision, self.text = session(folder, "vision_model.onnx"), session(folder, "text_model.onnx")

    def image(self, pixels, change=lambda x: x):
        return self.vision.run(None, {"pixel_values": change(self.prepare(pixels))})[0][0]

    def texts(self, strings):
        """(unit vectors, logit scale)."""
        encoded = [self.tokens.encode(s) for s in strings]
        length = max(map(len, encoded))
        ids = np.full((len(encoded), length), self.tokens.end, np.int64)
        mask = np.zeros_like(ids)
        for row, one in enumerate(encoded):
            ids[row, :len(one)], mask[row, :len(one)] = one, 1
        return self.text.run(None, {"input_ids": ids, "attention_mask": mask})

    def probabilities(self, pixels, strings, change=lambda x: x):
        vectors, scale = self.texts(strings)
        scores = scale * (vectors @ self.image(pixels, change))
        weights = np.exp(scores - scores.max())
        return weights / weights.sum()


class OrtCaptioner:
    """Greedy decoding through the three files, with the key-value cache."""

    def __init__(self, folder):
        self.prepare = Preprocessor(folder)
        self.vision, self.embed = session(folder, "vision_encoder.onnx"), session(folder, "embed_tokens.onnx")
        self.decoder = session(folder, "decoder_model_merged.onnx")
        self.past = [i for i in self.decoder.get_inputs() if i.name.startswith("past_key_values.")]

    def embedded(self, ids):
        return self.embed.run(None, {"input_ids": np.array([ids], np.int64)})[0]

    def answer(self, pixels, prompt, change=lambda x: x, limit=80):
        picture = self.vision.run(None, {"pixel_values": change(self.prepare(pixels))})[0]
        inputs = np.concatenate((self.embedded(HEAD_IDS), picture, self.embedded(prompt_ids(prompt))), 1)
        cache = {i.name: np.zeros((1, i.shape[1], 0, i.shape[3]), np.float32) for i in self.past}
        seen, out = 0, []
        while len(out) < limit:
            count = inputs.shape[1]
            logits, *present = self.decoder.run(None, {
                "inputs_embeds": inputs, "attention_mask": np.ones((1, seen + count), np.int64),
                "position_ids": np.arange(seen, seen + count, dtype=np.int64)[None], **cache})
            best = int(logits[0, -1].argmax())
            if best == TOKENS.end:
                break
            out.append(best)
            seen += count
            cache = {i.name: p for i, p in zip(self.past, present)}
            inputs = self.embedded([best])
        return TOKENS.decode(out)


def held_out(count):
    return [sample.scene(sample.HELD_OUT + i, 128, 128) for i in range(count)]


def jpeg40(pixels):
    return draw.as_jpeg(pixels, 40)


def share(scenes, is_right):
    return sum(bool(is_right(s)) for s in scenes) / len(scenes)


def clip_right(model, scenes, hard, mistaken=None, pixels_change=lambda x: x, change=lambda x: x):
    """`mistaken` makes the scene that a broken pipeline would see: its caption replaces one of the distractors."""
    def is_right(scene):
        rng = np.random.default_rng([scene.look[0], 17])
        texts = [grammar.caption(scene), *distractors(rng, scene, scenes, hard)]
        if mistaken:
            texts[-1] = grammar.caption(mistaken(scene))
        return model.probabilities(pixels_change(draw.render(scene).pixels), texts, change).argmax() == 0
    return share(scenes, is_right)


def caption_right(model, scenes, pixels_change=lambda x: x, change=lambda x: x):
    def is_right(scene):
        pixels = pixels_change(draw.render(scene).pixels)
        return model.answer(pixels, "Describe the image.", change) == grammar.caption(scene)
    return share(scenes, is_right)


def question_right(model, scenes, ask):
    def is_right(scene):
        question, answer = ask(np.random.default_rng([scene.look[0], 5]), scene)
        return model.answer(draw.render(scene).pixels, question) == answer
    return share(scenes, is_right)


# --- broken pipelines ------------------------------------------------------------------------------------------

# name, what a broken pipeline would see of a scene (None: nothing in particular), how it is broken
BROKEN = (
    ("red and blue swapped", red_blue_swapped, {"pixels_change": lambda p: np.ascontiguousarray(p[..., ::-1])}),
    ("left and right flipped", mirrored, {"pixels_change": lambda p: np.ascontiguousarray(p[:, ::-1])}),
    ("squashed to 9:16 (128x128 to 72x128, black sides)", circles_as_ovals,
     {"pixels_change": lambda p: draw.letterboxed(draw.resized(p, 72, 128), 128, 128)}),
    ("normalised to 0..1", None, {"change": lambda x: (x + 1) / 2}),
    ("normalised to 0..255", None, {"change": lambda x: (x + 1) * np.float32(127.5)}),
    ("channels last read as channels first", None,
     {"change": lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).reshape(x.shape)}),
)


def sensitivity(right, count):
    """right(scenes, mistaken, **how) is the share that is right."""
    print("| broken pipeline | scenes | right whole | right broken | drop |\n|---|---|---|---|---|")
    for name, mistaken, how in BROKEN:
        scenes = [s for s in held_out(count) if mistaken is None or mistaken(s)]
        whole, broken = right(scenes, mistaken), right(scenes, mistaken, **how)
        print(f"| {name} | {len(scenes)} | {100 * whole:.1f} | {100 * broken:.1f} | {100 * (whole - broken):.1f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("clip", "vlm"))
    parser.add_argument("folder")
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--broken", action="store_true")
    options = parser.parse_args()
    scenes = held_out(options.scenes)
    if options.kind == "clip":
        model = OrtClip(options.folder)
        if options.broken:
            return sensitivity(lambda some, mistaken, **how: clip_right(model, some, 0, mistaken, **how), options.scenes)
        rows = {"right of 17, distractors from other scenes": clip_right(model, scenes, 0),
                "right of 17, 8 of the distractors with one thing changed": clip_right(model, scenes, 8),
                "right of 17, all distractors with one thing changed": clip_right(model, scenes, 16),
                "right of 17 after JPEG quality 40": clip_right(model, scenes, 0, pixels_change=jpeg40)}
    else:
        model = OrtCaptioner(options.folder)
        if options.broken:
            return sensitivity(lambda some, mistaken, **how: caption_right(model, some, **how), options.scenes)
        rows = {"exact caption": caption_right(model, scenes),
                "exact caption after JPEG quality 40": caption_right(model, scenes, jpeg40),
                "yes/no": question_right(model, scenes, grammar.yes_no_question),
                "colour": question_right(model, scenes, grammar.color_question)}
    print(f"| {options.scenes:,} held-out scenes at 128x128 | % |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {100 * value:.1f} |", flush=True)
    return None


if __name__ == "__main__":
    main()
