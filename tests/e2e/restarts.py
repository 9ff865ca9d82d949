#!/usr/bin/env python3
"""cidlb is restarted by its service manager (lab/manager.py): the sockets and what waits in them outlive it, whatever
`workers` says, and so does the table of flows; what the next configuration has no use for is given up."""

import os
import select
import signal
import socket
import struct
import threading
import time
from contextlib import contextmanager

from harness import Scene, free_ports, main, told, wait_all_joined, wait_until
from lab.manager import Manager
from tunnel import Server, tunnel, tunnel_pool
from udp import drain, open_socket

PLAIN = {"protocol": "udp", "cid": None, "health": {"probe": "none"}}
SO_RCVBUFFORCE = 33  # socket(7); Python has no name for it
ON_THE_WAY = 200  # datagrams: so many small ones any socket has room for


def make_room(sock):
    """For thousands of datagrams; without root, for some hundreds."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)


@contextmanager
def managed(scene, pools, **options):
    lb = scene.cidlb(pools, start=False, **options)
    with Manager(lb) as manager:
        manager.start()
        manager.wait_ready()
        yield lb, manager
        if lb.alive():
            lb.stop()


class Echo:
    """A UDP server that answers each datagram: `seen`, and the sources of each by its first word."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        make_room(self.socket)
        self.socket.bind(("127.0.0.1", free_ports()))
        self.socket.settimeout(0.1)
        self.port, self.seen, self.sources, self.ends = self.socket.getsockname()[1], [], {}, False
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        while not self.ends:
            try:
                data, source = self.socket.recvfrom(2048)
            except TimeoutError:
                continue
            self.seen.append(data)
            self.sources.setdefault(data.split()[0], set()).add(source)
            self.socket.sendto(data, source)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ends = True
        self.thread.join()
        self.socket.close()

    def entry(self, name="a"):
        return {"name": name, "address": f"127.0.0.1:{self.port}"}


def case_nothing_that_waits_is_lost():
    """What arrives while no cidlb runs is served by the next one, from each socket of the group, for any `workers`."""
    with Scene() as scene, Echo() as echo:
        pool = scene.pool("p", [echo.entry()], **PLAIN)
        with managed(scene, [pool], workers=3) as (lb, manager):
            host, port = lb.address().split(":")
            devices = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(40)]
            sent = 0
            for workers in (3, 1, 4, 2):
                lb.config["workers"] = workers
                lb.write()
                lb.stop()
                due = [b"%d %d %d" % (n, workers, turn) for n in range(len(devices)) for turn in range(5)]
                for datagram in due:
                    devices[int(datagram.split()[0])].sendto(datagram, (host, int(port)))
                sent += len(due)
                manager.start()
                wait_until(lambda: len(echo.seen) >= sent, 30, f"{sent} datagrams arrive, not {len(echo.seen)}")
                manager.wait_ready(manager.count("READY=1") - 1)
            assert len(echo.seen) == sent == len(set(echo.seen)), len(echo.seen)
            wait_until(lambda: len(manager.names()) == 4 * 3, 20, "four sockets each for three ports")
            lb.assert_identities()


def case_store_follows_reloads():
    with Scene() as scene, Echo() as echo:
        pool = scene.pool("p", [echo.entry()], **PLAIN)
        with managed(scene, [pool]) as (lb, manager):
            def listeners():
                return [name for name in manager.names() if name.startswith("listener")]

            wait_until(lambda: len(manager.names()) == 2 * 3, 20, "two workers, a listener and two ports")
            first = lb.config["listeners"][0]
            more = {"name": "more", "address": f"127.0.0.1:{free_ports()}", "pool": "p"}
            lb.config["listeners"].append(more)
            lb.reload()
            wait_until(lambda: len(listeners()) == 2 * 2, 20, "another listener")
            lb.config["listeners"].remove(first)
            lb.reload()
            due = [f"listener {more['address'].replace(':', '-')} {number}" for number in (0, 1)]
            wait_until(lambda: listeners() == due, 20, f"only {due}")
            manager.restart()
            lb.wait_log("info inherited: 6 sockets of the cidlb before")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
                device.settimeout(20)
                device.sendto(b"0", ("127.0.0.1", int(more["address"].split(":")[1])))
                assert device.recv(100) == b"0"


def case_started_with_other_settings():
    """What the next configuration has no use for is closed, and is not in its way."""
    with Scene() as scene, Echo() as echo:
        pool = scene.pool("p", [echo.entry()], **PLAIN)
        with managed(scene, [pool]) as (lb, manager):
            wait_until(lambda: len(manager.names()) == 2 * 3, 20, "all sockets are kept")
            lb.stop()
            listener, (first, last) = lb.config["listeners"][0], pool["nat"]["ports"].split("-")
            port = listener["address"].split(":")[1]
            listener["address"], pool["nat"]["ports"] = f"127.0.0.1:{first}", f"{port}-{port}"
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as foreign:
                manager.keep("listener of others", foreign.fileno())
                manager.keep("else", foreign.fileno())
            manager.start()
            manager.wait_ready(1)
            wait_until(lambda: len(manager.names()) == 2 * 2, 20, f"what is kept: {manager.names()}")
            assert {name.split()[1] for name in manager.names()} == {f"127.0.0.1-{first}", f"0.0.0.0-{port}"}
            lb.wait_log("warning inherited: a listener of the cidlb before is of no use: ")
            lb.wait_log(r'warning inherited: descriptor \\?"else\\?" is of no use here')
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
                device.settimeout(20)
                device.sendto(b"0", ("127.0.0.1", int(first)))
                assert device.recv(100) == b"0"


class Devices:
    """Plain UDP devices, each with a word of its own."""

    def __init__(self, lb, count):
        host, port = lb.address().split(":")
        self.target = (host, int(port))
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
        for device in self.sockets:
            make_room(device)
            device.settimeout(20)

    def word(self, n):
        return b"device%d" % n

    def ask_all(self):
        """Twice each: two answered round trips make a session."""
        for n, device in enumerate(self.sockets):
            for _ in range(2):
                device.sendto(self.word(n), self.target)
                assert device.recv(100) == self.word(n)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for device in self.sockets:
            device.close()


def homes(echoes):
    """Which server each device is at, and what the server sees of it."""
    return {word: (name, echo.sources[word]) for name, echo in echoes.items() for word in echo.sources}


def case_flows_outlive_it():
    """Sessions without a CID stay where they are, though a server was added meanwhile, and servers reach devices that
    have not spoken since."""
    with Scene() as scene, Echo() as a, Echo() as b, Echo() as c:
        echoes = {"a": a, "b": b, "c": c}
        pool = scene.pool("p", [a.entry("a"), b.entry("b")], **PLAIN)
        with managed(scene, [pool]) as (lb, manager), Devices(lb, 60) as devices:
            devices.ask_all()
            before = homes(echoes)
            assert len(before) == 60 and {name for name, _ in before.values()} == {"a", "b"}, before
            wait_until(lambda: len(manager.names()) == 2 * 3, 20, "all sockets are kept")
            lb.config["pools"][0]["backends"].append(c.entry("c"))
            manager.restart()
            lb.wait_log("info inherited: the flow table of the cidlb before: 60 of its 60 flows")
            for n, device in enumerate(devices.sockets):
                name, (source,) = before[devices.word(n)]
                echoes[name].socket.sendto(b"news", source)
                assert device.recv(100) == b"news"
            devices.ask_all()
            assert homes(echoes) == before
            lb.assert_identities()
            assert "flows" not in manager.names()
            # Without the table they are not all there any more.
            manager.restart(signal.SIGKILL)
            devices.ask_all()
            assert homes(echoes) != before and "c" in {name for name, _ in homes(echoes).values()}


def case_ports_of_a_single_address():
    """Each session has a port of its own, which is opened as it is needed. What servers send there waits, too."""
    with Scene() as scene, Echo() as echo:
        first = free_ports(300)
        nat = {"sources": ("127.0.0.1",), "ports": f"{first}-{first + 299}", "max_flows": 300}
        pool = scene.pool("p", [echo.entry()], nat=nat, **PLAIN)
        with managed(scene, [pool]) as (lb, manager), Devices(lb, 260) as devices:
            devices.ask_all()
            before = homes({"a": echo})
            for workers in (3, 2):
                lb.config["workers"] = workers
                ready = manager.count("READY=1")
                lb.stop()
                wait_until(lambda: manager.names().count("p") == 260, 20, "a port for each")
                for word, (_, (source,)) in before.items():
                    echo.socket.sendto(word, source)
                manager.start()
                manager.wait_ready(ready)
                lb.wait_log("info inherited: the flow table of the cidlb before: 260 of its 260 flows")
                for n, device in enumerate(devices.sockets):
                    assert device.recv(100) == devices.word(n)
                devices.ask_all()
                assert homes({"a": echo}) == before
                wait_until(lambda: "p" not in manager.names(), 20, "they are cidlb's again")
            lb.assert_identities()


def case_tunnels():
    """What servers send to any port of a tunnel waits, whether a worker has that port later on or not."""
    with Scene() as scene, Server(echo=False) as server:
        local = free_ports(5)
        settings = {**tunnel(), "local": f"127.0.0.1:{local}"}
        pool = tunnel_pool(scene, "p", [server.entry()], settings, protocol="udp", cid=None)
        with managed(scene, [pool], workers=3) as (lb, manager), Devices(lb, 5) as devices:
            for n, device in enumerate(devices.sockets):
                device.sendto(devices.word(n), devices.target)
            heard = list(server.wait(5))
            for workers in (1, 4, 2):
                lb.config["workers"] = workers
                ready = manager.count("READY=1")
                wait_until(lambda: len(manager.names()) >= 2 * 3, 20, "all sockets are kept")
                lb.stop()
                for device, service, word in heard:
                    for port in range(local, local + 3):
                        server.sock.sendto(server.header(service, device) + word, ("127.0.0.1", port))
                manager.start()
                manager.wait_ready(ready)
                for n, device in enumerate(devices.sockets):
                    assert [device.recv(100) for _ in range(3)] == [devices.word(n)] * 3
            lb.assert_identities()


def record(content_type, cid, number):
    """An encrypted record of DTLS 1.2 that ends with `number`."""
    body = bytes(12) + number.to_bytes(4, "big")
    return struct.pack(">BHH6x", content_type, 0xFEFD, 1) + cid + len(body).to_bytes(2, "big") + body


class Crowd:
    """Servers behind a tunnel, far too many for threads: they only hear."""

    def __init__(self, count):
        self.sockets = [open_socket("127.0.0.1") for _ in range(count)]

    def entries(self):
        return [
            {"name": f"b{n}", "id": n, "address": "%s:%d" % sock.getsockname()} for n, sock in enumerate(self.sockets)
        ]

    def heard(self, count):
        """Which server each record has come to, by its number."""
        homes, end = {}, time.monotonic() + 30
        while len(homes) < count and time.monotonic() < end:
            for sock in select.select(self.sockets, [], [], 0.5)[0]:
                for datagram, _ in drain(sock):
                    homes[int.from_bytes(datagram[-4:], "big")] = self.sockets.index(sock)
        assert len(homes) == count, f"{len(homes)} of {count} records"
        return homes

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in self.sockets:
            sock.close()


def case_many_servers():
    """The slots of 256 servers take a third of a second, and are built while cidlb serves. A tunnel has no flows, so
    each record is decided anew: before they are there as after that."""
    with Scene() as scene, Crowd(256) as servers:
        pool = tunnel_pool(scene, "p", servers.entries())
        with managed(scene, [pool]) as (lb, manager), Devices(lb, 100) as devices:
            def send():
                for n, device in enumerate(devices.sockets):
                    device.sendto(record(23, b"", n), devices.target)
                    device.sendto(record(25, bytes([2 * n]) + bytes(5), 100 + n), devices.target)

            wait_until(lambda: len(manager.names()) >= 2 * 2, 20, "two listeners and two ports are kept")
            send()
            first = servers.heard(200)
            assert all(first[100 + n] == 2 * n for n in range(100)), first
            assert len({first[n] for n in range(100)}) > 60, first  # 83 are due
            lb.stop()
            send()  # read at once by the next one
            begin = time.monotonic()
            manager.start()
            assert servers.heard(200) == first
            print(f"    {1000 * (time.monotonic() - begin):.0f} ms from the start to the last of what waited")
            while time.monotonic() < begin + 2:
                send()
                assert servers.heard(200) == first
            lb.assert_identities()


def case_foreign_and_damaged_tables():
    with Scene() as scene, Echo() as echo:
        pool = scene.pool("p", [echo.entry()], **PLAIN)
        with managed(scene, [pool]) as (lb, manager), Devices(lb, 3) as devices:
            for octets, at, what in (
                (b"", 0, "it is none"), (b"\0", 0, "it is none"), (b"\xff", 48, "it is another version's"),
                (b"\xff", 8, "its size is wrong"), (b"\xff", -1, "it is damaged"),
            ):
                devices.ask_all()
                wait_until(lambda: len(manager.names()) == 2 * 3, 20, "all sockets are kept")
                before = manager.count("READY=1")
                lb.stop()
                file = wait_until(lambda: dict(manager.store).get("flows"), 20, "the table is kept")
                if octets:
                    os.pwrite(file, octets, at if at >= 0 else os.fstat(file).st_size + at)
                else:
                    os.ftruncate(file, 5)
                manager.start()
                manager.wait_ready(before)
                lb.wait_log(f"warning inherited: the flow table of the cidlb before is of no use: {what}; ")
                devices.ask_all()


def case_under_load():
    """Real sessions, with CIDs and without, and plain datagrams that are counted: none is lost either way."""
    with Scene() as scene, Echo() as echo:
        servers = [scene.backend(number) for number in (1, 2)]
        pools = [scene.pool("plain", [echo.entry()], **PLAIN), scene.pool("coaps", servers)]
        with managed(scene, pools) as (lb, manager), Devices(lb, 20) as devices:
            stories, fleets = [], []
            for name, options in (("cids", {"rebind_every": 1}), ("plain", {"no_cid": True})):
                story = scene.dir / f"story-{name}"
                traffic = {"interval_ms": 200, "ack_timeout_ms": 3000, "duration": 600, "story": story}
                fleets.append(scene.fleet(lb.address("coaps"), name, devices=20, **traffic, **options))
                stories.append(story)
            for story in stories:
                wait_all_joined(story, 20)
            ends, sent = threading.Event(), []

            def send():
                begin = time.monotonic()
                while not ends.is_set():
                    n = len(sent)
                    # However long a start takes, what waits for it fits into its sockets.
                    if n > 1000 * (time.monotonic() - begin) or n - len(echo.seen) >= ON_THE_WAY:
                        time.sleep(0.001)
                        continue
                    sent.append(b"%d %d" % (n % 20, n))
                    devices.sockets[n % 20].sendto(sent[-1], devices.target)

            sender = threading.Thread(target=send)
            sender.start()
            took = []
            for workers in (3, 1, 2):
                time.sleep(0.5)
                lb.config["workers"] = workers
                took.append(round(1000 * manager.restart()))
            print(f"    READY=1 after {took} ms, {len(sent)} datagrams")
            time.sleep(0.5)
            ends.set()
            sender.join()
            wait_until(lambda: len(echo.seen) >= len(sent), 30, f"{len(sent)} datagrams arrive, not {len(echo.seen)}")
            assert sorted(echo.seen) == sorted(sent)
            for n, device in enumerate(devices.sockets):
                due = [datagram for datagram in sent if datagram.split()[0] == b"%d" % n]
                assert sorted(device.recv(100) for _ in due) == sorted(due)
            for story in stories:
                due = told(story, "exchanges_ok") + 60
                wait_until(lambda: told(story, "exchanges_ok") >= due, 30, "they go on")
            for fleet in fleets:
                fleet.child.send_signal(signal.SIGTERM)
                report = fleet.report(60)
                assert report["survived"] == report["handshakes"] == report["devices"] == 20, report
                assert report["exchanges_lost"] == report["extra_handshakes"] == 0, report
            lb.assert_identities()


if __name__ == "__main__":
    main(globals())
