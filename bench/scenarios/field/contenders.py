"""Who is between devices and servers in scenario `field`.

Each contender has a `target` for its devices, and `backends`.
"""

from harness import PSK, Backend, free_ports, ip
from lib import certificates, frame, nginx
from lib.load import identities, keys_file, tunnel_mode

from .case import TIME_FACTOR

SERVERS = 3
STATELESS_PREFIX = "fd00:c1d:1b00::/56"


class Contender:
    """As it is: one server, and nothing before it."""

    name = "no balancer"
    moves = True  # the NAT forgets its devices
    addresses = 256  # any of which a move leads to
    keeps = True  # no session may be lost
    give_up = 2  # notifications in a row without any answer, after which a device makes a new session
    servers, server_ip = 1, "127.0.0.1"

    @classmethod
    def require(cls):
        """Skip or LeftOut: it cannot be had."""

    def __init__(self, scene, case):
        self.case = case
        self.credentials = {"psk": ":".join(PSK)}  # of devices
        self.server_credentials = ()
        if case.certificates:
            files, self.certificate_octets = certificates.make(scene.dir)
            self.credentials = {"certificates": files["device"]}
            self.server_credentials = ("--certificates", files["server"])
        self.backends = [self.backend(scene, number + 1) for number in range(self.servers)]
        for backend in self.backends:
            backend.wait_log(r"^server \d+:")
        self.target = self.open(scene)

    def backend(self, scene, number):
        options = (*self.server_credentials, *self.server_options(scene))
        made = Backend(scene, number, chr(ord("a") + number - 1), 6, free_ports(), self.server_ip, options)
        return frame.pinned(made, frame.BALANCER_CPU).start()

    def server_options(self, scene):
        return ()

    def open(self, scene):
        """Starts the balancer; where devices send to."""
        return self.backends[0].address

    def check(self):
        """Sentences about what it counted wrongly."""
        return []

    def complaints(self):
        """What it ran short of."""
        return []


class Direct(Contender):
    """The yardstick: devices that no NAT forgets."""

    name, moves = "direct", False


class Cidlb(Contender):
    name, servers = "cidlb nat follow", SERVERS
    rebind, scheme = "follow", {}

    def pool(self, scene):
        nat = {"rebind": self.rebind, "sources": ("127.64.0.0/10",), **self.case.nat()}
        return scene.pool("field", self.backends, nat=nat, **self.scheme)

    def open(self, scene):
        self.lb = frame.pinned(scene.cidlb([self.pool(scene)], start=False, workers=1), frame.BALANCER_CPU).start()
        return self.lb.address()

    def check(self):
        return identities(self.lb)


class CidlbBackend(Cidlb):
    name = "cidlb nat backend"
    rebind = "backend"


class CidlbStateless(Cidlb):
    name, server_ip = "cidlb stateless", "::1"

    @classmethod
    def require(cls):
        ip("-6", "route", "replace", "local", STATELESS_PREFIX, "dev", "lo")

    def pool(self, scene):
        return scene.pool("field", self.backends, nat={"rebind": "backend", "sources": (STATELESS_PREFIX,)})

    def check(self):
        wrong = super().check()
        if "runs without a table" not in self.lb.log_text():
            wrong.append("does not run without a table")
        return wrong


class CidlbTunnel(Cidlb):
    name = "cidlb tunnel"

    def pool(self, scene):
        pool = scene.pool("field", self.backends, **tunnel_mode(f"127.0.0.1:{free_ports(2)}"))
        del pool["nat"]
        return pool

    def server_options(self, scene):
        return ("--tunnel", keys_file(scene))


class CidlbByAddress(Cidlb):
    """The same program, that knows nothing of CIDs."""

    name, keeps = "cidlb by address", False
    scheme = {"cid": {"scheme": "none"}}


class Nginx(Contender):
    """By address, as in scenario forward. Its servers know CIDs: a session lives on if a move leads to the same server.

    Each address and port of a device is a socket until proxy_timeout, by default 10 minutes.
    """

    name, keeps, servers = "nginx", False, SERVERS

    @classmethod
    def require(cls):
        nginx.require()

    def open(self, scene):
        target = f"127.0.0.1:{free_ports()}"
        servers = [backend.address for backend in self.backends]
        options = f"proxy_timeout {self.case.proxy_timeout_s // TIME_FACTOR}s;"
        self.nginx = nginx.Nginx(scene, target, servers, descriptors=10000, options=options).start()
        return target

    def complaints(self):
        return self.nginx.log_text().splitlines()[:1]


class NginxHasty(Nginx):
    """Devices that do not wait for a second notification to be unanswered."""

    name, give_up = "nginx, hasty devices", 1


class NginxPorts(Nginx):
    """What goes by address can keep: a NAT with a single address. All devices then share one server."""

    name, addresses = "nginx, only ports move", 1


CONTENDERS = [
    Direct,
    Contender,
    Cidlb,
    CidlbBackend,
    CidlbStateless,
    CidlbTunnel,
    CidlbByAddress,
    Nginx,
    NginxHasty,
    NginxPorts,
]
