#!/usr/bin/env python3
"""The pictures of README and guide: they need nothing but themselves, and say what the README says of them."""

import json
import random
import re
import struct
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml
import zlib
from pathlib import Path

from harness import Scene, main
from lab.browser import Browser
from lab.png import HEAD, PREDICT, chunk, chunks, pixels, with_palette
from pages import GUIDE, README, ROOT, pages

PICTURES, SCRIPT, CAST = GUIDE / "pictures", ROOT / "packaging/demo_recording.py", ROOT / "packaging/demo.cast"
SVG = "{http://www.w3.org/2000/svg}"
KNOWN = {"svg", "title", "desc", "style", "defs", "g", "rect", "path", "text", "use"}
KILOBYTES = {".svg": 100, ".png": 150}
CONTRAST = 4.5  # WCAG 2.1, 1.4.3


def script(*arguments, ok=True):
    done = subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert (done.returncode == 0) == ok, (arguments, done)
    return done.stdout + done.stderr


def light(colour):
    """Relative luminance of #rgb or #rrggbb, as WCAG has it."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def faint(colours):
    """Names of the text's colours that are too near the paper's."""
    for name, colour in colours.items():
        pale, deep = sorted((light(colour), light(colours["paper"])), reverse=True)
        if name in ("text", "soft", "good", "bad") and (pale + 0.05) / (deep + 0.05) < CONTRAST:
            yield name


def wrong_with(picture):
    """What an SVG has that it must not have, or lacks."""
    text = picture.read_text()
    tree = xml.fromstring(text)
    ids = [node.get("id") for node in tree.iter() if node.get("id")]
    for node in tree.iter():
        if node.tag.removeprefix(SVG) not in KNOWN:
            yield f"<{node.tag}>"
        for name, value in node.attrib.items():
            if name.startswith("on") or (name.endswith("href") and value not in [f"#{one}" for one in ids]):
                yield f"{name}={value}"
    # Words may name an address; nothing else may.
    looks = [value for node in tree.iter() for value in node.attrib.values()] + [tree.findtext(f"{SVG}style", "")]
    yield from re.findall(r"https?:|//|@import|@font-face|url\(|data:", "\n".join(looks))
    if len(ids) != len(set(ids)):
        yield "an id twice"
    if tree.tag != SVG + "svg" or not tree.get("viewBox") or not tree.findtext(f"{SVG}title"):
        yield "no viewBox or title"
    themes = re.findall(r"svg\{(--[^}]*)\}", text)
    if len(themes) != 2 or "@media(prefers-color-scheme:dark)" not in text:
        yield "not for light and dark"
    for theme in themes:
        yield from faint(dict(re.findall(r"--(\w+):(#\w+)", theme)))
    if "animation:" in text and "@media(prefers-reduced-motion:reduce){#strip{animation:none}}" not in text:
        yield "moves for those who want nothing to move"


def case_complete_in_themselves():
    wrong = []
    for picture in sorted(PICTURES.iterdir()):
        size = picture.stat().st_size
        if size > 1024 * KILOBYTES[picture.suffix]:
            wrong.append(f"{picture.name}: {size} octets")
        if picture.suffix == ".svg":
            wrong += [f"{picture.name}: {what}" for what in wrong_with(picture)]
        else:
            head = picture.read_bytes()[:24]
            width, height = struct.unpack(">II", head[16:])
            if head[:8] != b"\x89PNG\r\n\x1a\n" or not (800 <= width <= 1300 and height <= 1300):
                wrong.append(f"{picture.name}: {head} {width} x {height}")
    assert not wrong, "\n" + "\n".join(wrong)


def case_shown():
    """Each is on a page, with words in its place; and pages show none that is not there."""
    shown = set()
    for page in pages():
        text = "\n".join(line for _, line in page.prose)
        found = re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", text)
        found += [(words, path) for path, words in re.findall(r'<img src="([^"]+)"\s+alt="([^"]*)"', text)]
        assert len(found) == len(re.findall(r"!\[|<img", text)), (page.name, found)
        found += [("the same, dark", path) for path in re.findall(r'srcset="([^"]+)"', text)]
        for words, path in found:
            file = (page.file.parent / path).resolve()
            assert len(words) > 10 and file.is_file() and file.parent in (PICTURES, ROOT / "bench" / "results"), path
            shown.add(file)
    left_over = set(PICTURES.iterdir()) - shown
    assert shown and not left_over, left_over


def last_frame(picture):
    """The texts of the frame that stays, which is the one that the strip shows where nothing moves."""
    tree = xml.parse(picture).getroot()
    strip = next(node for node in tree.iter(SVG + "g") if node.get("id") == "strip")
    texts = {node.get("id"): node.text for node in tree.iter(SVG + "text")}
    place = re.search(r"\((\d+)\)", strip[-1].get("transform"))[1]
    assert strip.get("transform") == f"translate(-{place})", strip.get("transform")
    css = tree.findtext(f"{SVG}style")
    assert f"100%{{transform:translateX(-{place}px)}}" in css and "#strip{animation:run 15s step-end infinite}" in css
    return [texts[use.get("href")[1:]] for use in strip[-1].iter(SVG + "use")]


def heard(cast):
    """(seconds, last lines, news of the device) of a cast."""
    header, *events = map(json.loads, cast.read_text().splitlines())
    assert header["version"] == 2 and {kind for _, kind, _ in events} <= {"o", "m"}, header
    lines = "".join(text for _, kind, text in events if kind == "o").split("\r\n")
    return round(events[-1][0]), lines, [text for _, kind, text in events if kind == "m"]


def case_recording():
    """The drawings are those that the script makes of the cast, the last frame says PASS, and the README says the
    same."""
    with tempfile.TemporaryDirectory() as folder:
        script("draw", "--folder", folder)
        for name in ("demo.svg", "timeline.svg"):
            assert (Path(folder) / name).read_bytes() == (PICTURES / name).read_bytes(), f"{name}: draw it again"
    seconds, lines, news = heard(CAST)
    last = last_frame(PICTURES / "demo.svg")
    assert [line for line in lines if line][-1] == last[-1], (lines, last)
    passed = re.fullmatch(
        r"PASS  (\d+) of (\d+) sessions lived with (\d+) extra handshakes "
        r"\(by address: (\d+) lived, (\d+) handshakes\)", last[-1],
    )
    assert passed, last
    text = " ".join(README.read_text().split())
    lived, devices, extra, by_address, handshakes = passed.groups()
    moves = sum('"moved"' in one for one in news if one.startswith("cidlb"))
    sessions = [sum('"joined"' in one for one in news if one.startswith(who)) for who in ("cidlb", "by address")]
    for claim in (
        f"{seconds} s in 15: {lived} of {devices} sessions lived with {extra} extra handshakes.",
        f"By address {by_address} lived, and there were {handshakes} handshakes.",
        f"Its port changes {moves} times, cidlb is killed: {sessions[0]} session with cidlb, {sessions[1]} by address.",
    ):
        assert claim in text, f"the README does not say: {claim}"


def case_recorded_anew():
    """A terminal's lines, written over, are kept and drawn; what fails leaves nothing."""
    lines = r"printf 'one\ntwo\nthree\n'; sleep 0.2; printf '\033[2F\033[J2 → <b>\nPASS  %s\n' "
    with tempfile.TemporaryDirectory() as folder:
        cast, pictures = Path(folder) / "one.cast", Path(folder) / "pictures"
        script("record", "--cast", cast, "--title", "three lines", "--", "sh", "-c", lines + '"$(stty size)"')
        _, _, news = heard(cast)
        script("draw", "--cast", cast, "--folder", pictures)
        assert last_frame(pictures / "demo.svg") == ["one", "2 → <b>", "PASS  14 92"] and not news
        assert [one.name for one in pictures.iterdir()] == ["demo.svg"] and not list(wrong_with(pictures / "demo.svg"))
        cast.unlink()
        said = script("record", "--cast", cast, "--", "sh", "-c", "echo FAIL; exit 3", ok=False)
        assert "status 3" in said and "FAIL" in said and not cast.exists(), said
        script("record", "--cast", cast, "--", "printf", r"\033[31mred")
        assert "not known here" in script("draw", "--cast", cast, "--folder", pictures, ok=False)


def case_palette():
    """What dashboard.py keeps its pictures with: every filter is undone, and the colours are the same."""
    dice, width = random.Random(7), 31
    rows = [[dice.choice([(0, 0, 0), (250, 3, 128), (17, 200, 255)]) for _ in range(width)] for _ in PREDICT]
    raw, above = b"", bytes(3 * width)
    for kind, row in enumerate(rows):
        row = bytes(sum(row, ()))
        left, corner = b"\0\0\0" + row, b"\0\0\0" + above
        line = [octet - PREDICT[kind](*near) & 255 for octet, *near in zip(row, left, above, corner)]
        raw, above = raw + bytes([kind, *line]), row
    head = struct.pack(">IIBBBBB", width, len(rows), 8, 2, 0, 0, 0)
    png = HEAD + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    assert list(pixels(png)) == rows
    made = dict(chunks(with_palette(png)))
    data, palette = zlib.decompress(made[b"IDAT"]), made[b"PLTE"]
    again = [[tuple(palette[3 * at : 3 * at + 3]) for at in data[begin + 1 : begin + width + 1]]
             for begin in range(0, len(data), width + 1)]
    assert again == rows and len(palette) == 9


# The texts that can be seen.
SEEN = """[...document.querySelectorAll("#strip use")].filter((use) => {
	const box = use.getBoundingClientRect();
	return box.left >= 0 && box.right <= innerWidth;
}).map((use) => document.querySelector(use.getAttribute("href")).textContent)"""


def case_moves():
    """In a browser: a frame at a time, the last one for three seconds; and that alone where nothing is to move."""
    with Scene() as scene, Browser(scene) as browser:
        last = last_frame(PICTURES / "demo.svg")
        page = browser.page((PICTURES / "demo.svg").as_uri(), width=801, height=300)
        assert page.run("document.getAnimations().length") == 0 and page.run(SEEN) == last, page.run(SEEN)
        motion = {"name": "prefers-reduced-motion", "value": "no-preference"}
        page.call("Emulation.setEmulatedMedia", features=[motion])

        def at(ms):
            page.run(f"(() => {{ const [one] = document.getAnimations(); one.pause(); one.currentTime = {ms}; }})()")
            return page.run(SEEN)

        assert at(12_100) == at(14_900) == last, at(12_100)
        frames = [at(125 + 250 * number) for number in range(48)]
        assert all("PASS" not in "".join(frame) and len(frame) == len(set(frame)) for frame in frames), frames
        assert len({tuple(frame) for frame in frames}) > 30 and len(frames[0]) < len(frames[20]) < len(last), frames
        assert not page.complaints(), page.complaints()


main(globals())
