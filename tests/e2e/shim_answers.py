#!/usr/bin/env python3
"""Servers behind libcidlb-shim.so answer through the node, and from the service address, that the device came by. What
is spoofed does not turn a way back."""

import sys

from harness import Scene, free_ports, main, release_only
from lab.shimmed import DEVICE, KEYS, PROGRAMS, SERVICE, Node, Shimmed, python
from udp import open_socket


@release_only
def case_answers_follow_the_device():
    """They go to the node that the device came through last."""
    with Scene() as scene, Node() as one, Node("127.0.0.2") as two:
        server = python(scene, [one, "127.0.0.2:1-65535"], "recvfrom")
        other = ("192.0.2.9", 1)
        for node in (one, two, one, two):
            assert node.ask(server, DEVICE, SERVICE, b"") == b"192.0.2.1 56324 "
            assert one.ask(server, other, ("198.51.100.8", 5684), b"") == b"192.0.2.9 1 "


@release_only
def case_answers_of_two_services():
    """A device that uses two service addresses is answered from both, and where the server says from which, from
    that one."""
    other = ("198.51.100.8", 5684)
    with Scene() as scene, Node() as node:
        server = python(scene, [node], "recvfrom", name="plain")
        node.ask(server, DEVICE, SERVICE, b"")
        for asked in other, SERVICE, other:
            node.send(server, DEVICE, asked, b"both")
            assert [node.receive()[0] for _ in range(2)] == [SERVICE, other]
        server = python(scene, [node], "recvmsg", name="pktinfo")
        for asked in SERVICE, other, SERVICE, other:
            assert node.ask(server, DEVICE, asked, b"").startswith(b"192.0.2.1 56324 " + asked[0].encode())


def check_spoofed(scene, lb, server, services):
    """A device is at services[0]. One spoofed datagram to each of the others does not turn its way back. Here it sends
    them itself: nobody could tell."""
    with open_socket("127.0.0.5") as device, open_socket("127.0.0.6") as other:
        device.settimeout(10)
        other.settimeout(10)

        def hears(payload):
            while True:
                datagram, source = device.recvfrom(2048)
                if datagram == payload and source == services[0]:
                    return

        head = "%s %d " % device.getsockname()
        device.sendto(b"register", services[0])
        hears(head.encode() + b"register")
        for service in services[1:]:
            device.sendto(b"spoofed", service)
            hears(head.encode() + b"spoofed")
            other.sendto(b"push", services[0])
            hears(b"pushed")
            assert other.recv(2048) == b"%s %d push" % (other.getsockname()[0].encode(), other.getsockname()[1])
        other.settimeout(0.1)
        try:
            raise AssertionError(f"a third party was sent {other.recv(2048)}")
        except TimeoutError:
            pass
    lb.assert_identities()


def spoofing_scene(scene, listeners):
    """cidlb and a shimmed server, with these listeners' addresses: (cidlb, server, port)."""
    port, local, service_port = free_ports(), free_ports(3), free_ports()
    keys = [{"id": number, "key": key.hex()} for number, key in list(KEYS.items())[:1]]
    pool = scene.pool("p", [{"name": "a", "address": f"127.0.0.1:{port}"}], protocol="udp", cid=None)
    del pool["nat"]
    pool |= {
        "forward": "tunnel", "tunnel": {"local": f"127.0.0.1:{local}", "keys": keys}, "health": {"probe": "none"}
    }
    argv = [sys.executable, PROGRAMS / "shim_echo.py", "push", "127.0.0.1", port]
    server = Shimmed(scene, [f"127.0.0.1:{local}-{local + 2}"], argv, port).wait_out("ready")
    lb = scene.cidlb([pool], start=False)
    lb.config["listeners"] = [
        {"name": f"l{i}", "address": f"{ip}:{service_port}", "pool": "p"} for i, ip in enumerate(listeners)
    ]
    return lb.start(), server, service_port


@release_only
def case_spoofed_at_another_listener():
    with Scene() as scene:
        lb, server, port = spoofing_scene(scene, ["127.0.0.1", "127.0.0.2"])
        check_spoofed(scene, lb, server, [("127.0.0.1", port), ("127.0.0.2", port)])


@release_only
def case_spoofed_at_a_wildcard_listener():
    """It has as many service addresses as the spoofer likes."""
    with Scene() as scene:
        lb, server, port = spoofing_scene(scene, ["0.0.0.0"])
        check_spoofed(scene, lb, server, [(f"127.0.1.{i}", port) for i in range(1, 10)])


if __name__ == "__main__":
    main(globals())
