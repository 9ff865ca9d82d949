#!/usr/bin/env python3
"""IPv6 addresses of a link (fe80::…): devices that have no other, listeners and servers at one."""

import contextlib
import socket
import subprocess

from harness import BIN, PSK, Process, Scene, free_ports, ip, main, wait_until
from lab.far import Far
from tunnel import Server, tunnel, tunnel_pool
from udp import Echo

DEVICE, LB = "fe80::d", "fe80::1b"


@contextlib.contextmanager
def link(net=9):
    """A far host that is fe80::d, on a link where this one is fe80::1b."""
    with Far(1500, net) as far:
        ip("address", "add", f"{LB}/64", "dev", far.interface, "nodad")
        ip("-n", far.name, "address", "add", f"{DEVICE}/64", "dev", "near", "nodad")
        yield far


def bound(far, address=DEVICE, port=0):
    with far.there():
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.bind((address, port, 0, socket.if_nametoindex("near") if address.startswith("fe80") else 0))
        sock.settimeout(10)
        return sock


def ask(sock, far, port, to=LB, payload=b"1"):
    sock.sendto(payload, (to, port, 0, far.number if to.startswith("fe80") else 0))
    answer, source = sock.recvfrom(100)
    assert source[:2] == (to, port), source
    return answer


def number(far):
    return socket.if_nametoindex(far.interface)


def udp_pool(scene, servers):
    return scene.pool("u", servers.entries(), protocol="udp", cid=None, health={"probe": "none"})


def case_devices():
    """At a listener on all addresses, and at that of the link. The same address on two links is two devices, and each
    is answered through its own."""
    with link() as far, link(8) as other, Scene() as scene, Echo("a") as servers:
        lb = scene.cidlb([udp_pool(scene, servers)], start=False)
        any_port, port = free_ports(), free_ports()
        lb.config["listeners"] = [
            {"name": "any", "address": f"[::]:{any_port}", "pool": "u"},
            {"name": "link", "address": f"[{LB}%{far.interface}]:{port}", "pool": "u"},
            {"name": "other", "address": f"[{LB}%{other.interface}]:{port}", "pool": "u"},
        ]
        lb.start()
        with bound(far, port=5000) as device, bound(other, port=5000) as same, bound(far, "fd09::2") as routed:
            for _ in range(3):
                for at in any_port, port:
                    assert ask(device, far, at) == ask(same, other, at) == b"a1"
                assert ask(routed, far, any_port) == b"a1"
            # What one of them is sent late goes to its own link.
            assert ask(device, far, any_port, payload=b"2") == b"a2"
            late = servers.last
            assert ask(same, other, any_port, payload=b"3") == b"a3"
            servers.sockets["a"].sendto(b"late", late)
            assert device.recvfrom(100)[0] == b"late"
            # From an address of the link to one that is not, and back.
            assert ask(device, far, any_port, "fd09::1") == b"a1"
            assert ask(routed, far, any_port) == b"a1"
        assert lb.metric("cidlb_refused_total") == 0 and lb.metric("cidlb_datagrams_total", verdict="bad_source") == 0
        lb.assert_identities()


def case_reserved():
    """What is of a link and not in fe80::/64 has octets that may not be there: nobody can be answered."""
    with link() as far, Scene() as scene, Echo("a") as servers:
        lb = scene.cidlb([udp_pool(scene, servers)], start=False)
        port = free_ports()
        lb.listener("u")["address"] = f"[::]:{port}"
        lb.start()
        ip("-n", far.name, "address", "add", "fe80:0:7::d/10", "dev", "near", "nodad")
        with bound(far, "fe80:0:7::d") as device:
            device.sendto(b"1", (LB, port, 0, far.number))
            wait_until(lambda: lb.metric("cidlb_datagrams_total", verdict="bad_source") == 1, 20, "it is dropped")
        assert servers.got == {"a": 0}


def case_sessions():
    """Real sessions of devices on a link, which change their ports, with servers on loopback."""
    with link() as far, Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2)]
        lb = scene.cidlb([scene.pool("p", backends)], start=False)
        port = free_ports()
        lb.listener("p")["address"] = f"[::]:{port}"
        lb.start()
        target = f"[{LB}%{far.number}]:{port}"
        with far.there():
            fleet = scene.fleet(target, devices=20, rebinds=5, rebind_every=0.5, interval_ms=200, observe=True)
        report = fleet.report()
        assert report["survived"] == report["sessions"] == report["handshakes"] == 20, report
        assert report["rebinds"] == 100 and report["extra_handshakes"] == 0, report
        lb.assert_identities()


def case_servers():
    """A server at an address of a link, whose probes are answered and whose sessions live."""
    with link() as far, Scene() as scene:
        port = free_ports()
        argv = [BIN / "cidlb-backend", "--listen", f"[{DEVICE}%{far.number}]:{port}", "--id", 1, "--psk", ":".join(PSK)]
        with far.there():
            Process(scene, "server", argv).start().wait_log("server 1")
        entry = {"name": "a", "id": 1, "address": f"[{DEVICE}%{far.interface}]:{port}"}
        lb = scene.cidlb([scene.pool("p", [entry], nat={"sources": (f"{LB}%{far.interface}",), "ports": "21000-21999"})])
        wait_until(lambda: lb.metric("cidlb_backend_up", pool="p") == 1, 20, "it is up")
        fleet = scene.fleet(lb.address(), devices=5, rebinds=3, rebind_every=0.5, interval_ms=200)
        report = fleet.report()
        assert report["survived"] == report["sessions"] == report["handshakes"] == 5, report
        assert report["exchanges_lost"] == 0, report
        lb.assert_identities()


def case_tunnel():
    """The server sees a device of a link with the number of the node's interface in its address, and answers it."""
    with link() as far, Scene() as scene, Server() as server:
        lb = scene.cidlb(
            [tunnel_pool(scene, "p", [server.entry()], tunnel(), protocol="udp", cid=None)], start=False
        )
        port = free_ports()
        lb.listener("p")["address"] = f"[::]:{port}"
        lb.start()
        with bound(far) as device:
            assert ask(device, far, port, payload=b"hello") == b"hello"
            (seen, service, payload), at = server.got[-1], f"fe80:0:0:{number(far):x}:"
            assert payload == b"hello" and service == (f"{at}:1b", port), service
            assert seen == (f"{at}:d", device.getsockname()[1]), seen
        lb.assert_identities()


def case_mistakes():
    """An interface that is not there, one that is missing, and an address that has none."""
    with link() as far, Scene() as scene, Echo("a") as servers:
        port = free_ports()
        for address, why in (
            (f"[{LB}%{far.interface}]:{port}", None),
            (f"[{LB}%nothere]:{port}", f'"[{LB}%nothere]:{port}": this host has no such interface'),
            (f"[{LB}]:{port}", f'"[{LB}]:{port}" is an address of a link; accepted: with its interface, as in '),
            (f"[::1%{far.interface}]:{port}", f'"[::1%{far.interface}]:{port}" is no address with port; accepted: '),
        ):
            for what in "listeners[0].address", "admin.http", "pools[0].backends[0].address":
                lb = scene.cidlb([udp_pool(scene, servers)], start=False)
                place = {
                    "listeners[0].address": (lb.listener("u"), "address"), "admin.http": (lb.config["admin"], "http"),
                    "pools[0].backends[0].address": (lb.config["pools"][0]["backends"][0], "address"),
                }[what]
                place[0][place[1]] = address
                lb.write()
                said = subprocess.run([BIN / "cidlb", "-t", "-c", lb.file], capture_output=True, text=True)
                if why:
                    assert said.returncode == 1 and f"{what}: {why}" in said.stderr, said.stderr
                else:
                    assert said.returncode == 0, said.stderr
        # Within the sandbox, where nothing new can be opened to ask for interfaces.
        lb = scene.cidlb([udp_pool(scene, servers)])
        lb.listener("u")["address"] = f"[{LB}%{far.interface}]:{port}"
        lb.reload()
        with bound(far) as device:
            assert ask(device, far, port) == b"a1"


if __name__ == "__main__":
    main(globals())
