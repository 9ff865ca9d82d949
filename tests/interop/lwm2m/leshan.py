"""Eclipse Leshan (tests/interop/peers/leshan): a server with the REST paths of its demo, and many devices in one
process.

    server = Server(scene, 1, ["node-id=1"]).start()
    server.wait_ready()
    devices = Devices(scene).start()
    server.secure(1)
    device = devices.join(1, "coaps://127.0.0.1:5684")
    assert server.read(device)["success"]
"""

import json
import signal
import threading
import urllib.error
import urllib.request

from harness import PSK, Process, free_ports, wait_until
from lab.peers import LinePeer, built, java
from lab.shimmed import Shimmed

LEVEL, OFFSET = "3/0/9", "3/0/14"  # of a device: what is observed, what is written
START_S = 90  # a JVM on a busy machine
ACK_TIMEOUT_MS = 2000  # RFC 7252, section 4.8


def leshan(program):
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    command = java(built("leshan"), program, 256)
    return [*command[:1], quiet, *command[1:]]


class Api:
    """What is asked of a server over HTTP, and what it tells by itself."""

    enter = staticmethod(lambda call: call())  # how to do something in the server's network

    def place(self, number, ip, bind=None, ports=None):
        """Gives it a number, the address that it binds if that is another one, and its ports."""
        self.number, self.ip, self.bind = number, ip, bind or ip
        self.ports = self.coap, self.coaps, self.http = ports or [free_ports() for _ in range(3)]
        self.notified, self.events = {}, []  # the last value of an endpoint; [(event, what it says)]

    def arguments(self, options):
        return [*leshan("Server"), self.bind, self.coap, self.coaps, self.http, *options]

    def entry(self, secure=True):
        return {"name": self.name, "id": self.number, "address": self.at(self.coaps if secure else self.coap)}

    def at(self, port):
        return f"[{self.ip}]:{port}" if ":" in self.ip else f"{self.ip}:{port}"

    def url(self, path):
        return f"http://{self.at(self.http)}{path}"

    def ask(self, method, path, data=None, timeout=60):
        """(status, what it says)."""
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self.url(path), body, method=method)

        def open_it():
            try:
                with urllib.request.urlopen(request, timeout=timeout) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()
            except OSError as error:
                return 0, str(error).encode()

        status, text = self.enter(open_it)
        return status, json.loads(text) if status == 200 else text.decode()

    def wait_ready(self):
        wait_until(lambda: self.ask("GET", "/api/clients")[0] == 200, START_S, f"{self.name} is ready")
        self.stream = self.enter(lambda: urllib.request.urlopen(self.url("/api/event")))
        threading.Thread(target=self._listen, args=(self.stream,), daemon=True).start()
        return self

    def _listen(self, stream):
        event = None
        try:
            for line in stream:
                word, _, rest = line.decode().rstrip("\n").partition(": ")
                if word == "event":
                    event = rest
                elif word == "data":
                    said = json.loads(rest)
                    self.events.append((event, said))
                    if event == "NOTIFICATION":
                        self.notified[said["endpoint"]] = int(said["val"]["value"])
        except (OSError, ValueError):
            pass  # it has ended

    def count(self, event, endpoint):
        return sum(what == event and said["endpoint"] == endpoint for what, said in list(self.events))

    def secure(self, number):
        """Makes a device known."""
        psk = {"mode": "psk", "details": {"identity": f"d{number}", "key": PSK[1]}}
        status, said = self.ask("PUT", "/api/security/clients/", {"endpoint": f"d{number}", "tls": psk})
        assert status == 200, (status, said)

    def registrations(self):
        """Those that it has, by endpoint."""
        status, said = self.ask("GET", "/api/clients")
        assert status == 200, (status, said)
        return {registration["endpoint"]: registration for registration in said}

    def read(self, device, path=LEVEL, timeout=10):
        """(status, what it says) of a Read; 504 if the device does not answer in time."""
        return self.ask("GET", f"/api/clients/{device.endpoint}/{path}?timeout={timeout}")

    def write(self, device, value, path=OFFSET, timeout=10):
        return self.ask("PUT", f"/api/clients/{device.endpoint}/{path}?timeout={timeout}", {"value": value})

    def observe(self, device, path=LEVEL, timeout=10):
        return self.ask("POST", f"/api/clients/{device.endpoint}/{path}/observe?timeout={timeout}")

    def forget(self, device, path=LEVEL):
        """Cancels an observation; the device is not told."""
        status, said = self.ask("DELETE", f"/api/clients/{device.endpoint}/{path}/observe")
        assert status == 200, (status, said)

    def handshakes(self):
        """How many Californium has finished."""
        return self.counted("handshakes")

    def loaded(self):
        """How many sessions it has of its predecessor."""
        return self.counted("loaded")

    def counted(self, what):
        status, said = self.ask("GET", f"/{what}")
        assert status == 200, (status, said)
        return said

    def stop(self, timeout=20):
        """SIGTERM, which a JVM ends with in its own way."""
        if self.alive():
            self.child.terminate()
        status = self.wait(timeout)
        assert status in (0, 128 + signal.SIGTERM), f"{self.name} ended with status {status}"


class Server(Api, Process):
    """`prefix`: a command to run it by, as in another network."""

    def __init__(self, scene, number, options=(), ip="127.0.0.1", prefix=(), **place):
        self.place(number, ip, **place)
        Process.__init__(self, scene, chr(ord("a") + number - 1), [*prefix, *self.arguments(options)])


class TunnelledServer(Api, Shimmed):
    """With the shim before both of its ports; started. `nodes`: where its tunnels end. `keys`: by id."""

    def __init__(self, scene, number, nodes, keys, options=(), ip="127.0.0.1", prefix=()):
        self.place(number, ip)
        Shimmed.__init__(
            self, scene, nodes, [*prefix, *self.arguments(options)], self.coaps, ip, chr(ord("a") + number - 1), keys,
            CIDLB_SHIM_PORTS=f"{self.coap},{self.coaps}",
        )


class Device:
    """One of Devices, and what it has said."""

    def __init__(self, devices, number):
        self.devices, self.number, self.endpoint = devices, number, f"d{number}"
        self.registered, self.updated, self.failed = [], 0, []  # ids of registrations; Updates; why what failed
        self.value = 100

    def update(self):
        """It begins an Update of its registration."""
        self.devices.tell(f"update {self.number}")

    def change(self):
        """What may be observed changes. Returns its value."""
        self.value += 1
        self.devices.tell(f"level {self.number} {self.value}")
        return self.value


class Devices(LinePeer):
    """Devices with Leshan's client in one process."""

    def __init__(self, scene, prefix=()):
        self.all = {}
        super().__init__(scene, "devices", [*prefix, *leshan("Client")], self.on_line)

    def begin(self, number, uri, cid_length=0, ack_timeout_ms=ACK_TIMEOUT_MS, queue=False):
        """A device that begins to register. `cid_length`: of the CIDs that it takes, 0 as most do."""
        device = self.all[number] = Device(self, number)
        self.tell(f"new {number} {uri} {cid_length} {ack_timeout_ms}" + (" queue" if queue else ""))
        return device

    def on_line(self, verb, number, words):
        device = self.all.get(number)
        if device and verb == "registered":
            device.registered.append(words.rpartition("/")[2])
        elif device and verb == "updated":
            device.updated += 1
        elif device and verb == "failed":
            device.failed.append(words)
