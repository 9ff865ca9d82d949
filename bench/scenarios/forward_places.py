"""Where scenario `forward` takes place: which addresses devices, balancer and servers have."""

import frame
from forward_load import SERVERS
from harness import free_ports


class Loopback:
    """All in one network, all of whose 127.0.0.0/8 is local."""

    name = "loopback"
    outside = inside = "127.0.0.1"  # the balancer, for devices and for servers
    endpoints, endpoints_octets = "127.64.0.0", "127.64.0.0/10"  # what servers may see of it

    def __init__(self, scene):
        self.servers = f"127.0.0.1:{free_ports(SERVERS)}"
        self.load_options = ["--port", free_ports()]

    @classmethod
    def require(cls, scene):
        """LeftOut: it cannot be had."""

    def pids(self):
        """What works for the balancer in the kernel's name, and on its CPU."""
        return []

    def end(self):
        pass


def each(servers):
    """ADDRESS:PORT of each server."""
    ip, port = servers.rsplit(":", 1)
    return [f"{ip}:{int(port) + at}" for at in range(SERVERS)]
