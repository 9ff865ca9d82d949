#!/usr/bin/env python3
"""The fast path in mode nat without a table: devices over IPv4, servers over IPv6. As in fast.py."""

import ipaddress
import struct

from fast import (
    CID_A, FLEET, MOVES, PORT, device_at, fast, fleet_of, moved_by_it, service_of, settled, stage, without_cid
)
from harness import main, release_only, wait_all_joined, wait_until
from lab.triple import LOCAL6, SERVICE
from stateless import NAT, PREFIX, flip, route_prefix
from tunnel import arrives, text_of
from udp import drain


def without_a_table(scene, net, entries, **options):
    """cidlb in mode nat without a table: devices over IPv4, servers over IPv6, who answer through this host."""
    route_prefix()
    net.servers.ip("route", "add", PREFIX, "via", LOCAL6)
    lb = scene.cidlb(
        [scene.pool("p", entries, nat=NAT, **options)], start=False, fast={"interfaces": ["devs", "srvs"]}
    )
    lb.config["listeners"][0]["address"] = text_of(SERVICE, PORT)
    return lb.start()


def endpoint_of(device):
    """What the last six octets of its endpoint are."""
    ip, port = device.getsockname()[:2]
    return ipaddress.IPv4Address(ip).packed + struct.pack(">H", port)


@release_only
def case_each_way():
    """Each way by the program: from the address that carries the device's, back to it, and to nobody by another."""
    with stage() as (scene, net), net.servers.socket("fd02::11", PORT) as server, device_at(net) as device:
        entry = {"name": "a", "id": 1, "address": f"[fd02::11]:{PORT}"}
        lb = without_a_table(scene, net, [entry], health={"probe": "none"}, max_resumable=0)

        def there_and_back(device, answers=lambda endpoint: endpoint, sent=None):
            sent = sent or settled(CID_A)
            device.sendto(sent, service_of())
            got, endpoint = arrives(server)
            assert got == sent and ipaddress.ip_address(endpoint[0]) in ipaddress.ip_network(PREFIX), endpoint
            assert ipaddress.ip_address(endpoint[0]).packed[10:] == endpoint_of(device), endpoint
            server.sendto(sent, answers(endpoint))
            return sent

        def is_fast():
            there_and_back(device)
            arrives(device)
            return fast(lb) > 0 and lb.metric("cidlb_fast_replies_total") > 0

        def exchange(device, count):
            for _ in range(count):
                sent = there_and_back(device)
                assert arrives(device) == (sent, service_of())

        wait_until(is_fast, 30, "the program forwards")
        assert moved_by_it(lb, lambda: exchange(device, 20)) == [20, 20, 0]
        with device_at(net, 2) as other:
            assert moved_by_it(lb, lambda: exchange(other, 5)) == [5, 5, 0]

        def exchange_without_cid():
            sent = there_and_back(device, sent=without_cid())
            assert arrives(device) == (sent, service_of())

        assert moved_by_it(lb, exchange_without_cid) == [1, 1, 0] and fast(lb, "hash") == 1
        wait_until(lambda: (lb.backend("a")["last_cid_s"] or 0) >= 2, 30, "silence")
        exchange(device, 1)
        wait_until(lambda: lb.backend("a")["last_cid_s"] <= 1, 30, "what the program forwards is heard of")
        # A bit of the check, and one of the device's address.
        for bit in (60, 100):
            there_and_back(device, lambda to: (flip(to[0], bit), to[1]))
        wait_until(lambda: lb.metric("cidlb_stateless_dropped_total") == 2, 20, "forged endpoints are dropped")
        assert not drain(device)
        lb.assert_identities()


@release_only
def case_sessions():
    """Devices move, and cidlb is killed: nobody notices."""
    with stage() as (scene, net):
        with net.servers.there():
            servers = [scene.backend(number, port=PORT, ip=f"fd02::{10 + number}") for number in (1, 2)]
        lb = without_a_table(scene, net, servers, health={"probe": "dtls", "interval_ms": 500, "timeout_ms": 3000})
        story = scene.dir / "story"
        devices = fleet_of(scene, net, devices=FLEET, rebinds=MOVES, rebind_every=1, loss=5, give_up=8, story=story)
        wait_all_joined(story, FLEET)
        wait_until(lambda: fast(lb, "cid") >= FLEET, 60, "the program has forwarded")
        lb.assert_identities()
        lb.restart()
        report = devices.report()
        assert report["survived"] == FLEET and report["handshakes"] == FLEET, report
        assert lb.metric("cidlb_stateless_dropped_total") == 0
        lb.assert_identities()


if __name__ == "__main__":
    main(globals())
