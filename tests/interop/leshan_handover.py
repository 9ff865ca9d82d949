#!/usr/bin/env python3
"""Servers of Leshan that are replaced: each ends and saves its sessions as Californium can, and its successor loads
them (peers/leshan/Saved.java). Nobody shakes hands again. The recipe is in packaging/guide/leshan.md."""

import json

from leshan_nodes import Node, Pair
from lwm2m.leshan import START_S, Server
from lwm2m.stand import Stand

from lab.cids import LEARNED, ways
from harness import AS_ROOT, FULL, Skip, main, wait_until
from lab.nodes import Network

DEVICES, MOVES, SERVERS = (50, 6, 3) if FULL else (24, 2, 2)
# Devices repeat what they say for 60 s and more, and wait twice as long each time: a JVM begins within START_S.
PATIENT, HEARD_S = {"ack_timeout_ms": 4000}, 2 * START_S


class Pool(Stand):
    """Each server has a folder to hand over by."""

    def options_of(self, number):
        folder = self.scene.dir / f"saved{number}"
        folder.mkdir(exist_ok=True)
        return [*super().options_of(number), f"saved={folder}"]


def replace(stand, server):
    """Devices move meanwhile, and half of them speak: they repeat what nobody has heard."""
    mine = stand.at(server)
    server.stop(START_S)
    stand.all_of(mine, stand.move)
    early = [(device, device.change()) for device in mine[::2]]
    server.start()
    server.wait_ready()
    assert server.loaded() == len(mine) > 0, (server.loaded(), len(mine))
    for device, value in early:
        wait_until(lambda: server.notified.get(device.endpoint) == value, HEARD_S, f"{device.endpoint} is heard")


def replaced(mode, cids):
    """At their addresses, one after the other: registrations and observations go on as well."""
    with Pool(mode, DEVICES, SERVERS, join=PATIENT, cids=cids) as stand:
        stand.wander(MOVES)
        assert stand.handshakes() == DEVICES
        for server in stand.servers:
            replace(stand, server)
            stand.move_and_read()
            stand.check_kept()
        assert stand.handshakes() == 0, "a successor shook hands"
        stand.wander(MOVES, seed=2)
        stand.check_kept()
        stand.lb.assert_identities()
        print(f"    {mode}, {cids.title}: {len(stand.servers)} servers replaced, {DEVICES} devices, 0 handshakes")


def case_nat():
    for cids in ways(LEARNED):
        replaced("nat", cids)


def case_tunnel():
    for cids in ways(LEARNED):
        replaced("tunnel", cids)


class Apart(Pair):
    """One server on a host of its own, bound to all addresses, and one node of cidlb."""

    def __init__(self, network, cids):
        super().__init__(network, "nat", DEVICES)
        self.server_count, self.cids = 1, cids

    def new_server(self, number):
        return self.server_on("servers", self.server_ip(number))

    def server_on(self, host, ip, ports=None):
        folder = self.scene.dir / "saved"
        folder.mkdir(exist_ok=True)
        options = [*self.options_of(1), f"saved={folder}"]
        server = Server(self.scene, 1, options, ip, self.network.on(host), bind="0.0.0.0", ports=ports).start()
        server.enter = lambda call: self.network.inside(host, call)
        return server

    def balance(self):
        self.lb = Node(self.scene, self.network, 1, self.mode, self.servers, self.cids)
        self.route("10.64.1.0/24", 1)
        self.lb.start(timeout=START_S)
        self.lead_to(1)

    def succeed(self):
        """The server ends, its successor begins on another host, and cidlb is told where."""
        server = self.servers[0]
        server.stop(START_S)
        successor = self.server_on("node2", "10.0.2.2", server.ports).wait_ready()
        self.lb.config["pools"][0]["backends"] = [successor.entry()]
        self.lb.reload()
        self.servers = [successor]
        for device in self.devices:
            device.server = successor
        return successor


def case_another_host():
    """Registrations go on there, too: they name the address that the server is bound to, and that is all of them."""
    if not AS_ROOT:
        raise Skip("needs root for network namespaces")
    for cids in ways(LEARNED):
        with Network() as network, Apart(network, cids) as stand:
            stand.move_and_read()
            successor = stand.succeed()
            assert successor.loaded() == DEVICES
            stand.move_and_read()
            stand.wander(MOVES)
            stand.check_kept()
            assert successor.handshakes() == 0
            stand.lb.assert_identities()
            print(f"    {cids.title}: {DEVICES} devices on another host, 0 handshakes")


def register_again(stand, server, mine):
    """Its devices do, at their next Update, in the sessions that they have."""
    before = {device: len(device.registered) for device in mine}
    for device in mine:
        device.update()
    wait_until(
        lambda: all(len(device.registered) > before[device] for device in mine), 120, "they register again"
    )
    stand.locate()
    assert stand.at(server) == mine
    stand.all_of(mine, stand.observe)
    stand.move_and_read()
    assert server.handshakes() == 0 and all(len(device.nat.hellos) == 1 for device in stand.devices)
    stand.lb.assert_identities()


def case_another_address():
    """A server that is bound to one address finds no registrations at another one."""
    for cids in ways(LEARNED):
        with Pool("nat", DEVICES, servers=2, cids=cids) as stand:
            stand.wander(MOVES)
            server = stand.servers[0]
            mine = stand.at(server)
            server.stop(START_S)
            stand.all_of(mine, stand.move)
            stand.servers[0] = successor = stand.new_server(1).wait_ready()
            assert successor.loaded() == len(mine) > 0
            for pool in stand.lb.config["pools"]:
                pool["backends"][0] = successor.entry(pool["name"] == "lwm2m")
            stand.lb.reload()
            register_again(stand, successor, mine)
            print(f"    {cids.title}: {len(mine)} devices at another address of their server, 0 handshakes")


def case_sessions_alone():
    """What Leshan knows of its devices is lost."""
    with Pool("nat", DEVICES, servers=2, cids=LEARNED) as stand:
        server = stand.servers[0]
        mine = stand.at(server)
        server.stop(START_S)
        rest = stand.scene.dir / "saved1" / "rest.json"
        rest.write_text(json.dumps({**json.loads(rest.read_text()), "registrations": [], "observations": []}))
        server.start()
        server.wait_ready()
        assert server.loaded() == len(mine) > 0 and not server.registrations()
        register_again(stand, server, mine)


if __name__ == "__main__":
    main(globals())
