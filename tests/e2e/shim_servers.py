#!/usr/bin/env python3
"""Servers of others behind libcidlb-shim.so: OpenJDK, Node, C, libcoap. And cidlb-backend, which needs none."""

import shutil

import proxy2
from harness import BIN, Scene, Skip, free_ports, main, release_only, wait_until
from lab.shimmed import DEVICE, DEVICE6, FORGED, KEYS, PROGRAMS, SERVICE, SERVICE6, Node, Shimmed, check_echo, wait_more
from proxy2 import DOWN, UP


def others(scene, nodes, program, *arguments, ip="127.0.0.1", **options):
    """A server whose program may not be there."""
    if not shutil.which(program):
        raise Skip(f"needs {program}")
    port = free_ports()
    return Shimmed(scene, nodes, [program, *arguments, ip, port], port, **options).wait_out("ready", 60)


def check_forged(server, node):
    """What the filter keeps out, and what only the tag shows: the server does not notice, and serves."""
    check_echo(server, node)
    node.send_raw(server, b"nothing of ours")
    for _ in range(3):
        node.send_raw(server, FORGED)
    server.wait_log("its tag does not verify")
    check_echo(server, node)


@release_only
def case_java_socket():
    with Scene() as scene, Node() as node:
        server = others(scene, [node], "java", PROGRAMS / "ShimEcho.java", "socket")
        check_forged(server, node)


@release_only
def case_java_socket_with_timeout():
    with Scene() as scene, Node() as node:
        server = others(scene, [node], "java", PROGRAMS / "ShimEcho.java", "timeout")
        check_forged(server, node)
        node.send_raw(server, FORGED)
        wait_more(server, "timed out", 2)
        check_forged(server, node)


@release_only
def case_java_channel():
    with Scene() as scene, Node() as node:
        server = others(scene, [node], "java", PROGRAMS / "ShimEcho.java", "channel", ip="0.0.0.0")
        check_forged(server, node)
        assert node.ask(server, DEVICE6, SERVICE6, b"six").endswith(b" 56324 six")


@release_only
def case_node():
    with Scene() as scene, Node() as node:
        server = others(scene, [node], "node", PROGRAMS / "shim_echo.js")
        check_forged(server, node)


@release_only
def case_c_in_batches():
    for way in "libc", "syscall":
        with Scene() as scene, Node() as node:
            port = free_ports()
            server = Shimmed(scene, [node], [BIN / "shim_echo", way, port], port).wait_out("ready")
            check_echo(server, node)
            devices = [(f"192.0.2.{i % 250}", 1000 + i) for i in range(100)]
            for device in devices:
                node.send(server, device, SERVICE, b"%d" % device[1])
            answers = sorted((device, payload) for _, device, payload in (node.receive() for _ in devices))
            assert answers == sorted((device, f"{device[0]} {device[1]} {device[1]}".encode()) for device in devices)


@release_only
def case_coap_server():
    """libcoap's: it answers from the address that it was asked at, and a notification goes where the device was
    last."""
    program = next(filter(None, map(shutil.which, ("coap-server", "coap-server-notls", "coap-server-openssl"))), None)
    if not program:
        raise Skip("needs libcoap3-bin")
    for ip in "127.0.0.1", "::1":
        with Scene() as scene, Node(ip) as node:
            port = free_ports(2)
            server = Shimmed(scene, [node], [program, "-A", ip, "-p", port], port, ip).wait_tunnelled()
            for device, service in ((DEVICE, SERVICE), (DEVICE6, SERVICE6)) if ip == "::1" else ((DEVICE, SERVICE),):
                # GET /time observed: CON, token 1 octet, Observe 0, Uri-Path "time"; then its acknowledgement with
                # 2.05.
                answer = node.ask(server, device, service, bytes.fromhex("4101 0001 aa 60 54") + b"time")
                assert answer[:5] == bytes.fromhex("6145 0001 aa"), answer.hex()
                _, _, notification = node.receive()
                assert notification[1] == 0x45 and notification[4] == 0xAA, notification.hex()
                # Reset: it is no longer observed.
                node.send(server, device, service, b"\x70\x00" + notification[2:4])


def native(scene):
    """cidlb-backend, which needs no shim."""
    file = scene.dir / "native.keys"
    file.write_text("".join(f"{number}:{key.hex()}\n" for number, key in KEYS.items()))
    server = scene.backend(1, options=["--plain", "--tunnel", file])
    wait_until(lambda: "server 1" in server.log_text(), 20, "it serves")
    server.address = ("127.0.0.1", server.port)
    return server


def case_native():
    """Each device is answered through the node that it came through last; what has no good header counts and is not
    seen."""
    ping, pong = bytes.fromhex("4000 0001"), bytes.fromhex("7000 0001")
    with Scene() as scene, Node() as one, Node("127.0.0.2") as two:
        server = native(scene)
        for node in (one, two, one):
            for device, service in ((DEVICE, SERVICE), (("192.0.2.2", 7), ("198.51.100.8", 5684)), (DEVICE6, SERVICE6)):
                assert node.ask(server, device, service, ping) == pong
        two.sign = 200
        assert two.ask(server, DEVICE, SERVICE, ping) == pong
        one.send_raw(server, ping)
        one.send_raw(server, proxy2.write(KEYS[1], 1, DOWN, DEVICE, SERVICE) + ping)
        one.send_raw(server, proxy2.write(KEYS[1], 7, UP, DEVICE, SERVICE) + ping)
        assert one.ask(server, DEVICE, SERVICE, ping) == pong
        counted = server.counters()
        assert (counted["datagrams"], counted["bad_headers"]) == (11, 3), counted


if __name__ == "__main__":
    main(globals())
