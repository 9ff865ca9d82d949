#!/usr/bin/env python3
"""Every command of the README and the guide is run by a test: by deployment.py as the page has it, or by what is named
here. One that nobody runs is an error, and so is a line here that has become untrue."""

import re
from pathlib import Path

from harness import BIN, Scene, main, release_only
from pages import GUIDE, README, ROOT, Page, guide

# Programs of others that pages tell to run, be they installed here or not. Other words are programs, too: `last`.
KNOWN = set(
    "apt apt-get birdc cat chmod chown cmake conntrack cp curl docker echo getfacl git grep install ip journalctl"
    " kill kubectl ls mkdir modprobe mv networkctl nft openssl ping rm sed setfacl sh ss sudo sysctl systemctl"
    " tcpdump tee ulimit useradd".split()
)

# Commands, and the file that runs them. All their words but those in capitals must be in it.
ELSEWHERE = (
    (r"packaging/demo( --once)?", "tests/run"),
    (r"(CIDLB_BIN=\S+ )?bench/run\b.*", "tests/e2e/bench.py"),
    (r"packaging/demo_recording\.py record", "tests/e2e/pictures.py"),
    (r"git clone", "tests/fresh"),
    (r"birdc .*|ip route show 192\.0\.2\.1", "tests/e2e/lab/nodes.py"),
    (r"cidlb --no-sandbox", "tests/e2e/commands.py"),
    (r"cidlb-backend --sessions FILE", "tests/e2e/handover.py"),
    (r"cidlb-backend --tunnel FILE", "tests/e2e/tunnel_sessions.py"),
    (r"cidlb-decap INTERFACE .*", "tests/e2e/decap.py"),
    (r"rm -r /sys/fs/bpf/cidlb", "tests/e2e/fast_life.py"),
    (r"packaging/deps --package|packaging/package DIRECTORY|packaging/image PACKAGES FILE", "tests/packages/run"),
)

# Pages that are run in an order of their own, and the file that does it.
PAGES = {"first-deployment.md": "tests/packages/booted.py"}

# Commands that no test runs, and why.
NOT_HERE = (
    (r"tests/run\b.*", "it is what runs this; what its parts are is asked by guides.py"),
    (r"apt (install .*|update)", "packages are installed by packaging/deps, and in bare systems by tests/fresh"),
    (r"systemctl enable --now bird .*|systemctl stop cidlb-announce", "no systemd; nodes.py begins and ends all three"),
    (r"kubectl .*|openssl .* && kubectl .*", "there is no cluster; kubernetes.py runs what the pods run"),
    (r"systemctl status cidlb|systemctl daemon-reload|systemd-analyze security cidlb|systemctl (start|stop|restart)",
     "no systemd; service.py has the manager of a test hear what the status says, and asks about the unit"),
    (r"networkctl reload", "no systemd; way_back.py has systemd-networkd take the file"),
    (r"ssh -N -L .*", "no second machine to come from; dashboard.py asks for the page by the address that it gives"),
    (r"sysctl --system", "it would set all that the machine has in its files"),
    (r"git worktree .*|cmake .*/tmp/before.*|bench/run .*/tmp/before.*", "bench.py compares a build with itself"),
    (r"modprobe ip\S+ && ip link set \S+ up|sysctl -w net\.ipv4\.conf\.tunl0\..*",
     "not every kernel has ipip; dsr.py decapsulates"),
    (r"ip address add \S+ dev (lo|eth0)\b.*|sysctl .*arp_ignore.*", "for servers; dsr.py gives them other addresses"),
)


class Command:
    """`kind`: of its block, or `inline`."""

    def __init__(self, page, line, kind, text):
        self.page, self.line, self.kind, self.text = page, line, kind, re.sub(r"\s+#\s.*", "", text).strip()

    def set_aside(self):
        """True: deployment.py leaves it to others."""
        if self.page.file.name in PAGES:
            return True
        return any(re.fullmatch(row[0], self.text) for row in (*NOT_HERE, *ELSEWHERE))


def program_of(text):
    """The words behind assignments to the environment."""
    words = re.sub(r"\s#\s.*", "", text).split()
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    return words


def is_command(text):
    words = program_of(text)
    if not words or not re.fullmatch(r"[a-z][\w./-]*", words[0]):
        return False
    program = words[0]
    if "/" in program:
        return (ROOT / program).is_file()
    return program in KNOWN or (BIN / program).is_file()


def commands_of(page):
    """All of them, in the order of the page. In prose a program alone is a name, and no command."""
    found = []
    for block in page.blocks:
        for line, text in enumerate(block.text.splitlines(), block.line):
            if text and (block.kind.startswith("sh") or is_command(text)):
                found.append(Command(page, line, block.kind, text))
    for line, text in page.spans:
        if len(program_of(text)) > 1 and is_command(text):
            found.append(Command(page, line, "inline", text))
    return sorted(found, key=lambda command: command.line)


def is_deployed(command):
    """deployment.py runs it, unless it is set aside, or who runs its page."""
    if command.page.file.name in PAGES:
        text = (ROOT / PAGES[command.page.file.name]).read_text()
        return command.kind.startswith("sh") or all(word in text for word in command.text.split())
    if command.kind == "inline":
        return command.page.file.parent == GUIDE
    return command.page.file in (README, *GUIDE.glob("*.md")) and command.kind in ("sh", "sh on servers")


def case_every_command():
    wrong, seen, used = [], 0, set()
    for page in [Page(README), *guide(), Page(ROOT / "bench" / "README.md")]:
        for command in commands_of(page):
            seen += 1
            rows = [row for row in (*NOT_HERE, *ELSEWHERE) if re.fullmatch(row[0], command.text)]
            used.update(rows[:1])
            if rows and rows[0] in ELSEWHERE:
                file = (ROOT / rows[0][1]).read_text()
                words = [word for word in re.findall(r"[\w./-]+", command.text) if word.strip("-").islower()]
                wrong += [f"{page.name}:{command.line}: {rows[0][1]} has no {w}" for w in words if w not in file]
            elif not rows and not is_deployed(command):
                wrong.append(f"{page.name}:{command.line}: no test runs: {command.text}")
    wrong += [f"no page has {row[0]}" for row in (*NOT_HERE, *ELSEWHERE) if row not in used]
    assert seen > 60, seen
    assert not wrong, "\n" + "\n".join(wrong)


@release_only  # sanitizers need what it forbids
def case_without_its_sandbox():
    """What `cidlb --no-sandbox` is for: to see whether the filter is to blame."""
    with Scene() as scene:
        backend = scene.backend(1)
        modes = []
        for options in ([], ["--no-sandbox"]):
            lb = scene.cidlb([scene.pool("p", [backend])], name=f"cidlb{len(options)}", start=False)
            lb.argv += options
            lb.start()
            modes.append(re.search(r"Seccomp:\s+(\d)", Path(f"/proc/{lb.pid}/status").read_text())[1])
            lb.stop()
        assert modes == ["2", "0"], modes


if __name__ == "__main__":
    main(globals())
