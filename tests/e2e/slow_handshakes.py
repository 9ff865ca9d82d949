#!/usr/bin/env python3
"""Handshakes over a slow and bad network while servers are drained, added, and fail: each one that begins at a server
that lives ends at that server, as the wire shows.

    devices ── 1 s, 10 % lost ── cidlb, 4 workers ── a   drained, and back
                                                  ├─ b   killed
                                                  ├─ c
                                                  └─ d   added

A handshake whose cidlb is killed and started again amid it is promised nothing: what was known of it is gone.
"""

import threading
import time
from dataclasses import dataclass

import certificates
from control import ctl
from harness import FULL, Scene, free_ports, ip, main, release_only, wait_until
from lab.peers import KINDS, LinePeer, device_argv, server_argv
from lab.road import Road, is_data
from lab.shimmed import Shimmed
from lab.wire import Wire
from stateless import NAT as STATELESS, PREFIX
from tunnel import KEY, key_file, tunnel_pool

# How many, so that many come after d on a busy machine, too; from the start of one to that of the next one.
DEVICES, APART_S = 300 if FULL else 90, 0.2
WAY_S, LOSS = 1 if FULL else 0.35, 0.1
SLOWER_WAY_S = 1 if FULL else 0.6  # for devices whose timer is 1 s: it ends before the answer can be there
# Where flights are many datagrams, all of which must arrive. OpenSSL's devices give up after a minute, which is after six
# tries, pion's after half of that: with more loss one of a hundred does.
FRAGMENTS_LOSS = 0.02
TIMER_MS = 1000 if FULL else 300
UNDER_WAY, PAUSE_S = (6, 12) if FULL else (2, 0)  # handshakes amid which a change comes; and before it
WORKERS = 4
A, B, C, D = NUMBERS = 1, 2, 3, 4


@dataclass
class Server:
    """One of the four."""

    number: int
    process: object
    port: int
    ip: str = "127.0.0.1"

    def entry(self):
        address = f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"
        return {"name": "abcd"[self.number - 1], "id": self.number, "address": address}


class Bed:
    """What one case runs on: cidlb with three of four servers, which all run."""

    def __init__(self, scene, servers, way_s=WAY_S, loss=LOSS, pool=None, **options):
        """pool(scene, name, entries, **options), or that of the scene."""
        self.scene, self.servers = scene, {server.number: server for server in servers}
        entries = [server.entry() for server in servers[:D - 1]]
        pool = pool(scene, "p", entries, **options) if pool else scene.pool("p", entries, **options)
        self.lb = scene.cidlb([pool], workers=WORKERS)
        self.road = Road(self.lb.address(), way_s, loss)
        self.wire = Wire(self.road, {server.port: server.number for server in servers})

    def under_way(self, server):
        """Handshakes with it that are not over."""
        with self.road.lock:
            return [h for h in self.road.handshakes if h.got and h.got[-1][1] == server and not is_over(h)]

    def wait_under_way(self, server):
        """Waits until some are, and returns how many."""
        wait_until(lambda: len(self.under_way(server)) >= UNDER_WAY, 60, f"handshakes with server {server}")
        return len(self.under_way(server))

    def all_ended(self):
        """All devices have begun; and all handshakes with servers that live have ended."""
        with self.road.lock:
            begun = len(self.road.present) == DEVICES
            return begun and all(is_over(h) or h.got[0][1] == B for h in self.road.handshakes if h.got)

    def run(self, begin):
        """begin(address) starts DEVICES that send there."""
        with self.road, self.wire:
            begin(self.road.address)
            when = change(self)
            try:
                wait_until(self.all_ended, 120, "handshakes end")
            except TimeoutError:
                pass  # judge() says which have not
        judge(self, when)
        self.lb.assert_identities()


def is_over(handshake):
    return any(is_data(datagram) for _, _, datagram in handshake.got)


def change(bed):
    """The drain, the addition and the failure, each amid handshakes and with a reload. Returns when they took place, by
    name."""
    lb, when = bed.lb, {}
    time.sleep(PAUSE_S)
    drained = bed.wait_under_way(A)
    ctl(lb, "drain", "a")
    lb.reload()
    when["drain"] = bed.wire.now()
    time.sleep(PAUSE_S)
    others = [bed.wait_under_way(server) for server in (B, C)]
    lb.config["pools"][0]["backends"].append(bed.servers[D].entry())
    when["addition"] = time.monotonic()
    lb.reload()
    time.sleep(PAUSE_S)
    doomed = bed.wait_under_way(B)
    bed.servers[B].process.kill()
    lb.reload()
    wait_until(lambda: not bed.under_way(A), 90, "a drained server's handshakes end")
    when["ready"] = time.monotonic()
    ctl(lb, "ready", "a")
    print(f"    under way at a, drained: {drained}; at b and c when d came: {others}; at b that failed: {doomed}")
    return when


def judge(bed, when):
    """What the wire says of each handshake."""
    handshakes = [h for h in bed.road.handshakes if h.got]
    lived = [h for h in handshakes if h.got[0][1] != B]
    torn = [h.servers() for h in lived if len(h.servers()) > 1]
    assert not torn, f"{len(torn)} of {len(lived)} handshakes were torn: {torn}"
    unfinished = [h.servers() for h in lived if not is_over(h)]
    assert not unfinished, f"{len(unfinished)} of {len(lived)} handshakes have not ended: {unfinished}"
    for handshake in lived:
        at, server, _ = handshake.got[0]
        assert not (server == A and when["drain"] < at < when["ready"]), "a handshake began at a drained server"
        assert server != D or at > when["addition"], "a server that was not there got a handshake"
    added = sum(h.got[0][1] == D for h in lived)
    assert added, "the added server got no handshake"
    print(f"    {len(handshakes)} handshakes, {len(lived)} of them with servers that lived, {added} with d")


def fleet(bed, address):
    devices = bed.scene.fleet(
        address, devices=DEVICES, ramp_ms=int(APART_S * 1000), interval_ms=10000, ack_timeout_ms=TIMER_MS,
        duration=3600, max_seconds=3600,
    )
    devices.asked = True  # those of the server that fails lose their sessions


def backends(scene, ip="127.0.0.1", options=()):
    """cidlb-backend: Mbed TLS, PSK, cookies, CIDs."""
    started = [scene.backend(number, ip=ip, options=options) for number in NUMBERS]
    return [Server(number, backend, backend.port, ip) for number, backend in zip(NUMBERS, started)]


def tunnel_settings():
    return {"local": f"127.0.0.1:{free_ports(WORKERS + 1)}", "keys": [{"id": 1, "key": KEY.hex()}]}


def case_nat():
    with Scene() as scene:
        bed = Bed(scene, backends(scene))
        bed.run(lambda address: fleet(bed, address))


def case_tunnel():
    with Scene() as scene:
        servers = backends(scene, options=["--tunnel", key_file(scene)])
        bed = Bed(scene, servers, pool=tunnel_pool, settings=tunnel_settings(), health={"probe": "dtls"})
        bed.run(lambda address: fleet(bed, address))


def case_stateless():
    ip("-6", "route", "add", "local", PREFIX, "dev", "lo")
    with Scene() as scene:
        bed = Bed(scene, backends(scene, ip="::1"), nat=STATELESS)
        bed.run(lambda address: fleet(bed, address))


def openssl_clients(bed, address):
    program = certificates.built("openssl_clients")
    clients = bed.scene.process("clients", program, address, DEVICES, 1 / APART_S, "127.30.0.1")
    clients.asked = True  # it waits for those of the server that fails


def openssl_servers(scene, start):
    """Chains of certificates, cookies, no CIDs: all goes by address. start(argv, port) is the process."""
    program, chain = certificates.built("openssl_server"), certificates.make_chain(scene)
    servers = []
    for number in NUMBERS:
        port = free_ports()
        process = start([program, port, *chain, "patient"], port)
        wait_until(lambda: certificates.is_bound(port) or not process.alive(), 20, "a server listens")
        process.asked = True  # it does not end by itself, and minds no SIGTERM
        servers.append(Server(number, process, port))
    return servers


def case_certificates():
    with Scene() as scene:
        servers = openssl_servers(scene, lambda argv, port: scene.process(f"server-{port}", *argv))
        bed = Bed(scene, servers, SLOWER_WAY_S, FRAGMENTS_LOSS)
        bed.run(lambda address: openssl_clients(bed, address))


@release_only  # a program cannot load sanitizers before it
def case_certificates_and_the_tunnel():
    settings = tunnel_settings()
    first = int(settings["local"].rsplit(":", 1)[1])
    nodes, keys = [f"127.0.0.1:{first}-{first + WORKERS}"], {1: KEY}
    with Scene() as scene:
        shimmed = lambda argv, port: Shimmed(scene, nodes, argv, port, name=f"server-{port}", keys=keys)
        servers = openssl_servers(scene, shimmed)
        health = {"probe": "dtls"}
        bed = Bed(scene, servers, SLOWER_WAY_S, FRAGMENTS_LOSS, tunnel_pool, settings=settings, health=health)
        bed.run(lambda address: openssl_clients(bed, address))


def case_retry_requests():
    """DTLS 1.3: ClientHellos in fragments, HelloRetryRequests with cookies."""
    with Scene() as scene:
        servers = []
        for number in NUMBERS:
            port = free_ports()
            peer = LinePeer(scene, f"server-{number}", server_argv(KINDS["rrc13"], port, number), lambda *_: None)
            servers.append(Server(number, peer.start(), port))
        bed = Bed(scene, servers, SLOWER_WAY_S, FRAGMENTS_LOSS)

        def say(verb, number, _):
            if verb == "open":
                for _ in range(Road.MOST_LOST + 1):  # nobody repeats it, and one of so many arrives
                    devices.tell(f"send {number} 00")

        def begin(address):
            for number in range(1, DEVICES + 1):
                devices.tell(f"new {number} {address}")
                time.sleep(APART_S)

        devices = LinePeer(scene, "devices", device_argv(KINDS["rrc13"]), say).start()
        bed.run(lambda address: threading.Thread(target=begin, args=[address], daemon=True).start())


if __name__ == "__main__":
    main(globals())
