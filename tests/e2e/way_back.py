#!/usr/bin/env python3
"""The way back from the servers: probes go it, and sessions that nobody answers are told of.

    cidlb 10.9.0.1 fd09::1 ──── 10.9.0.2 fd09::2 servers, whose routes to nat.sources come and go
"""

import contextlib
import os
import re
import select
import subprocess
import threading

import harness
from harness import BIN, PSK, Scene, Skip, free_ports, main, wait_until
from lab.background import Background
from udp import open_socket

PREFIX_V4, PREFIX_V6 = "10.64.0.0/16", "fd64::/64"
HERE_V4, HERE_V6 = "10.9.0.1", "fd09::1"
THERE_V4, THERE_V6 = "10.9.0.2", "fd09::2"
HEALTH = {"interval_ms": 100, "timeout_ms": 3000, "rise": 1, "fall": 2}
VERIFY_REQUEST = bytes.fromhex("16feff000000000000000000" + "0f030000030000000000000003feff00")
PING = bytes.fromhex("40000001")
UNITS = harness.Path(__file__).parents[2] / "packaging" / "systemd"


def hello():
    """A ClientHello of a device that asks for PSK with CCM_8."""
    body = b"\xfe\xfd" + os.urandom(32) + bytes.fromhex("0000000002c0a80100")
    head = b"\x01" + len(body).to_bytes(3, "big")
    message = head + bytes(5) + len(body).to_bytes(3, "big") + body
    return b"\x16\xfe\xfd" + bytes(8) + len(message).to_bytes(2, "big") + message


class Servers:
    """Their host, and the link to it."""

    def __enter__(self):
        ip, self.name = harness.ip, f"cidlb-{os.getpid()}-srv"
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")
        ip("link", "add", "tosrv", "type", "veth", "peer", "name", "eth", "netns", self.name)
        for where, device, v4, v6 in (
            ([], "tosrv", HERE_V4, HERE_V6), (["-n", self.name], "eth", THERE_V4, THERE_V6)
        ):
            ip(*where, "link", "set", device, "up")
            ip(*where, "address", "add", f"{v4}/24", "dev", device)
            ip(*where, "address", "add", f"{v6}/64", "dev", device, "nodad")
        for prefix in (PREFIX_V4, PREFIX_V6):
            ip("route", "replace", "local", prefix, "dev", "lo")
        self.way_back("add")
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "delete", self.name], check=True)
        # It goes with its other end, sooner or later.
        subprocess.run(["ip", "link", "delete", "tosrv"], stderr=subprocess.DEVNULL)

    def way_back(self, verb):
        """`verb`: add or delete."""
        harness.ip("-n", self.name, "route", verb, PREFIX_V4, "via", HERE_V4)
        harness.ip("-n", self.name, "-6", "route", verb, PREFIX_V6, "via", HERE_V6)

    def process(self, scene, name, *argv):
        return scene.process(name, "ip", "netns", "exec", self.name, *argv)

    def dtls(self, scene, name, number, ip, *options):
        """A cidlb-backend with this id; its entry."""
        address = ("[%s]:%d" if ":" in ip else "%s:%d") % (ip, free_ports())
        report = scene.dir / f"{name}.json"
        argv = [BIN / "cidlb-backend", "--listen", address, "--id", number, "--report", report, *options]
        argv += [] if "--plain" in options else ["--cid-length", 6, "--psk", ":".join(PSK)]
        server = self.process(scene, name, *argv)
        wait_until(lambda: "server" in server.log_text(), 20, f"{name} listens")
        return {"name": name, "id": number, "address": address}

    def http(self, scene, name):
        port = free_ports()
        server = self.process(
            scene, name, "python3", "-u", "-m", "http.server", "--bind", THERE_V4, "-d", scene.dir, port
        )
        wait_until(lambda: "Serving" in server.out.read_text(), 20, f"{name} listens")
        server.asked = True  # it ends by the signal alone
        return {"name": name, "id": 1, "address": f"{THERE_V4}:{port}"}


def is_up(lb, name):
    return lb.metric("cidlb_backend_up", backend=name) == 1


def case_probes_prove_the_way_back():
    """Each kind. Without a route to nat.sources the servers hear every probe, and are down."""
    coaps = {"probe": "coaps", "psk_identity": PSK[0], "psk_key": PSK[1]}
    plain = {"protocol": "udp", "cid": None}
    with Servers() as servers, Scene() as scene:
        pools = [
            scene.pool("dtls", [servers.dtls(scene, "dtls", 1, THERE_V4)], health={**HEALTH, "probe": "dtls"}),
            scene.pool("dtls6", [servers.dtls(scene, "dtls6", 1, THERE_V6)], health={**HEALTH, "probe": "dtls"}),
            scene.pool("coaps", [servers.dtls(scene, "coaps", 1, THERE_V4)], health={**HEALTH, **coaps}),
            scene.pool(
                "coap", [servers.dtls(scene, "coap", 1, THERE_V4, "--plain")], health={**HEALTH, "probe": "coap"}, **plain
            ),
            scene.pool("http", [servers.http(scene, "http")], health={**HEALTH, "probe": "http", "path": "/"}, **plain),
        ]
        for pool in pools:
            pool["nat"]["sources"] = (PREFIX_V6 if pool["name"] == "dtls6" else PREFIX_V4,)
        lb, names = scene.cidlb(pools), [pool["name"] for pool in pools]
        wait_until(lambda: all(is_up(lb, name) for name in names), 60, "all are up")
        for _ in range(2):
            before = len(lb.log_text())
            servers.way_back("delete")
            wait_until(lambda: not any(is_up(lb, name) for name in names), 60, "all are down")
            downs = lambda name: re.findall(rf"backend_down pool={name} backend={name}: (.*)", lb.log_text()[before:])
            for name in names:
                lines = wait_until(lambda: downs(name), 20, f"{name} is said to be down")
                assert len(lines) == 1 and lines[0].startswith("no answer"), lines
            servers.way_back("add")
            wait_until(lambda: all(is_up(lb, name) for name in names), 60, "all are up again")
        lb.assert_identities()


class Once(Background):
    """Answers one ClientHello for each address and port, as pion does."""

    def __init__(self, ip):
        super().__init__()
        self.sock, self.seen = open_socket(ip), []

    def __exit__(self, *error):
        super().__exit__(*error)
        self.sock.close()

    def _run(self):
        while self.running:
            if not select.select([self.sock], [], [], 0.1)[0]:
                continue
            data, source = self.sock.recvfrom(2048)
            if data[0] == 22 and source not in self.seen:
                self.sock.sendto(VERIFY_REQUEST, source)
            self.seen.append(source)


def case_each_hello_from_another_endpoint():
    """Of nat.sources, and of none that a session may have."""
    count, first = 60, 60000
    with Scene() as scene, Once("127.0.0.1") as a, Once("127.0.0.1") as b:
        once = {"prefix": a, "single": b}
        pools = [
            scene.pool(
                name, [{"name": name, "id": 1, "address": "127.0.0.1:%d" % server.sock.getsockname()[1]}],
                health={"probe": "dtls", "interval_ms": 20, "timeout_ms": 5000},
            )
            for name, server in once.items()
        ]
        pools[0]["nat"]["sources"] = ("127.64.0.0/10",)
        pools[1]["nat"] = {"sources": ("127.0.0.9",), "ports": f"49152-{first - 1}", "max_flows": 100}
        lb = scene.cidlb(pools)
        for name, server in once.items():
            wait_until(lambda: lb.metric("cidlb_probes_total", pool=name) >= count, 30, "many were sent")
            assert lb.metric("cidlb_probes_total", pool=name, result="failed") == 0
            assert is_up(lb, name)
            seen = server.seen[:count]
            assert all(port >= (first if name == "single" else 49152) for _, port in seen), seen
        assert len(set(a.seen)) == len(a.seen), a.seen
        assert all(re.match(r"127\.(6[4-9]|[789]\d|1[01]\d|12[0-7])\.", ip) for ip, _ in a.seen), a.seen
        assert {ip for ip, _ in b.seen} == {"127.0.0.9"} and len(set(b.seen)) == len(b.seen), b.seen


def check(lb):
    """What -t says."""
    lb.write()
    done = subprocess.run([BIN / "cidlb", "-t", "-c", lb.file], capture_output=True, text=True, timeout=20)
    return done.returncode, done.stderr


def case_sources_must_be_local():
    """-t, the start and a reload refuse them alike, and the line that they give mends it."""
    prefixes = ("10.71.0.0/16", "10.72.0.0/16")
    for prefix in prefixes:
        subprocess.run(["ip", "route", "delete", "local", prefix], stderr=subprocess.DEVNULL)
    with Scene() as scene:
        harness.ip("link", "set", "lo", "up")
        pool = scene.pool("p", [scene.backend(1)])
        lb = scene.cidlb([pool], start=False)

        def refusal(text):
            line = r"pools\[0\]\.nat\.sources\[0\]: (\S+) is not routed to this host: (ip route add local \1 dev lo)$"
            return re.search(line, text, re.M)[2]

        pool["nat"]["sources"] = prefixes[:1]
        status, text = check(lb)
        assert status == 1 and prefixes[0] in refusal(text), text
        lb.start(ready=False)
        assert lb.wait(30) == 1 and refusal(lb.log_text()) == refusal(text), lb.log_text()
        harness.ip(*refusal(text).split()[1:])
        assert check(lb)[0] == 0
        lb.start()
        pool["nat"]["sources"] = prefixes[1:]
        lb.write()
        lb.child.send_signal(1)
        lb.wait_log("reload_refused")
        assert prefixes[1] in refusal(lb.log_text().split("reload")[0].split(" started")[-1])
        # What only looks into the file may do so on any host.
        cid = subprocess.run(
            [BIN / "cidlbctl", "cid", "mint", "p", "1", "-c", lb.file], capture_output=True, text=True
        )
        assert cid.returncode == 0, cid.stderr
        harness.ip("route", "add", "local", prefixes[1], "dev", "lo")
        lb.reload()


def unanswered(lb, name):
    return lb.metric("cidlb_backend_unanswered_sessions", backend=name)


def lines_of(lb, name):
    return re.findall(rf"(warning|info) unanswered pool={name} backend={name}: (.*)", lb.log_text())


def case_sessions_that_nobody_answers():
    """Ten in a row are told of, though the server is up, and so is the first that is answered. In mode nat, and in mode
    tunnel, where it is the way to tunnel.local that is gone."""
    none = {"probe": "none"}
    local = f"{HERE_V4}:{free_ports(3)}"
    tunnel = {"forward": "tunnel", "tunnel": {"local": local, "keys": [{"id": 1, "key": "f" * 32}]}}
    udp = {"protocol": "udp", "cid": None, "health": none}
    with Servers() as servers, Scene() as scene:
        (scene.dir / "keys").write_text(f"1:{'f' * 32}\n")
        (scene.dir / "keys").chmod(0o600)
        options = ("--tunnel", scene.dir / "keys")
        pools = [
            scene.pool("nat", [servers.dtls(scene, "nat", 1, THERE_V4)], health=none),
            scene.pool("udp", [servers.dtls(scene, "udp", 1, THERE_V4, "--plain")], **udp),
            scene.pool("tunnel", [servers.dtls(scene, "tunnel", 1, THERE_V4, *options)], health=none, **tunnel),
        ]
        for pool in pools[:2]:
            pool["nat"]["sources"] = (PREFIX_V4,)
        del pools[2]["nat"]
        lb, names = scene.cidlb(pools), [pool["name"] for pool in pools]
        fleets = {name: {"plain": True} if name == "udp" else {} for name in names}

        def all_served():
            for name in names:
                report = scene.fleet(
                    lb.address(name), f"fleet-{name}-{len(scene.processes)}", devices=3, rebinds=0, ack_timeout_ms=300,
                    **fleets[name]
                ).report(timeout=60)
                assert report["exchanges_ok"] >= 3, report

        all_served()
        assert not any(unanswered(lb, name) for name in names)
        servers.way_back("delete")
        # A route that is more specific than that of the link leads nowhere.
        harness.ip("-n", servers.name, "route", "add", "blackhole", f"{HERE_V4}/32")
        with contextlib.ExitStack() as stack:
            devices = {name: [stack.enter_context(open_socket("127.0.0.1")) for _ in range(21)] for name in names}

            def begin(name, sock):
                host, port = lb.address(name).split(":")
                sock.sendto(PING if name == "udp" else hello(), (host, int(port)))

            for name in names:
                for sock in devices[name][:9]:
                    begin(name, sock)
            wait_until(lambda: lb.metric("cidlb_received_total") >= 27, 20, "nine of each have come")
            threading.Event().wait(7)
            assert not any(lines_of(lb, name) or unanswered(lb, name) for name in names), lb.log_text()
            for name in names:
                for sock in devices[name][9:]:
                    begin(name, sock)
            wait_until(lambda: all(lines_of(lb, name) for name in names), 20, "all are told of")
            for name, to in zip(names, ("nat.sources", "nat.sources", "tunnel.local")):
                (level, text), = lines_of(lb, name)
                # Not of the first nine those that came within a second of the last answer.
                assert level == "warning" and to in text and 12 <= int(text.split()[0]) <= 21, text
                assert unanswered(lb, name) == int(text.split()[0]) and is_up(lb, name)
        argv = [BIN / "cidlbctl", "--socket", lb.config["admin"]["socket"], "backends"]
        said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        assert said.count(" new sessions in a row got no answer") == 3, said
        harness.ip("-n", servers.name, "route", "delete", "blackhole", f"{HERE_V4}/32")
        servers.way_back("add")
        all_served()
        wait_until(lambda: all(len(lines_of(lb, name)) == 2 for name in names), 20, "they are answered")
        assert all(lines_of(lb, name)[1][0] == "info" and unanswered(lb, name) == 0 for name in names)


NETWORKD = "/lib/systemd/systemd-networkd"
# A host of its own: systemd-networkd in it manages what it has, which is lo.
AS_HOST = f"""
mount -t tmpfs tmpfs /run && mount -t sysfs -o ro sysfs /sys || exit
mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/network
chown -R systemd-network /run/systemd/netif
cp "$1" /run/systemd/network/ || exit
ip link set lo up
SYSTEMD_LOG_TARGET=console exec {NETWORKD}
"""


def case_route_that_stays():
    """systemd-networkd takes packaging/systemd/cidlb.network, and makes the route of the README with it."""
    if not harness.AS_ROOT or not os.path.exists(NETWORKD):
        raise Skip("needs systemd-networkd, and root")
    with Scene() as scene:
        argv = ["unshare", "--net", "--mount", "--propagation", "private", "bash", "-c", AS_HOST, "bash"]
        host = scene.process("networkd", *argv, UNITS / "cidlb.network")

        def local():
            argv = ["nsenter", "-t", str(host.pid), "--net", "ip", "route", "show", "table", "local"]
            return subprocess.run(argv, capture_output=True, text=True).stdout

        own = os.readlink("/proc/self/ns/net")
        wait_until(lambda: os.readlink(f"/proc/{host.pid}/ns/net") != own, 20, "it has a network of its own")
        wait_until(lambda: f"local {PREFIX_V4} dev lo" in local() or not host.alive(), 20, "the route is there")
        assert "local 127.0.0.0/8 dev lo" in local() and f"local {PREFIX_V4} dev lo" in local(), local()
        said = host.log_text()
        assert "cidlb.network:" not in said and "nvalid" not in said and "nknown" not in said, said


main(globals())
