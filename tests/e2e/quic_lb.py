#!/usr/bin/env python3
"""Encrypted CIDs lead to the servers that they are of, also while keys are changed."""

import json
import os
import signal
import subprocess

from harness import AS_ROOT, BIN, FULL, PSK, SANITIZE, USER, Scene, free_ports, main, told, wait_all_joined, wait_until
from udp import forge, open_socket, parse_address

DEVICES, LATE = (300, 150) if FULL else (60, 50)  # so many that each of three servers gets some
TRAFFIC = (
    {"interval_ms": 1000, "ack_timeout_ms": 500} if FULL or SANITIZE else {"interval_ms": 300, "ack_timeout_ms": 300}
)
HEALTH = {"probe": "coaps", "interval_ms": 500, "timeout_ms": 3000, "psk_identity": PSK[0], "psk_key": PSK[1]}
KEYS = ("8f95f09245765f80256934e50c66207f", "fdf726a9893ec05c0632d3956680baf0")
FIRST_OCTETS = ("08", "28")  # of CIDs of rotation 0 and 1, which have 8 octets more


def config(rotation, **options):
    return {"rotation": rotation, "server_id_length": 2, "nonce_length": 6, "key": KEYS[rotation], **options}


def config_with_file(scene, rotation):
    """Its key in a file of its own, which cidlb and servers read."""
    file = scene.dir / f"key{rotation}"
    if not file.exists():
        file.write_text(KEYS[rotation] + "\n")
        file.chmod(0o400)
        if AS_ROOT:
            os.chown(file, USER.pw_uid, USER.pw_gid)
    return config(rotation, key=f"@{file}")


def as_option(one):
    return ",".join(f"{name}={value}" for name, value in one.items())


def backend(scene, number, name, one, sessions, **more):
    """A server whose CIDs are of config `one`, with a file for its sessions."""
    options = ("--quic-lb", as_option(one), "--sessions", sessions)
    return scene.backend(number, name=name, cid_length=None, options=options, **more)


def backends(scene, one):
    """Three."""
    return [backend(scene, number, name, one, scene.dir / f"sessions-{name}") for number, name in enumerate("abc", 258)]


def pool_of(scene, entries, *configs):
    return scene.pool("coaps", entries, health=HEALTH, cid={"scheme": "quic-lb", "configs": list(configs)})


def ctl(lb, *command):
    argv = [BIN / "cidlbctl", "--json", "--socket", lb.config["admin"]["socket"], *command]
    return json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def rows(lb):
    return {row["name"]: row for row in ctl(lb, "backends")["backends"]}


def wait_good_probes(lb):
    """Every server keeps a session over changes of address, and has CIDs as configured."""

    def good():
        return all(
            row["rebinding"] == {"finding": "yes"} and row["cid"] == {"finding": "ok"} for row in rows(lb).values()
        )

    wait_until(good, 30, "the probes find everything in order")


def flow_backends(lb, cids):
    """Where the sessions with these CIDs are, all of which are in use."""

    def backend(cid):
        flows = [flow for flow in ctl(lb, "flows", "--cid", cid)["flows"] if flow["kind"] == "cid"]
        return flows and flows[0]["class"] == "cid" and flows[0]["last_up_ms_ago"] < 60_000 and flows[0]["backend"]

    return {cid: wait_until(lambda: backend(cid), 30, f"{cid} is in use") for cid in cids}


def start_fleet(scene, lb, name, devices, **options):
    """Devices with sessions, that move until they are told to end: the fleet, its story, and their CIDs."""
    story = scene.dir / f"{name}.story"
    options = {"rebind_every": 2, "duration": 900, "max_seconds": 900, **TRAFFIC, **options}
    fleet = scene.fleet(lb.address(), name=name, devices=devices, story=story, **options)
    wait_all_joined(story, devices, 120)
    lines = [json.loads(line) for line in story.read_text().split("\n")[:-1]]
    return fleet, story, {line["cid"] for line in lines if line.get("event") == "joined"}


def wait_answered(lb, devices):
    """Until every session was answered. One of which its server has heard nothing yet cannot be saved."""
    answered = lambda: lb.metric("cidlb_flows", kind="cid")
    wait_until(lambda: answered() >= devices, 120, f"{devices} sessions are answered")


def wait_more(story, what, more, timeout=120):
    due = told(story, what) + more
    wait_until(lambda: told(story, what) >= due, timeout, f"{more} more {what}")


def end(fleet, devices):
    """Asks a fleet for its last exchanges. No session was lost, and no handshake was needed but the first."""
    fleet.child.send_signal(signal.SIGTERM)
    report = fleet.report(120)
    assert report["survived"] == report["sessions"] == report["handshakes"] == devices, report
    assert report["extra_handshakes"] == 0 and report["exit"] == 0, report
    return report


def mint(lb, server, rotation, count=20):
    command = [BIN / "cidlbctl", "cid", "mint", "coaps", server, "-c", lb.file, "--json"]
    answer = subprocess.run(
        [*command, "--rotation", str(rotation), "--count", str(count)], check=True, capture_output=True, text=True
    )
    return [bytes.fromhex(cid) for cid in json.loads(answer.stdout)["cids"]]


class Servers:
    """Sockets in place of servers: what comes is held against what was sent to whom."""

    def __init__(self):
        self.sockets = {name: open_socket("127.0.0.1") for name in "ab"}
        for sock in self.sockets.values():
            sock.settimeout(20)

    def entries(self):
        return [
            {"name": name, "id": number, "address": "%s:%d" % sock.getsockname()}
            for number, (name, sock) in enumerate(self.sockets.items(), 258)
        ]

    def expect(self, device, name, cid):
        datagram = forge(cid)
        device.send(datagram)
        assert self.sockets[name].recv(2048) == datagram, (name, cid.hex())


def check_all(servers, device, cids):
    for (name, _rotation), some in cids.items():
        for cid in some:
            servers.expect(device, name, cid)


def case_keys_change_and_no_session_is_lost():
    with Scene() as scene:
        servers = Servers()
        pool = scene.pool(
            "coaps", servers.entries(), health={"probe": "none"}, cid={"scheme": "quic-lb", "configs": [config(0)]}
        )
        lb = scene.cidlb([pool])
        device = open_socket("127.0.0.1")
        device.setblocking(True)
        device.connect(parse_address(lb.address()))
        cids = {(name, 0): mint(lb, name, 0) for name in "ab"}
        check_all(servers, device, cids)
        pool["cid"]["configs"].append(config(1))
        lb.reload()
        cids |= {(name, 1): mint(lb, name, 1) for name in "ab"}
        check_all(servers, device, cids)
        # Configurations come and go under way; both configs live on.
        for _ in range(10):
            pool["cid"]["configs"].reverse()
            lb.reload()
            check_all(servers, device, {key: some[:2] for key, some in cids.items()})
        pool["cid"]["configs"] = [config(1)]
        lb.reload()
        check_all(servers, device, {key: some for key, some in cids.items() if key[1] == 1})
        before = lb.metric("cidlb_datagrams_total", verdict="unknown_cid")
        device.send(forge(cids["a", 0][0]))
        wait_until(
            lambda: lb.metric("cidlb_datagrams_total", verdict="unknown_cid") == before + 1, 20,
            "a retired config is unknown",
        )
        lb.wait_log("a CID has rotation 0, which no entry of cid.configs has", 15)
        lb.assert_identities()


def case_sessions_under_encrypted_cids():
    with Scene() as scene:
        one = config_with_file(scene, 0)
        servers = backends(scene, one)
        lb = scene.cidlb([pool_of(scene, servers, one)])
        wait_good_probes(lb)
        fleet, story, cids = start_fleet(scene, lb, "fleet", DEVICES, loss=10)
        assert len(cids) == DEVICES and all(len(cid) == 18 and cid.startswith(FIRST_OCTETS[0]) for cid in cids), cids
        wait_more(story, "rebinds", 4 * DEVICES)
        where = flow_backends(lb, cids)
        assert set(where.values()) == {"a", "b", "c"}, where
        for cid in sorted(cids)[:9]:
            opened = subprocess.run(
                [BIN / "cidlbctl", "cid", "open", cid, "-c", lb.file, "--json"], check=True, capture_output=True
            )
            assert json.loads(opened.stdout)["backend"] == where[cid], (cid, opened.stdout)
        end(fleet, DEVICES)
        wait_good_probes(lb)
        lb.assert_identities()
        assert lb.metric("cidlb_datagrams_total", verdict="unknown_cid") == 0
        reports = [server.report() for server in servers]
        assert all(report["forged_records"] == report["unknown_cid"] == 0 for report in reports), reports


def case_rotation_under_way():
    """cidlb learns the next config first, then server by server begins to use it: in place, with the sessions it
    had."""
    with Scene() as scene:
        old, new = config_with_file(scene, 0), config_with_file(scene, 1)
        servers = backends(scene, old)
        lb = scene.cidlb([pool_of(scene, servers, old)])
        early, story, early_cids = start_fleet(scene, lb, "early", DEVICES, loss=10)
        wait_answered(lb, DEVICES)
        wait_more(story, "exchanges_ok", 5 * DEVICES)
        lb.config["pools"][0]["cid"]["configs"].append(new)
        lb.reload()
        for server in servers:
            server.argv[server.argv.index("--quic-lb") + 1] = as_option(new)
            counted = server.replace()
            server.wait_log(" loaded\n", 20)
            assert server.counters()["sessions_loaded"] == counted["sessions_saved"] > 0, counted
            assert counted["sessions_unsaved"] == 0, counted
            wait_more(story, "exchanges_ok", 3 * DEVICES)
        late, late_story, late_cids = start_fleet(scene, lb, "late", LATE, loss=10)
        for fleet_story in (story, late_story):
            wait_more(fleet_story, "rebinds", 2 * DEVICES)
        assert len(early_cids) == DEVICES and len(late_cids) == LATE
        for cids, first in zip((early_cids, late_cids), FIRST_OCTETS):
            assert all(cid.startswith(first) for cid in cids), cids
            assert set(flow_backends(lb, cids).values()) == {"a", "b", "c"}
        end(early, DEVICES)
        end(late, LATE)
        wait_good_probes(lb)
        lb.assert_identities()
        assert lb.metric("cidlb_datagrams_total", verdict="unknown_cid") == 0
        reports = [server.report() for server in servers]
        assert all(report["forged_records"] == report["unknown_cid"] == 0 for report in reports), reports


def case_successor_under_another_rotation():
    """A process elsewhere, with an id and a config of its own, loads the sessions of one that ends: it claims the id in
    their CIDs."""
    devices = 100 if FULL else 30
    with Scene() as scene:
        old, new = config_with_file(scene, 0), config_with_file(scene, 1)
        saved = scene.dir / "sessions"
        a = backend(scene, 258, "a", old, saved)
        port = free_ports()
        spare = {"name": "spare", "id": 513, "address": f"127.0.0.1:{port}", "weight": 0, "may_claim": ("0102",)}
        lb = scene.cidlb([pool_of(scene, [a, spare], old, new)])
        fleet, story, cids = start_fleet(scene, lb, "fleet", devices, observe=True)
        wait_more(story, "exchanges_ok", 3 * devices)
        a.stop()
        heir = backend(scene, 513, "heir", new, saved, port=port)
        wait_until(lambda: set(rows(lb)["spare"]["ids"]) == {"0102", "0201"}, 60, "the id has moved")
        wait_more(story, "exchanges_ok", 3 * devices)
        wait_more(story, "rebinds", 2 * devices)
        assert set(flow_backends(lb, cids).values()) == {"spare"}
        end(fleet, devices)
        assert heir.counters()["sessions_loaded"] >= devices
        lb.assert_identities()


def case_config_retired_too_early():
    """Said and counted; the sessions are there again with the config."""
    devices = 30
    with Scene() as scene:
        old, new = config_with_file(scene, 0), config_with_file(scene, 1)
        server = backend(scene, 258, "a", old, scene.dir / "sessions")
        lb = scene.cidlb([pool_of(scene, [server], old, new)])
        wait_good_probes(lb)
        fleet, story, _ = start_fleet(scene, lb, "fleet", devices, give_up=100)
        wait_more(story, "exchanges_ok", 3 * devices)
        configs = lb.config["pools"][0]["cid"]["configs"]
        configs.remove(old)
        lb.write()
        subprocess.run([BIN / "cidlb", "-t", "-c", lb.file], check=True, capture_output=True)
        lb.reload()
        wait_until(
            lambda: lb.metric("cidlb_datagrams_total", verdict="unknown_cid") >= devices, 30, "its CIDs are counted"
        )
        lb.wait_log("a CID has rotation 0, which no entry of cid.configs has", 15)
        wrong = {"finding": "wrong", "reason": "rotation 0, which is not configured"}
        wait_until(lambda: rows(lb)["a"]["cid"] == wrong, 30, "the probe has found it")
        configs.append(old)
        lb.reload()
        wait_good_probes(lb)
        wait_more(story, "exchanges_ok", 3 * devices)
        end(fleet, devices)
        lb.assert_identities()
        assert server.report()["unknown_cid"] == 0


if __name__ == "__main__":
    main(globals())
