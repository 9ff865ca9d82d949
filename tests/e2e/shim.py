#!/usr/bin/env python3
"""What libcidlb-shim.so makes of the calls of a server that knows nothing of it."""

import errno
import os
import re
import sys
from pathlib import Path

import proxy2
from harness import BIN, FULL, Scene, free_ports, main, release_only, wait_until
from lab.shimmed import (
    DEVICE, DEVICE6, FORGED, KEYS, PROGRAMS, SERVICE, SERVICE6, Node, Shimmed, check_echo, python, wait_more
)
from proxy2 import DOWN, OFFER, UP, V1, V2

SYS_PPOLL = 271 if os.uname().machine == "x86_64" else 73


@release_only
def case_python_recvfrom():
    with Scene() as scene, Node() as node:
        server = python(scene, [node], "recvfrom")
        check_echo(server, node)
        said = node.ask(server, DEVICE, SERVICE, b"", before=[(3, bytes(4))], after=[(4, bytes(150))])
        assert said == b"192.0.2.1 56324 "
        node.sign = 200
        check_echo(server, node)


@release_only
def case_versions():
    """Nodes of before and of today get answers that they can read, also for devices of each other."""
    with Scene() as scene, Node() as old, Node() as new:
        server = python(scene, [old, new], "recvfrom")

        def asks(node, version, expected, device):
            node.send(server, device, SERVICE, b"hello", version=version)
            node.sock.settimeout(20)
            datagram = node.sock.recv(65536)
            said = proxy2.read(KEYS, DOWN, datagram)
            assert said == (SERVICE, device, b"%s %d hello" % (device[0].encode(), device[1])), said
            assert proxy2.version_of(datagram) == expected, (version, datagram[:64].hex())

        other = "192.0.2.2", 1
        for _ in range(3):
            asks(old, V1, V1, DEVICE)
            asks(new, OFFER, V2, DEVICE)
            asks(new, V2, V2, other)
            asks(old, V1, V1, other)


@release_only
def case_python_dual_stack():
    """One AF_INET6 socket, nodes and devices of both families in any combination."""
    with Scene() as scene, Node() as node4, Node("::1") as node6:
        server = python(scene, [node4, node6], "recvfrom", "::")
        for node, address in ((node4, "127.0.0.1"), (node6, "::1")):
            server.address = (address, server.address[1])
            check_echo(server, node, "::ffff:")
            assert node.ask(server, DEVICE6, SERVICE6, b"six") == b"2001:db8::1 56324 six"


@release_only
def case_python_recvmsg():
    with Scene() as scene, Node() as node:
        server = python(scene, [node], "recvmsg")
        assert node.ask(server, DEVICE, SERVICE, b"hello") == b"192.0.2.1 56324 198.51.100.7 0 hello"
        assert node.ask(server, DEVICE, SERVICE, b"y" * 280) == b"192.0.2.1 56324 198.51.100.7 0 " + b"y" * 280
        assert node.ask(server, DEVICE, SERVICE, b"y" * 281) == b"192.0.2.1 56324 198.51.100.7 1 " + b"y" * 280


@release_only
def case_python_recvmsg_ipv6():
    with Scene() as scene, Node("::1") as node6, Node() as node4:
        server = python(scene, [node6, node4], "recvmsg", "::")
        server.address = ("::1", server.address[1])
        payload = bytes(range(97, 97 + 26)) * 10
        assert node6.ask(server, DEVICE6, SERVICE6, payload) == b"2001:db8::1 56324 2001:db8:ffff::7 0 " + payload
        assert node6.ask(server, DEVICE, SERVICE, payload) == b"::ffff:192.0.2.1 56324 ::ffff:198.51.100.7 0 " + payload
        server.address = ("127.0.0.1", server.address[1])
        assert node4.ask(server, DEVICE6, SERVICE6, payload) == b"2001:db8::1 56324 2001:db8:ffff::7 0 " + payload
        assert node4.ask(server, DEVICE, SERVICE, payload) == b"::ffff:192.0.2.1 56324 ::ffff:198.51.100.7 0 " + payload


@release_only
def case_python_peek_and_truncation():
    with Scene() as scene, Node() as node:
        server = python(scene, [node], "peek")
        node.send_raw(server, FORGED)
        node.send(server, DEVICE, SERVICE, b"abcdefgh")
        assert node.ask(server, DEVICE, SERVICE, b"0123456789") == b"192.0.2.1 56324 abcd 10"


@release_only
def case_python_descriptors():
    """Copies of the socket are tunnelled, children change nothing, and a number used again is not."""
    with Scene() as scene, Node() as node:
        check_echo(python(scene, [node], "life", name="life"), node)
        check_echo(python(scene, [node], "inherited", name="inherited"), node)
        server = python(scene, [node], "reuse", name="reuse").wait_out("plain")
        wait_until(lambda: server.log_text().count("is tunnelled") == 2, 20, "bound again")
        check_echo(server, node)


@release_only
def case_streams_with_its_number():
    """A closed socket leaves nothing behind, whichever way it was closed."""
    with Scene() as scene, Node() as node:
        server = python(scene, [node], "streams").wait_out("serving")
        said = server.out.read_text().splitlines()
        assert len(said) == 1 + 5 * 2 + 1 + 2 + 1 and not [line for line in said if "False" in line], said
        check_echo(server, node)


def in_c(scene, nodes, way):
    port = free_ports()
    return Shimmed(scene, nodes, [BIN / "shim_echo", way, port], port).wait_out("ready")


@release_only
def case_polls_a_blocking_socket():
    """Whoever polls is not kept from its timers and its signals. Strangers do not even wake it."""
    for way in "poll", "select", "epoll", "syspoll":
        with Scene() as scene, Node() as node, Node("127.0.0.3") as stranger:
            server = in_c(scene, [node], way)
            for junk in b"", b"junk", FORGED, proxy2.write(KEYS[1], 1, UP, DEVICE, SERVICE):
                stranger.send_raw(server, junk)
            node.send_raw(server, b"no header")
            node.send(server, DEVICE6, SERVICE6, b"cannot be shown to its socket")
            wait_more(server, "tick")
            assert server.count_out("woken") == 0, server.out.read_text()
            node.send_raw(server, FORGED)
            server.wait_log("its tag does not verify")
            wait_more(server, "tick")
            assert (server.count_out("woken"), server.count_out("EAGAIN")) == (1, 1), server.out.read_text()
            check_echo(server, node)
            node.send_raw(server, FORGED)
            server.stop()
            assert server.count_out("ended") == 1
            server.wait_log("the kernel dropped 6 datagrams")


@release_only
def case_waits_in_receive():
    """Whoever only receives does not notice a forged datagram, and a signal interrupts it."""
    with Scene() as scene, Node() as node:
        server = in_c(scene, [node], "block")
        node.send_raw(server, FORGED)
        server.wait_log("its tag does not verify")
        check_echo(server, node)
        node.send_raw(server, FORGED)
        # A signal that comes at the very moment at which the datagram does is delivered before the shim can look at it.
        in_ppoll = lambda: Path(f"/proc/{server.pid}/syscall").read_text().startswith(f"{SYS_PPOLL} ")
        wait_until(in_ppoll, 20, "it waits again")
        server.stop()
        assert server.count_out("ended") == 1
        assert server.count_out("EAGAIN") == 0


@release_only
def case_receive_timeout():
    """It counts from the beginning of the call, whatever comes in between."""
    with Scene() as scene, Node() as node:
        server = in_c(scene, [node], "timeout")

        def timed_out():
            node.send_raw(server, FORGED)
            return server.count_out("EAGAIN") >= 2

        wait_until(timed_out, 20, "a datagram every 20 ms does not keep it")
        check_echo(server, node)
        server.stop()
        assert server.count_out("ended") == 1


@release_only
def case_shut_down():
    with Scene() as scene, Node() as node:
        assert in_c(scene, [node], "shutdown").wait_out("nobody").wait(30) == 0


@release_only
def case_python_dropped():
    """Each kind has its line, is never seen by the server, and the server goes on."""
    with Scene() as scene, Node() as node, Node() as other_port, Node("127.0.0.3") as stranger:
        server = python(scene, [node], "nonblocking")
        good = proxy2.write(KEYS[1], 1, UP, DEVICE, SERVICE) + b"good"
        old = proxy2.write(bytes(16), 7, UP, DEVICE, SERVICE)
        down = proxy2.write(KEYS[1], 1, DOWN, DEVICE, SERVICE)
        bare = proxy2.frame(0x12, good[16:28], [])
        six = proxy2.write(KEYS[1], 1, UP, DEVICE6, SERVICE6)
        local = bytes.fromhex("0d0a0d0a000d0a515549540a20000000")
        lying = good[:15] + bytes([good[15] + 50]) + good[16:]
        # What the socket's filter sees: nothing of it gets there.
        stranger.send_raw(server, good)
        for datagram in b"", b"\x16\xfe\xfd" + bytes(50), good[:11], local, six:
            node.send_raw(server, datagram)
        check_echo(server, node)
        server.wait_log("the kernel dropped 6 datagrams: of senders that are not in CIDLB_SHIM_NODES")
        assert "EAGAIN" not in server.out.read_text()
        for datagram, reason in (
            (lying, "the lengths in its header are wrong"),
            (bare, "its header has no tag"),
            (down, "its header is of the other direction"),
            (old, "its tag is of a key that is not in CIDLB_SHIM_KEY"),
            (FORGED, "its tag does not verify"),
        ):
            node.send_raw(server, datagram)
            server.wait_log(f"dropped a datagram from {node}: {reason}; so far 1")
        other_port.send_raw(server, good)
        server.wait_log(f"dropped a datagram from {other_port}: its sender is not in CIDLB_SHIM_NODES; so far 1")
        check_echo(server, node)
        assert "EAGAIN" in server.out.read_text()
        for _ in range(20):
            node.send_raw(server, FORGED)
        check_echo(server, node)
        assert server.log_text().count("its tag does not verify") == 1, "a line a minute"


@release_only
def case_connect_is_refused():
    with Scene() as scene, Node() as node:
        server = python(scene, [node], "connect").wait_out("connect: 95")
        server.wait_log("connect.. to 127.0.0.1:9 refused: this UDP port is tunnelled")
        check_echo(server, node)


@release_only
def case_options_are_refused():
    """Those by which one datagram becomes several, or several one: each has a header of its own."""
    with Scene() as scene, Node() as node:
        server = python(scene, [node], "options")
        for option in 1, 103, 104:  # UDP_CORK, UDP_SEGMENT, UDP_GRO
            server.wait_out(f"option {option}: {errno.ENOPROTOOPT}")
        check_echo(server, node)


@release_only
def case_memory_of_many_devices():
    with Scene() as scene, Node() as node:
        server = python(scene, [node], "recvfrom")

        def resident_octets(first, last):
            for i in range(first, last):
                device = (f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", 1000)
                assert node.ask(server, device, SERVICE, b"").startswith(b"10.")
            status = Path(f"/proc/{server.pid}/status").read_text()
            return 1024 * int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))

        few = resident_octets(0, 1_000)
        many = resident_octets(1_000, 1_000_000 if FULL else 10_000)
        assert many - few < 1 << 20, (few, many)


@release_only
def case_lines_go_to_no_connection():
    with Scene() as scene, Node() as node:
        server = python(scene, [node], "stderr")
        node.send_raw(server, FORGED)
        assert node.ask(server, DEVICE, SERVICE, b"a") == b"nothing a"
        assert node.ask(server, DEVICE, SERVICE, b"b") == b"nothing b"


@release_only
def case_lines_are_limited():
    """A server that binds for each device says so each time. Devices decide how often."""
    with Scene() as scene, Node() as node:
        server = python(scene, [node], "rebinds").wait_out("rebound")
        check_echo(server, node)
        assert server.log_text().count("is tunnelled") == 60


@release_only
def case_bad_settings_are_refused():
    """The server is told that its port cannot be had, and a line says why."""
    with Scene() as scene, Node() as node:
        for i, (options, why) in enumerate(
            (
                ({"mode": 0o644}, "others can access it; chmod o-rwx it"),
                ({"keys": {300: bytes(16)}}, "not 1..16 different lines ID:HEX"),
                ({"CIDLB_SHIM_KEY": "1:000102030405060708090a0b0c0d0e0f"}, "CIDLB_SHIM_KEY: not @FILE"),
                ({"CIDLB_SHIM_KEY": "@/nowhere"}, "No such file"),
                ({"CIDLB_SHIM_NODES": "127.0.0.1"}, "not a list of 1..64 nodes"),
                ({"CIDLB_SHIM_PORTS": "5684;5683"}, "not a list of 1..16 ports"),
            )
        ):
            port = free_ports()
            argv = [sys.executable, PROGRAMS / "shim_echo.py", "recvfrom", "127.0.0.1", port]
            server = Shimmed(scene, [node], argv, port, name=f"server{i}", **options)
            assert server.wait(20) == 1
            assert server.out.read_text() == "bind: 13\n", server.out.read_text()
            assert f"UDP port {port} refused: " in server.log_text() and why in server.log_text(), server.log_text()


@release_only
def case_other_ports_are_untouched():
    with Scene() as scene, Node() as node:
        server = python(scene, [node], "recvfrom", CIDLB_SHIM_PORTS="9,10")
        node.send_raw(server, b"plain")
        node.sock.settimeout(10)
        ip, port = node.sock.getsockname()
        assert node.sock.recv(100) == f"{ip} {port} plain".encode()
        assert server.log_text() == ""


if __name__ == "__main__":
    main(globals())
