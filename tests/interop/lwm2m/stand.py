"""Three servers of Leshan behind cidlb, and devices behind NATs of their own.

    with Stand("nat", 50) as stand:
        stand.wander(moves=10)
        stand.check_kept()
"""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from harness import Scene, free_ports, wait_until, wide
from tunnel import KEY, OTHER, tunnel, tunnel_pool

from lab.cids import NODE_ID

from lwm2m.leshan import START_S, Devices, Server, TunnelledServer
from lwm2m.nat import Nat

KEYS = {"lwm2m": (1, KEY), "plain": (2, OTHER)}  # of the tunnels
AT_ONCE = 50  # devices that something is done with
# From move to move. Of a device that had four more addresses in the last five seconds the server sees a new one
# (common/ownership.h), and Leshan takes an answer only from the address that it asked.
MOVE_S = 2


class Stand:
    """`mode`: nat or tunnel. `cids`: of cids.py. `options`: of the pool of 5684; that of 5683 is `plain`."""

    def __init__(self, mode, devices=0, servers=3, server_options=(), join=None, cids=NODE_ID, **options):
        self.mode, self.count, self.server_count, self.joining = mode, devices, servers, join or {}
        self.cids = cids
        self.server_options, self.options, self.stack, self.devices = server_options, options, ExitStack(), []
        self.met, self.most_met = set(), 0  # devices that met another, see met_another(); how many may
        if mode == "tunnel":
            self.server_options = ("update-on-notify", *server_options)

    def __enter__(self):
        with self.stack:
            self.scene = self.stack.enter_context(Scene())
            self.local = {"lwm2m": free_ports(3), "plain": free_ports(3)}  # a port for each worker, one for probes
            self.servers = [self.new_server(number + 1) for number in range(self.server_count)]
            self.peers = self.new_peers().start()
            for server in self.servers:
                server.wait_ready()
            self.balance()
            self.join(range(1, self.count + 1), **self.joining)
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def balance(self):
        """Puts cidlb before the servers."""
        self.lb = self.scene.cidlb([self.pool("lwm2m"), self.pool("plain")], start=False)
        self.lb.start(timeout=START_S)

    def new_peers(self):
        return Devices(self.scene)

    def new_nat(self, target, number, forget_s):
        return Nat(target, f"127.1.{number >> 8}.{number & 255}", forget_s)

    def new_server(self, number):
        """Started. What it knows of devices it is told when they join, and in make_known()."""
        options = self.options_of(number)
        if self.mode == "nat":
            return Server(self.scene, number, options).start()
        nodes = [f"127.0.0.1:{first}-{first + 2}" for first in self.local.values()]
        return TunnelledServer(self.scene, number, nodes, dict(KEYS.values()), options)

    def options_of(self, number):
        """Of the server with this number."""
        return [option.replace("%d", str(number)) for option in (*self.cids.leshan, *self.server_options)]

    def pool(self, name):
        secure = name == "lwm2m"
        entries = [server.entry(secure) for server in self.servers]
        cid = {"cid": self.cids.pool}
        options = {**cid, **self.options} if secure else {"protocol": "udp", "affinity": "address", "cid": None}
        health = {"probe": "dtls" if secure else "coap", "interval_ms": 500, "timeout_ms": 5000}
        options = {"health": health, **options}
        if self.mode == "nat":
            return self.scene.pool(name, entries, **{"nat": wide(), **options})
        settings = tunnel(KEYS[name])
        settings["local"] = f"127.0.0.1:{self.local[name]}"
        return tunnel_pool(self.scene, name, entries, settings, **options)

    # Devices

    def begin(self, number, secure=True, forget_s=None, **options):
        """A device that registers, behind a NAT of its own."""
        target = self.lb.address("lwm2m" if secure else "plain")
        nat = self.stack.enter_context(self.new_nat(target, number, forget_s))
        for server in self.servers if secure else []:
            server.secure(number)
        options.setdefault("cid_length", number % 2 * 6)
        device = self.peers.begin(number, f"{'coaps' if secure else 'coap'}://{nat.address}", **options)
        device.nat, device.moved, device.secure, device.handshakes = nat, 0, secure, int(secure)
        self.devices.append(device)
        return device

    def join(self, numbers, **options):
        """New devices that are registered, and observed."""
        new = [self.begin(number, **options) for number in numbers]
        wait_until(lambda: all(device.registered for device in new), 120, f"{len(new)} devices are registered")
        self.locate()
        if options.get("queue"):  # the first may sleep again
            self.all_of(new, self.update)
        self.all_of(new, self.observe)
        return new

    def make_known(self, server):
        for device in self.devices:
            if device.secure:
                server.secure(device.number)

    def locate(self):
        """Finds the server of each device: the one that has its newest registration."""
        found = [(server, server.registrations()) for server in self.servers if server.alive()]
        for device in self.devices:
            device.server = next(
                server for server, registrations in found
                if registrations.get(device.endpoint, {}).get("registrationId") == device.registered[-1]
            )

    def at(self, server):
        return [device for device in self.devices if device.server is server]

    def all_of(self, devices, act):
        """Several at once; what act(device) returned of each."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(act, devices))

    # What a device, and what its server does

    def notify(self, device):
        """The server is notified of a new value."""
        value = device.change()
        wait_until(
            lambda: device.server.notified.get(device.endpoint) == value, 60, f"a Notify of {device.endpoint} arrives"
        )

    def update(self, device):
        """An Update, done with on both sides: once it was answered, Leshan ends what it asks at an old address."""
        updated, heard = device.updated, device.server.count("UPDATED", device.endpoint)
        device.update()
        wait_until(
            lambda: device.updated > updated and device.server.count("UPDATED", device.endpoint) > heard, 60,
            f"the Update of {device.endpoint} is answered",
        )

    def read(self, device):
        status, said = device.server.read(device)
        assert status == 200 and said["content"]["value"] == str(device.value), (device.endpoint, status, said)

    def write(self, device):
        offset = f"+{device.value % 12:02d}"
        status, said = device.server.write(device, offset)
        assert status == 200 and said["success"], (device.endpoint, status, said)
        status, said = device.server.read(device, "3/0/14")
        assert status == 200 and said["content"]["value"] == offset, (device.endpoint, status, said)

    def observe(self, device):
        status, said = device.server.observe(device)
        assert status == 200 and said["success"], (device.endpoint, status, said)

    def move(self, device):
        """It gets another port, and but for plain CoAP another address."""
        self.wait_settled(device)
        first, second, *rest = device.nat.source[0].split(".")
        device.nat.rebind(".".join([first, str(int(second) + device.secure), *rest]))

    def wait_settled(self, device):
        """A device does not move more often than it may."""
        time.sleep(max(0, device.moved + MOVE_S - time.monotonic()))
        device.moved = time.monotonic()

    def wander(self, moves, seed=1, devices=None):
        """Each device moves so often. Then it says something, and at once, with no other word of it, the server asks
        something: each word with each question, in an order of its own."""

        def walk(device):
            dice = random.Random(seed * 1000 + device.number)
            pairs = []
            for _ in range(moves):
                if not pairs:
                    pairs = [(w, q) for w in (self.notify, self.update) for q in (self.read, self.write, self.observe)]
                    dice.shuffle(pairs)
                word, question = pairs.pop()
                self.move(device)
                word(device)
                question(device)

        self.all_of(self.devices if devices is None else devices, walk)

    def read_at_once(self, device):
        """Right after a word of the device."""
        try:
            self.read(device)
        except AssertionError:
            if not self.most_met:
                raise
            self.met_another(device)

    def met_another(self, device):
        """Where endpoints are few, as with a single source address, sessions of a server may meet at one. Who speaks
        first has it: after a restart that may be the other one. What such a device says next comes from another
        endpoint, and Leshan answers there once it has sent an Update. Any other reason for no answer is a failure."""
        self.met.add(device.endpoint)
        assert len(self.met) <= self.most_met, f"{len(self.met)} devices met another: {self.met}"
        address = lambda: device.server.registrations()[device.endpoint]["address"]
        before = address()
        self.update(device)
        assert address() != before, f"{device.endpoint} was not answered at {before}, where it is"
        self.read(device)

    def move_and_read(self, devices=None):
        """A Read right after a Notify from a new address."""

        def act(device):
            self.move(device)
            self.notify(device)
            self.read_at_once(device)

        self.all_of(self.devices if devices is None else devices, act)

    def come_back(self, devices):
        """What they had is lost: each notices at its next Update, and shakes hands and registers once more."""
        for device in devices:
            device.lost = list(device.registered)
            device.update()
        wait_until(
            lambda: all(device.registered != device.lost for device in devices), 180, f"{len(devices)} devices are back"
        )
        for device in devices:
            device.registered = device.registered[len(device.lost) :]
            device.failed, device.handshakes = [], device.handshakes + 1
        self.locate()
        self.all_of(devices, self.observe)

    def check_kept(self, devices=None):
        """Each has the registration that it had, the one session that it made, and its server thinks so too."""
        devices = self.devices if devices is None else devices
        found = {server: server.registrations() for server in {device.server for device in devices}}
        for device in devices:
            assert len(device.registered) == 1, f"{device.endpoint} was registered {device.registered}"
            registration = found[device.server].get(device.endpoint)
            assert registration and registration["registrationId"] == device.registered[0], (
                device.endpoint, registration, device.registered
            )
            seen = len(device.nat.hellos)
            assert seen == device.handshakes, f"{device.endpoint}: {seen} handshakes, not {device.handshakes}"
            assert not device.failed, (device.endpoint, device.failed)

    def handshakes(self):
        """How many the servers that run have finished."""
        return sum(server.handshakes() for server in self.servers if server.alive())
