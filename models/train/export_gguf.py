"""Writes a trained captioner as a GGUF text model and its mmproj, the two files that llama.cpp loads.

    python3 -m train.export_gguf CHECKPOINT OUT_FOLDER NAME
"""
import os
import sys

import numpy as np

from . import gguf_file, vlm
from .tokens import CONTROL
from .vision import MERGE, PATCH

# Frames of fewer pixels are scaled up and of more are scaled down to what training saw: 160x96 to 512x288.
MIN_PIXELS, MAX_PIXELS = 160 * 96, 512 * 288

# Qwen's template without tools and thinking.
CHAT_TEMPLATE = """{%- for m in messages %}<|im_start|>{{ m.role }}
{% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}\
{% if c.type == 'image' or c.type == 'image_url' %}<|vision_start|><|image_pad|><|vision_end|>\
{% elif 'text' in c %}{{ c.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

NORMAL, CONTROL_TOKEN, UNUSED = 1, 3, 5
MOSTLY_F16 = 1
CONTEXT = 4096


def _f32(tensor):
    return tensor.detach().numpy().astype(np.float32)


def _f16(tensor):
    return tensor.detach().numpy().astype(np.float16)


def _general(architecture, name, kind):
    return {"general.architecture": architecture, "general.type": kind, "general.name": name,
            "general.file_type": MOSTLY_F16, "general.quantization_version": 2, "general.license": "mit"}


def tokenizer_keys(pre):
    tokens = vlm.TOKENS
    kinds = [NORMAL] * tokens.plain + [CONTROL_TOKEN] * len(CONTROL)
    kinds += [UNUSED] * (len(tokens.tokens) - len(kinds))
    start = tokens.ids["<|endoftext|>"]
    return {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre, "tokenizer.ggml.tokens": tokens.tokens,
            "tokenizer.ggml.token_type": gguf_file.Typed(gguf_file.INT32, kinds),
            "tokenizer.ggml.merges": [f"{a} {b}" for a, b in tokens.merges],
            "tokenizer.ggml.eos_token_id": tokens.end, "tokenizer.ggml.padding_token_id": start,
            "tokenizer.ggml.bos_token_id": start, "tokenizer.ggml.add_bos_token": False,
            "tokenizer.chat_template": CHAT_TEMPLATE}


def text_keys(config, name):
    arch = config.arch
    keys = {
        "context_length": CONTEXT, "embedding_length": config.width, "block_count": config.layers,
        "feed_forward_length": config.inner, "attention.head_count": config.heads, "attention.head_count_kv": config.heads,
        "attention.key_length": config.head, "attention.value_length": config.head,
        "attention.layer_norm_rms_epsilon": config.eps, "rope.freq_base": config.rope_base,
        "rope.dimension_count": config.head,
        "rope.dimension_sections": gguf_file.Typed(gguf_file.INT32, list(config.rope_sections)),
    }
    if arch == "qwen35":
        keys.update({"ssm.conv_kernel": config.conv, "ssm.state_size": config.head, "ssm.group_count": config.heads,
                     "ssm.time_step_rank": config.heads, "ssm.inner_size": config.heads * config.head,
                     "full_attention_interval": config.full_every})
    return {**_general(arch, name, "model"), **{f"{arch}.{k}": v for k, v in keys.items()},
            **tokenizer_keys("qwen35" if arch == "qwen35" else "qwen2")}


def _block_tensors(block, second_norm):
    gate, up = block.feed.gate_up.weight.chunk(2)
    yield "attn_norm.weight", _f32(block.norm.weight)
    yield second_norm + ".weight", _f32(block.feed.norm.weight)
    if hasattr(block, "q_norm"):
        yield "attn_q_norm.weight", _f32(block.q_norm.weight)
        yield "attn_k_norm.weight", _f32(block.k_norm.weight)
        for name, layer in (("attn_q", block.q), ("attn_k", block.k), ("attn_v", block.v), ("attn_output", block.out)):
            yield name + ".weight", _f16(layer.weight)
    else:
        yield "ssm_conv1d.weight", _f32(block.conv)
        yield "ssm_norm.weight", _f32(block.out_norm.weight)
        yield "ssm_a", -np.exp(_f32(block.log_a))
        yield "ssm_dt.bias", _f32(block.dt)
        for name, layer in (("attn_qkv", block.qkv), ("attn_gate", block.z), ("ssm_beta", block.beta),
                            ("ssm_alpha", block.alpha), ("ssm_out", block.out)):
            yield name + ".weight", _f16(layer.weight)
    yield "ffn_gate.weight", _f16(gate)
    yield "ffn_up.weight", _f16(up)
    yield "ffn_down.weight", _f16(block.feed.down.weight)


def text_tensors(text):
    second_norm = "post_attention_norm" if text.config.arch == "qwen35" else "ffn_norm"
    tensors = [("token_embd.weight", _f16(text.embedding.weight)), ("output_norm.weight", _f32(text.norm.weight))]
    for number, block in enumerate(text.blocks):
        tensors += [(f"blk.{number}.{name}", array) for name, array in _block_tensors(block, second_norm)]
    return tensors


def vision_keys(config, text_width, name):
    clip = {
        "has_vision_encoder": True, "vision.projection_dim": text_width, "vision.image_size": config.table * PATCH,
        "vision.patch_size": PATCH, "vision.embedding_length": config.width, "vision.feed_forward_length": config.inner,
        "vision.block_count": config.layers, "vision.attention.head_count": config.heads,
        "vision.image_mean": [0.5] * 3, "vision.image_std": [0.5] * 3, "projector_type": "qwen3vl_merger",
        "use_gelu": True, "vision.spatial_merge_size": MERGE, "vision.attention.layer_norm_epsilon": config.eps,
        "vision.is_deepstack_layers": [False] * config.layers,
        "vision.image_min_pixels": MIN_PIXELS, "vision.image_max_pixels": MAX_PIXELS,
    }
    return {**_general("clip", name, "mmproj"), **{f"clip.{k}": v for k, v in clip.items()}}


def vision_tensors(tower):
    def biased(name, layer, convert=_f16):
        return [(name + ".weight", convert(layer.weight)), (name + ".bias", _f32(layer.bias))]

    # llama.cpp adds the two temporal kernels for a still image: half in each, so that two equal frames say the same
    kernel = _f16(tower.patch.weight.view(-1, 3, PATCH, PATCH) / 2)
    tensors = [("v.patch_embd.weight", kernel), ("v.patch_embd.weight.1", kernel),
               ("v.patch_embd.bias", _f32(tower.patch.bias)), ("v.position_embd.weight", _f32(tower.positions))]
    for number, block in enumerate(tower.blocks):
        for name, layer in (("ln1", block.ln1), ("ln2", block.ln2)):
            tensors += biased(f"v.blk.{number}.{name}", layer, _f32)
        for name, layer in (("attn_qkv", block.qkv), ("attn_out", block.out), ("ffn_up", block.up), ("ffn_down", block.down)):
            tensors += biased(f"v.blk.{number}.{name}", layer)
    return tensors + biased("v.post_ln", tower.post, _f32) + biased("mm.0", tower.merge1) + biased("mm.2", tower.merge2)


def export(model, folder, name):
    """Returns the paths of (text model, mmproj)."""
    os.makedirs(folder, exist_ok=True)
    text_path = os.path.join(folder, f"{name}-F16.gguf")
    vision_path = os.path.join(folder, f"mmproj-{name}-F16.gguf")
    gguf_file.write(text_path, text_keys(model.config.text, name), text_tensors(model.text))
    gguf_file.write(vision_path, vision_keys(model.config.vision, model.config.text.width, name + " vision tower"),
                    vision_tensors(model.vision))
    return text_path, vision_path


if __name__ == "__main__":
    for path in export(vlm.load(sys.argv[1])[0], sys.argv[2], sys.argv[3]):
        print(path, os.path.getsize(path))
