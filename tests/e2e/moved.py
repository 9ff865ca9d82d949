#!/usr/bin/env python3
"""Listeners and admin.http that go from one address of a port to all of them and back, by a reload; and listeners at
addresses that are not there yet."""

import contextlib
import select
import signal
import socket
import time

from harness import AS_ROOT, Scene, ip, main, told, wait_all_joined, wait_until
from lab.background import Background
from udp import Echo, open_socket, parse_address


ON_THE_WAY = 200  # questions without an answer: so many small ones any socket has room for


class Traffic(Background):
    """A thread that asks at a steady rate as long as it is answered, and knows which questions have no answer."""

    def __init__(self, to, per_second=1000):
        super().__init__()
        self.sock, self.to, self.pause = open_socket("127.0.0.1"), to, 1 / per_second
        self.asked, self.answered = 0, set()

    def __exit__(self, *error):
        super().__exit__(*error)
        self.sock.close()

    def _collect(self):
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            while True:
                datagram, source = self.sock.recvfrom(100)
                assert source == self.to, source
                self.answered.add(int(datagram[1:]))

    def _run(self):
        while self.running:
            if self.asked - len(self.answered) < ON_THE_WAY:
                with contextlib.suppress(ConnectionRefusedError):
                    self.sock.sendto(b"%d" % self.asked, self.to)
                self.asked += 1
            time.sleep(self.pause)
            self._collect()
        end = time.monotonic() + 20
        while len(self.answered) < self.asked and time.monotonic() < end:
            time.sleep(0.01)
            self._collect()

    def missing(self):
        self.stop()
        return sorted(set(range(self.asked)) - self.answered)


def bound(port):
    """Local addresses of UDP sockets of this network at a port, of IPv4."""
    with open("/proc/net/udp") as table:
        rows = [line.split()[1] for line in table.readlines()[1:]]
    return {row.split(":")[0] for row in rows if int(row.split(":")[1], 16) == port}


ANY, LOOPBACK = "00000000", "0100007F"


def udp_pool(scene, servers):
    return scene.pool("u", servers.entries(), protocol="udp", cid=None, health={"probe": "none"})


def case_listener():
    """Nothing is lost while devices ask a thousand times a second, in any number of workers, there and back."""
    for workers in 1, 2:
        with Scene() as scene, Echo("a") as servers:
            lb = scene.cidlb([udp_pool(scene, servers)], workers=workers)
            port = parse_address(lb.address())[1]
            with Traffic(("127.0.0.1", port)) as traffic:
                for where in ("0.0.0.0", "127.0.0.1", "0.0.0.0", "127.0.0.1"):
                    time.sleep(0.3)
                    lb.listener("u")["address"] = f"{where}:{port}"
                    lb.reload()
                    wait_until(lambda: bound(port) == {ANY if where == "0.0.0.0" else LOOPBACK}, 20, f"{where} alone")
                    with open_socket("127.0.0.1") as other:
                        other.sendto(b"1", ("127.0.0.1", port))
                        wait_until(lambda: other.recv(10) if readable(other) else None, 20, "it serves")
                assert traffic.missing() == [], (workers, traffic.missing(), traffic.asked)
            lb.assert_identities(but=["u"])  # the counters of the former listeners are shown no more


def readable(sock):
    with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
        sock.recv(1, socket.MSG_PEEK)
        return True
    return False


def asked(device, service):
    """Whether an answer is there. An address that was just added is of use a moment later."""
    with contextlib.suppress(OSError):
        device.sendto(b"1", service)
    return bool(select.select([device], [], [], 0.5)[0])


def case_silent_devices():
    """What a server sends to a device that has been silent since comes from the address that the device knows."""
    with Scene() as scene, open_socket("127.0.0.1") as server, contextlib.ExitStack() as stack:
        entry = {"name": "a", "address": "127.0.0.1:%d" % server.getsockname()[1]}
        lb = scene.cidlb([scene.pool("u", [entry], protocol="udp", cid=None, health={"probe": "none"})])
        port = parse_address(lb.address())[1]
        addresses, devices = ["127.0.0.1", "0.0.0.0", "127.0.0.1", "0.0.0.0", "127.0.0.1"], []
        for before, after in zip(addresses, addresses[1:]):
            device = stack.enter_context(open_socket("127.0.0.1"))
            device.sendto(b"hello", ("127.0.0.1", port))
            wait_until(lambda: readable(server), 20, "it is forwarded")
            devices.append((device, server.recvfrom(100)[1]))
            lb.listener("u")["address"] = f"{after}:{port}"
            lb.reload()
            for device, endpoint in devices:
                server.sendto(after.encode(), endpoint)
                wait_until(lambda: readable(device), 20, f"from {before} to {after}: the device hears its server")
                assert device.recvfrom(100) == (after.encode(), ("127.0.0.1", port))
        lb.assert_identities(but=["u"])  # the counters of the former listeners are shown no more


def case_sessions():
    """Real sessions that move, there and back."""
    with Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2)]
        lb = scene.cidlb([scene.pool("p", backends)])
        port, story = parse_address(lb.address())[1], scene.dir / "story"
        fleet = scene.fleet(
            lb.address(), devices=20, duration=600, rebind_every=1, interval_ms=200, observe=True, story=story
        )
        wait_all_joined(story, 20)
        for where in ("0.0.0.0", "127.0.0.1") * 3:
            before = told(story, "exchanges_ok")
            lb.listener("p")["address"] = f"{where}:{port}"
            lb.reload()
            wait_until(lambda: told(story, "exchanges_ok") >= before + 100, 30, f"{where}: exchanges go on")
        fleet.child.terminate()
        report = fleet.report()
        assert report["survived"] == report["sessions"] == report["handshakes"] == 20, report
        assert report["exchanges_lost"] == report["observations_lost"] == 0, report
        lb.assert_identities(but=["p"])


def refused(lb, why):
    before = len(lb.log_text())
    lb.write()
    lb.child.send_signal(signal.SIGHUP)
    wait_until(lambda: "reload_refused" in lb.log_text()[before:], 20, "the reload is refused")
    assert why in lb.log_text()[before:], lb.log_text()[before:]


def case_refused_reload_loses_nothing():
    """The listener would move, but something else of the same file cannot be had: all stays as it was."""
    with Scene() as scene, Echo("a") as servers, open_socket("127.0.0.1") as taken, socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        lb = scene.cidlb([udp_pool(scene, servers)])
        address, http = lb.address(), lb.config["admin"]["http"]
        port = parse_address(address)[1]
        second = "127.0.0.1:%d" % taken.getsockname()[1]
        with Traffic(("127.0.0.1", port)) as traffic:
            for _ in range(3):
                lb.listener("u")["address"] = f"0.0.0.0:{port}"
                lb.config["listeners"].append({"name": "v", "address": second, "pool": "u"})
                refused(lb, f"cannot bind {second}: Address already in use")
                del lb.config["listeners"][1]
                lb.config["admin"]["http"] = "127.0.0.1:%d" % door.getsockname()[1]
                refused(lb, "Address already in use")
                lb.config["admin"]["http"] = http
                assert bound(port) == {LOOPBACK} and lb.get("/healthz")[0] == 200
            assert traffic.missing() == [], (traffic.missing(), traffic.asked)
        # Both would move; the last step fails: somebody else has a part of what the listener is to get.
        other = open_socket("127.0.0.2", port)
        door_port = parse_address(http)[1]
        with Traffic(("127.0.0.1", port)) as traffic, other:
            lb.config["admin"]["http"] = f"0.0.0.0:{door_port}"
            refused(lb, f"cannot bind 0.0.0.0:{port}: Address already in use")
            lb.config["admin"]["http"] = http
            assert lb.get("/healthz")[0] == 200 and bound(port) == {LOOPBACK, "0200007F"}
            assert traffic.missing() == [], (traffic.missing(), traffic.asked)
        lb.reload()
        wait_until(lambda: bound(port) == {ANY}, 20, "it has moved")


def case_admin_http():
    """The door moves there and back. Whoever has been let in before is answered."""
    with Scene() as scene, Echo("a") as servers:
        lb = scene.cidlb([udp_pool(scene, servers)])
        port = parse_address(lb.config["admin"]["http"])[1]
        for where in ("0.0.0.0", "127.0.0.1", "0.0.0.0"):
            lb.config["admin"]["http"] = f"{where}:{port}"
            lb.write()
            before = lb.log_text().count("reloaded:")
            lb.child.send_signal(signal.SIGHUP)
            wait_until(lambda: lb.log_text().count("reloaded:") > before, 20, f"{where}: reloaded")
            assert lb.get("/readyz")[0] == 200, where
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.2", port), 5):
                assert where == "0.0.0.0"


def case_nobody_gets_in_beside():
    """Neither before nor after can another process bind what cidlb has."""
    with Scene() as scene, Echo("a") as servers:
        lb = scene.cidlb([udp_pool(scene, servers)])
        port = parse_address(lb.address())[1]
        for where in ("0.0.0.0", "127.0.0.1", "0.0.0.0"):
            lb.listener("u")["address"] = f"{where}:{port}"
            lb.reload()
            for option in socket.SO_REUSEADDR, socket.SO_REUSEPORT:
                # Root itself gets into the group that cidlb made as root (control/sockets.h).
                if option == socket.SO_REUSEPORT and not AS_ROOT:
                    continue
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                    other.setsockopt(socket.SOL_SOCKET, option, 1)
                    with contextlib.suppress(OSError):
                        other.bind(("127.0.0.1", port))
                        raise AssertionError(f"{where}: somebody else is in")


def case_freebind():
    """The address of a standby: refused with the option's name, bound with it, and served once it is there."""
    with Scene() as scene, Echo("a") as servers:
        lb = scene.cidlb([udp_pool(scene, servers)], start=False)
        port = parse_address(lb.address())[1]
        lb.listener("u")["address"] = f"10.77.0.9:{port}"
        lb.start(ready=False)
        assert lb.wait(30) == 1
        assert (
            f"listeners[0].address: this host does not have 10.77.0.9:{port}; if it comes later, as with keepalived, "
            "set freebind = true" in lb.log_text()
        ), lb.log_text()
        lb.listener("u")["freebind"] = True
        lb.start()
        ip("address", "add", "10.77.0.9/32", "dev", "lo")
        try:
            with open_socket("127.0.0.1") as device:
                wait_until(lambda: asked(device, ("10.77.0.9", port)), 20, "it is served")
                assert device.recvfrom(10) == (b"a1", ("10.77.0.9", port))
        finally:
            ip("address", "del", "10.77.0.9/32", "dev", "lo")
        # By a reload, as one that a keepalived script makes; an IPv6 one, too.
        lb.config["listeners"].append({"name": "v", "address": f"[fd77::9]:{port}", "pool": "u"})
        refused(lb, f"listeners[1].address: this host does not have [fd77::9]:{port}; if it comes later")
        lb.config["listeners"][1]["freebind"] = True
        lb.reload()
        ip("address", "add", "fd77::9/128", "dev", "lo")
        try:
            with open_socket("::1") as device:
                wait_until(lambda: asked(device, ("fd77::9", port)), 20, "it is served")
                assert device.recvfrom(10)[1][:2] == ("fd77::9", port)
        finally:
            ip("address", "del", "fd77::9/128", "dev", "lo")
        lb.assert_identities()


if __name__ == "__main__":
    main(globals())
