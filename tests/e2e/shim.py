"""Unmodified servers behind libcidlb-shim.so: each sees and answers the devices' own addresses.

    with Scene() as scene, Node() as node:
        server = Shimmed(scene, [node], ["coap-server", "-p", "5684"], 5684)
        node.send(server, DEVICE, SERVICE, b"payload")
        assert node.receive() == (SERVICE, DEVICE, b"answer")

A Node stands in for cidlb. Shimmed also serves a real one: nodes=["127.0.0.1:7200-7203"] instead.
"""

import errno
import re
import shutil
import signal
import socket
import sys
from pathlib import Path

import proxy2
from harness import BIN, FULL, Process, Scene, Skip, free_ports, main, release_only, wait_until
from proxy2 import DOWN, UP

SHIM = BIN / "libcidlb-shim.so"
PROGRAMS = Path(__file__).parents[1] / "fixtures"
KEYS = {1: bytes(range(16)), 200: bytes(range(16, 32))}
DEVICE, SERVICE = ("192.0.2.1", 56324), ("198.51.100.7", 5684)
DEVICE6, SERVICE6 = ("2001:db8::1", 56324), ("2001:db8:ffff::7", 5684)


class Shimmed(Process):
    """A started server of others with the shim before it, at IP:PORT."""

    def __init__(self, scene, nodes, argv, port, ip="127.0.0.1", name="server", keys=KEYS, mode=0o640, **environment):
        self.address = (ip, port)
        key_file = scene.dir / f"{name}.keys"
        key_file.write_text("".join(f"{number}:{key.hex()}\n" for number, key in keys.items()))
        key_file.chmod(mode)
        variables = {
            "LD_PRELOAD": SHIM,
            "CIDLB_SHIM_PORTS": port,
            "CIDLB_SHIM_KEY": f"@{key_file}",
            "CIDLB_SHIM_NODES": ",".join(str(node) for node in nodes),
            **environment,
        }
        argv = ["env", *(f"{variable}={value}" for variable, value in variables.items()), *argv]
        super().__init__(scene, name, argv)
        self.start()

    def wait_tunnelled(self, timeout=20):
        self.wait_log("is tunnelled", timeout)
        return self

    def wait_out(self, text, timeout=20):
        wait_until(lambda: text in self.out.read_text(), timeout, f"{self.name} says {text!r}")
        return self


    def stop(self, timeout=10):
        """SIGTERM, of which each kind of server makes something else; a crash is none of them."""
        if self.alive():
            self.child.terminate()
        status = self.wait(timeout)
        assert status in (0, -signal.SIGTERM, 128 + signal.SIGTERM), f"{self.name} ended with status {status}"


class Node:
    """One of cidlb's nodes, as a server sees it: sends what devices sent, takes what they are sent."""

    def __init__(self, ip="127.0.0.1", keys=KEYS, sign=1):
        self.sock = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((ip, 0))
        self.keys, self.sign = keys, sign

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def __str__(self):
        ip, port = self.sock.getsockname()[:2]
        return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"

    def send_raw(self, server, datagram):
        self.sock.sendto(datagram, server.address)

    def send(self, server, device, service, payload, **tlvs):
        self.send_raw(server, proxy2.write(self.keys[self.sign], self.sign, UP, device, service, **tlvs) + payload)

    def receive(self, timeout=10):
        """(service, device, payload) of what a server sent; checked as cidlb checks it."""
        self.sock.settimeout(timeout)
        return proxy2.read(self.keys, DOWN, self.sock.recv(65536))

    def ask(self, server, device, service, payload, **tlvs):
        self.send(server, device, service, payload, **tlvs)
        source, destination, answer = self.receive()
        assert (source, destination) == (service, device), (source, destination)
        return answer


def python(scene, nodes, mode, ip="127.0.0.1", **options):
    port = free_ports()
    server = Shimmed(scene, nodes, [sys.executable, PROGRAMS / "shim_echo.py", mode, ip, port], port, ip, **options)
    return server.wait_out("ready")


def check_echo(server, node, mapped=""):
    """Devices of one address and several ports, of several addresses; short and long payloads."""
    for i, payload in enumerate([b"a", b"", b"x" * 1200, b"abc"]):
        device = (f"192.0.2.{i // 2 + 1}", 40000 + i)
        assert node.ask(server, device, SERVICE, payload) == f"{mapped}{device[0]} {device[1]} ".encode() + payload


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
        node.send_raw(server, b"junk that is only looked at")
        node.send(server, DEVICE, SERVICE, b"abcdefgh")
        assert node.ask(server, DEVICE, SERVICE, b"0123456789") == b"192.0.2.1 56324 abcd 10"


@release_only
def case_python_descriptors():
    """Copies of the socket are tunnelled, children change nothing, and a number used again is not."""
    with Scene() as scene, Node() as node:
        check_echo(python(scene, [node], "life", name="life"), node)
        check_echo(python(scene, [node], "inherited", name="inherited"), node)
        server = python(scene, [node], "reuse", name="reuse").wait_out("plain")
        wait_until(lambda: server.log_text().count("is tunnelled") == 2, 10, "bound again")
        check_echo(server, node)


@release_only
def case_python_dropped():
    """Each kind has its line, is never seen by the server, and the server goes on."""
    with Scene() as scene, Node() as node, Node() as stranger:
        server = python(scene, [node], "nonblocking")
        good = proxy2.write(KEYS[1], 1, UP, DEVICE, SERVICE) + b"good"
        stranger.send_raw(server, good)
        server.wait_log(rf"dropped a datagram from {stranger}: its sender is not in CIDLB_SHIM_NODES; so far 1")
        old = proxy2.write(bytes(16), 7, UP, DEVICE, SERVICE)
        down = proxy2.write(KEYS[1], 1, DOWN, DEVICE, SERVICE)
        forged = proxy2.write(bytes(16), 1, UP, DEVICE, SERVICE)
        six = proxy2.write(KEYS[1], 1, UP, DEVICE6, SERVICE6)
        bare = proxy2.frame(0x12, good[16:28], [])
        local = bytes.fromhex("0d0a0d0a000d0a515549540a20000000")
        lying = good[:15] + bytes([good[15] + 50]) + good[16:]
        for datagram, reason in (
            (b"\x16\xfe\xfd" + bytes(50), "it has no header"),
            (b"", "it has no header"),
            (lying, "the lengths in its header are wrong"),
            (local, "its header is of another kind"),
            (bare, "its header has no tag"),
            (down, "its header is of the other direction"),
            (old, "its tag is of a key that is not in CIDLB_SHIM_KEY"),
            (forged, "its tag does not verify"),
            (six, "its device has an IPv6 address, the server an IPv4 socket"),
        ):
            node.send_raw(server, datagram)
            server.wait_log(f"dropped a datagram from {node}: {reason}; so far 1")
        check_echo(server, node)
        assert "EAGAIN" in server.out.read_text()
        for _ in range(20):
            node.send_raw(server, forged)
        check_echo(server, node)
        assert server.log_text().count("its tag does not verify") == 1, "a line a minute"


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
def case_bad_settings_are_refused():
    """The server is told that its port cannot be had, and a line says why."""
    with Scene() as scene, Node() as node:
        for i, (options, why) in enumerate(
            (
                ({"mode": 0o644}, "others can access it; chmod o-rwx it"),
                ({"keys": {300: bytes(16)}}, "not one or two lines ID:HEX"),
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


def others(scene, nodes, program, *arguments, ip="127.0.0.1", **options):
    """A server whose program may not be there."""
    if not shutil.which(program):
        raise Skip(f"needs {program}")
    port = free_ports()
    return Shimmed(scene, nodes, [program, *arguments, ip, port], port, **options).wait_out("ready", 60)


@release_only
def case_java_socket():
    with Scene() as scene, Node() as node:
        check_echo(others(scene, [node], "java", PROGRAMS / "ShimEcho.java", "socket"), node)


@release_only
def case_java_channel():
    with Scene() as scene, Node() as node:
        server = others(scene, [node], "java", PROGRAMS / "ShimEcho.java", "channel", ip="0.0.0.0")
        node.send_raw(server, b"nothing of ours")
        check_echo(server, node)
        assert node.ask(server, DEVICE6, SERVICE6, b"six").endswith(b" 56324 six")


@release_only
def case_node():
    with Scene() as scene, Node() as node:
        server = others(scene, [node], "node", PROGRAMS / "shim_echo.js")
        node.send_raw(server, b"nothing of ours")
        check_echo(server, node)


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
    wait_until(lambda: "server 1" in server.log_text(), 10, "it serves")
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
