#!/usr/bin/env python3
"""What a reload takes on, and what it refuses without changing anything."""

import re
import socket

from daemon import (
    FAST_HEALTH, HASH_KEY, MISTAKEN_LINES, MISTAKES, QUICK, hang_up, new_session, one_pool, overwrite, survives,
    wait_sessions,
)
from harness import Scene, free_ports, main, release_only
from udp import open_socket, parse_address


def case_mistakes_at_reload_change_nothing():
    with Scene() as scene:
        _, lb = one_pool(scene)
        fleet = scene.fleet(lb.address(), devices=3, duration=600, rebind_every=0.5, **QUICK)
        wait_sessions(lb, 3)
        generation = lb.metric("cidlb_snapshot_generation")
        overwrite(lb, MISTAKES % {"key": HASH_KEY})
        lines = hang_up(lb, "reload_refused")
        said = [
            re.search(rf" error configuration: {re.escape(str(lb.file))}:(\d+): (\S+): \S", line) for line in lines[:-1]
        ]
        assert all(said), lines
        assert [int(mistake.group(1)) for mistake in said] == MISTAKEN_LINES, lines
        assert "pools[0].backends[0].id" in [mistake.group(2) for mistake in said], lines

        overwrite(lb, 'workers = 2;\nhash_key = = "";\n')
        lines = hang_up(lb, "reload_refused")
        assert len(lines) == 2 and f"{lb.file}:2: " in lines[0], lines
        lb.file.unlink()
        assert len(hang_up(lb, "reload_refused")) == 2

        assert lb.metric("cidlb_snapshot_generation") == generation
        lb.reload()
        lb.assert_identities()
        survives(fleet, 3)


def case_reload_without_traffic():
    with Scene() as scene:
        _, lb = one_pool(scene, 1)
        for _ in range(10):
            lb.reload()  # a grace period that waited for a datagram would not end at all
        lb.assert_identities()


def case_reloads_under_traffic():
    with Scene() as scene:
        backends, lb = one_pool(scene, 3, health=FAST_HEALTH)
        fleet = scene.fleet(lb.address(), devices=30, duration=600, rebind_every=0.5, **QUICK)
        wait_sessions(lb, 30)
        entries = lb.config["pools"][0]["backends"]
        for n in range(30):
            entries[0]["weight"] = 50 + n
            entries[1]["state"] = ("ready", "drain")[n % 2]
            entries.reverse()
            lb.reload()
        survives(fleet, 30)
        lb.assert_identities()
        assert sum(backend.report()["handshakes"] for backend in backends) == 30


def case_listeners_and_pools_come_and_go():
    with Scene() as scene:
        a, b = scene.backend(1), scene.backend(2)
        lb = scene.cidlb([scene.pool("p", [a])])
        first = lb.address()
        lb.config["pools"].append(scene.pool("q", [b]))
        lb.config["listeners"].append({"name": "q", "address": f"127.0.0.1:{free_ports()}", "pool": "q"})
        lb.reload()
        fleets = [
            scene.fleet(lb.address(name), name=f"fleet-{name}", devices=3, duration=600, **QUICK) for name in ("p", "q")
        ]
        for name in ("p", "q"):
            wait_sessions(lb, 3, pool=name)

        # Its listener gets another name: the pool stays, and so do its sessions.
        lb.assert_identities()
        lb.config["listeners"][0]["name"] = "renamed"
        lb.reload()
        lb.assert_identities()
        survives(fleets[0], 3)

        removed = lb.config["listeners"].pop(0), lb.config["pools"].pop(0)
        lb.reload()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(parse_address(first))
        lb.assert_identities(but=["p"])

        lb.config["listeners"].insert(0, removed[0])
        lb.config["pools"].insert(0, removed[1])
        lb.reload()
        new_session(scene, lb, "again", "renamed")
        lb.listener("renamed")["address"] = f"127.0.0.1:{free_ports()}"
        lb.reload()
        new_session(scene, lb, "elsewhere", "renamed")
        lb.assert_identities(but=["p"])
        survives(fleets[1], 3)


def case_renamed_listener_goes_on_answering():
    """Two listeners swap their names: whoever waits for an answer gets it from the address that it had asked."""
    with Scene() as scene, open_socket("127.0.0.1") as server, open_socket("127.0.0.1") as device:
        server.settimeout(20)
        device.settimeout(20)
        entry = {"name": "s", "address": "127.0.0.1:%d" % server.getsockname()[1]}
        lb = scene.cidlb([scene.pool("p", [entry], protocol="udp", cid=None, health={"probe": "none"})], start=False)
        lb.config["listeners"].append({"name": "other", "address": f"127.0.0.1:{free_ports()}", "pool": "p"})
        lb.start()
        asked = [parse_address(listener["address"]) for listener in lb.config["listeners"]]
        endpoints = []
        for address in asked:
            device.sendto(b"question", address)
            endpoints.append(server.recvfrom(100)[1])
        first, second = lb.config["listeners"]
        first["name"], second["name"] = second["name"], first["name"]
        lb.reload()
        for address, endpoint in zip(asked, endpoints):
            server.sendto(b"answer", endpoint)
            assert device.recvfrom(100) == (b"answer", address)
        first["name"] = "renamed"
        lb.reload()
        for address, endpoint in zip(asked, endpoints):
            server.sendto(b"answer", endpoint)
            assert device.recvfrom(100) == (b"answer", address)
            device.sendto(b"question", address)
            assert server.recvfrom(100) == (b"question", endpoint)


def case_refused_listener_changes_nothing():
    """One of two new addresses is taken: neither is opened, and what runs goes on."""
    with Scene() as scene, open_socket("127.0.0.1") as taken:
        _, lb = one_pool(scene, 1)
        before = list(lb.config["listeners"])
        free = free_ports()
        lb.config["listeners"] += [
            {"name": "free", "address": f"127.0.0.1:{free}", "pool": "p"},
            {"name": "taken", "address": "127.0.0.1:%d" % taken.getsockname()[1], "pool": "p"},
        ]
        lb.write()
        lines = hang_up(lb, "reload_refused")
        assert "cannot bind 127.0.0.1:%d: Address already in use" % taken.getsockname()[1] in lines[0], lines
        open_socket("127.0.0.1", free).close()
        lb.config["listeners"] = before
        lb.reload()
        new_session(scene, lb, "after")
        lb.assert_identities()


def case_refused_admin_changes_nothing():
    with Scene() as scene, socket.create_server(("127.0.0.1", 0)) as taken:
        _, lb = one_pool(scene, 1)
        http, port = lb.config["admin"]["http"], free_ports()
        lb.config["listeners"].append({"name": "free", "address": f"127.0.0.1:{port}", "pool": "p"})
        lb.config["admin"]["http"] = "127.0.0.1:%d" % taken.getsockname()[1]
        lb.write()
        lines = hang_up(lb, "reload_refused")
        assert "cannot bind 127.0.0.1:%d: Address already in use" % taken.getsockname()[1] in lines[0], lines
        open_socket("127.0.0.1", port).close()
        lb.config["admin"]["http"] = http
        assert lb.get("/readyz")[0] == 200
        lb.reload()
        lb.config["admin"]["http"] = f"127.0.0.1:{free_ports()}"
        lb.write()
        hang_up(lb, "reloaded")
        assert lb.get("/readyz")[0] == 200
        new_session(scene, lb, "after", "free")


@release_only  # a sanitizer's address space cannot be limited
def case_too_many_flows_change_nothing():
    """More than there is memory for."""
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)], nat={"max_flows": 1000})], start=False)
        lb.argv[:0] = ["prlimit", f"--as={1 << 30}"]
        lb.start()
        lb.config["pools"][0]["nat"].update(max_flows=5000000)
        lb.write()
        lines = hang_up(lb, "reload_refused")
        assert "max_flows" in lines[0], lines
        lb.config["pools"][0]["nat"].update(max_flows=2000)
        lb.reload()
        new_session(scene, lb, "after")
        lb.assert_identities()


if __name__ == "__main__":
    main(globals())
