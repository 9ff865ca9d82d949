"""A Stand whose hosts are network namespaces."""

from lab.nodes import Network

from lwm2m.leshan import Devices, Server, TunnelledServer
from lwm2m.nat import Nat
from lwm2m.stand import Stand


class StandApart(Stand):
    """Servers and devices are on hosts "servers" and "devices" of a network of tests/e2e/lab/nodes.py, or of one
    made in its manner."""

    DEVICE_IP = "198.51.100.2"

    def __init__(self, network: Network, mode, devices, server_options=()):
        super().__init__(mode, devices)
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

    def move(self, device):
        """It gets another port."""
        self.wait_settled(device)
        self.network.inside("devices", device.nat.rebind)
