"""The project's pages of Markdown, taken apart for tests that take them at their word."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "packaging" / "guide"
README = ROOT / "README.md"


class Block:
    """Code that stands apart: fenced, with what follows the fence as `kind`, or indented. `line` is its first line."""

    def __init__(self, kind, line, text):
        self.kind, self.line, self.text = kind, line, text


class Page:
    """`prose`: (number, line) without code that stands apart; `blocks`: that code; `spans`: (line, code in a line)."""

    def __init__(self, file):
        self.file, self.name = file, str(file.relative_to(ROOT))
        self.lines = file.read_text().split("\n")
        self.prose, self.blocks = [], []
        self._take_apart()
        self.spans = [(n, code) for n, line in self.prose for code in re.findall(r"`([^`]+)`", line)]
        # A span may go over the end of a line.
        assert all(line.count("`") % 2 == 0 for _, line in self.prose), f"{self.name}: a ` without its partner"

    def _take_apart(self):
        fence, indented = None, None
        for n, line in enumerate(self.lines, 1):
            if line.startswith("```"):
                if fence is None:
                    fence = Block(line[3:].strip(), n + 1, "")
                    self.blocks.append(fence)
                else:
                    fence = None
            elif fence is not None:
                fence.text += line + "\n"
            elif line.startswith("    ") and (indented or not self.lines[n - 2]):
                if not indented:
                    indented = Block("indented", n, "")
                    self.blocks.append(indented)
                indented.text += line[4:] + "\n"
            else:
                indented = None
                self.prose.append((n, line))

    def commands(self, kind):
        """The lines of all blocks of a kind, block by block."""
        return [block.text.splitlines() for block in self.blocks if block.kind == kind]

    def section(self, title):
        """(number, line) of the prose under a heading, down to the next one."""
        found = []
        inside = False
        for n, line in self.prose:
            if line.startswith("#"):
                inside = line.lstrip("# ") == title
            elif inside:
                found.append((n, line))
        return found

    def anchors(self):
        """What #anchor may name, as GitHub makes it of headings."""
        titles = [line.lstrip("#").strip() for _, line in self.prose if line.startswith("#")]
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def guide():
    return [Page(file) for file in sorted(GUIDE.glob("*.md"))]


def pages():
    """All pages that people write."""
    others = [README, ROOT / "bench" / "README.md", ROOT / "bench" / "REFERENCE.md"]
    others += [ROOT / "tests" / "interop" / "peers" / "README.md"]
    return [Page(file) for file in others] + guide()
