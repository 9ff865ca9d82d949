"""The topology of a setting of scenario `forward`: which addresses devices, balancer and servers have."""

from harness import free_ports
from lib.load import SERVERS


class Loopback:
    """All in one network. Each address of 127.0.0.0/8 is local there."""

    name = "loopback"
    outside = inside = "127.0.0.1"  # the balancer, for devices and for servers
    endpoints, endpoints_prefix = "127.64.0.0", "127.64.0.0/10"  # what servers may see of it

    def __init__(self, scene):
        self.servers = f"127.0.0.1:{free_ports(SERVERS)}"
        self.load_options = {"port": free_ports()}

    @classmethod
    def require(cls, scene):
        """Raises LeftOut where it cannot be had."""

    def pids(self):
        """Kernel threads that work for the balancer, on its CPU."""
        return []

    def end(self):
        pass
