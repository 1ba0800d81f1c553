"""What a scene is and everything that can be said about it. Pure words: no pixels, no randomness of its own.

A scene has 1 to 4 objects and perhaps one printed word in different cells of a 3x3 grid, on a ground. Every scene
has exactly one canonical caption (`caption`), which is what a model must say word for word; `alternatives` are
other true wordings, each with the prompt that asks for it; `questions` have one-word answers.
"""
from dataclasses import dataclass, field

COLORS = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 80, 225), "yellow": (235, 215, 50),
          "purple": (140, 60, 190), "orange": (240, 140, 40), "cyan": (60, 205, 215), "pink": (245, 130, 180)}
SHAPES = ("circle", "oval", "square", "triangle", "diamond", "star", "cross")
SIZES = ("small", "large")
TONES = {"black": (15, 15, 15), "gray": (128, 128, 128), "white": (240, 240, 240)}
GROUNDS = ("plain", "gradient", "noisy", "textured")
POSITIONS = ("at the top left", "at the top", "at the top right",
             "on the left", "in the center", "on the right",
             "at the bottom left", "at the bottom", "at the bottom right")
WORDS = ("GO", "NO", "OK", "UP", "ON", "HI", "3", "7", "12", "42", "58", "90")
NUMBERS = ("Zero", "One", "Two", "Three", "Four")

CAPTION_PROMPTS = ("Describe the image.", "Describe this image.", "What do you see?",
                   "Describe what you see in this frame.", "Describe the scene in one sentence.",
                   "What is in this picture?")
BRIEF_PROMPTS = ("Describe the image briefly.", "What do you see? Be brief.")
LIST_PROMPTS = ("List the objects.",)


@dataclass(frozen=True)
class Item:
    """One drawn object. Centre and radius are in pixels of the frame that the scene was sampled for."""
    size: str
    color: str
    shape: str
    cell: int
    x: float
    y: float
    radius: float
    fill: tuple
    tall: bool = False          # an oval stands instead of lying; no caption speaks of it

    @property
    def name(self):
        return f"{self.size} {self.color} {self.shape}"


@dataclass(frozen=True)
class Print:
    """The printed word or number, its centre in pixels and the pixels per glyph unit."""
    text: str
    cell: int
    x: float
    y: float
    scale: float
    fill: tuple

    @property
    def name(self):
        return f"the {'number' if self.text.isdigit() else 'word'} {self.text}"


@dataclass(frozen=True)
class Scene:
    width: int
    height: int
    items: tuple                # of Item, in reading order of their cells
    tone: str
    ground: str
    base: tuple                 # the ground's colour
    printed: Print = None
    look: tuple = field(default=())     # numbers that draw.py needs for the ground, see sample.py


def article(word):
    return "an" if word[0] in "aeio" else "a"


def ground_phrase(scene):
    return f"on a {scene.ground} {scene.tone} background"


def relation(first, second):
    """Where the first object (in reading order) is, seen from the second."""
    row1, column1, row2, column2 = first.cell // 3, first.cell % 3, second.cell // 3, second.cell % 3
    if row1 == row2:
        return "to the left of"
    if column1 == column2:
        return "above"
    return f"above and to the {'left' if column1 < column2 else 'right'} of"


def join(phrases):
    return phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + " and " + phrases[-1]


def caption(scene):
    """The one canonical caption."""
    items = scene.items
    if len(items) == 2:
        text = f"A {items[0].name} {relation(*items)} a {items[1].name}"
    else:
        text = "A" + join([f"a {i.name} {POSITIONS[i.cell]}" for i in items])[1:]
    if scene.printed:
        text += f", with {scene.printed.name} {POSITIONS[scene.printed.cell]}"
    return f"{text}, {ground_phrase(scene)}."


def brief(scene):
    text = join([f"{article(i.color)} {i.color} {i.shape}" for i in scene.items])
    return text[0].upper() + text[1:] + "."


def listing(scene):
    return ", ".join(i.name for i in scene.items) + (f", {scene.printed.name}" if scene.printed else "") + "."


def there_is(scene):
    """A wording that no prompt asks for: variety for the CLIP text tower."""
    things = [f"{article(i.size)} {i.name} {POSITIONS[i.cell]}" for i in scene.items]
    if scene.printed:
        things.append(f"{scene.printed.name} {POSITIONS[scene.printed.cell]}")
    return f"There {'is' if len(things) == 1 else 'are'} {join(things)} {ground_phrase(scene)}."


def alternatives(scene):
    """(prompts, text) pairs: other true wordings, with the prompts that ask for each; no prompts: wording only."""
    return [(BRIEF_PROMPTS, brief(scene)), (LIST_PROMPTS, listing(scene)), ((), there_is(scene))]


# --- questions -------------------------------------------------------------------------------------------------

def _wrong(rng, right, among):
    others = [x for x in among if x != right]
    return others[int(rng.integers(len(others)))]


def _yes(truth):
    return "Yes." if truth else "No."


def _ask_object(rng, scene, item, want):
    color, shape = item.color, item.shape
    if not want:
        if rng.integers(2):
            color = _wrong(rng, color, COLORS)
        else:
            shape = _wrong(rng, shape, SHAPES)
    return (f"Is there {article(color)} {color} {shape}?",
            _yes(any(i.color == color and i.shape == shape for i in scene.items)))


def _ask_shape(rng, scene, item, want):
    shape = item.shape if want else _wrong(rng, item.shape, SHAPES)
    return f"Is there {article(shape)} {shape}?", _yes(any(i.shape == shape for i in scene.items))


def _ask_color(rng, scene, item, want):
    color = item.color if want else _wrong(rng, item.color, COLORS)
    return f"Is there anything {color}?", _yes(any(i.color == color for i in scene.items))


def _ask_sized(rng, scene, item, want):
    size, color, shape = item.size, item.color, item.shape
    if not want:
        which = int(rng.integers(3))
        size = _wrong(rng, size, SIZES) if which == 0 else size
        color = _wrong(rng, color, COLORS) if which == 1 else color
        shape = _wrong(rng, shape, SHAPES) if which == 2 else shape
    return (f"Is there a {size} {color} {shape}?",
            _yes(any((i.size, i.color, i.shape) == (size, color, shape) for i in scene.items)))


def _ask_place(rng, scene, item, want):
    cell = item.cell if want else int(rng.integers(9))
    return f"Is there an object {POSITIONS[cell]}?", _yes(any(i.cell == cell for i in scene.items))


def _ask_ground(rng, scene, item, want):
    ground = scene.ground if want else _wrong(rng, scene.ground, GROUNDS)
    return f"Is the background {ground}?", _yes(ground == scene.ground)


def _ask_printed(rng, scene, item, want):
    if scene.printed and rng.integers(2):
        text = scene.printed.text if want else _wrong(rng, scene.printed.text, WORDS)
        return f"Does it say {text}?", _yes(text == scene.printed.text)
    return "Is there any text?", _yes(scene.printed is not None)


YES_NO = (_ask_object, _ask_shape, _ask_color, _ask_sized, _ask_place, _ask_ground, _ask_printed)


def yes_no_question(rng, scene):
    """(question, "Yes." or "No."): the answer is aimed at either with equal chance."""
    item = scene.items[int(rng.integers(len(scene.items)))]
    return YES_NO[int(rng.integers(len(YES_NO)))](rng, scene, item, bool(rng.integers(2)))


def color_question(rng, scene):
    """(question, "Red."): by shape where only one object has it, else by place; sometimes the ground's tone."""
    if rng.integers(6) == 0:
        return "What color is the background?", scene.tone.capitalize() + "."
    item = scene.items[int(rng.integers(len(scene.items)))]
    if sum(i.shape == item.shape for i in scene.items) == 1 and rng.integers(3):
        return f"What color is the {item.shape}?", item.color.capitalize() + "."
    return f"What color is the object {POSITIONS[item.cell]}?", item.color.capitalize() + "."


def other_question(rng, scene):
    """(question, answer): the count, the printed word, or the shape at a place."""
    kind = int(rng.integers(3))
    if kind == 0:
        return "How many objects are there?", NUMBERS[len(scene.items)] + "."
    if kind == 1:
        return "What does the text say?", (scene.printed.text if scene.printed else "Nothing") + "."
    item = scene.items[int(rng.integers(len(scene.items)))]
    return f"What is {POSITIONS[item.cell]}?", f"A {item.name}."


def change_caption(kind, before, after):
    """What changed between two frames of one scene: `kind` is "moved", "added" or "removed" (see sample.change)."""
    if kind == "added":
        item = next(i for i in after.items if i not in before.items)
        return f"A {item.name} appeared {POSITIONS[item.cell]}."
    item = next(i for i in before.items if i not in after.items)
    if kind == "removed":
        return f"The {item.name} {POSITIONS[item.cell]} disappeared."
    moved = next(i for i in after.items if i not in before.items)
    return f"The {item.name} moved from {_place(item.cell)} to {_place(moved.cell)}."


def _place(cell):
    return POSITIONS[cell].split(" ", 1)[1]
