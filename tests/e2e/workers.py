#!/usr/bin/env python3
"""Which worker gets a datagram: the server at the end of a tunnel sees it, as each worker has a port of its own there. A
session's CID leads to one worker, whoever sends it, so that nobody's copy of a record overtakes the device's own."""

import os
import time
from contextlib import ExitStack

from handshakes import fragment, message
from harness import Scene, free_ports, main
from restarts import managed
from tunnel import KEY, tunnel_pool
from udp import drain, forge, open_socket, parse_address

WORKERS = 4
LATE = 100  # a record number that no handshake has


def cid_of():
    """Of server 1."""
    return b"\1" + os.urandom(5)


class Tunnel:
    """A server and its tunnel, and 50 sources of datagrams."""

    def __init__(self, scene, stack):
        self.server = stack.enter_context(open_socket("127.0.0.1"))
        self.sources = [stack.enter_context(open_socket("127.0.0.1")) for _ in range(50)]
        self.first = free_ports(WORKERS + 1)  # one for each worker, and one for probes
        settings = {"local": f"127.0.0.1:{self.first}", "keys": [{"id": 1, "key": KEY.hex()}]}
        entry = {"name": "a", "id": 1, "address": "%s:%d" % self.server.getsockname()}
        self.pool = tunnel_pool(scene, "p", [entry], settings)

    def workers(self, lb, sent):
        """Numbers of the workers that got the datagrams, given as (source, datagram)."""
        service, got, until = parse_address(lb.address()), {}, time.monotonic() + 30
        for source, datagram in sent:
            self.sources[source].sendto(datagram, service)
        while len(got) < len(sent) and time.monotonic() < until:
            for datagram, (_, port) in drain(self.server):
                got |= {n: port - self.first for n, (_, payload) in enumerate(sent) if datagram.endswith(payload)}
            time.sleep(0.01)
        assert sorted(got) == list(range(len(sent))), f"{len(got)} of {len(sent)} arrived"
        return [got[n] for n in range(len(sent))]

    def from_all(self, lb, make):
        return self.workers(lb, [(source, make()) for source in range(len(self.sources))])

    def shares(self, lb, seq=LATE):
        """Whether all that has one CID comes to one worker: of each of some CIDs."""
        cids = [cid_of() for _ in range(6)]
        return [len(set(self.from_all(lb, lambda cid=cid: forge(cid, seq=seq)))) == 1 for cid in cids]

    def assert_spread(self, lb, count):
        got = self.workers(lb, [(0, forge(cid_of(), seq=LATE)) for _ in range(200)])
        assert len(set(got)) == count, got


def case_one_session_one_worker():
    """From 50 sources. Many sessions of one source are spread."""
    with Scene() as scene, ExitStack() as stack:
        tunnel = Tunnel(scene, stack)
        lb = scene.cidlb([tunnel.pool], workers=WORKERS)
        assert all(tunnel.shares(lb))
        tunnel.assert_spread(lb, WORKERS)
        lb.assert_identities()


def case_first_records_follow_the_handshake():
    """The first records that have a CID come to the worker that the source's handshake does."""
    with Scene() as scene, ExitStack() as stack:
        tunnel = Tunnel(scene, stack)
        lb = scene.cidlb([tunnel.pool], workers=WORKERS)
        hellos = tunnel.from_all(lb, lambda: fragment(message(0, os.urandom(32))))
        assert len(set(hellos)) > 1, hellos
        for seq in range(4):
            assert tunnel.from_all(lb, lambda seq=seq: forge(cid_of(), seq=seq)) == hellos, seq
        lb.assert_identities()


def case_reloads():
    """Another layout counts from the reload on: also none, and the first one again."""
    with Scene() as scene, ExitStack() as stack:
        tunnel = Tunnel(scene, stack)
        lb = scene.cidlb([tunnel.pool], workers=WORKERS)
        layout = tunnel.pool["cid"]
        for cid, by_cid in ((layout, True), ({"scheme": "none"}, False), (layout, True)):
            tunnel.pool["cid"] = cid
            lb.reload()
            assert all(tunnel.shares(lb)) if by_cid else not any(tunnel.shares(lb)), cid
        lb.assert_identities()


def case_more_sockets_than_workers():
    """A group that the service manager has kept is as large as it was."""
    with Scene() as scene, ExitStack() as stack:
        tunnel = Tunnel(scene, stack)
        with managed(scene, [tunnel.pool], workers=WORKERS) as (lb, manager):
            for workers in (WORKERS, 3, 2, 4):
                lb.config["workers"] = workers
                lb.write()
                lb.stop()
                manager.start()
                manager.wait_ready(manager.count("READY=1") - 1)
                assert all(tunnel.shares(lb)), workers
                tunnel.assert_spread(lb, workers)
            lb.assert_identities()


main(globals())
