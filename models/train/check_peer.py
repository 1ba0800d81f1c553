"""Does the PyTorch copy compute what llama.cpp computes? Random weights, first-token log-probabilities, many frame sizes.

    python3 -m train.check_peer [qwen35|qwen3vl]

Random weights are the sharper test: a trained model hides small errors behind confident answers.
"""
import sys
import tempfile

import numpy as np
import torch
from scenes import draw, sample

from . import data, export_gguf, peer, vlm


def random_model(arch):
    torch.manual_seed(3)
    config = vlm.VlmConfig()
    config.text.arch = arch
    model = vlm.Vlm(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter += torch.randn_like(parameter) * 0.2
        model.vision.merge2.weight *= 2         # so that the answer depends strongly on the picture
    return model


def main():
    arch = sys.argv[1] if len(sys.argv) > 1 else "qwen35"
    model = random_model(arch)
    with tempfile.TemporaryDirectory() as folder, peer.LlamaServer(*export_gguf.export(model, folder, "random")) as server:
        for width, height in ((128, 128), (160, 96), (256, 144), (512, 288), (192, 128)):
            bucket = data.Bucket(width, height)
            for seed in range(sample.HELD_OUT, sample.HELD_OUT + 9):
                pixels = draw.render(sample.scene(seed, width, height)).pixels
                theirs = server.first_log_probabilities(pixels, "Describe the image.", len(vlm.TOKENS.tokens))
                if theirs:
                    break
            with torch.no_grad():
                ours = model.first_logits(draw.letterboxed(pixels, *bucket.padded), "Describe the image.")
            ours = torch.log_softmax(ours, -1).numpy()
            ids = sorted(theirs)
            both = ours[ids], np.array([theirs[i] for i in ids])
            print(f"{arch} {width}x{height}: largest difference {np.abs(both[0] - both[1]).max():.4f}, "
                  f"correlation {np.corrcoef(*both)[0, 1]:.6f}, {len(ids)} tokens", flush=True)


if __name__ == "__main__":
    main()
