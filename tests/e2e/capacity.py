#!/usr/bin/env python3
"""What nat.max_flows must be, as the guide says it, and what happens when it is less."""

import time

from harness import FULL, Scene, main, wait_until
from tunnel import arrives
from udp import open_socket, parse_address

DEVICES = 500 if FULL else 96
# So that few handshakes are under way at one time: max_flows / 16 may be, so each has a second and a half.
RAMP_MS = 250
TRAFFIC = {"interval_ms": 1000, "ack_timeout_ms": 1000, "max_seconds": 200}


IDLE_S = 2
# Records of DTLS 1.3, epoch 3: from a device with this CID, and from its server.
UP, DOWN = b"\x3f%s\0\1\0\x10" + bytes(16), b"\x2f\0\1\0\x10" + bytes(16)


def kinds(lb, name):
    return {kind: lb.metric(name, kind=kind) for kind in ("handshake", "address", "cid")}


def come(scene, max_flows, rebinds=0, **nat):
    """DEVICES come one after the other, and stay: (cidlb, their report)."""
    lb = scene.cidlb([scene.pool("p", [scene.backend(1)], nat={"max_flows": max_flows, **nat})])
    moves = {"rebinds": rebinds, "rebind_every": 1} if rebinds else {"duration": DEVICES * RAMP_MS / 1000 + 3}
    fleet = scene.fleet(lb.address(), devices=DEVICES, ramp_ms=RAMP_MS, **moves, **TRAFFIC)
    report = fleet.report()
    assert report["survived"] == report["handshakes"] == DEVICES, report
    return lb, report


def case_a_flow_for_each_device():
    """However they move."""
    with Scene() as scene:
        lb, _ = come(scene, DEVICES, rebinds=3)
        assert kinds(lb, "cidlb_flows") == {"handshake": 0, "address": 0, "cid": DEVICES}
        assert lb.metric("cidlb_sessions", pool="p") == DEVICES
        assert sum(kinds(lb, "cidlb_flows_evicted_total").values()) == 0 and "flows_evicted" not in lb.log_text()
        lb.assert_identities()


def case_one_less():
    """The table is full, and says so: when it begins, and what it has cost."""
    with Scene() as scene:
        lb, _ = come(scene, DEVICES - 1)
        lb.wait_log("warning flows_evicted pool=p: .* the sessions that were silent longest are forgotten")
        assert lb.metric("cidlb_sessions", pool="p") == lb.metric("cidlb_flows", kind="cid") == DEVICES - 1
        evicted = lb.metric("cidlb_flows_evicted_total", kind="cid")
        assert evicted > 0
        lb.wait_log(f"info flows_evicted pool=p: over; it happened {evicted} times?", 30)
        lb.assert_identities()


def case_a_flow_for_each_address():
    """rebind = "backend": a session has a flow at each address that it had, so nobody knows how many sessions are."""
    with Scene() as scene:
        lb, _ = come(scene, 4 * DEVICES, rebinds=3, rebind="backend")
        # The last devices end before they are answered where they moved to.
        assert lb.metric("cidlb_flows") == 4 * DEVICES and lb.metric("cidlb_flows", kind="cid") > 3 * DEVICES
        assert sum(kinds(lb, "cidlb_flows_evicted_total").values()) == 0
        assert not any(name == "cidlb_sessions" for name, _ in lb.metrics())
        lb.assert_identities()


def case_handshakes_at_one_time():
    """All at once from one /24: 32 flows for each, and none is evicted."""
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)], nat={"max_flows": 32 * DEVICES})])
        report = scene.fleet(lb.address(), devices=DEVICES, ramp_ms=0, duration=4, **TRAFFIC).report()
        assert report["survived"] == report["handshakes"] == DEVICES, report
        assert sum(kinds(lb, "cidlb_flows_evicted_total").values()) == 0
        lb.assert_identities()


def case_another_cid():
    """A DTLS 1.3 device that moves goes on to a CID which no handshake has shown. Its server reaches it long after
    idle_s, as it does at the CID before."""
    with Scene() as scene, open_socket("127.0.0.1") as server, open_socket("127.0.0.2") as device:
        entry = {"name": "a", "id": 1, "address": "%s:%d" % server.getsockname()}
        nat = {"idle_s": IDLE_S, "cid_idle_s": 60}
        lb = scene.cidlb([scene.pool("p", [entry], nat=nat, health={"probe": "none"})])
        endpoints = []
        for cid in (b"\1first", b"\1other", b"\1third"):
            device.sendto(UP % cid, parse_address(lb.address()))
            datagram, endpoint = arrives(server)
            assert datagram == UP % cid and endpoint not in endpoints
            endpoints.append(endpoint)
            if cid != b"\1third":  # that one is never answered, so anybody may have made it up
                server.sendto(DOWN, endpoint)
                assert arrives(device)[0] == DOWN
        wait_until(lambda: lb.metric("cidlb_flows") == 2, IDLE_S + 10, "the flow that was not answered has ended")
        time.sleep(IDLE_S)
        assert kinds(lb, "cidlb_flows") == {"handshake": 0, "address": 0, "cid": 2}
        for endpoint in endpoints[:2]:
            server.sendto(DOWN, endpoint)
            assert arrives(device)[0] == DOWN
        server.sendto(DOWN, endpoints[2])
        wait_until(lambda: lb.metric("cidlb_strays_total") == 1, 20, "nobody gets that")
        lb.assert_identities()


main(globals())
