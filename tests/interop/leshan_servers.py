#!/usr/bin/env python3
"""What an operator does with the servers of Leshan, while devices move: one is drained, one is added, one restarts, and
one dies. Who has a session elsewhere notices nothing."""

import threading

from lwm2m.stand import Stand

from lab.cids import LEARNED, NODE_ID, ways
from control import ctl
from harness import main, wait_until

# CoAP's retransmissions are compressed tenfold: it takes a device 6 to 9 s to notice that its session is lost, not 63
# to 91.
DEVICES, QUICK = 24, {"ack_timeout_ms": 200}


def but(devices, gone):
    return [device for device in devices if device not in gone]


def drained(stand):
    """Its devices keep their sessions, and no other ones come."""
    server, old = stand.servers[1], list(stand.devices)
    mine = stand.at(server)
    ctl(stand.lb, "drain", f"lwm2m/{server.name}")
    new = stand.join(range(101, 109), **QUICK)
    assert not [device for device in new if device.server is server], "a drained server got new devices"
    stand.move_and_read()
    stand.check_kept()
    assert stand.at(server) == mine and stand.handshakes() == len(old) + len(new)
    ctl(stand.lb, "ready", f"lwm2m/{server.name}")


def added(stand):
    """While all devices move and speak. It gets new ones, and none of the old."""
    before = stand.handshakes()
    server = stand.new_server(4).wait_ready()
    stand.make_known(server)
    stand.servers.append(server)
    load = threading.Thread(target=lambda: moved.append(stand.wander(4)))
    moved = []
    load.start()
    for name in ("lwm2m", "plain"):
        pool = next(pool for pool in stand.lb.config["pools"] if pool["name"] == name)
        pool["backends"].append(server.entry(name == "lwm2m"))
    stand.lb.reload()
    load.join()
    assert moved, "all devices moved and were answered"
    stand.check_kept()
    assert stand.handshakes() == before and not server.registrations()
    wait_until(lambda: stand.lb.metric("cidlb_backend_up", backend=server.name), 30, "it is up")
    new = []
    while not stand.at(server) and len(new) < 60:
        new += stand.join([200 + len(new)], **QUICK)
    assert stand.at(server), "none of 60 new devices came to it"
    stand.move_and_read()
    stand.check_kept()


def restarted(stand):
    """With its id, and without its sessions: its devices come back with one handshake each."""
    server = stand.servers[1]
    mine = stand.at(server)
    server.kill()
    server.start()
    server.wait_ready()
    stand.make_known(server)
    others = but(stand.devices, mine)
    stand.move_and_read(others)
    stand.come_back(mine)
    stand.move_and_read()
    stand.check_kept()


def killed(stand):
    """Its devices come to other servers, with one handshake each."""
    server = stand.servers[0]
    mine = stand.at(server)
    others = but(stand.devices, mine)
    server.kill()
    stand.move_and_read(others)
    stand.come_back(mine)
    assert not stand.at(server)
    stand.move_and_read()
    stand.check_kept()


def servers(mode, cids):
    with Stand(mode, DEVICES, join=QUICK, cids=cids) as stand:
        drained(stand)
        added(stand)
        restarted(stand)
        killed(stand)
        stand.lb.assert_identities()


def case_nat():
    for cids in ways(LEARNED):
        servers("nat", cids)


def case_tunnel():
    for cids in ways(NODE_ID):
        servers("tunnel", cids)


if __name__ == "__main__":
    main(globals())
