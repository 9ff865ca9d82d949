#!/usr/bin/env python3
"""The fast path of the packaged cidlb in a Debian that systemd boots: without fast.conf, with it, restarted, upgraded,
killed and stopped. Usage: booted_fast.py ROOT PACKAGES

The network is that of booted.py. The program needs Ethernets that take what it redirects: lab/triple.py."""

import contextlib
import json
import shutil
import subprocess
import sys
import time

from booted import PACKAGES, ROOT, Booted, make_next, metrics_of, new_process, overflows

from deployment import Hosts
from fast import needs_bpf
from harness import Scene, main, total, wait_until
from lab.triple import ETHTOOL_SGRO, ETHTOOL_STXCSUM, Host, ethtool
from lib.load import KEY, Load, keys_file

RATE = 2000  # datagrams a second, and as many answers: the ring of a virtual cable holds 256
RIGHTS = ("--capability=CAP_BPF,CAP_PERFMON", "--system-call-filter=bpf")
CONF = f"""hash_key = "000102030405060708090a0b0c0d0e0f";
fast = {{ interfaces = [ "devices", "servers" ]; }};
admin = {{ http = "127.0.0.1:9180"; }};
listeners = ( {{ name = "load"; address = "192.0.2.1:5684"; pool = "load"; }} );
pools = ( {{ name = "load"; forward = "tunnel"; cid = {{ scheme = "node-id"; length = 8; size = 2; }};
	tunnel = {{ local = "10.0.0.1:7000"; keys = ( {{ id = 1; key = "{KEY}"; }} ); }};
	max_resumable = 0; health = {{ probe = "none"; }};
	backends = ( {{ name = "s1"; id = 256; address = "10.0.0.11:7001"; }},
		{{ name = "s2"; id = 512; address = "10.0.0.11:7002"; }} ); }} );
"""
# As systemd mounts it where it is not in a container.
MOUNT = """mount -o remount,rw /sys && mkdir -p /sys/fs/bpf && mount -o remount,ro /sys
mount -t bpf -o mode=700 bpf /sys/fs/bpf"""
DROP_IN = """mkdir -p /etc/systemd/system/cidlb.service.d
cp /usr/share/doc/cidlb/packaging/systemd/fast.conf /etc/systemd/system/cidlb.service.d/
systemctl daemon-reload"""
WHY = "no right to load it: it takes root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"


@contextlib.contextmanager
def installed():
    """The package, in the booted root; not started."""
    for package in PACKAGES.glob("cidlb_*.deb"):
        shutil.copy(package, ROOT / "root")
    with Hosts() as hosts, Scene() as scene:
        for cable in ("devices", "servers"):
            with Host("balancer").there():
                ethtool(cable, ETHTOOL_STXCSUM, 0)
            with Host(cable).there():
                ethtool(cable, ETHTOOL_STXCSUM, 0)
                ethtool(cable, ETHTOOL_SGRO, 1)
        root = Booted(hosts, scene, *RIGHTS)
        try:
            root.run(MOUNT)
            root.run("apt-get install -qq -y ./cidlb_*.deb curl iproute2")
            yield hosts, scene, root
            root.run("apt-get purge -qq -y cidlb && rm -rf /etc/systemd/system/cidlb.service.d")
            assert pins(root) == [], f"purged, but there is {pins(root)}"
        finally:
            root.stop()


def route_load(hosts, root):
    """Devices are addresses of 10.128.0.0/12."""
    on = hosts.on("devices", "ip", "route", "add", "local", "10.128.0.0/12", "dev", "lo")
    subprocess.run(on, check=True, timeout=10)
    root.run("ip route add 10.128.0.0/12 via 192.0.2.2")


@contextlib.contextmanager
def loaded(what, hosts, scene, root):
    """Of what is sent in the meantime nothing is lost, but what finds a socket full: the list given has such counts."""
    nets = {f"{host}_net": f"/run/netns/{hosts.name[host]}" for host in ("devices", "servers")}
    load = Load(scene, "10.0.0.11:7001", RATE, target="192.0.2.1:5684", server_count=2, devices="10.128.0.0",
                port=6000, sources=1000, tunnel=keys_file(scene), **nets)
    load.start()
    full = []
    yield full
    time.sleep(1)
    load.stop()
    full.append(overflows(root))
    counters = load.counters()
    lost = counters["sent"] - counters["returned"]
    silence = max(counters["up_silence_ns"], counters["down_silence_ns"]) / 1e6
    said = f"{counters['sent']} datagrams, {lost} lost, {sum(full)} in full sockets, {silence:.0f} ms silent"
    print(f"    {what}: {said}")
    assert not load.wrong() and lost <= sum(full), counters


def status_of(root):
    return json.loads(root.run("cidlbctl status --json"))["fast"]


def log_of(root):
    """What the present cidlb says of the fast path."""
    this = "_SYSTEMD_INVOCATION_ID=$(systemctl show -P InvocationID cidlb)"
    lines = root.run(f"journalctl --sync && journalctl -o cat --no-pager {this}").splitlines()
    return [line.split("fast_path: ")[1] for line in lines if "fast_path: " in line]


def pins(root):
    """What is kept in /sys/fs/bpf, where the kernel has files of its own: mode, owner and path."""
    return root.run("find /sys/fs/bpf -path '*cidlb*' -printf '%M %u %P\\n'").splitlines()


def attached(root):
    return root.run("ip -o link").count("prog/xdp")


def is_attached(root):
    """Natively on both, and kept for the next cidlb; the program forwards."""
    wait_until(lambda: total(metrics_of(root), "cidlb_fast_datagrams_total") > RATE // 4, 30, "the program forwards")
    status = status_of(root)
    assert [place["mode"] for place in status["interfaces"]] == ["native", "native"], status
    assert sorted(log_of(root)) == ["on devices: native", "on servers: native"], log_of(root)
    assert "fast path devices native, servers native: " in root.run("cidlbctl status")
    kept = pins(root)
    assert len(kept) == 5 and all(line.split()[1] == "cidlb" for line in kept), kept
    assert kept[0] == "drwx------ cidlb cidlb" and attached(root) == 2, kept


def is_not_there(root):
    """Without the rights: a line of the log has the reason, and the sockets do it all."""
    assert log_of(root) == [f"there is none: {WHY}. The sockets do it all"], log_of(root)
    assert f"fast path devices none ({WHY}), servers none ({WHY}): 0 of " in root.run("cidlbctl status")
    assert root.run("systemctl is-active cidlb && systemctl list-units --failed --no-legend 'cidlb*'") == "active\n"
    assert attached(root) == 0 and pins(root) == []
    assert total(metrics_of(root), "cidlb_fast_datagrams_total") == 0


def killed(root):
    before = root.pid()
    root.run("systemctl kill --signal=KILL --kill-whom=main cidlb")
    wait_until(lambda: root.pid() not in (before, "0") and root.try_run("cidlbctl status").returncode == 0, 30,
               "systemd has started it again")


def case_fast_path():
    needs_bpf()
    with installed() as (hosts, scene, root):
        (ROOT / "etc/cidlb/cidlb.conf").write_text(CONF)
        root.run("chown cidlb /etc/cidlb/cidlb.conf && chmod 400 /etc/cidlb/cidlb.conf && systemctl start cidlb")
        route_load(hosts, root)
        with loaded("first by the sockets alone", hosts, scene, root) as full:
            is_not_there(root)
            root.run(DROP_IN)
            full.append(new_process(root, "systemctl restart cidlb"))
            is_attached(root)
        with loaded("restart, upgrade", hosts, scene, root) as full:
            full.append(new_process(root, "systemctl restart cidlb"))
            is_attached(root)
            version = root.run("dpkg-query -W -f '${Version}' cidlb").strip()
            full.append(new_process(root, f"apt-get -qq -y install {make_next(version + '+1')}"))
            is_attached(root)
        with loaded("kill", hosts, scene, root):
            killed(root)
            is_attached(root)
        root.run("systemctl stop cidlb")
        assert attached(root) == 0 and len(pins(root)) == 1, pins(root)


if __name__ == "__main__":
    del sys.argv[1:3]
    main(globals())
