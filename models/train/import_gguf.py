"""Loads the shipped GGUF pair back into the PyTorch model, so that what is measured is what is shipped."""
import glob
import os

import numpy as np
import torch

from . import gguf_file, vlm
from .text import TextConfig
from .vision import PATCH, VisionConfig


def _set(parameter, *arrays):
    array = np.concatenate([a.astype(np.float32) for a in arrays])
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(array).view_as(parameter))


def _text(model, tensors):
    _set(model.embedding.weight, tensors["token_embd.weight"])
    _set(model.norm.weight, tensors["output_norm.weight"])
    for number, block in enumerate(model.blocks):
        own = {name.split(".", 2)[2]: t for name, t in tensors.items() if name.startswith(f"blk.{number}.")}
        _set(block.norm.weight, own["attn_norm.weight"])
        _set(block.feed.norm.weight, own.get("post_attention_norm.weight", own.get("ffn_norm.weight")))
        _set(block.feed.gate_up.weight, own["ffn_gate.weight"], own["ffn_up.weight"])
        _set(block.feed.down.weight, own["ffn_down.weight"])
        if hasattr(block, "q_norm"):
            layers = {"attn_q": block.q, "attn_k": block.k, "attn_v": block.v, "attn_output": block.out,
                      "attn_q_norm": block.q_norm, "attn_k_norm": block.k_norm}
        else:
            _set(block.conv, own["ssm_conv1d.weight"])
            _set(block.log_a, np.log(-own["ssm_a"]))
            _set(block.dt, own["ssm_dt.bias"])
            layers = {"attn_qkv": block.qkv, "attn_gate": block.z, "ssm_beta": block.beta, "ssm_alpha": block.alpha,
                      "ssm_out": block.out, "ssm_norm": block.out_norm}
        for name, layer in layers.items():
            _set(layer.weight, own[name + ".weight"])


def _vision(tower, tensors):
    def both(name, layer):
        _set(layer.weight, tensors[name + ".weight"])
        _set(layer.bias, tensors[name + ".bias"])

    _set(tower.patch.weight, tensors["v.patch_embd.weight"].astype(np.float32) + tensors["v.patch_embd.weight.1"])
    _set(tower.patch.bias, tensors["v.patch_embd.bias"])
    _set(tower.positions, tensors["v.position_embd.weight"])
    for number, block in enumerate(tower.blocks):
        for name, layer in (("ln1", block.ln1), ("ln2", block.ln2), ("attn_qkv", block.qkv), ("attn_out", block.out),
                            ("ffn_up", block.up), ("ffn_down", block.down)):
            both(f"v.blk.{number}.{name}", layer)
    for name, layer in (("v.post_ln", tower.post), ("mm.0", tower.merge1), ("mm.2", tower.merge2)):
        both(name, layer)


def pair(folder):
    """(text model, mmproj) paths in a model folder."""
    files = sorted(glob.glob(os.path.join(folder, "*.gguf")))
    vision, = (f for f in files if os.path.basename(f).startswith("mmproj-"))
    text, = (f for f in files if f != vision)
    return text, vision


def load(folder):
    text_path, vision_path = pair(folder)
    keys, tensors = gguf_file.read(text_path)
    vision_keys, vision_tensors = gguf_file.read(vision_path)
    arch = keys["general.architecture"]

    def key(name):
        return keys[f"{arch}.{name}"]

    def clip_key(name):
        return vision_keys[f"clip.vision.{name}"]

    config = vlm.VlmConfig(
        vision=VisionConfig(width=clip_key("embedding_length"), layers=clip_key("block_count"),
                            heads=clip_key("attention.head_count"), inner=clip_key("feed_forward_length"),
                            table=clip_key("image_size") // PATCH),
        text=TextConfig(arch=arch, width=key("embedding_length"), layers=key("block_count"),
                        heads=key("attention.head_count"), head=key("attention.key_length"),
                        inner=key("feed_forward_length"), vocabulary=len(keys["tokenizer.ggml.tokens"])))
    assert keys["tokenizer.ggml.tokens"] == vlm.TOKENS.tokens, "the grammar has changed since these weights were made"
    model = vlm.Vlm(config).eval()
    _text(model.text, tensors)
    _vision(model.vision, vision_tensors)
    return model
