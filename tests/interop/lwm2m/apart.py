"""A Stand whose hosts are network namespaces."""

from harness import wait_until
from lab.nodes import Network
from redis_nodes import Redis, cids

from lwm2m.leshan import Devices, Server, TunnelledServer
from lwm2m.nat import Nat
from lwm2m.stand import Stand


class StandApart(Stand):
    """Servers and devices are on hosts "servers" and "devices" of a network of tests/e2e/lab/nodes.py, or of one
    made in its manner."""

    DEVICE_IP, STORE_IP = "198.51.100.2", "10.1.0.11"

    def __init__(self, network: Network, mode, devices, server_options=(), **options):
        super().__init__(mode, devices, **options)
        self.network, self.server_options = network, server_options

    def server_ip(self, number):
        return f"10.1.0.1{number}"

    def new_peers(self):
        return Devices(self.scene, self.network.on("devices"))

    def new_nat(self, target, number, forget_s):
        return self.network.inside("devices", lambda: Nat(target, self.DEVICE_IP, forget_s))

    def new_server(self, number):
        place = {"ip": self.server_ip(number), "prefix": self.network.on("servers")}
        options = self.options_of(number)
        if self.mode == "tunnel":
            server = TunnelledServer(self.scene, number, self.tunnels, self.keys, options, **place)
        else:
            server = Server(self.scene, number, options, **place).start()
        server.enter = lambda call: self.network.inside("servers", call)
        return server

    def new_store(self):
        """Through which nodes share the CIDs that they learn. None: they learn none."""
        if self.cids.pool:
            return None
        inside = lambda call: self.network.inside("servers", call)
        return Redis(self.scene, host=self.STORE_IP, on=self.network.on("servers"), enter=inside)

    def wait_shared(self, *nodes):
        """All of these know every session, if they learn. None has lost any."""
        for node in nodes if not self.cids.pool else ():
            wait_until(lambda: cids(node) == len(self.devices), 60, f"{node.name} knows {len(self.devices)} CIDs")
            assert node.metric("cidlb_redis_dropped_total") == 0
            assert node.metric("cidlb_learned_cids_total", what="evicted") == 0

    def move(self, device):
        """It gets another port."""
        self.wait_settled(device)
        self.network.inside("devices", device.nat.rebind)
