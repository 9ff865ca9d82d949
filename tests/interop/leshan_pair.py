#!/usr/bin/env python3
"""Two nodes with keepalived (packaging/guide/nodes.md) before servers of Leshan. One has the service address, and on
the servers' side the address that they reach nat.sources by. So the other one, which computes the same endpoints, takes
over the way back too.

    devices                  node1    192.0.2.2  10.0.0.2                  servers
    192.0.2.100 ── 192.0.2.1                              10.0.0.1 ── 10.0.0.11-13  a, b, c
                             node2    192.0.2.3  10.0.0.3
                             both     local 10.64.0.0/10: what the servers see
"""

import os
import shutil
import tempfile
from pathlib import Path

from lwm2m.apart import StandApart
from lwm2m.leshan import START_S

from lab.cids import LEARNED, ways
from harness import AS_ROOT, FULL, Cidlb, Skip, main, wait_until
from lab import nodes
from lab.nodes import Network
from readiness import KEEPALIVED

SERVICE, GATEWAY = "192.0.2.1", "10.0.0.1"
# So many that no two sessions meet at one: they would change places with the node.
ENDPOINTS, PORTS = "10.64.0.0/10", "20000-20063"
DEVICES = 100 if FULL else 50


class Hosts(Network):
    """Its ends are bridges; gone with the block."""

    def __enter__(self):
        self.name = {host: f"cidlb-{os.getpid()}-{host}" for host in ("devices", "servers", "node1", "node2")}
        try:
            for name in self.name.values():
                nodes.ip("netns", "add", name)
                nodes.ip("-n", name, "link", "set", "lo", "up")
            self.bridge("devices", "eth0", "192.0.2.", [100])
            self.bridge("servers", "eth1", "10.0.0.", [11, 12, 13])
            nodes.ip("-n", self.name["servers"], "route", "add", ENDPOINTS, "via", GATEWAY)
            for node in ("node1", "node2"):
                nodes.ip("-n", self.name[node], "route", "add", "local", ENDPOINTS, "dev", "lo")
        except BaseException:
            self.__exit__()
            raise
        return self

    def bridge(self, host, interface, prefix, last):
        """A wire from the host to each node, where it is the interface."""
        ns = self.name[host]
        nodes.ip("-n", ns, "link", "add", "wire", "type", "bridge")
        for number in (1, 2):
            node, port = self.name[f"node{number}"], f"port{number}"
            nodes.ip("link", "add", interface, "netns", node, "type", "veth", "peer", "name", port, "netns", ns)
            nodes.ip("-n", ns, "link", "set", port, "master", "wire", "up")
            nodes.ip("-n", node, "address", "add", f"{prefix}{number + 1}/24", "dev", interface)
            nodes.ip("-n", node, "link", "set", interface, "up")
        for number in last:
            nodes.ip("-n", ns, "address", "add", f"{prefix}{number}/24", "dev", "wire")
        nodes.ip("-n", ns, "link", "set", "wire", "up")


class Node(Cidlb):
    def __init__(self, scene, network, number, servers, cids, store):
        self.network, self.host = network, f"node{number}"
        pool = {
            "name": "lwm2m",
            **({"cid": cids.pool} if cids.pool else {}),
            "nat": {"sources": (ENDPOINTS,), "ports": PORTS, "max_flows": 2000},
            "health": {"interval_ms": 500, "timeout_ms": 5000},
            "backends": [server.entry() for server in servers],
        }
        config = {
            "workers": 1,
            "user": "nobody",
            "hash_key": nodes.KEYS[0],
            "admin": {"http": "127.0.0.1:9180"},
            "listeners": [{"name": "lwm2m", "address": f"{SERVICE}:5684", "pool": "lwm2m", "freebind": True}],
            "pools": [pool],
            **({"redis": store.settings()} if store else {}),
        }
        super().__init__(scene, self.host, config)
        self.argv = network.on(self.host, *self.argv)

    def get(self, path):
        return self.network.inside(self.host, lambda: super(Node, self).get(path))


class Pair(StandApart):
    DEVICE_IP, STORE_IP = "192.0.2.100", "10.0.0.11"

    def __init__(self, network, place, cids):
        super().__init__(network, "nat", DEVICES, cids=cids)
        self.place = place

    def server_ip(self, number):
        return f"10.0.0.1{number}"

    def balance(self):
        shutil.copy(KEEPALIVED / "cidlb-check", self.place / "cidlb-check")
        store = self.new_store()
        self.nodes = {n: Node(self.scene, self.network, n, self.servers, self.cids, store) for n in (1, 2)}
        for number, node in self.nodes.items():
            node.start(ready=False)
            self.keep_alive(number)
        self.lb = self.nodes[1]
        self.wait_served_by(1)
        wait_until(lambda: self.lb.get("/readyz")[0] == 200, START_S, "the first node is ready")

    def keep_alive(self, number):
        """keepalived with the file of packaging/keepalived, but for this network."""
        text = (KEEPALIVED / "keepalived.conf").read_text().replace("/usr/local/sbin", str(self.place))
        text = text.replace("priority 200", f"priority {220 - 20 * number}")
        text = text.replace("10.0.1.3", f"192.0.2.{4 - number}").replace("10.0.1.2", f"192.0.2.{number + 1}")
        text = text.replace(f"{SERVICE}/32", f"{SERVICE}/24 dev eth0\n\t\t{GATEWAY}/24 dev eth1")
        conf = self.place / f"keepalived{number}.conf"
        conf.write_text(text)
        pids = [f"--{kind}={self.place}/{kind}{number}" for kind in ("pid", "vrrp_pid", "checkers_pid", "bfd_pid")]
        argv = ["keepalived", "--dont-fork", "--log-console", "--vrrp", *pids, "--use-file", conf]
        self.scene.process(f"keepalived{number}", *self.network.on(f"node{number}", *argv))

    def wait_served_by(self, number):
        """It alone has both addresses, of those whose wires are up."""

        def holds(of, interface, address):
            said = self.network.run(f"node{of}", "ip", "address", "show", "dev", interface, "up")
            return f" {address}/" in said

        wait_until(
            lambda: all(
                holds(of, interface, address) == (of == number)
                for of in (1, 2) for interface, address in (("eth0", SERVICE), ("eth1", GATEWAY))
            ), 60, f"node {number} alone has the addresses"
        )

    def lose(self, number):
        """The host dies: nothing comes from it any more."""
        for interface in ("eth0", "eth1"):
            nodes.ip("-n", self.network.name[f"node{number}"], "link", "set", interface, "down")
        self.nodes[number].kill()


def master_dies(pair):
    """Under devices that speak. No handshake, and Leshan's Reads are answered right after a Notify, whether the device
    has moved meanwhile or not: it sees the endpoint that it saw before."""
    pair.wander(2)
    pair.wait_shared(*pair.nodes.values())
    seen = {server: server.registrations() for server in pair.servers}
    due = [(device, device.change()) for device in pair.devices[::2]]
    pair.lose(1)
    due += [(device, device.change()) for device in pair.devices[1::2]]
    pair.wait_served_by(2)
    for device, value in due:
        wait_until(lambda: device.server.notified.get(device.endpoint) == value, 60, f"{device.endpoint} is heard")
    pair.all_of(pair.devices, pair.notify)  # what was said before, the first node may have heard
    pair.all_of(pair.devices, pair.read)
    pair.move_and_read()
    pair.wander(2, seed=2)
    pair.check_kept()
    assert pair.handshakes() == DEVICES
    assert pair.nodes[2].metric("cidlb_datagrams_total", verdict="unknown_cid") == 0
    for server, registrations in seen.items():
        now = server.registrations()
        assert all(now[name]["address"] == said["address"] for name, said in registrations.items()), now
    print(f"    {pair.cids.title}: {DEVICES} devices, 0 handshakes", flush=True)


def case_master_dies():
    if not AS_ROOT or not shutil.which("keepalived", path=os.environ["PATH"] + ":/usr/sbin"):
        raise Skip("needs root and keepalived")
    for cids in ways(LEARNED):
        # A script that others than root could replace would not be run.
        place = Path(tempfile.mkdtemp(prefix="cidlb-", dir="/run"))
        place.chmod(0o755)
        try:
            with Hosts() as network, Pair(network, place, cids) as pair:
                master_dies(pair)
        finally:
            shutil.rmtree(place)


if __name__ == "__main__":
    main(globals())
