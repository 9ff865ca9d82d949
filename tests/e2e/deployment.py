"""The first deployment of the README and the commands of the guide, as the pages have them. Each host is a network
namespace:

    devices                 balancer                     servers
    192.0.2.2 ── 192.0.2.1  cidlb  10.0.0.1 ── 10.0.0.11  a, id 1
    192.0.2.3               │                  10.0.0.12  b, id 2
                            └ local 10.64.0.0/16: what the servers see

On the balancer /etc, /usr/local, /var/lib and /run are this test's own, so that its commands are run as they are.
"""

import json
import os
import re
import subprocess
from pathlib import Path

from commands import commands_of
from harness import AS_ROOT, BIN, PSK, Scene, Skip, broken_identities, main, parse_metrics, wait_until
from pages import README, ROOT, Page, guide

# Built already; tests/packager builds just this.
BUILD = "cmake -S . -B build -DBUILD_TESTING=OFF && cmake --build build"
# What HEX is where the pages explain a datagram: a ClientHello, as far as the decision reads it.
HELLO = "16fefd0000000000000000005d010000510000000000000051fefd" + "00" * 79
# What stands in prose has words in capitals, or is cut short.
IN_PROSE = (
    ("IP:PORT", "192.0.2.2:41822"), ("FILE", "/etc/cidlb/cidlb.conf"), ("--from IP", "--from 192.0.2.2"),
    ("device IP", "device 192.0.2.2"),
    ("ip route get", "ip route get 10.0.0.11"), ("local PREFIX", "local 10.77.0.0/16"),
)
# What ends what a command in prose has begun, which says nothing of that.
UNDO = {
    "cidlbctl drain a": "cidlbctl ready a", "cidlbctl maint a": "cidlbctl ready a",
    "cidlbctl weight a 50": "cidlbctl weight a 100", "cidlbctl leave": "cidlbctl join",
}

# What systemd would do with the unit; its log is this test's.
SYSTEMCTL = r"""#!/bin/bash
say() { sed -n "s/^$1=//p" /etc/systemd/system/cidlb.service; }
begin() {
	install -d -o cidlb -g cidlb /run/cidlb /var/lib/cidlb
	ulimit -n "$(say LimitNOFILE)"
	pre=$(say ExecStartPre) && ${pre#+} >/dev/null || exit
	caps=-all$(say AmbientCapabilities | tr A-Z a-z | sed 's/^\| /&,+/g; s/cap_//g; s/ //g')
	as="--reuid $(say User) --regid $(say User) --init-groups --inh-caps $caps --ambient-caps $caps"
	setsid setpriv $as --no-new-privs $(say ExecStart) </dev/null >>"$LOG" 2>&1 &
	echo $! >/run/cidlb.pid
	until curl -so /dev/null http://127.0.0.1:9180/healthz || ! kill -0 $!; do sleep 0.05; done # Type=notify
}
case "$*" in
"enable --now cidlb") begin ;;
"restart cidlb")
	pid=$(cat /run/cidlb.pid)
	kill $pid
	while kill -0 $pid 2>/dev/null; do sleep 0.05; done
	begin ;;
"reload cidlb") $(say ExecReload) ;;
*) echo "systemctl $*: not known here" >&2 && exit 1 ;;
esac
"""
JOURNALCTL = """#!/bin/sh
[ "$*" = "-u cidlb" ] && exec cat "$LOG"
[ "$*" = "-p warning -u cidlb" ] && exec sed -n 's/^<[0-4]>//p' "$LOG"
"""


def ip(*words):
    subprocess.run(["ip", *words], check=True)


class Hosts:
    """The namespaces; gone with the block."""

    def __enter__(self):
        self.name = {host: f"cidlb-{os.getpid()}-{host}" for host in ("devices", "balancer", "servers")}
        try:
            for name in self.name.values():
                ip("netns", "add", name)
                ip("-n", name, "link", "set", "lo", "up")
            self._link("devices", ["192.0.2.2/24", "192.0.2.3/24"], ["192.0.2.1/24"])
            self._link("servers", ["10.0.0.11/24", "10.0.0.12/24"], ["10.0.0.1/24"])
        except BaseException:
            self.__exit__()
            raise
        return self

    def _link(self, host, addresses, balancer_addresses):
        ns, balancer = self.name[host], self.name["balancer"]
        ip("link", "add", host, "netns", ns, "type", "veth", "peer", "name", host, "netns", balancer)
        for where, mine in ((ns, addresses), (balancer, balancer_addresses)):
            for address in mine:
                ip("-n", where, "address", "add", address, "dev", host)
            ip("-n", where, "link", "set", host, "up")

    def __exit__(self, *_):
        for name in self.name.values():
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL)

    def on(self, host, *argv):
        return ["ip", "netns", "exec", self.name[host], *argv]


class Balancer:
    """The balancer's host: runs commands of pages there, from the top of the tree, as root."""

    def __init__(self, hosts, scene):
        self.hosts, self.scene, self.log, self.cid = hosts, scene, scene.dir / "journal", None
        programs = scene.dir / "programs"
        programs.mkdir()
        for name, text in (("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        # Who gave up root cannot be traced, which the leak check needs: other scripts do it without root.
        more = {"LOG": str(self.log), "ASAN_OPTIONS": "detect_leaks=0"}
        paths = [str(programs), "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        self.env = {**os.environ, **more, "PATH": ":".join(paths)}
        for editor in ("EDITOR", "VISUAL"):  # root has none on a bare Debian
            self.env.pop(editor, None)
        overlay = f"mount -t tmpfs tmpfs {scene.dir}/own || exit\n"
        for place in ("/etc", "/usr/local", "/var/lib"):
            own = f"{scene.dir}/own{place}"
            overlay += f"mkdir -p {own} {own}.work && mount -t overlay overlay {place} "
            overlay += f"-o lowerdir={place},upperdir={own},workdir={own}.work || exit\n"
        overlay += "mount -t tmpfs tmpfs /run && mkdir -p /etc/bird /etc/keepalived || exit\n"
        overlay += "userdel cidlb 2>/dev/null; rm -rf /etc/cidlb /var/lib/cidlb\n"  # where cidlb is installed already
        overlay += "echo made\nexec sleep infinity\n"
        (scene.dir / "own").mkdir()
        unshare = ["unshare", "--mount", "--propagation", "private", "bash", "-c", overlay]
        self.holder = scene.process("balancer", *hosts.on("balancer", *unshare))
        wait_until(lambda: self.holder.out.read_text() or not self.holder.alive(), 20, "the balancer's host is made")
        if "made" not in self.holder.out.read_text():
            self.holder.asked = True
            raise Skip(f"needs overlays: {self.holder.log_text().strip()}")

    def inside(self, *argv):
        return ["nsenter", "-t", str(self.holder.pid), "--mount", "--net", f"--wd={ROOT}", *map(str, argv)]

    def run(self, command):
        """What a command of a page prints. It must succeed."""
        real = command.replace("/tmp/", f"{self.scene.dir}/").replace("60s", "3s").replace("26h", "1s")
        real = real.replace("route HEX", f"route {HELLO}").replace("HEX", self.cid or "HEX")
        for there, here in ((BUILD, "true"), ("--install build", f"--install {BIN.parent}"), ("build/bin/", f"{BIN}/")):
            real = real.replace(there, here)
        argv = self.inside("bash", "-euo", "pipefail", "-c", real)
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
        assert done.returncode == 0, f"{command}: exit status {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def run_page(self, page):
        """All commands of a page, but those that are set aside; how many."""
        count = 0
        for command in commands_of(page):
            if command.set_aside():
                continue
            count += 1
            if command.kind == "inline":
                self.run_in_prose(command.text)
            elif command.kind == "sh on servers":
                self.run_on_servers(command.text)
            elif command.kind == "sh":
                self.run(command.text)
        return count

    def run_in_prose(self, text):
        real = text
        for words, meant in IN_PROSE:
            real = real.replace(words, meant)
        self.run(real)
        if text in UNDO:
            self.run(UNDO[text])

    def run_on_servers(self, line):
        subprocess.run(self.hosts.on("servers", "bash", "-euc", line), check=True)

    def stop(self):
        pid = int(self.run("cat /run/cidlb.pid"))
        os.kill(pid, 15)
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), 20, "cidlb ends")
        assert " info stopped" in self.log.read_text(), self.log.read_text()

    def kill(self):
        subprocess.run(self.inside("sh", "-c", "kill -9 $(cat /run/cidlb.pid)"), stderr=subprocess.DEVNULL)


def start_servers(hosts, scene):
    for number, address in ((1, "10.0.0.11:5684"), (2, "10.0.0.12:5684")):
        argv = [BIN / "cidlb-backend", "--listen", address, "--id", number, "--cid-length", 6, "--psk", ":".join(PSK)]
        scene.process(f"server{number}", *hosts.on("servers", *argv, "--report", scene.dir / f"server{number}.json"))


def deploy(balancer):
    """What the README says, block by block."""
    page = Page(README)
    for block in page.blocks:
        lines = list(filter(None, block.text.splitlines()))
        if block.kind == "sh on servers":
            for line in lines:
                balancer.run_on_servers(line)
            # From now on servers reach cidlb, whose probes leave from nat.sources.
            asked = "curl -s http://127.0.0.1:9180/readyz || true"
            wait_until(lambda: balancer.run(asked) == "ready\n", 30, "cidlb is ready")
        elif block.kind == "sh":
            for line in lines:
                balancer.run(line)
    assert [block.kind for block in page.blocks if block.kind.startswith("sh")] == ["sh", "sh on servers", "sh"]


def run_devices(hosts, scene, name, count, **options):
    argv = [BIN / "cidlb-fleet", "--target", "192.0.2.1:5684", "--devices", count, "--psk", ":".join(PSK)]
    argv += ["--ack-timeout-ms", 300, "--observe"]
    for option, value in options.items():
        argv += ["--" + option.replace("_", "-"), *([] if value is None else [value])]
    return scene.process(name, *hosts.on("devices", *argv))


def case_readme_deployment():
    if not AS_ROOT:
        raise Skip("needs root for namespaces")
    with Hosts() as hosts, Scene() as scene:
        start_servers(hosts, scene)
        balancer = Balancer(hosts, scene)
        try:
            deploy(balancer)
            left_out = re.search(r"leave out `(\w+)`, `(\w+)` and both routes", README.read_text()).groups()
            balancer.run("sed '/%s = /d; /%s = /d' /etc/cidlb/cidlb.conf >/tmp/ports.conf" % left_out)
            balancer.run("cidlb -t -c /tmp/ports.conf")
            devices = run_devices(hosts, scene, "fleet", 20, rebinds=4, rebind_every=1, loss=5)
            status = devices.wait(120)
            report = json.loads(devices.out.read_text())
            assert status == 0 and report["handshakes"] == 20 and report["survived"] == 20, report
            metrics = parse_metrics(balancer.run("curl -s http://127.0.0.1:9180/metrics"))
            assert not broken_identities(metrics), broken_identities(metrics)
            balancer.stop()
        finally:
            balancer.kill()
        for number in (1, 2):
            server = next(process for process in scene.processes if process.name == f"server{number}")
            server.stop()
            counted = json.loads((scene.dir / f"server{number}.json").read_text())
            assert counted["max_address_changes_per_session"] <= 1, counted
        balancer.holder.kill()


def case_commands_of_the_guide():
    """On the balancer of the README, while devices talk. What the pages do to it must not end a session."""
    if not AS_ROOT:
        raise Skip("needs root for namespaces")
    with Hosts() as hosts, Scene() as scene:
        start_servers(hosts, scene)
        balancer = Balancer(hosts, scene)
        try:
            deploy(balancer)
            devices = run_devices(hosts, scene, "fleet", 5, duration=3600, max_seconds=3600, interval_ms=200)

            def flow_of_a_session():
                flows = json.loads(balancer.run("cidlbctl flows --json"))["flows"]
                return next((flow["cid"] for flow in flows if flow["kind"] == "cid"), None)

            balancer.cid = wait_until(flow_of_a_session, 20, "a device has a session")
            counts = {page.file.name: balancer.run_page(page) for page in guide()}
            print(f"    commands: {', '.join(f'{count} of {name}' for name, count in counts.items() if count)}")
            assert counts["operating.md"] > 10 and counts["nodes.md"] > 5 and counts["tunnel.md"] > 2, counts
            pcap = (scene.dir / "trace.pcap").read_bytes()
            assert len(pcap) > 24, "the trace has seen datagrams"
            devices.child.terminate()
            assert devices.wait(60) == 0, devices.log_text()
            report = json.loads(devices.out.read_text())
            assert report["survived"] == report["handshakes"] == 5, report
            balancer.stop()
        finally:
            balancer.kill()
        balancer.holder.kill()


if __name__ == "__main__":
    main(globals())
