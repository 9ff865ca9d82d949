#!/usr/bin/env python3
"""Eclipse Leshan behind cidlb: devices that register, are read, written and observed, and get another address between
any two of these. Their registrations are asked of Leshan, their handshakes counted by Californium and on the wire."""

from lwm2m.stand import Stand

from lab.cids import LEARNED, NODE_ID, THINGSBOARD, ways
from harness import FULL, main, wait_until

DEVICES, MOVES = 50, 30 if FULL else 10
FEWER = (DEVICES, MOVES) if FULL else (40, 4)


def sleep_for_an_hour(stand):
    """It is compressed: for a while cidlb keeps nothing of who has been silent for a second, until nothing is left of
    anybody."""
    pools = stand.lb.config["pools"]
    before = [dict(pool["nat"]) for pool in pools]
    for pool in pools:
        pool["nat"] |= {"idle_s": 1, "cid_idle_s": 1}
    stand.lb.reload()
    wait_until(lambda: stand.lb.metric("cidlb_flows", pool="lwm2m") == 0, 30, "cidlb has forgotten all devices")
    for pool, nat in zip(pools, before):
        pool["nat"] = nat
    stand.lb.reload()


def kill_cidlb(stand):
    """Devices move while it is away. What they say meanwhile is repeated, as CoAP does."""
    stand.lb.kill()
    stand.all_of(stand.devices, stand.move)
    early = [(device, device.change()) for device in stand.devices[::2]]
    stand.lb.start()
    for device, value in early:
        wait_until(lambda: device.server.notified.get(device.endpoint) == value, 60, f"{device.endpoint} is heard")
    stand.all_of(stand.devices[1::2], stand.notify)
    stand.all_of(stand.devices, stand.read_at_once)


def sessions(mode, cids, devices=DEVICES, moves=MOVES, most_met=0, **options):
    with Stand(mode, devices, cids=cids, **options) as stand:
        stand.most_met = most_met
        assert len({device.server for device in stand.devices}) == 3, "all servers have devices"
        stand.wander(moves)
        stand.check_kept()
        if mode == "nat":
            sleep_for_an_hour(stand)
        stand.move_and_read()
        stand.check_kept()
        kill_cidlb(stand)
        stand.move_and_read()
        stand.check_kept()
        assert stand.handshakes() == devices, f"{stand.handshakes()} handshakes of {devices} devices"
        stand.lb.assert_identities()
        print(f"    {mode}, {cids.title}: {devices} devices, 0 sessions lost")


def case_nat():
    for cids in ways(LEARNED):
        sessions("nat", cids)


def case_tunnel():
    for cids in ways(LEARNED):
        sessions("tunnel", cids)


def case_nat_single_address():
    """A port for each endpoint. Of a dozen sessions at each of three servers two meet at one in 2 of 100 runs. That more
    than two pairs do has a chance of 1 in a million."""
    for cids in ways(NODE_ID):
        nat = {"sources": ("127.0.0.1",), "ports": "20000-32767", "max_flows": 900}
        sessions("nat", cids, 40, 6, most_met=4, nat=nat)


def case_nat_thingsboard():
    """One id at all servers."""
    sessions("nat", THINGSBOARD, *FEWER)


def case_tunnel_thingsboard():
    sessions("tunnel", THINGSBOARD, *FEWER)


def plain(mode, cids):
    """CoAP on port 5683. What the server knows of a device is its port: one that its NAT has changed is known once the
    device has sent its Update, and observations begin anew. The registration stays. In mode tunnel one process has both
    ports, and answers on each with its pool's key."""
    with Stand(mode, cids=cids) as stand:
        devices = stand.join(range(1, 10), secure=False)
        others = stand.join(range(11, 14))  # of the same servers, with DTLS
        assert len({device.server for device in devices}) == 3, "all servers have devices"
        for _ in range(3):
            for questions in (stand.read,), (stand.write,), (stand.observe, stand.notify, stand.read):
                stand.all_of(devices, stand.move)
                stand.all_of(devices, stand.update)
                for question in questions:
                    stand.all_of(devices, question)
            stand.move_and_read(others)
        stand.check_kept()
        assert stand.handshakes() == len(others)
        stand.lb.assert_identities()


def case_nat_plain():
    for cids in ways(NODE_ID):
        plain("nat", cids)


def case_tunnel_plain():
    for cids in ways(NODE_ID):
        plain("tunnel", cids)


if __name__ == "__main__":
    main(globals())
