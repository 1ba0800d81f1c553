"""Writes demo-clip and demo-onnx-vlm as the ONNX files and JSON files that Hugging Face exports of such models have.

    python3 -m train.export_onnx clip CHECKPOINT OUT_FOLDER
    python3 -m train.export_onnx vlm CHECKPOINT OUT_FOLDER

Weights are stored as float16 with a Cast behind each, which ONNX Runtime folds when it loads: half the size on disk,
float32 inputs, outputs and arithmetic.
"""
import json
import math
import os
import sys

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from . import clip, vlm
from .tokens import CONTROL
from .vision import MERGE, PATCH

OPSET = 14
BIG = 512                       # weights with more values than this become float16
QWEN2_PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                 r"|\s*[\r\n]+|\s+(?!\S)|\s+")
SIDE = clip.IMAGE
POSITIONS = 512                 # longest sequence of demo-onnx-vlm


def patch_vectors(pixel_values):
    """Normalised [n, 3, 128, 128] to what VisionTower.encode takes; the same order as vision.patches."""
    x = pixel_values.view(-1, 3, SIDE // 32, 2, PATCH, SIDE // 32, 2, PATCH).permute(0, 2, 5, 3, 6, 1, 4, 7)
    return x.reshape(-1, (SIDE // PATCH) ** 2, 3 * PATCH * PATCH)


class ImageTower(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        return self.model.from_patches(patch_vectors(pixel_values))


class CaptionTower(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.tower = model.vision

    def forward(self, pixel_values):
        grid = SIDE // PATCH
        return self.tower.merge(self.tower.encode(patch_vectors(pixel_values), grid, grid))


class TextTowerWithScale(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.text, self.scale = model.text, model.logit_scale

    def forward(self, input_ids, attention_mask):
        return self.text(input_ids, attention_mask), self.scale.exp()


class Decoder(nn.Module):
    """One step of the text model with its key-value cache passed in and out.

    The model counts as Qwen-VL does (time, row, column), the three-file layout counts 0, 1, 2, ...; as every prompt has its
    picture in the same place, a table of the rotations by plain position is exact.
    """

    def __init__(self, model):
        super().__init__()
        self.text = model.text
        grid = SIDE // (PATCH * MERGE)
        positions, after = model.prefix_positions(grid, grid)
        positions = positions + [(after + i,) * 4 for i in range(POSITIONS - len(positions))]
        cos, sin = self.text.rope(torch.tensor(positions))
        self.register_buffer("cos", cos)
        self.register_buffer("sin", sin)

    def forward(self, inputs_embeds, attention_mask, position_ids, *past):
        rope = self.cos[position_ids], self.sin[position_ids]
        seen = past[0].shape[2]
        length = inputs_embeds.shape[1]
        query = torch.arange(length)[:, None] + seen
        key = torch.arange(attention_mask.shape[1])[None, :]
        mask = (key > query).float()[None, None] * -1e9 + (1.0 - attention_mask.float())[:, None, None, :] * -1e9
        x, present = inputs_embeds, []
        for number, block in enumerate(self.text.blocks):
            q, k, v, gate = block.queries_keys_values(x, rope)
            k, v = torch.cat((past[2 * number], k), 2), torch.cat((past[2 * number + 1], v), 2)
            present += [k, v]
            scores = q @ k.transpose(-1, -2) + mask
            x = block.finish(x, torch.softmax(scores, -1) @ v, gate)
        return (self.text.logits(self.text.norm(x)), *present)


def _halve_weights(path):
    model = onnx.load(path)
    graph, casts = model.graph, []
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        if tensor.data_type == onnx.TensorProto.FLOAT and array.size > BIG:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float16), name + "_f16"))
            casts.append(helper.make_node("Cast", [name + "_f16"], [name], to=onnx.TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)
    model.producer_name, model.producer_version, model.doc_string = "scry models/train", "", ""
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _export(module, inputs, path, names, outputs, axes):
    with torch.no_grad():
        torch.onnx.export(module.eval(), inputs, path, input_names=names, output_names=outputs, opset_version=OPSET,
                          dynamic_axes=axes)
    _halve_weights(path)
    return path


def _write(folder, files):
    for name, content in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content, indent=2) + "\n")


def _preprocessor(**more):
    return {"image_processor_type": "CLIPImageProcessor", "feature_extractor_type": "CLIPFeatureExtractor",
            "do_convert_rgb": True, "do_resize": True, "size": {"shortest_edge": SIDE}, "resample": 3,
            "do_center_crop": True, "crop_size": {"height": SIDE, "width": SIDE},
            "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
            "image_mean": [0.5] * 3, "image_std": [0.5] * 3, **more}


def _vision_config(config, **more):
    return {"model_type": "clip_vision_model", "hidden_size": config.width, "intermediate_size": config.inner,
            "num_hidden_layers": config.layers, "num_attention_heads": config.heads, "image_size": SIDE, **more}


def export_clip(model, folder):
    onnx_folder = os.path.join(folder, "onnx")
    os.makedirs(onnx_folder, exist_ok=True)
    config = model.config
    _export(ImageTower(model), (torch.zeros(2, 3, SIDE, SIDE),), os.path.join(onnx_folder, "vision_model.onnx"),
            ["pixel_values"], ["image_embeds"], {"pixel_values": {0: "batch"}, "image_embeds": {0: "batch"}})
    ids = torch.full((2, 9), clip.TOKENS.end)
    _export(TextTowerWithScale(model), (ids, torch.ones_like(ids)), os.path.join(onnx_folder, "text_model.onnx"),
            ["input_ids", "attention_mask"], ["text_embeds", "logit_scale"],
            {name: {0: "batch", 1: "sequence"} for name in ("input_ids", "attention_mask")} | {"text_embeds": {0: "batch"}})
    scale = float(model.logit_scale)
    _write(folder, clip.TOKENS.files())
    _write(folder, {
        "preprocessor_config.json": _preprocessor(processor_class="CLIPProcessor"),
        "config.json": {
            "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": config.width,
            "logit_scale_init_value": round(scale, 6), "logit_scale": round(math.exp(scale), 4),
            "vision_config": _vision_config(config.vision, patch_size=PATCH, projection_dim=config.width),
            "text_config": {"model_type": "clip_text_model", "hidden_size": config.text_width, "intermediate_size": 256,
                            "num_hidden_layers": config.text_layers, "num_attention_heads": config.text_heads,
                            "max_position_embeddings": 77, "vocab_size": config.vocabulary,
                            "projection_dim": config.width, "bos_token_id": clip.TOKENS.start,
                            "eos_token_id": clip.TOKENS.end, "pad_token_id": clip.TOKENS.end}}})


def tokenizer_json(tokens):
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": tokens.ids[t], "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for t in CONTROL],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": QWEN2_PATTERN}, "behavior": "Isolated", "invert": False}, byte_level]},
        "post_processor": byte_level, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False,
                  "vocab": {t: i for t, i in tokens.ids.items() if t not in CONTROL},
                  "merges": [f"{a} {b}" for a, b in tokens.merges]}}


# Writes one <|image_pad|> for each picture; the processor repeats it for the 16 vectors that the encoder returns.
CHAT_TEMPLATE = ("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' }}{% if m['content'] is string %}"
                 "{{ m['content'] }}{% else %}{% for c in m['content'] %}{% if c['type'] == 'image' %}"
                 "{{ '<|vision_start|><|image_pad|><|vision_end|>' }}{% elif c['type'] == 'text' %}{{ c['text'] }}"
                 "{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}"
                 "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


def export_vlm(model, folder):
    onnx_folder = os.path.join(folder, "onnx")
    os.makedirs(onnx_folder, exist_ok=True)
    config, tokens = model.config.text, vlm.TOKENS
    _export(CaptionTower(model), (torch.zeros(2, 3, SIDE, SIDE),), os.path.join(onnx_folder, "vision_encoder.onnx"),
            ["pixel_values"], ["image_features"], {"pixel_values": {0: "batch"}, "image_features": {0: "batch"}})
    _export(model.text.embedding, (torch.zeros(2, 5, dtype=torch.long),), os.path.join(onnx_folder, "embed_tokens.onnx"),
            ["input_ids"], ["inputs_embeds"], {n: {0: "batch", 1: "sequence"} for n in ("input_ids", "inputs_embeds")})
    cache = torch.zeros(2, config.heads, 3, config.head)
    pairs = [f"{i}.{part}" for i in range(config.layers) for part in ("key", "value")]
    axes = {"inputs_embeds": {0: "batch", 1: "sequence"}, "attention_mask": {0: "batch", 1: "total"},
            "position_ids": {0: "batch", 1: "sequence"}, "logits": {0: "batch", 1: "sequence"}}
    axes |= {f"past_key_values.{p}": {0: "batch", 2: "past"} for p in pairs}
    axes |= {f"present.{p}": {0: "batch", 2: "total"} for p in pairs}
    _export(Decoder(model), (torch.zeros(2, 5, config.width), torch.ones(2, 8, dtype=torch.long),
                             torch.arange(3, 8).expand(2, -1), *[cache] * len(pairs)),
            os.path.join(onnx_folder, "decoder_model_merged.onnx"),
            ["inputs_embeds", "attention_mask", "position_ids", *(f"past_key_values.{p}" for p in pairs)],
            ["logits", *(f"present.{p}" for p in pairs)], axes)
    end, start, image = tokens.end, tokens.ids["<|endoftext|>"], tokens.ids["<|image_pad|>"]
    _write(folder, {
        "preprocessor_config.json": _preprocessor(processor_class="LlavaProcessor"),
        "processor_config.json": {"processor_class": "LlavaProcessor", "image_token": "<|image_pad|>", "patch_size": 32,
                                  "num_additional_image_tokens": 0, "vision_feature_select_strategy": "full"},
        "tokenizer.json": tokenizer_json(tokens),
        "tokenizer_config.json": {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>",
                                  "pad_token": "<|endoftext|>", "bos_token": None, "add_prefix_space": False,
                                  "model_max_length": POSITIONS, "chat_template": CHAT_TEMPLATE},
        "special_tokens_map.json": {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
        "generation_config.json": {"eos_token_id": end, "pad_token_id": start, "do_sample": False, "max_new_tokens": 80},
        "config.json": {
            "architectures": ["LlavaForConditionalGeneration"], "model_type": "llava", "image_token_index": image,
            "image_seq_length": 16, "ignore_index": -100, "eos_token_id": end, "pad_token_id": start,
            "projector_hidden_act": "gelu_pytorch_tanh", "vision_feature_layer": -1, "vision_feature_select_strategy": "full",
            "vision_config": _vision_config(model.config.vision, patch_size=32),
            "text_config": {"model_type": "qwen3", "hidden_size": config.width, "intermediate_size": config.inner,
                            "num_hidden_layers": config.layers, "num_attention_heads": config.heads,
                            "num_key_value_heads": config.heads, "head_dim": config.head, "rms_norm_eps": config.eps,
                            "rope_theta": config.rope_base, "vocab_size": config.vocabulary, "hidden_act": "silu",
                            "max_position_embeddings": POSITIONS, "tie_word_embeddings": True, "use_cache": True,
                            "eos_token_id": end, "pad_token_id": start}}})


if __name__ == "__main__":
    kind, checkpoint, target = sys.argv[1:4]
    if kind == "clip":
        export_clip(clip.load(checkpoint)[0], target)
    else:
        export_vlm(vlm.load(checkpoint)[0], target)
