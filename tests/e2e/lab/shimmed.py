"""Unmodified servers behind libcidlb-shim.so, and what speaks to them in cidlb's place.

    with Scene() as scene, Node() as node:
        server = Shimmed(scene, [node], ["coap-server", "-p", "5684"], 5684)
        node.send(server, DEVICE, SERVICE, b"payload")
        assert node.receive() == (SERVICE, DEVICE, b"answer")

A Node stands in for cidlb. Shimmed also serves a real one: nodes=["127.0.0.1:7200-7203"] instead.
"""

import signal
import socket
import sys
from pathlib import Path

import proxy2
from harness import BIN, Process, free_ports, wait_until
from proxy2 import DOWN, UP

SHIM = BIN / "libcidlb-shim.so"
PROGRAMS = Path(__file__).parents[2] / "fixtures"
KEYS = {1: bytes(range(16)), 200: bytes(range(16, 32))}
DEVICE, SERVICE = ("192.0.2.1", 56324), ("198.51.100.7", 5684)
DEVICE6, SERVICE6 = ("2001:db8::1", 56324), ("2001:db8:ffff::7", 5684)
FORGED = proxy2.write(bytes(16), 1, UP, DEVICE, SERVICE)


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

    def count_out(self, text):
        return self.out.read_text().count(text)

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


def wait_more(server, text, more=3):
    """It says it so many times from now on."""
    enough = server.count_out(text) + more
    wait_until(lambda: server.count_out(text) >= enough, 20, f"{server.name} goes on to say {text!r}")
