#!/usr/bin/env python3
"""The programs of bench/ on the command line: what their help says, and how they refuse."""

import re
import subprocess
from pathlib import Path

from harness import BIN, main

PROGRAMS = Path(__file__).parents[2] / "bench" / "programs"
SOURCES = {name: PROGRAMS / name / "main.c" for name in ("backend", "fleet", "relay", "load", "churn", "core")}
SOURCES["floor"] = PROGRAMS / "load" / "floor.c"
if (BIN / "cidlb-frames").exists():  # where the fast path can be built
    SOURCES["frames"] = PROGRAMS / "frames" / "main.c"

# One mistake each: what is said of it.
MISTAKES = {
    "backend": {
        "--id 1 --psk a:00": "--listen is missing",
        "--listen 127.0.0.1:1 --psk a:00": "--id is missing",
        "--listen 127.0.0.1:1 --id 1": "one of --psk IDENTITY:HEX, --certificates FILE and --plain is required",
        "--listen 127.0.0.1": "--listen: 127.0.0.1; accepted: A.B.C.D:PORT or [V6]:PORT",
        "--cid-length 21": "--cid-length: 21; accepted: 0..20",
    },
    "fleet": {
        "--psk a:00": "--target is missing",
        "--target 127.0.0.1:1": "--psk is missing",
        "--psk a": "--psk: accepted: ID:HEX",
        "--devices 0": "--devices: 0; accepted: 1..100000",
        "--target 127.0.0.1:1 --psk a:00 --rebinds 1": "--rebinds: needs --rebind-every or --nat-timeout",
    },
    "relay": {
        "--target 127.0.0.1:1": "--listen is missing",
        "--listen 127.0.0.1:1": "--target is missing",
        "--loss 101": "--loss: 101; accepted: 0..100",
    },
    "load": {
        "--port 1 --counters /nowhere": "--servers is missing",
        "--servers 127.0.0.1:1 --counters /nowhere": "--port is missing",
        "--servers 127.0.0.1:1 --port 1": "--counters is missing",
        "--servers [::1]:1 --port 1 --counters /nowhere": "--servers and --target: accepted: IPv4 addresses",
        "--servers 127.0.0.1:1 --port 1 --counters /nowhere --first 1000": "--first: accepted: less than --sources",
        "--servers 127.0.0.1:1 --port 1 --counters /nowhere --by-address": "--by-address: needs --target",
        "--servers 127.0.0.1:1 --port 1 --counters /nowhere --server-count 65": "accepted without --by-address: 1..64",
        "--servers 127.0.0.1:1 --port 65535 --counters /nowhere": "--port: too high",
        "--rate 0": "--rate: 0; accepted: 1..",
    },
    "floor": {
        "--from 127.16.0.0:1 --servers 127.0.0.1:1": "--listen is missing",
        "--listen 127.0.0.1:1 --servers 127.0.0.1:1": "--from is missing",
        "--listen 127.0.0.1:1 --from 127.16.0.0:1": "--servers is missing",
        "--listen 127.0.0.1:1 --from 127.16.0.1:1 --servers 127.0.0.1:1": "the first address of a /12",
    },
    "frames": {
        "--devices-net /nowhere": "--devices-if is missing",
        "--floor lo": "--floor: accepted: two interfaces, IF,IF",
        "--mac 02:00:00:00:00": "--mac: 02:00:00:00:00; accepted: six octets in hex",
        "--target [::1]:1": "--target: [::1]:1; accepted: an IPv4 address",
        "--octets 29": "--octets: 29; accepted: 30..1400",
        "--seconds 601": "--seconds: 601; accepted: 1..600",
    },
    "churn": {"--servers 19": "--servers: 19; accepted: 20..1024"},
    "core": {"--case no-such": "no such case; --list names them"},
}


def run(name, *words):
    return subprocess.run([BIN / f"cidlb-{name}", *words], capture_output=True, text=True, timeout=20)


def options_of(text):
    """The options of a help text: what their values are called, and what is said of them."""
    found, last = {}, None
    for line in text.splitlines():
        option = re.match(r"  --([a-z-]+)(?: ([A-Z]\S*))?(?: +(\S.*))?$", line)
        if option:
            last = option[1]
            found[last] = (option[2], option[3] or "")
        elif last and re.match(r" {12,}\S", line):
            found[last] = (found[last][0], f"{found[last][1]} {line.strip()}")
        else:
            last = None
    return found


def case_help():
    """Exit status 0, and every option: with its unit, and its default unless it is required."""
    for name, source in SOURCES.items():
        done = run(name, "--help")
        assert done.returncode == 0 and not done.stderr and done.stdout.startswith(f"usage: cidlb-{name} "), done
        table = dict(re.findall(r'\{ "([a-z-]+)", (required|no)_argument', source.read_text()))
        table.pop("help")
        said = options_of(done.stdout)
        assert set(said) == set(table), (name, set(said) ^ set(table))
        for option, takes in table.items():
            value, text = said[option]
            assert (takes == "required") == (value is not None), (name, option)
            if value:
                assert re.search(r"\(default[ :]|; required\b", text), (name, option, text)
            if value == "S":
                assert "seconds" in text, (name, option, text)
            if option.endswith("-ms"):
                assert re.search(r"\bms\b", text), (name, option, text)
            if value == "PCT":
                assert "%" in text, (name, option, text)
        assert all(len(line) <= 120 for line in done.stdout.splitlines()), name


def case_mistakes():
    """Exit status 2, and a line that names the mistake, without the whole help after it."""
    for name in SOURCES:
        mistakes = MISTAKES[name]
        every = {**mistakes, "--no-such-option": "--no-such-option", "left-over": "left-over: not an option"}
        for words, said in every.items():
            done = run(name, *words.split())
            assert done.returncode == 2 and not done.stdout, (name, words, done)
            assert said in done.stderr and len(done.stderr.splitlines()) == 1, (name, words, done.stderr)


main(globals())
