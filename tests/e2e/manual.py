#!/usr/bin/env python3
"""The manual and the completion of cidlbctl: all that the programs have is in them, and nothing else."""

import re
import shutil
import subprocess

from harness import BIN, Scene, Skip, main
from pages import ROOT

MAN, COMPLETION = ROOT / "packaging" / "man", ROOT / "packaging" / "completion" / "cidlbctl"
PAGES = {"cidlb": MAN / "cidlb.8", "cidlbctl": MAN / "cidlbctl.1"}
if (BIN / "cidlb-decap").exists():
    PAGES["cidlb-decap"] = MAN / "cidlb-decap.8"
CONF_PAGE = BIN.parent / "packaging" / "man" / "cidlb.conf.5"  # made by the build


def said_by(*argv):
    return subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=20, check=True).stdout


def text_of(page):
    """As a reader has it, on one line."""
    shown = said_by("mandoc", "-T", "utf8", "-O", "width=500", page) if shutil.which("mandoc") else said_by(
        "man", "--nj", "--nh", "-E", "UTF-8", "-l", page)
    return re.sub(r".\x08", "", shown)


def tags(page, section):
    """What the entries of a section are of: the lines after .TP, without fonts."""
    text = page.read_text().split(f".SH {section}\n")[1].split("\n.SH ")[0].replace("\\\n", "")
    lines = re.findall(r"^\.TP\n(.*)$", text, re.M)
    assert lines, (page, section)
    return [re.sub(r"\\f.", "", re.sub(r"^\.\w+ ", "", line)).replace("\\-", "-").replace('"', "") for line in lines]


def options_in(text):
    return set(re.findall(r"(?<![\w-])(--[a-z][a-z-]*|-[a-zA-Z])(?![\w-])", text))


def commands_of_help():
    text = said_by(BIN / "cidlbctl", "--help").split("\n\n")[1]
    return re.findall(r"^(cid \w+|[a-z]+) ", text, re.M)


def options_of_help(program, *command):
    said = said_by(BIN / program, *command, "--help")
    lines = re.findall(r"^  +(-.*?)(?:  |$)", said, re.M)
    return options_in(" ".join(lines)) if program == "cidlbctl" else options_in(said)


def case_pages_are_clean():
    pages = [*PAGES.values(), CONF_PAGE]
    for page in pages:
        if shutil.which("mandoc"):
            done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True)
        elif shutil.which("man"):
            done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", page], capture_output=True, text=True)
            done.stdout = ""
        else:
            raise Skip("neither mandoc nor man is here")
        assert done.returncode == 0 and done.stdout == done.stderr == "", (page, done.stdout, done.stderr)


def case_every_command():
    commands = commands_of_help()
    assert len(commands) > 14, commands
    paged = [re.match(r"(cid \w+|\w+)", tag)[1] for tag in tags(PAGES["cidlbctl"], "COMMANDS")]
    assert paged == commands, (paged, commands)


def case_every_option():
    for program, page in PAGES.items():
        helped = options_of_help(program)
        paged = set().union(*(options_in(tag) for tag in tags(page, "OPTIONS")))
        assert helped == paged and len(paged) > 5, (program, helped ^ paged)
    # Each command's own.
    for tag in tags(PAGES["cidlbctl"], "COMMANDS"):
        command = re.match(r"(cid \w+|\w+)", tag)[1]
        helped = options_of_help("cidlbctl", *command.split())
        own = helped - {"-h", "--help", "--json", "--socket", "-c", "--config"}
        assert options_in(tag) - {"-c"} == own, (command, options_in(tag), own)


def options_of_reader():
    """The names in the tables of the reader, but for those that do nothing any more."""
    for file in sorted((ROOT / "lb" / "conf").glob("*.c")):
        for name, rest in re.findall(r'^\t\[\w+\] = \{ "(\w+)", ([^\n]*)', file.read_text(), re.M):
            if not rest.startswith(".gone"):
                yield name


def case_every_setting():
    if not CONF_PAGE.exists():
        raise Skip("this build has no manual")
    known = set(options_of_reader())
    assert len(known) > 50, known
    named = [re.match(r"([a-z_.]+)", tag)[1] for tag in tags(CONF_PAGE, "OPTIONS")]
    text = text_of(CONF_PAGE)
    missing = {name for name in known if not re.search(rf"\b{name}\b", text)}
    assert not missing, missing
    strange = {name for name in named if name.split(".")[-1] not in known}
    assert not strange, strange
    # Groups about which there is nothing to say, and what is said with others.
    rest = known - {name.split(".")[-1] for name in named}
    assert rest <= {"admin", "nat", "health", "freebind"}, rest


def completed(words, path):
    """What bash offers for the last of these words."""
    script = f"""
        source {COMPLETION}
        COMP_WORDS=({" ".join(f"'{word}'" for word in words)})
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _cidlbctl
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    ran = subprocess.run(["bash", "--norc", "-ec", script], capture_output=True, text=True, timeout=20,
                         env={"PATH": f"{path}:/usr/bin:/bin"})
    assert ran.returncode == 0 and ran.stderr == "", (words, ran)
    return set(ran.stdout.split())


def case_completion():
    """Commands and options are those of the help; names are those of the running cidlb."""
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1), scene.backend(2)])])
        socket = ["--socket", lb.config["admin"]["socket"]]
        commands = commands_of_help()
        firsts = {command.split()[0] for command in commands}
        assert completed(["cidlbctl", ""], BIN) == firsts | {"--version", "--help"}
        assert completed(["cidlbctl", "he"], BIN) == {"help"}
        assert completed(["cidlbctl", *socket, "re"], BIN) == {"ready", "reload"}
        assert completed(["cidlbctl", "cid", ""], BIN) == {"mint", "open", "--help"}
        for command in commands:
            options = options_of_help("cidlbctl", *command.split()) - {"-c", "-h"}
            offered = completed(["cidlbctl", *command.split(), "-"], BIN)
            assert offered == (set() if command == "help" else options), (command, offered, options)
        for command in ("drain", "ready", "maint", "weight", "backends"):
            assert completed(["cidlbctl", command, *socket, "p"], BIN) == {"p/a", "p/b"}, command
        assert completed(["cidlbctl", "drain", *socket, "p/a", ""], BIN) >= {"--wait", "--timeout"}
        assert completed(["cidlbctl", "drain", "--socket", "/nowhere", "p"], BIN) == set()
        assert completed(["cidlbctl", "flows", "--sort", ""], BIN) == {"moves", "octets", "last"}
        assert completed(["cidlbctl", "backends", "--sort", "o"], BIN) == {"octets"}
        assert completed(["cidlbctl", "help", "cid", ""], BIN) == {"mint", "open"}


if __name__ == "__main__":
    main(globals())
