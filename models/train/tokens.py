"""A byte-level BPE tokenizer in the form of GPT-2 and Qwen2 in which every word of the scene grammar is one token.

The vocabulary is 256 bytes, then the results of the merges, then Qwen's control tokens, padded to a multiple of 16.
llama.cpp reads it as `gpt2` with the `qwen2` (or `qwen35`) pre-tokenizer; any other text still has its bytes.
"""
import re
from collections import Counter

from scenes import grammar

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
           "<|image_pad|>", "<|video_pad|>")
# the ASCII part of the qwen2 pre-tokenizer
WORD = re.compile(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\nA-Za-z0-9]?[A-Za-z]+|[0-9]"
                  r"| ?[^\sA-Za-z0-9]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_letters():
    """GPT-2's printable letter for each byte."""
    printable = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    letters = {b: chr(b) for b in printable}
    for b in range(256):
        if b not in letters:
            letters[b] = chr(256 + len(letters) - len(printable))
    return letters


def corpus():
    """Every text piece the grammar can make, once."""
    names = [*grammar.COLORS, *grammar.SHAPES, *grammar.SIZES, *grammar.TONES, *grammar.GROUNDS, *grammar.WORDS]
    answers = [c.capitalize() for c in (*grammar.COLORS, *grammar.TONES)] + [*grammar.SIZES, "Yes", "No", "Nothing"]
    texts = [" " + n for n in names] + [a + "." for a in answers] + [n + "." for n in (*grammar.NUMBERS, *grammar.WORDS)]
    texts += [*grammar.CAPTION_PROMPTS, *grammar.BRIEF_PROMPTS, *grammar.LIST_PROMPTS, *(" " + p for p in grammar.POSITIONS)]
    texts += ["Is there an object anything any text?", "Is the background", "Does it say", "What color is the object",
              "How many objects are there?", "What does the text say?", "What is at", "A x", " A", "An x", "a x", ", a x and a",
              " with the word number", " on a background.", " above and to the left right of a", "There is are",
              "The x disappeared appeared moved from to.", "user\n", "assistant\n", "system\n",
              "You are a helpful assistant.", "Answer yes or no.", "Answer with one word."]
    pieces = set()
    for text in texts:
        pieces.update(WORD.findall(text))
    return sorted(pieces)


def learn_merges(words):
    """BPE until every word is one token; ties are broken by the pair itself, so the result is always the same."""
    merges = []
    while True:
        counts = Counter(pair for word in words for pair in zip(word, word[1:]))
        if not counts:
            return merges
        best = max(counts.items(), key=lambda item: (item[1], item[0]))[0]
        merges.append(best)
        words = [_merged(word, best) for word in words]


def _merged(word, pair):
    out, i = [], 0
    while i < len(word):
        if tuple(word[i:i + 2]) == pair:
            out.append(pair[0] + pair[1])
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out


class Tokenizer:
    def __init__(self):
        self.letters = byte_letters()
        self.merges = learn_merges([[self.letters[b] for b in piece.encode()] for piece in corpus()])
        self.rank = {pair: i for i, pair in enumerate(self.merges)}
        self.tokens = [self.letters[b] for b in sorted(self.letters)]
        seen = set(self.tokens)
        for first, second in self.merges:
            if first + second not in seen:
                seen.add(first + second)
                self.tokens.append(first + second)
        self.plain = len(self.tokens)               # tokens before this are text
        self.tokens += CONTROL
        while len(self.tokens) % 16:
            self.tokens.append(f"[PAD{len(self.tokens)}]")
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        self.end = self.ids["<|im_end|>"]
        self._bytes = {letter: b for b, letter in self.letters.items()}
        self._split = re.compile("(" + "|".join(re.escape(c) for c in CONTROL) + ")")
        self._known = {}

    def _piece(self, piece):
        if piece not in self._known:
            parts = [self.letters[b] for b in piece.encode()]
            while len(parts) > 1:
                rank, at = min((self.rank.get(pair, len(self.rank)), i) for i, pair in enumerate(zip(parts, parts[1:])))
                if rank == len(self.rank):
                    break
                parts[at:at + 2] = [parts[at] + parts[at + 1]]
            self._known[piece] = [self.ids[p] for p in parts]
        return self._known[piece]

    def encode(self, text):
        out = []
        for part in self._split.split(text):
            if part in CONTROL:
                out.append(self.ids[part])
            else:
                for piece in WORD.findall(part):
                    out += self._piece(piece)
        return out

    def decode(self, ids):
        text = "".join(self.tokens[i] for i in ids if i < self.plain)
        return bytes(self._bytes[letter] for letter in text).decode("utf-8", "replace")
