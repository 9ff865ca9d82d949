#!/usr/bin/env python3
"""The life of the package in a Debian that systemd boots: first-deployment.md as it stands, then restart, reload and
upgrade under real sessions, and a purge. Usage: booted.py ROOT PACKAGES

The root is the balancer of deployment.py: its network is that namespace, the servers and devices are outside of it."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

TREE = Path(__file__).parents[2]
sys.path[:0] = [str(TREE / "tests" / "e2e"), str(TREE / "bench")]

from deployment import Hosts, run_devices, start_servers  # noqa: E402
from harness import FULL, Scene, main, parse_metrics, total, wait_until  # noqa: E402
from lib.load import Load  # noqa: E402
from pages import GUIDE, Page  # noqa: E402

ROOT, PACKAGES = (Path(arg).resolve() for arg in sys.argv[1:3])
HERE = Path(__file__).parent
DEVICES, WITHOUT_CID = 100, 20
RATE = 25000 if FULL else 5000  # datagrams a second of others, and as many answers
# Beside the pool of the guide.
LISTENER = '{ name = "load"; address = "0.0.0.0:5690"; pool = "load"; }'
POOL = """{ name = "load"; cid = { scheme = "node-id"; length = 8; size = 2; };
	health = { probe = "none"; }; nat = { sources = [ "10.80.0.0/12" ]; };
	backends = ( { name = "s1"; id = 256; address = "10.0.0.11:7001"; },
		{ name = "s2"; id = 512; address = "10.0.0.11:7002"; } ); }"""


class Booted:
    """The root, booted, until stop(). `more`: further options of systemd-nspawn."""

    def __init__(self, hosts, scene, *more):
        options = ["--register=no", "--keep-unit", "--boot", "--quiet", "--console=pipe", "--resolv-conf=off"]
        options += [f"--network-namespace-path=/run/netns/{hosts.name['balancer']}", "--capability=CAP_NET_ADMIN"]
        options += [f"--directory={ROOT}", *more]
        self.nspawn = scene.process("systemd", "systemd-nspawn", *options)
        self.init = wait_until(self._init, 20, "systemd runs")
        wait_until(self._is_up, 60, "Debian is booted")

    def _init(self):
        children = Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children").read_text().split()
        return next((pid for pid in children if Path(f"/proc/{pid}/comm").read_text() == "systemd\n"), None)

    def _is_up(self):
        done = self.try_run("systemctl is-system-running")
        return done.stdout.strip() in ("running", "degraded")

    def try_run(self, command):
        argv = ["nsenter", "-t", self.init, "--all", "env", "-i", "HOME=/root", "LC_ALL=C.UTF-8"]
        argv += ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"]
        argv += ["bash", "-euo", "pipefail", "-c", f"cd /root\n{command}"]
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)

    def run(self, command):
        done = self.try_run(command)
        assert done.returncode == 0, f"{command}: exit status {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def pid(self):
        return self.run("systemctl show -P MainPID cidlb").strip()

    def stop(self):
        self.nspawn.asked = True
        os.kill(int(self.init), 37)  # SIGRTMIN+3: halt
        self.nspawn.child.wait(60)


def traces(root):
    """What the root has of cidlb: by name, by what belongs to nobody, among users and units."""
    there = "find / -xdev -path /root -prune -o -path /var/cache/apt -prune -o -path /var/log -prune -o "
    there += r"\( -name '*cidlb*' -o -nouser -o -nogroup \) -print"
    users = "grep -H cidlb /etc/passwd /etc/group /etc/shadow /etc/gshadow || true"
    units = "systemctl list-unit-files --all --no-legend '*cidlb*' || true"
    return [root.run(f"{there}; find /run -name '*cidlb*'"), root.run(users), root.run(units)]


def follow_the_guide(root, hosts):
    """first-deployment.md, block by block; how long it took."""
    start = time.monotonic()
    for block in Page(GUIDE / "first-deployment.md").blocks:
        for line in filter(None, block.text.splitlines()):
            if block.kind == "sh":
                said = root.run(line)
            else:
                said = subprocess.run(
                    hosts.on(block.kind.removeprefix("sh on "), "sh", "-c", line), check=True, capture_output=True,
                    text=True, stdin=subprocess.DEVNULL, timeout=30)
                said = said.stdout + said.stderr
            assert not line.startswith("openssl") or "CONNECTION ESTABLISHED" in said, said
            if line == "cidlbctl backends":
                wait_until(lambda: root.try_run("curl -s localhost:9180/readyz").stdout == "ready\n", 10, "ready")
    return time.monotonic() - start


def make_next(version, *reason):
    package = next(PACKAGES.glob("cidlb_*.deb"))
    file = ROOT / "root" / f"cidlb-{version}.deb"
    subprocess.run([HERE / "next", package, version, file, *reason], check=True)
    return f"./{file.name}"


def new_process(root, command):
    """The command makes a new cidlb, which serves when it returns. What overflows() said of the one before."""
    before, full, start = root.pid(), overflows(root), time.monotonic()
    said = root.run(command)
    took = 1000 * (time.monotonic() - start)
    assert root.pid() not in (before, "0"), f"{command}: {said}"
    print(f"    {command}: {took:.0f} ms")
    return full


def case_life_of_the_package():
    for package in PACKAGES.glob("cidlb_*.deb"):
        shutil.copy(package, ROOT / "root")
    with Hosts() as hosts, Scene() as scene:
        start_servers(hosts, scene)
        root = Booted(hosts, scene)
        try:
            print(f"    the guide, from apt install on: {follow_the_guide(root, hosts):.1f} s")
            run_under_sessions(root, hosts, scene)
            assert all(traces(root)), "what is looked for is found while cidlb is installed"
            root.run("apt purge -y cidlb")
            assert traces(root) == ["", "", ""], f"purged, but there is {traces(root)}"
        finally:
            root.stop()


def start_load(root, hosts, scene):
    """Another pool, by a reload, and what makes it busy: no datagram of it may be lost."""
    for host, route in (("devices", "local 10.128.0.0/12 dev lo"), ("servers", "10.80.0.0/12 via 10.0.0.1")):
        subprocess.run(["ip", "-n", hosts.name[host], "route", "add", *route.split()], check=True)
    root.run("ip route add local 10.80.0.0/12 dev lo && ip route add 10.128.0.0/12 via 192.0.2.2")
    file = ROOT / "etc/cidlb/cidlb.conf"
    text = file.read_text().replace('pool = "coaps"; } );', f'pool = "coaps"; }}, {LISTENER} );')
    assert LISTENER in text and text.rstrip().endswith("} );"), text
    file.write_text(text.rstrip().removesuffix(");") + f", {POOL} );\n")
    root.run("systemctl reload cidlb")
    nets = {f"{host}_net": f"/run/netns/{hosts.name[host]}" for host in ("devices", "servers")}
    load = Load(scene, "10.0.0.11:7001", RATE, target="192.0.2.1:5690", server_count=2, devices="10.128.0.0",
                port=6000, sources=1000, **nets)
    return load.start()


def metrics_of(root):
    return parse_metrics(root.run("curl -s http://127.0.0.1:9180/metrics"))


def overflows(root):
    """What found cidlb's sockets full since it was started: on a machine that has no time for it."""
    metrics = metrics_of(root)
    return sum(total(metrics, f"cidlb_{kind}kernel_drops_total") for kind in ("", "endpoint_"))


def run_under_sessions(root, hosts, scene):
    for_ever = {"duration": 3600, "max_seconds": 3600, "interval_ms": 500}
    devices = run_devices(hosts, scene, "fleet", DEVICES, rebind_every=5, **for_ever)
    others = run_devices(hosts, scene, "fleet without", WITHOUT_CID, no_cid=None, **for_ever)

    def has_all():
        metrics = metrics_of(root)
        flows = [total(metrics, "cidlb_flows", kind=kind) for kind in ("cid", "address")]
        return flows[0] >= DEVICES and flows[1] >= WITHOUT_CID

    wait_until(has_all, 60, "all have sessions")
    load = start_load(root, hosts, scene)
    full = new_process(root, "systemctl restart cidlb")
    pid = root.pid()
    root.run("systemctl reload cidlb")
    assert root.pid() == pid
    version = root.run("dpkg-query -W -f '${Version}' cidlb").strip()
    full += new_process(root, f"apt-get -qq -y install {make_next(version + '+1')}")
    pid = root.pid()
    said = root.run(f"apt-get -qq -y install {make_next(version + '+2', 'pools.nat: unheard of')}")
    assert root.pid() == pid and "pools.nat: unheard of" in said and "THE NEW VERSION REFUSES" in said, said
    full += new_process(root, f"apt-get -qq -y install {make_next(version + '+3')}")
    time.sleep(5)
    load.stop()
    full += overflows(root)
    counters = load.counters()
    lost = counters["sent"] - counters["returned"]
    print(f"    load: {counters['sent']} datagrams, {lost} lost, {full} in full sockets")
    assert not load.wrong() and lost <= full, counters
    for fleet, count in ((devices, DEVICES), (others, WITHOUT_CID)):
        fleet.child.terminate()
        status = fleet.wait(30)
        report = json.loads(fleet.out.read_text())
        assert status == 0 and report["survived"] == report["handshakes"] == count, report
        assert report["exchanges_lost"] == report["observations_lost"] == 0, report
        print(f"    {fleet.name}: {count} sessions, {report['exchanges_ok']} exchanges, all answered")


if __name__ == "__main__":
    del sys.argv[1:3]
    main(globals())
