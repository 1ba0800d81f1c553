"""The chat turn around one picture, in tokens. No torch: the tests that run the shipped files use it too."""
from .tokens import Tokenizer

HEAD = "<|im_start|>user\n<|vision_start|>"
TAIL = "<|im_end|>\n<|im_start|>assistant\n"
TOKENS = Tokenizer()
HEAD_IDS = TOKENS.encode(HEAD)


def prompt_ids(prompt):
    """Everything between the picture and the answer."""
    return TOKENS.encode("<|vision_end|>" + prompt + TAIL)
