#!/usr/bin/env python3
"""What breaks with nginx in cidlb's place: the same servers and devices of Leshan, and the same changes. nginx sends a
device where the hash of its address leads.

CoAP's retransmissions are compressed tenfold, as devices of lost sessions wait for all of them."""

import contextlib
import os
import signal
import sys
from pathlib import Path

from lwm2m.stand import Stand

from lab.cids import LEARNED, NODE_ID, ways
from harness import Skip, free_ports, main, wait_until

sys.path.append(str(Path(__file__).parents[2] / "bench"))
from lib import frame, nginx  # noqa: E402

DEVICES, QUICK = 50, {"ack_timeout_ms": 200}
CHANGES = ("address", "port", "killed", "added")


class Balancer(nginx.Nginx):
    def address(self, _):
        return self.target

    def with_servers(self, servers):
        """From now on there are these."""
        self.write([server.at(server.coaps) for server in servers])
        old = set(self.pids())
        self.child.send_signal(signal.SIGHUP)
        wait_until(lambda: set(self.pids()) - old, 30, "nginx has another worker")

    def kill(self):
        """Its workers, too, which would go on."""
        workers = self.pids()[1:] if self.alive() else []
        super().kill()
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class BehindNginx(Stand):
    HEARD_S, READ_S = 10, 3  # longer than a device repeats its Notify

    def balance(self):
        servers = [server.at(server.coaps) for server in self.servers]
        self.lb = Balancer(self.scene, f"127.0.0.1:{free_ports()}", servers).start()

    def add(self, server):
        self.lb.with_servers(self.servers)


class BehindCidlb(Stand):
    HEARD_S = READ_S = 30  # all come, however busy the machine is

    def add(self, server):
        for name in ("lwm2m", "plain"):
            next(pool for pool in self.lb.config["pools"] if pool["name"] == name)["backends"].append(
                server.entry(name == "lwm2m")
            )
        self.lb.reload()


def change(stand, what):
    if what == "killed":
        stand.lb.kill()
        stand.lb.start()
    elif what == "added":
        server = stand.new_server(len(stand.servers) + 1).wait_ready()
        stand.make_known(server)
        stand.servers.append(server)
        stand.add(server)
    else:
        for device in stand.devices:
            if what == "address":
                stand.move(device)
            else:
                device.nat.rebind()


def notified(stand):
    """How many Notifys arrive."""
    due = {device: device.change() for device in stand.devices}

    def heard():
        return sum(device.server.notified.get(device.endpoint) == value for device, value in due.items())

    try:
        wait_until(lambda: heard() == len(due), stand.HEARD_S, "all are heard")
    except TimeoutError:
        pass
    return heard()


def read(stand):
    """How many Reads are answered right after that."""

    def ask(device):
        status, said = device.server.read(device, timeout=stand.READ_S)
        return status == 200 and said["content"]["value"] == str(device.value)

    return sum(stand.all_of(stand.devices, ask))


def update(stand):
    """Each sends an Update, and registers again where it has no session any more: how many do."""
    before = {device: (device.updated, len(device.registered)) for device in stand.devices}
    for device in stand.devices:
        device.update()
    wait_until(
        lambda: all((device.updated, len(device.registered)) != was for device, was in before.items()), 180,
        "all have a session",
    )
    again = sum(len(device.registered) > was[1] for device, was in before.items())
    stand.locate()
    stand.all_of(stand.devices, stand.observe)
    return again


def table(kind, cids=NODE_ID):
    """What came of each change: Notifys that arrived, Reads answered, devices registered again, new handshakes."""
    with kind("nat", DEVICES, join=QUICK, cids=cids) as stand:
        came = {}
        for what in CHANGES:
            before = sum(len(device.nat.hellos) for device in stand.devices)
            change(stand, what)
            arrived, answered, again = notified(stand), read(stand), update(stand)
            handshakes = sum(len(device.nat.hellos) for device in stand.devices) - before
            came[what] = (arrived, answered, again, handshakes)
            print(
                f"    {kind.__name__}, {what}: of {DEVICES} devices {arrived} are heard, {answered} answer a Read, "
                f"{again} register again, with {handshakes} handshakes", flush=True
            )
    return came


def case_cidlb():
    for cids in ways(LEARNED):
        assert set(table(BehindCidlb, cids).values()) == {(DEVICES, DEVICES, 0, 0)}


def case_nginx():
    """If it lost none, the comparison would prove nothing. How many come back to their server is chance: one in three,
    as many as the hash leads there."""
    try:
        nginx.require()
    except frame.LeftOut as reason:
        raise Skip(f"nginx is {reason}") from None
    came = table(BehindNginx)
    arrived, answered, again, handshakes = came["address"]
    assert arrived < DEVICES * 0.8 and handshakes >= again > DEVICES * 0.2 and answered == 0, came
    assert came["port"][:2] == (DEVICES, 0), came


if __name__ == "__main__":
    main(globals())
