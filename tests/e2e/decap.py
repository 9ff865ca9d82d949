#!/usr/bin/env python3
"""cidlb-decap on the servers of mode dsr with encap = "ipip": it takes packets out of packets by XDP, where the kernel
has no module for it. It takes bpf()."""

import contextlib
import itertools
import signal
import socket
import struct

import dsr
import dsr_probes
from dsr import PORT, server_socket, started
from harness import BIN, Process, Scene, Skip, main, release_only, wait_until
from lab.segment import SERVICE, Segment, Server
from udp import drain, forge

NODES = "10.9.0.1,fd09::1"


class Decap(Process):
    numbers = itertools.count(1)

    def __init__(self, scene, host, attach="auto", nodes=NODES, interface="eth"):
        own = ",".join((host.own(), host.own(v6=True)))
        super().__init__(
            scene, f"decap-{host.number}-{next(self.numbers)}",
            [BIN / "cidlb-decap", interface, "--address", own, "--nodes", nodes, "--attach", attach]
        )
        with host.there():
            self.start()

    def wait_attached(self):
        """How."""
        wait_until(lambda: "takes packets" in self.log_text() or not self.alive(), 20, "it is attached")
        if "Operation not permitted" in self.log_text():
            raise Skip("no bpf() here")
        assert self.alive(), self.log_text()
        return "native" if "(native)" in self.log_text() else "generic"

    def counts(self):
        """What it has taken out, passed up of strangers, and passed up because it was odd."""
        before = self.log_text()
        self.child.send_signal(signal.SIGUSR1)
        wait_until(lambda: self.log_text() != before, 20, "it says what it has counted")
        words = self.log_text().splitlines()[-1].replace("cidlb-decap: ", "").split()
        return int(words[0]), int(words[5]), int(words[8])

    def end(self):
        self.child.terminate()
        assert self.wait(20) == 0, self.log_text()


@contextlib.contextmanager
def in_place_of_the_module(attach):
    """The servers that the cases of dsr.py make have cidlb-decap. Gives the list of those that were begun."""
    begun, before = [], Server.decapsulate

    def decapsulate(host, scene):
        begun.append(Decap(scene, host, attach))
        assert attach in (begun[-1].wait_attached(), "auto")

    if not (BIN / "cidlb-decap").exists():
        raise Skip("built without clang and libbpf")
    Server.decapsulate = decapsulate
    try:
        yield begun
    finally:
        Server.decapsulate = before


def sessions(attach, v6=False):
    """As in dsr.py: real devices that move, a cidlb that is killed, a server that drains."""
    with in_place_of_the_module(attach) as begun:
        dsr.sessions("ipip", v6)
        assert len(begun) == 2


@release_only
def case_sessions_native():
    sessions("native")


@release_only
def case_sessions_generic():
    sessions("generic")


@release_only
def case_sessions_native_ipv6():
    sessions("native", v6=True)


@release_only
def case_probes():
    """As in dsr_probes.py: servers that listen at the service address alone."""
    with in_place_of_the_module("generic") as begun:
        dsr_probes.alone("ipip", "dtls")
        assert len(begun) == 2


def packet(source, to, protocol, payload, fragment=0):
    ends = socket.inet_aton(source) + socket.inet_aton(to)
    head = struct.pack("!BBHHHBBH8s", 0x45, 0, 20 + len(payload), 7, fragment, 64, protocol, 0, ends)
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + head[12:] + payload


@release_only
def case_only_of_nodes():
    """What others send in packets, what is in fragments, and all other traffic passes up as it was. SIGTERM and SIGKILL
    detach it."""
    with in_place_of_the_module("auto") as begun, Segment(servers=1) as segment, Scene() as scene:
        host = segment.servers[0]
        lb = started(scene, segment, "ipip")
        [decap] = begun
        record = forge(bytes([1]) + bytes(5))
        with server_socket(host, False) as server, segment.devices.socket("10.9.1.3") as device:
            with segment.devices.there():
                raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
            udp = struct.pack("!HHHH", 4000, PORT, 8 + len(record), 0) + record
            inner = packet("10.9.1.4", SERVICE, socket.IPPROTO_UDP, udp)
            # Of a stranger; of a node, a fragment, and one of another address.
            raw.sendto(packet("10.9.1.3", host.ip4, socket.IPPROTO_IPIP, inner), (host.ip4, 0))
            raw.sendto(packet("10.9.0.1", host.ip4, socket.IPPROTO_IPIP, inner, 0x2000), (host.ip4, 0))
            wait_until(lambda: decap.counts() == (0, 1, 1), 20, "both are counted")
            device.sendto(record, (SERVICE, PORT))
            wait_until(lambda: [got for got, _ in drain(server)] == [record], 20, "that of cidlb arrives")
            assert decap.counts() == (1, 1, 1) and not drain(server)
            # Traffic of the server's own, and a second one beside it.
            host.ip("neighbour", "flush", "dev", "eth")
            with host.socket(host.ip4) as other:
                device.sendto(b"plain", other.getsockname())
                wait_until(lambda: [got for got, _ in drain(other)] == [b"plain"], 20, "other traffic passes")
            second = Decap(scene, host)
            assert second.wait(20) == 1 and "another XDP program is there" in second.log_text(), second.log_text()
            decap.end()
            device.sendto(record, (SERVICE, PORT))
            wait_until(lambda: lb.metric("cidlb_forwarded_total", direction="up") == 2, 20, "it is lost at the server")
            # SIGKILL: the kernel detaches it, and the next one finds the place free.
            third = Decap(scene, host)
            third.wait_attached()
            third.child.kill()
            third.wait(20)
            fourth = Decap(scene, host)
            fourth.wait_attached()
            device.sendto(record, (SERVICE, PORT))
            wait_until(lambda: fourth.counts()[0] == 1, 20, "it goes on")
            assert [got for got, _ in drain(server)] == [record]
            lb.assert_identities()
            host.ip("link", "delete", "eth")
            assert fourth.wait(20) == 1 and "eth is gone" in fourth.log_text(), fourth.log_text()


@release_only
def case_refused():
    """An interface that is not there."""
    with in_place_of_the_module("auto"), Segment(servers=1) as segment, Scene() as scene:
        nobody = Decap(scene, segment.servers[0], interface="eth7")
        assert nobody.wait(20) == 1 and "eth7: No such device" in nobody.log_text(), nobody.log_text()


if __name__ == "__main__":
    main(globals())
