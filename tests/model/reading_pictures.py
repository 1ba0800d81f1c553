#!/usr/bin/python3
"""Makes the pictures of the reading test, each NAME.png with its truth NAME.txt (words in any order).

    reading_pictures.py pages DIR     20 rendered pages: fonts, sizes, dark and light themes (Pillow)
    reading_pictures.py screens DIR   10 screenshots of real programs under Xvfb: xterm, mousepad, dillo, netsurf

Packages: python3-pil fonts-dejavu-core fonts-liberation fonts-freefont-ttf; for screens also
xvfb xterm mousepad dillo netsurf-gtk gnome-themes-extra dbus-x11
"""
import os
import subprocess
import sys
import tempfile
import time

from PIL import Image, ImageDraw, ImageFont

PROSE = [
    "The harbour master keeps two books. In the first he writes the name of every ship that enters, the hour and "
    "the weather; in the second he writes what the captains tell him, which is longer and less reliable.",
    "Before sunrise the bakers of the old town carry 240 loaves up the hill. Nobody remembers why the market is at "
    "the top, but every mayor who promised to move it has lost the next election.",
    "A good map leaves things out. The first survey of the valley, made in 1783, shows each tree along the river; it "
    "took eleven years and was out of date when it was printed.",
    "Please switch the machine off at the wall before you open the cover. Wait 30 seconds, then press both green "
    "buttons at once. If the lamp still blinks, call the number on the back.",
    "Our garden has nine kinds of mint and no plan. The oldest grows behind the shed, where the gutter drips, and "
    "it has outlived three gardeners, two dogs and a fence.",
    "The train to the coast leaves platform 7 at 16:45 and stops everywhere. Sit on the left for the lighthouse, on "
    "the right for the hills; in winter it is dark and does not matter.",
    "Quarterly report: orders rose by 12 percent, returns fell slightly, and the warehouse moved without losing a "
    "single box. The board thanks everyone who worked through the weekend.",
    "When the library closed for repairs, readers were asked to keep their books for a year. Most brought them back; "
    "some brought two. The head librarian counts them still.",
]

CODE = """static int count_words(const char *text)
{
    int words = 0;
    while (*text) {
        skip_spaces(&text);
        if (*text)
            words = words + 1;
        skip_letters(&text);
    }
    return words;
}"""

DEJAVU = "/usr/share/fonts/truetype/dejavu/DejaVu"
LIBERATION = "/usr/share/fonts/truetype/liberation/Liberation"
FREE = "/usr/share/fonts/truetype/freefont/Free"

# name, font, size in pixels, ink, paper, picture size, first paragraph, how many
PAGES = [
    ("sans-16", DEJAVU + "Sans.ttf", 16, "black", "white", (900, 500), 0, 4),
    ("sans-12", DEJAVU + "Sans.ttf", 12, "black", "white", (700, 420), 4, 4),
    ("sans-11", LIBERATION + "Sans-Regular.ttf", 11, "#222222", "white", (700, 420), 1, 5),
    ("sans-24", LIBERATION + "Sans-Regular.ttf", 24, "black", "white", (1100, 700), 2, 4),
    ("sans-40", LIBERATION + "Sans-Bold.ttf", 40, "black", "white", (1300, 900), 3, 2),
    ("sans-72", DEJAVU + "Sans-Bold.ttf", 72, "#103060", "#f0f0e8", (1600, 1000), 4, 1),
    ("serif-14", LIBERATION + "Serif-Regular.ttf", 14, "black", "white", (700, 500), 5, 5),
    ("serif-18", DEJAVU + "Serif.ttf", 18, "#101010", "#fffff0", (1000, 700), 6, 5),
    ("serif-30", LIBERATION + "Serif-Italic.ttf", 30, "black", "white", (1300, 900), 7, 4),
    ("freeserif-20", FREE + "Serif.ttf", 20, "#333333", "#eeeeee", (1000, 700), 0, 5),
    ("mono-13", DEJAVU + "SansMono.ttf", 13, "black", "white", (800, 400), -1, 1),
    ("mono-18", LIBERATION + "Mono-Regular.ttf", 18, "black", "#f8f8f8", (900, 500), -1, 1),
    ("dark-sans-15", DEJAVU + "Sans.ttf", 15, "#d0d0d0", "#1e1e1e", (900, 500), 1, 4),
    ("dark-sans-20", LIBERATION + "Sans-Regular.ttf", 20, "white", "black", (1000, 600), 2, 4),
    ("dark-mono-14", DEJAVU + "SansMono.ttf", 14, "#a8e0a8", "#101418", (800, 400), -1, 1),
    ("dark-blue-16", DEJAVU + "Sans.ttf", 16, "#e8e8ff", "#002050", (900, 500), 3, 4),
    ("dark-serif-22", LIBERATION + "Serif-Regular.ttf", 22, "#c0b090", "#282020", (1100, 700), 4, 4),
    ("half-and-half", DEJAVU + "Sans.ttf", 16, None, None, (900, 640), 5, 6),
    ("coloured-18", LIBERATION + "Sans-Bold.ttf", 18, "#c00000", "#ffffe0", (1000, 600), 6, 4),
    ("pale-17", FREE + "Sans.ttf", 17, "#707070", "white", (1000, 600), 7, 4),
]


def wrap(draw, text, font, width):
    lines, line = [], ""
    for word in text.split():
        longer = (line + " " + word).strip()
        if draw.textlength(longer, font=font) > width and line:
            lines.append(line)
            line = word
        else:
            line = longer
    return lines + [line]


def page(folder, name, path, size, ink, paper, dims, first, count):
    picture = Image.new("RGB", dims, paper or "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.truetype(path, size)
    if paper is None:
        draw.rectangle((0, dims[1] // 2, dims[0], dims[1]), fill="#202428")
    texts = [CODE] if first < 0 else [PROSE[(first + i) % len(PROSE)] for i in range(count)]
    margin, y, shown = max(20, size), max(16, size), []
    for number, text in enumerate(texts):
        if paper is None:
            ink = "black" if number < count // 2 else "#e0e0e0"
            y = dims[1] // 2 + 16 if number == count // 2 else y
        lines = text.split("\n") if first < 0 else wrap(draw, text, font, dims[0] - 2 * margin)
        for line in lines:
            if y + size * 1.3 > dims[1]:
                raise SystemExit(name + ": does not fit")
            draw.text((margin, y), line, font=font, fill=ink)
            shown.append(line)
            y += int(size * 1.35)
        y += size // 2
    picture.save(os.path.join(folder, name + ".png"))
    with open(os.path.join(folder, name + ".txt"), "w") as out:
        out.write("\n".join(shown) + "\n")


HTML = """<html><head><title>Notes</title></head><body bgcolor="%s" text="%s">
<h1>%s</h1><p>%s</p><h2>%s</h2><p>%s</p><ul><li>%s</li><li>%s</li></ul></body></html>"""


def plain(count, first, width):
    lines = []
    for i in range(count):
        line = ""
        for word in PROSE[(first + i) % len(PROSE)].split():
            if len(line) + len(word) + 1 > width:
                lines.append(line)
                line = word
            else:
                line = (line + " " + word).strip()
        lines += [line, ""]
    return "\n".join(lines)


def html(folder, name, paper, ink, first):
    parts = ["Harbour notes", PROSE[first % 8], "What to remember", PROSE[(first + 1) % 8], PROSE[(first + 2) % 8],
             PROSE[(first + 3) % 8]]
    with open(os.path.join(folder, name), "w") as out:
        out.write(HTML % ((paper, ink) + tuple(parts)))
    return "\n".join(parts)


def screens(work):
    """name, screen size, environment, command, truth"""
    rows = []

    def text_file(name, text):
        path = os.path.join(work, name)
        with open(path, "w") as out:
            out.write(text)
        return path

    def terminal(name, dims, options, text):
        path = text_file(name + ".text", text)
        rows.append((name, dims, {}, ["xterm", "+sb", "-geometry", "80x24+0+0"] + options +
                     ["-e", "sh", "-c", "cat '%s'; sleep 60" % path], text))

    terminal("xterm-plain", (640, 400), [], plain(3, 0, 72))
    terminal("xterm-dark", (800, 520), ["-fa", "DejaVu Sans Mono", "-fs", "10", "-bg", "black", "-fg", "gray90"],
             plain(4, 2, 76))
    terminal("xterm-green", (1000, 640), ["-fa", "Liberation Mono", "-fs", "12", "-bg", "#001018", "-fg", "#60e080"],
             plain(3, 4, 76) + CODE)
    terminal("xterm-large", (1400, 900), ["-fa", "DejaVu Sans Mono", "-fs", "16"], plain(4, 6, 72))
    for name, theme, first in (("editor-light", "Adwaita", 1), ("editor-dark", "Adwaita:dark", 3)):
        text = plain(4, first, 70)
        rows.append((name, (900, 640), {"GTK_THEME": theme}, ["mousepad", text_file(name + "-notes.txt", text)], text))
    for name, browser, paper, ink, first in (("dillo-light", "dillo", "white", "black", 0),
                                             ("dillo-dark", "dillo", "#202830", "#e0e0d0", 2),
                                             ("netsurf-light", "netsurf-gtk", "#fffff4", "#202020", 4),
                                             ("netsurf-dark", "netsurf-gtk", "#101010", "#d8d8d8", 6)):
        truth = html(work, name + ".html", paper, ink, first)
        rows.append((name, (1024, 768), {}, [browser, os.path.join(work, name + ".html")], truth))
    return rows


# A letter has some thirty; a window whose menus are there and whose text is not yet has one or two for each.
EDGES_A_LETTER = 10


def edges(grey):
    """places where light changes sharply from one pixel to the next in a row"""
    data = grey.tobytes()
    return sum(abs(a - b) > 60 for a, b in zip(data, data[1:]))


def shoot(folder, work, name, dims, settings, command, truth):
    display = ":%d" % (200 + os.getpid() % 1000)
    env = dict(os.environ, DISPLAY=display, HOME=work, XDG_CONFIG_HOME=work, XDG_CACHE_HOME=work, NO_AT_BRIDGE="1",
               GSETTINGS_BACKEND="memory", LC_ALL="C.UTF-8", **settings)
    server = subprocess.Popen(["Xvfb", display, "-screen", "0", "%dx%dx24" % dims, "-nolisten", "tcp"],
                              stderr=subprocess.DEVNULL)
    program = None
    try:
        time.sleep(1)
        program = subprocess.Popen(["dbus-run-session", "--"] + command, env=env, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        before, still = None, 0
        for _ in range(80):  # until as much is written on the screen as there is to read, and it keeps still
            time.sleep(0.5)
            subprocess.run([sys.executable, "-c",
                            "import sys; from PIL import ImageGrab; ImageGrab.grab().save(sys.argv[1])",
                            os.path.join(folder, name + ".png")], env=env)
            now = Image.open(os.path.join(folder, name + ".png")).convert("L")
            still = still + 1 if now.tobytes() == before else 0
            if still >= 1 and edges(now) > EDGES_A_LETTER * len(truth):
                break
            before = now.tobytes()
        else:
            raise SystemExit(name + ": %s shows no text" % command[0])
        with open(os.path.join(folder, name + ".txt"), "w") as out:
            out.write(truth + "\n")
    finally:
        if program is not None:
            os.killpg(program.pid, 9)
        server.terminate()
        server.wait()


def main():
    what, folder = sys.argv[1], sys.argv[2]
    os.makedirs(folder, exist_ok=True)
    if what == "pages":
        for row in PAGES:
            page(folder, *row)
        return
    with tempfile.TemporaryDirectory() as work:
        for row in screens(work):
            shoot(folder, work, *row)


main()
