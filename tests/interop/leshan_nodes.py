#!/usr/bin/env python3
"""Two nodes of cidlb before servers of Leshan, in the network of tests/e2e/lab/nodes.py: which server-initiated Reads
are answered right after a Notify, when the router has changed the node or the device its address. The table is in
packaging/guide/nodes.md. CIDs have server ids, or nodes learn them and tell each other through Redis.

Here the router is told by hand, as BGP and BFD would tell it: it is Leshan that is tried."""

from lwm2m.apart import StandApart
from lwm2m.leshan import START_S

from lab.cids import LEARNED, NODE_ID, ways
from harness import AS_ROOT, Cidlb, Skip, main
from lab import nodes
from lab.nodes import SERVICE, SHARED, Network
from tunnel import KEY

NODES = (1, 2)
DEVICES = 9
READ_S, NO_READ_S = 30, 3  # for which an answer is waited, and for which it is known that there is none
MOVES = ("address", "node", "node and address", "killed", "killed and address")

# What of these is answered with Leshan as it is, and with setUpdateRegistrationOnNotification(true).
ANSWERED = {
    "nat": (("address",), MOVES),
    "stateless": (("node", "killed"), MOVES),
    "tunnel": (("node", "killed"), MOVES),
}


class Node(Cidlb):
    def __init__(self, scene, network, number, mode, servers, cids, store=None):
        self.network, self.host = network, f"node{number}"
        pool = {
            "name": "lwm2m",
            **({"cid": cids.pool} if cids.pool else {}),
            "health": {"interval_ms": 500, "timeout_ms": 5000},
            "backends": [server.entry() for server in servers],
        }
        if mode == "tunnel":
            keys = [{"id": 1, "key": KEY.hex()}]
            pool |= {"forward": "tunnel", "tunnel": {"local": f"10.0.{number}.2:7200", "keys": keys}}
        elif mode == "stateless":
            pool["nat"] = {"rebind": "backend", "sources": (SHARED,)}
        else:
            pool["nat"] = {"sources": (f"10.64.{number}.0/24",), "max_flows": 2000}
        config = {
            "workers": 1,
            "user": "nobody",
            "hash_key": nodes.KEYS[0],
            "admin": {"http": "127.0.0.1:9180"},
            "listeners": [{"name": "lwm2m", "address": f"{SERVICE}:5684", "pool": "lwm2m"}],
            "pools": [pool],
            **({"redis": store.settings()} if store else {}),
        }
        super().__init__(scene, self.host, config)
        self.argv = network.on(self.host, *self.argv)

    def get(self, path):
        return self.network.inside(self.host, lambda: super(Node, self).get(path))


class Pair(StandApart):
    """Servers, two nodes, and a router that sends everything through one of them."""

    tunnels, keys = [f"10.0.{n}.2:7200-7202" for n in NODES], {1: KEY}

    def server_ip(self, number):
        return f"2001:db8:1::1{number}" if self.mode == "stateless" else super().server_ip(number)

    def balance(self):
        store = self.new_store()
        self.nodes = {n: Node(self.scene, self.network, n, self.mode, self.servers, self.cids, store) for n in NODES}
        for n, node in self.nodes.items():
            self.route(f"10.64.{n}.0/24", n)
            node.start(timeout=START_S)
        self.lb = self.nodes[1]
        self.lead_to(1)

    def route(self, prefix, node):
        via = f"2001:db8:0:{node}::2" if ":" in prefix else f"10.0.{node}.2"
        nodes.ip("-n", self.network.name["router"], "route", "replace", prefix, "via", via)

    def lead_to(self, node):
        self.serving = node
        for prefix in (f"{SERVICE}/32", SHARED):
            self.route(prefix, node)

    def change(self, what):
        """The node that serves, or it is killed; and, or, the devices' addresses."""
        if "killed" in what:
            self.nodes[self.serving].kill()
        if what != "address":
            self.lead_to(3 - self.serving)
        if "address" in what:
            self.all_of(self.devices, self.move)

    def answered(self, patience_s):
        """How many Reads are, right after a Notify."""

        def ask(device):
            self.notify(device)
            status, said = device.server.read(device, timeout=patience_s)
            return status == 200 and said["content"]["value"] == str(device.value)

        return sum(self.all_of(self.devices, ask))

    def settle(self):
        """After an Update everything works again, in every mode; and a killed node comes back."""
        self.all_of(self.devices, self.update)
        self.all_of(self.devices, self.read)
        for node in self.nodes.values():
            if not node.alive():
                node.start(timeout=START_S)
        self.wait_shared(*self.nodes.values())


def changes(mode, cids):
    if not AS_ROOT:
        raise Skip("needs root for network namespaces")
    for options, expected in zip(((), ("update-on-notify",)), ANSWERED[mode]):
        with Network() as network, Pair(network, mode, DEVICES, options, cids=cids) as pair:
            pair.wait_shared(*pair.nodes.values())
            for what in MOVES:
                pair.change(what)
                count = pair.answered(READ_S if what in expected else NO_READ_S)
                how = " ".join((mode, *options))
                print(f"    {how}, {cids.title}: {what}: {count} of {DEVICES} Reads are answered", flush=True)
                assert count == (DEVICES if what in expected else 0), (mode, options, what, count)
                pair.settle()
            pair.check_kept()
            assert pair.handshakes() == DEVICES
            for node in pair.nodes.values():
                assert node.metric("cidlb_datagrams_total", verdict="unknown_cid") == 0


def case_nat():
    for cids in ways(LEARNED):
        changes("nat", cids)


def case_stateless():
    for cids in ways(NODE_ID):
        changes("stateless", cids)


def case_tunnel():
    for cids in ways(LEARNED):
        changes("tunnel", cids)


if __name__ == "__main__":
    main(globals())
