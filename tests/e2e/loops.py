#!/usr/bin/env python3
"""Sources at which nobody can be answered: loops and forged datagrams end with the first one, and are counted."""

import socket
import struct
import time

from dns import Dns
from harness import AS_ROOT, Scene, Skip, free_ports, ip, main, total, wait_until
from udp import Echo, drain, forge, open_socket, parse_address

NO_PROBES = {"probe": "none"}
PREFIX = "127.64.0.0/10"
LOOPBACK6 = "fd00:c1d:1b00::/56"
KEY = bytes(range(16))

PING = b"\x50\1\0\1"  # a CoAP message, not confirmable
HELLO = bytes.fromhex("16fefd0000000000000000002e0100002200000000000000 22") + bytes(34)
CID = forge(b"\1" + bytes(5))  # of server 1
DATA = bytes.fromhex("17fefd0001000000000001 0018") + bytes(24)


def spoof(source, target, payload):
    """Sends as if from `source` (IP, port), over loopback."""
    if not AS_ROOT:
        raise Skip("forges sources, and so needs root")
    udp = struct.pack(">HHHH", source[1], target[1], 8 + len(payload), 0) + payload
    head = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, socket.inet_aton(source[0]), socket.inet_aton(target[0])
    )
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.sendto(head + udp, (target[0], 0))


def counts(lb, listener):
    """(received, {verdict: count}) of a listener."""
    metrics = lb.metrics()
    of_it = [dict(labels) for name, labels in metrics if name == "cidlb_datagrams_total"]
    verdicts = {
        labels["verdict"]: total(metrics, "cidlb_datagrams_total", listener=listener, verdict=labels["verdict"])
        for labels in of_it
        if labels["listener"] == listener
    }
    return total(metrics, "cidlb_received_total", listener=listener), verdicts


def grown(lb, listener, send, datagrams=1):
    """What each verdict has grown by once `datagrams` are there and no more come."""
    before, verdicts = counts(lb, listener)
    send()
    wait_until(lambda: counts(lb, listener)[0] >= before + datagrams, 20, "it is counted")
    time.sleep(0.03)
    after, now = counts(lb, listener)
    assert after == before + datagrams, (before, after)
    return {verdict: now[verdict] - verdicts[verdict] for verdict in now if now[verdict] != verdicts[verdict]}


def pools(scene, servers):
    """One of each mode, all of them with the same server."""
    dtls = {"health": NO_PROBES, "cid": {"scheme": "node-id", "length": 6}}
    entries = [{**entry, "id": 1} for entry in servers.entries()]
    server6 = [{"name": "a", "id": 1, "address": f"[::1]:{free_ports()}"}]
    tunnel = {"local": f"127.0.0.1:{free_ports(4)}", "keys": [{"id": 1, "key": KEY.hex()}]}
    modes = [
        scene.pool("udp", servers.entries(), protocol="udp", cid=None, health=NO_PROBES, nat={"sources": (PREFIX,)}),
        scene.pool("nat", entries, nat={"sources": (PREFIX,)}, **dtls),
        scene.pool("tunnel", entries, forward="tunnel", tunnel=tunnel, **dtls),
        scene.pool("stateless", server6, nat={"rebind": "backend", "sources": (LOOPBACK6,)}, **dtls),
    ]
    del modes[2]["nat"]
    return modes


def case_forged_sources():
    """Of a listener, a server, an endpoint, a tunnel, of port 0: in every mode, with or without a CID."""
    ip("-6", "route", "add", "local", LOOPBACK6, "dev", "lo")
    with Scene() as scene, Echo("a") as servers:
        of_mode = pools(scene, servers)
        lb = scene.cidlb(of_mode)
        tunnel = parse_address(of_mode[2]["tunnel"]["local"])
        bad = {
            "this listener": None,
            "another listener": parse_address(lb.address("udp")),
            "the server": parse_address(servers.entries()[0]["address"]),
            "an endpoint": ("127.65.66.67", 40000),
            "the tunnel of the first worker": tunnel,
            "the tunnel of the second worker": (tunnel[0], tunnel[1] + 1),
            "the tunnel's probes": (tunnel[0], tunnel[1] + 2),
            "port 0": ("127.0.0.77", 0),
        }
        good = {"a device": ("127.0.0.77", 5684), "the server's address": ("127.0.0.1", free_ports())}
        wrong = []
        for pool in of_mode:
            name, target = pool["name"], parse_address(lb.address(pool["name"]))
            for what, source in {**bad, **good}.items():
                for datagram in (HELLO, CID, DATA):
                    got = grown(lb, name, lambda: spoof(source or target, target, datagram))
                    if (got == {"bad_source": 1}) != (what in bad):
                        wrong.append(f"{name}, {what}: {got}")
        assert not wrong, "; ".join(wrong)
        lb.assert_identities()
        assert servers.got["a"] > 0, "what is good arrives"


def case_single_address():
    """Of the ports of a single source address those count that cidlb has open."""
    with Scene() as scene, Echo("a") as servers:
        nat = {"sources": ("127.0.0.1",), "ports": "23000-23099", "max_flows": 50}
        lb = scene.cidlb([scene.pool("u", servers.entries(), protocol="udp", cid=None, health=NO_PROBES, nat=nat)])
        target = parse_address(lb.address())
        with open_socket("127.0.0.1") as device:
            assert grown(lb, "u", lambda: device.sendto(PING, target)) == {"hash": 1}
            wait_until(lambda: drain(device), 20, "it is answered")
        seen = servers.last
        assert 23000 <= seen[1] <= 23099, seen
        other = ("127.0.0.1", 23000 if seen[1] != 23000 else 23001)
        assert grown(lb, "u", lambda: spoof(seen, target, PING)) == {"bad_source": 1}
        # It gets a flow, whose port may be the one just asked for.
        assert grown(lb, "u", lambda: spoof(other, target, PING)) == {"hash": 1}
        lb.assert_identities()


def case_loops_by_name():
    """A server whose name leads to the listener, or to that of a pool that leads back: nobody sees that beforehand."""
    with Scene() as scene, Dns(scene, {"loop.test": ["127.0.0.1"], "wild.test": ["127.0.0.55"]}):
        entry = {"name": "a", "id": 1}
        options = {"nat": {"sources": (PREFIX,)}, "health": NO_PROBES}
        udp = {**options, "protocol": "udp", "cid": None}
        names = {"itself": "itself", "one": "two", "two": "one", "sessions": "sessions", "wild": "wild"}
        lb = scene.cidlb(
            [scene.pool(name, [], **(options if name == "sessions" else udp)) for name in names], start=False
        )
        lb.config["listeners"][-1]["address"] = f"0.0.0.0:{free_ports()}"
        for pool in lb.config["pools"]:
            port = lb.address(names[pool["name"]]).rsplit(":", 1)[1]
            host = "wild" if pool["name"] == "wild" else "loop"
            pool["backends"] = [{**entry, "address": f"{host}.test:{port}"}]
            if pool["name"] != "sessions":
                del pool["backends"][0]["id"]
        lb.start()
        wait_until(lambda: lb.log_text().count(" backend_address ") == len(names), 20, "all names are known")
        with open_socket("127.0.0.1") as device:
            for name in names:
                address = parse_address(lb.address(name).replace("0.0.0.0", "127.0.0.1"))
                datagram = HELLO if name == "sessions" else PING
                device.sendto(datagram, address)
            wait_until(lambda: sum(counts(lb, name)[0] for name in names) >= 10, 20, "all have come, and come again")
            time.sleep(0.5)
        of = {name: counts(lb, name) for name in names}
        for name in ("itself", "sessions", "wild"):
            assert of[name][0] == 2 and of[name][1]["hash"] == of[name][1]["bad_source"] == 1, (name, of[name])
        assert of["one"][0] + of["two"][0] == 4, of
        assert of["one"][1]["bad_source"] + of["two"][1]["bad_source"] == 2, of
        lb.assert_identities()


def case_addresses_of_this_host():
    """A listener on a wildcard address has them all; one that comes later counts soon."""
    with Scene() as scene, Echo("a") as servers:
        lb = scene.cidlb(
            [scene.pool("u", servers.entries(), protocol="udp", cid=None, health=NO_PROBES, nat={"sources": (PREFIX,)})],
            start=False,
        )
        port = free_ports()
        lb.config["listeners"][0]["address"] = f"0.0.0.0:{port}"
        lb.start()
        target = ("127.0.0.1", port)
        assert grown(lb, "u", lambda: spoof(("127.5.6.7", port), target, PING)) == {"bad_source": 1}
        assert grown(lb, "u", lambda: spoof(("127.5.6.7", port + 1), target, PING)) == {"hash": 1}
        assert grown(lb, "u", lambda: spoof(("10.9.8.7", port), target, PING)) == {"hash": 1}

        def verdicts_of_it():
            """Of what it sends, and of the answers: they come back as long as it is of this host and nobody knows."""
            before = counts(lb, "u")
            spoof(("10.9.8.7", port), target, PING)
            wait_until(lambda: counts(lb, "u")[0] > before[0], 20, "it is counted")
            time.sleep(0.1)
            now = counts(lb, "u")[1]
            return {verdict for verdict in now if now[verdict] != before[1][verdict]}

        ip("address", "add", "10.9.8.7/32", "dev", "lo")
        wait_until(lambda: verdicts_of_it() == {"bad_source"}, 20, "it is an address of this host")
        ip("address", "del", "10.9.8.7/32", "dev", "lo")
        wait_until(lambda: verdicts_of_it() <= {"hash", "hint"}, 20, "it is one no more")
        lb.assert_identities()


main(globals())
