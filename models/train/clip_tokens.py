"""CLIP's byte-level BPE: lower case, words end in `</w>`, 77 positions, and the files a CLIP tokenizer is read from.

As in CLIP the vocabulary is the 256 byte letters, the same with `</w>`, the merges, then the two control tokens, so the
end token has the highest id, which is how the text tower finds it.
"""
import json
import re
from collections import Counter

from scenes import grammar

from .tokens import byte_letters

CONTEXT = 77
END_OF_WORD = "</w>"
START, END = "<|startoftext|>", "<|endoftext|>"
# the ASCII part of CLIP's pattern; the tokenizer.json has the Unicode one
WORD = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[a-z]+|[0-9]|[^\sa-z0-9]+")
UNICODE_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def corpus():
    names = [*grammar.COLORS, *grammar.SHAPES, *grammar.SIZES, *grammar.TONES, *grammar.GROUNDS, *grammar.WORDS,
             *grammar.POSITIONS, "a photo of an image picture scene with the word number on background",
             "there is are above below and to left right of , ."]
    return sorted({word for name in names for word in WORD.findall(name.lower())})


def _learn(words):
    merges = []
    while True:
        counts = Counter(pair for word in words for pair in zip(word, word[1:]))
        if not counts:
            return merges
        best = max(counts.items(), key=lambda item: (item[1], item[0]))[0]
        merges.append(best)
        words = [_merge(word, best) for word in words]


def _merge(word, pair):
    out, i = [], 0
    while i < len(word):
        hit = tuple(word[i:i + 2]) == pair
        out.append(word[i] + word[i + 1] if hit else word[i])
        i += 2 if hit else 1
    return out


class ClipTokenizer:
    def __init__(self):
        self.letters = byte_letters()
        self.merges = _learn([self._letters_of(word) for word in corpus()])
        self.rank = {pair: i for i, pair in enumerate(self.merges)}
        letters = [self.letters[b] for b in sorted(self.letters)]
        tokens = letters + [letter + END_OF_WORD for letter in letters]
        seen = set(tokens)
        for first, second in self.merges:
            if first + second not in seen:
                seen.add(first + second)
                tokens.append(first + second)
        self.tokens = tokens + [START, END]
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        self.start, self.end = self.ids[START], self.ids[END]
        self._known = {}

    def _letters_of(self, word):
        parts = [self.letters[b] for b in word.encode()]
        return parts[:-1] + [parts[-1] + END_OF_WORD]

    def _word(self, word):
        if word not in self._known:
            parts = self._letters_of(word)
            while len(parts) > 1:
                rank, at = min((self.rank.get(pair, len(self.rank)), i) for i, pair in enumerate(zip(parts, parts[1:])))
                if rank == len(self.rank):
                    break
                parts[at:at + 2] = [parts[at] + parts[at + 1]]
            self._known[word] = [self.ids[p] for p in parts]
        return self._known[word]

    def encode(self, text):
        """Start token, text, end token; cut to the context with the end token kept."""
        body = [i for word in WORD.findall(text.lower()) for i in self._word(word)]
        return [self.start] + body[:CONTEXT - 2] + [self.end]

    def files(self):
        """{name: text} of vocab.json, merges.txt, tokenizer.json, tokenizer_config.json and special_tokens_map.json."""
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        special = [{"id": self.ids[t], "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                    "normalized": t == START, "special": True} for t in (START, END)]
        tokenizer = {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
            "normalizer": {"type": "Sequence", "normalizers": [
                {"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}, {"type": "Lowercase"}]},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": UNICODE_PATTERN}, "behavior": "Removed", "invert": True}, byte_level]},
            "post_processor": {"type": "RobertaProcessing", "sep": [END, self.end], "cls": [START, self.start],
                               "trim_offsets": False, "add_prefix_space": False},
            "decoder": byte_level,
            "model": {"type": "BPE", "dropout": None, "unk_token": END, "continuing_subword_prefix": "",
                      "end_of_word_suffix": END_OF_WORD, "fuse_unk": False, "vocab": self.ids,
                      "merges": [f"{a} {b}" for a, b in self.merges]}}
        config = {"add_prefix_space": False, "bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END,
                  "do_lower_case": True, "errors": "replace", "model_max_length": CONTEXT, "tokenizer_class": "CLIPTokenizer"}
        map_ = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
        return {"vocab.json": json.dumps(self.ids, ensure_ascii=False) + "\n",
                "merges.txt": "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in self.merges),
                "tokenizer.json": json.dumps(tokenizer, ensure_ascii=False) + "\n",
                "tokenizer_config.json": json.dumps(config, indent=2) + "\n",
                "special_tokens_map.json": json.dumps(map_, indent=2) + "\n"}
