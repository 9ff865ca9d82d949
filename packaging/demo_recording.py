#!/usr/bin/env python3
"""Records the demo in a terminal, and draws what the README shows of it.

record  runs the demo (it has to be built) and keeps what it writes, with times, as a cast (asciicast, version 2).
        What devices' stories tell of device 17 is kept beside it, as markers.
draw    makes two pictures of a cast, the same ones each time: demo.svg, the run in 15 seconds, and timeline.svg, the
        life of that device.
"""

import argparse
import codecs
import contextlib
import fcntl
import json
import math
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent
CAST, PICTURES = HERE / "demo.cast", HERE / "guide" / "pictures"
DEMO = [sys.executable, str(HERE / "demo_story.py"), "--once"]
STORIES = {"devices": "cidlb", "devices-by-address": "by address"}  # file: name in markers
HERO = 17
COLUMNS, ROWS = 92, 14

SECONDS, HOLD_S, FRAMES = 15, 3, 48  # of the drawing: all of it, its last frame, frames before that one
CELL, LINE, MARGIN, BAR = 8.4, 19, 14, 30
FONT = 'ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace'
LIGHT = {"paper": "#fff", "bar": "#eef1f4", "edge": "#c9d1d9", "text": "#1f2328", "soft": "#59636e", "good": "#116329",
         "a": "#0b5cad", "b": "#6f42c1", "c": "#9a4b00", "bad": "#b3261e"}
DARK = {"paper": "#0d1117", "bar": "#1c2129", "edge": "#3d444d", "text": "#e6edf3", "soft": "#9aa4b0",
        "good": "#4ac26b", "a": "#58a6ff", "b": "#b392f0", "c": "#f0883e", "bad": "#ff7b72"}


# Recording


class Stories:
    """What the demo's devices tell of one of them, line by line, while the demo runs in `folder`."""

    def __init__(self, folder):
        self.folder, self.read = folder, dict.fromkeys(STORIES, 0)

    def news(self):
        for name, who in STORIES.items():
            for file in self.folder.glob(f"cidlb-demo-*/{name}.story"):
                with contextlib.suppress(FileNotFoundError), open(file, "rb") as story:  # the demo is over
                    story.seek(self.read[name])
                    for line in story:
                        if not line.endswith(b"\n"):
                            break
                        self.read[name] += len(line)
                        if json.loads(line).get("device") == HERO:
                            yield f"{who} {line.decode().strip()}"


def run_in_terminal(command, work, keep):
    """Calls keep(second, kind, text) for everything that is heard. Returns the exit status."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "TMPDIR": str(work)}
    decoder, stories, begin = codecs.getincrementaldecoder("utf-8")(), Stories(work), time.monotonic()
    child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment,
                             start_new_session=True)
    os.close(theirs)
    try:
        while True:
            ready = select.select([ours], [], [], 0.05)[0]
            second = round(time.monotonic() - begin, 3)
            for news in stories.news():
                keep(second, "m", news)
            if ready:
                try:
                    octets = os.read(ours, 1 << 16)
                except OSError:  # nobody has the other end any more
                    return child.wait(60)
                if words := decoder.decode(octets):
                    keep(second, "o", words)
    finally:
        child.terminate()
        child.wait(60)
        os.close(ours)


def record(options):
    lines = [{"version": 2, "width": COLUMNS, "height": ROWS, "timestamp": int(time.time()), "title": options.title,
              "idle_time_limit": 2}]
    work = Path(tempfile.mkdtemp(prefix="cidlb-recording-"))
    work.chmod(0o711)  # cidlb reads its configuration in it as another user
    try:
        status = run_in_terminal(options.command or DEMO, work, lambda *event: lines.append(event))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if status != 0:
        sys.exit(f"it ended with status {status}:\n" + "".join(text for _, kind, text in lines[1:] if kind == "o"))
    options.cast.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


# Reading a cast


class Screen:
    """A terminal, as far as the demo makes use of one."""

    def __init__(self, width, height):
        self.width, self.height, self.rows, self.row, self.column = width, height, [""], 0, 0

    def write(self, text):
        for part in re.findall(r"\x1b\[\d*[A-Za-z]|\x1b|[\r\n]|[^\x1b\r\n]+", text):
            if part[0] == "\x1b":
                self._command(part)
            elif part == "\r":
                self.column = 0
            elif part == "\n":
                self.row += 1
                self.rows += [""] * (self.row + 1 - len(self.rows))
            else:
                line = self.rows[self.row].ljust(self.column)
                self.rows[self.row] = line[: self.column] + part + line[self.column + len(part) :]
                self.column += len(part)
        if len(self.rows) > self.height or max(map(len, self.rows)) > self.width:
            raise ValueError(f"more than {self.width} columns or {self.height} rows: {self.rows}")

    def _command(self, part):
        count = int(part[2:-1] or 0) if len(part) > 1 else 0
        if part.endswith("F"):
            self.row, self.column = max(0, self.row - max(1, count)), 0
        elif part.endswith(("J", "K")) and count == 0:
            self.rows[self.row] = self.rows[self.row][: self.column]
            if part.endswith("J"):
                del self.rows[self.row + 1 :]
        else:
            raise ValueError(f"a terminal's command that is not known here: {part!r}")

    def lines(self):
        return tuple(line.rstrip() for line in "\n".join(self.rows).rstrip().split("\n"))


class Cast:
    """`screens`: (second, lines) whenever they change; `news`: what was told of the device, by who tells it."""

    def __init__(self, file):
        with open(file, encoding="utf-8") as lines:
            self.header, *events = map(json.loads, lines)
        screen = Screen(self.header["width"], self.header["height"])
        self.screens, self.news = [], {}
        for second, kind, text in events:
            if kind == "m":
                who, _, news = text.partition(" {")
                self.news.setdefault(who, []).append(json.loads("{" + news))
            else:
                screen.write(text)
                self.screens.append((second, screen.lines()))
        self.lasted_s = self.screens[-1][0]
        self.last = self.screens[-1][1]

    def shortened(self):
        """(second, lines, second of the run): pauses are no longer than the cast wants them."""
        now, before = 0, self.screens[0][0]
        for second, lines in self.screens:
            now, before = now + min(second - before, self.header.get("idle_time_limit", 1e6)), second
            yield now, lines, second


# Drawing


def style(rules=""):
    """Colours by what the reader prefers, and the rules of a picture."""
    light, dark = (";".join(f"--{name}:{value}" for name, value in one.items()) for one in (LIGHT, DARK))
    colours = "".join(f".{name}{{fill:var(--{name})}}" for name in LIGHT)
    return (f"<style>svg{{{light}}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}\n"
            f"text{{font:14px {FONT};fill:var(--text);white-space:pre}}{colours}{rules}</style>")


def svg(width, height, title, told, *parts):
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-labelledby="title told">',
        f'<title id="title">{escape(title)}</title>', f'<desc id="told">{escape(told)}</desc>', *parts, "</svg>", "",
    ])


def text(x, y, words, kind="", size=None, anchor=None):
    """`size` in pixels; else the terminal's, on its grid."""
    look = f' class="{kind}"' if kind else ""
    look += f' style="font-size:{size}px"' if size else f' textLength="{len(words) * CELL:.1f}"'
    look += f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x:g}" y="{y:g}"{look}>{escape(words, quote=False)}</text>'


def sampled(cast):
    """(second of the drawing, lines, second of the run), the last one as it stays."""
    frames, screens = [], list(cast.shortened())
    for number in range(FRAMES):
        now = screens[-1][0] * number / FRAMES
        _, lines, second = [screen for screen in screens if screen[0] <= now][-1]
        if not frames or lines != frames[-1][1]:
            frames.append(((SECONDS - HOLD_S) * number / FRAMES, lines, second))
    return [*frames, (SECONDS - HOLD_S, cast.last, cast.lasted_s)]


def draw_run(cast):
    """A strip of frames, one beside the other, of which one is seen at a time. Who wants nothing to move sees the last
    one, and so does whoever cannot show what moves."""
    frames = sampled(cast)
    height = max(len(lines) for _, lines, _ in frames) * LINE
    width = round(cast.header["width"] * CELL + 2 * MARGIN)
    known, strip = {}, []
    for number, (_, lines, second) in enumerate(frames):
        strip.append(f'<g transform="translate({number * width})">'
                     + text(width - MARGIN - 4 * CELL, 20, f"{second:2.0f} s", "soft"))
        for row, line in enumerate(lines):
            if line:
                at = known.setdefault(line, f"l{len(known)}")
                strip.append(f'<use href="#{at}" y="{row * LINE}"/>')
        strip.append("</g>")
    defs = []
    for line, at in known.items():
        words = text(MARGIN, BAR + LINE, line, "good" if line.startswith("PASS") else "")
        defs.append(words.replace("<text", f'<text id="{at}"'))
    moves = "".join(f"{100 * second / SECONDS:.2f}%{{transform:translateX({-number * width}px)}}"
                    for number, (second, _, _) in enumerate(frames))
    end = -(len(frames) - 1) * width
    rules = (f"\n@keyframes run{{{moves}100%{{transform:translateX({end}px)}}}}\n"
             f"#strip{{animation:run {SECONDS}s step-end infinite}}"
             "@media(prefers-reduced-motion:reduce){#strip{animation:none}}")
    full = height + BAR + 2 * MARGIN
    return svg(
        width, full, cast.header["title"], "\n".join(cast.last), style(rules), "<defs>", *defs, "</defs>",
        f'<rect x=".5" y=".5" width="{width - 1}" height="{full - 1}" rx="7" class="paper" stroke="var(--edge)"/>',
        f'<path d="M1 {BAR}V8q0-7 7-7H{width - 8}q7 0 7 7V{BAR}z" class="bar"/>',
        text(MARGIN, 20, cast.header["title"], "soft"),
        f'<g id="strip" transform="translate({end})">', *strip, "</g>",
    )


class Timeline:
    """Bars over time, a lane above the other."""

    LEFT, WIDTH, LANE, TALL = 160, 800, 46, 24

    def __init__(self, seconds):
        self.seconds, self.parts, self.lanes = seconds, [], 0

    def x(self, second):
        return round(self.LEFT + (self.WIDTH - self.LEFT - MARGIN) * second / self.seconds, 1)

    def y(self):
        return 12 + (self.lanes - 1) * self.LANE

    def lane(self, name, more):
        self.lanes += 1
        self.parts += [text(MARGIN, self.y() + 11, name, size=13), text(MARGIN, self.y() + 25, more, "soft", size=11)]

    def bar(self, begin, end, kind, words=""):
        x, width = self.x(begin), round(self.x(end) - self.x(begin) - 1.5, 1)
        self.parts.append(f'<rect x="{x}" y="{self.y()}" width="{width}" height="{self.TALL}" rx="3" class="{kind}" '
                          f'fill-opacity=".22" stroke="var(--{kind})"/>')
        if words and len(words) * 7.3 < width:
            self.parts.append(text(x + width / 2, self.y() + 16, words, size=12, anchor="middle"))

    def mark(self, second, words, kind):
        x, y = self.x(second), self.y()
        self.parts.append(f'<path d="M{x} {y - 4}v{self.TALL + 8}" stroke="var(--{kind})" stroke-width="3"/>')
        fits = x + 6 + len(words) * 6.7 < self.WIDTH
        self.parts.append(text(x + (6 if fits else -6), y + self.TALL + 13, words, kind, 11, None if fits else "end"))

    def svg(self, title, told):
        y = self.y() + self.LANE + 4
        for second in range(0, int(self.seconds) + 1, 5):
            self.parts.append(text(self.x(second), y + 12, f"{second} s" if second else "0", "soft", 11, "middle"))
            self.parts.append(f'<path d="M{self.x(second)} {y - 6}v5" stroke="var(--edge)"/>')
        return svg(self.WIDTH, y + 20, title, told, style(), f'<rect width="{self.WIDTH}" height="{y + 20}" rx="7" '
                   'class="paper"/>', *self.parts)


def sessions(timeline, news, servers):
    """A bar for each session of the device: (begin, end, number, server)."""
    joined = [one for one in news if one["event"] == "joined"]
    ends = [one["t"] for one in joined[1:]] + [timeline.seconds]
    for one, end in zip(joined, ends):
        server = servers[int(one["cid"][:2], 16)]
        words = f"server {server}, session {one['session']}"
        if len(words) * 7.3 >= timeline.x(end) - timeline.x(one["t"]):
            words = server
        timeline.bar(one["t"], end, server, words)
        if one["session"] > 1:
            timeline.mark(one["t"], "a new handshake", "bad")
    return len(joined)


def draw_timeline(cast):
    news, servers = cast.news["cidlb"], {1: "a", 2: "b", 3: "c"}
    killed = re.search(r"\[(\d+) s\] cidlb killed with SIGKILL, back in ([\d.]+) s", "\n".join(cast.last))
    killed_s, back_s = map(float, killed.groups())
    timeline = Timeline(math.ceil(max(one["t"] for told in cast.news.values() for one in told)))
    timeline.lane("the device's port", "as its NAT has it")
    ports = [(one["t"], one.get("to", one.get("port"))) for one in news]
    for at, (begin, port) in enumerate(ports):
        timeline.bar(begin, ports[at + 1][0] if at + 1 < len(ports) else timeline.seconds, "soft", f":{port}")
    timeline.lane("cidlb", "")
    timeline.bar(0, killed_s, "good", "runs")
    timeline.bar(killed_s + back_s, timeline.seconds, "good", "runs")
    timeline.mark(killed_s + back_s / 2, f"killed, back in {back_s:g} s", "bad")
    timeline.lane("through cidlb", "by Connection ID")
    ours = sessions(timeline, news, servers)
    timeline.lane("by address", "the same device")
    theirs = sessions(timeline, cast.news["by address"], servers)
    told = (f"Its port changed {len(ports) - 1} times and cidlb was killed once. Sessions through cidlb: {ours}. "
            f"Sessions where balancing goes by address: {theirs}.")
    return timeline.svg(f"{len(ports) - 1} changes of the port of device {HERO}", told)


def draw(options):
    cast = Cast(options.cast)
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "demo.svg").write_text(draw_run(cast), encoding="utf-8")
    if cast.news:
        (options.folder / "timeline.svg").write_text(draw_timeline(cast), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    one = parts.add_parser("record", help="run the demo, keep a cast of it")
    one.add_argument("--cast", type=Path, default=CAST, help="the file to write (default: packaging/demo.cast)")
    one.add_argument("--title", default="packaging/demo --once", help="what stands above the recording")
    one.add_argument("command", nargs="*", help="what to run instead of the demo")
    one = parts.add_parser("draw", help="draw demo.svg and timeline.svg of a cast")
    one.add_argument("--cast", type=Path, default=CAST, help="the file to read (default: packaging/demo.cast)")
    one.add_argument("--folder", type=Path, default=PICTURES, help="where to (default: packaging/guide/pictures)")
    options = parser.parse_args()
    (record if options.part == "record" else draw)(options)


if __name__ == "__main__":
    main()
