#!/usr/bin/env python3
"""A pool that says nothing of its CIDs: they are read as the servers give them out. The servers here encrypt theirs
with keys that cidlb does not have."""

import secrets
import subprocess
import time
from pathlib import Path

from harness import BIN, FULL, PSK, Scene, main, told, wait_all_joined, wait_until
from quic_lb import ctl
from stateless import NAT, route_prefix
from tunnel import key_file, started, tunnel_pool
from udp import parse_address

DEVICES = 150 if FULL else 45
FLOOD = 60_000 if FULL else 3000
SMALL = 1024  # cid.max_cids
HEALTH = {"probe": "coaps", "interval_ms": 500, "timeout_ms": 3000, "psk_identity": PSK[0], "psk_key": PSK[1]}
FLEET = {"rebind_every": 1, "interval_ms": 400, "ack_timeout_ms": 400, "duration": 900, "max_seconds": 900}


def server(scene, number, nonce_octets, ip="127.0.0.1", options=()):
    """CIDs of so many octets and four more, which look random to cidlb."""
    one = f"rotation=0,server_id_length=3,nonce_length={nonce_octets},key={secrets.token_hex(16)}"
    return scene.backend(number, cid_length=None, ip=ip, options=("--quic-lb", one, *options))


def pool_of(scene, servers, **more):
    return scene.pool("coaps", servers, health=HEALTH, **{"cid": {"scheme": "learned"}, **more})


def learned(lb):
    return ctl(lb, "status")["pools"][0]["learned"]


def end(fleet, devices):
    fleet.stop()
    report = fleet.report(120)
    assert report["survived"] == report["sessions"] == report["handshakes"] == devices, report
    assert report["extra_handshakes"] == 0, report


def joined_fleet(scene, lb, devices, **options):
    story = scene.dir / "fleet.story"
    fleet = scene.fleet(lb.address(), devices=devices, story=story, **{**FLEET, **options})
    wait_all_joined(story, devices, 120)
    return fleet, story


def wait_moves(story, more):
    due = told(story, "rebinds") + more
    wait_until(lambda: told(story, "rebinds") >= due, 120, f"{more} moves")


def moves(scene, servers, pool):
    """CIDs of three lengths. Devices move, servers come and go under way, cidlb is killed, and every session lives."""
    lb = started(scene, [pool])
    wait_until(
        lambda: all(row["cid"] == {"finding": "ok"} and row["rebinding"] == {"finding": "yes"}
                    for row in ctl(lb, "backends")["backends"]),
        30, "the probes find everything in order",
    )
    fleet, story = joined_fleet(scene, lb, DEVICES, loss=10)
    wait_moves(story, DEVICES)
    ctl(lb, "drain", "a")
    lb.config["pools"][0]["backends"].reverse()
    lb.reload()
    wait_moves(story, DEVICES)
    has = learned(lb)
    assert has["lengths"] == [8, 10, 20] and has["cids"] == has["added"] >= DEVICES, has
    assert lb.metric("cidlb_learned_cids") == has["cids"]
    assert lb.metric("cidlb_datagrams_total", verdict="unknown_cid") == 0
    lb.assert_identities()
    lb.restart()
    wait_moves(story, DEVICES)
    end(fleet, DEVICES)
    assert all(s.counters()["handshakes"] > 0 for s in servers)
    assert lb.metric("cidlb_datagrams_total", verdict="unknown_cid") == 0


def three(scene, **more):
    return [server(scene, number, octets, **more) for number, octets in ((1, 4), (2, 6), (3, 16))]


def case_moves_follow():
    with Scene() as scene:
        servers = three(scene)
        moves(scene, servers, pool_of(scene, servers))


def case_moves_backend():
    with Scene() as scene:
        servers = three(scene)
        moves(scene, servers, pool_of(scene, servers, nat={"rebind": "backend"}))


def case_moves_tunnel():
    with Scene() as scene:
        servers = three(scene, options=("--tunnel", key_file(scene)))
        moves(scene, servers, tunnel_pool(scene, "coaps", servers, cid={"scheme": "learned"}, health=HEALTH))


def case_moves_stateless():
    """Mode nat without a table."""
    route_prefix()
    with Scene() as scene:
        servers = three(scene, ip="::1")
        moves(scene, servers, pool_of(scene, servers, nat=NAT))


def case_killed():
    """SIGKILL loses no session: what was learned is in the file. Room for more CIDs is had by a start, too."""
    with Scene() as scene:
        servers = [server(scene, number, octets) for number, octets in ((1, 4), (2, 6), (3, 6))]
        lb = scene.cidlb([pool_of(scene, servers, cid={"scheme": "learned", "max_cids": SMALL})])
        fleet, story = joined_fleet(scene, lb, DEVICES)
        wait_until(lambda: learned(lb)["cids"] == DEVICES, 20, "all CIDs are learned")
        for max_cids in (SMALL, 5000):
            lb.kill()
            lb.config["pools"][0]["cid"]["max_cids"] = max_cids
            lb.config["pools"][0]["backends"].reverse()
            lb.start()
            has = learned(lb)
            assert has["cids"] == DEVICES and has["added"] == 0 and has["max_cids"] == max_cids, has
            wait_moves(story, DEVICES)
        end(fleet, DEVICES)
        lb.assert_identities()
        assert lb.metric("cidlb_datagrams_total", verdict="unknown_cid") == 0


def case_damaged_file():
    """It is refused and kept under another name, and says so; cidlb learns anew. Two cidlbs do not share one."""
    with Scene() as scene:
        one = server(scene, 1, 6)
        lb = scene.cidlb([pool_of(scene, [one])])
        file = Path(lb.config["state_file"]).parent / "coaps.cids"
        joined_fleet(scene, lb, 3)[0].stop()
        assert learned(lb)["cids"] == 3
        lb.stop()
        whole = file.read_bytes()
        assert file.stat().st_mode & 0o777 == 0o600 and len(whole) <= 31 * 1_000_000
        for octets, why in ((whole[:100_000], "its size is wrong"), (b"x" + whole[1:], "it is none"), (b"", "empty")):
            file.write_bytes(octets)
            lb.start()
            lb.wait_log(f"coaps.cids is refused .*{why}.*: set aside as .*coaps.cids.bad")
            assert learned(lb)["cids"] == 0
            assert any(bad.read_bytes() == octets for bad in file.parent.glob("coaps.cids.bad*"))
            lb.stop()
        file.write_bytes(whole)
        lb.start()
        assert learned(lb)["cids"] == 3
        other = scene.cidlb([pool_of(scene, [one])], name="other", state_file=lb.config["state_file"])
        other.wait_log("what is learned will not outlive a restart: .*another process has it")
        other.stop()


def case_damaged_sessions():
    """The same holds for the file of what devices without CIDs resume; max_resumable = 0 has none."""
    with Scene() as scene:
        one = server(scene, 1, 6)
        lb = scene.cidlb([pool_of(scene, [one], max_resumable=SMALL)])
        file = Path(lb.config["state_file"]).parent / "coaps.sessions"
        lb.stop()
        whole = file.read_bytes()
        assert file.stat().st_mode & 0o777 == 0o600 and len(whole) <= 31 * SMALL + 40_000, len(whole)
        file.write_bytes(whole[:40_000])
        lb.start()
        lb.wait_log("coaps.sessions is refused .*its size is wrong.*: set aside as .*coaps.sessions.bad.*resume")
        assert any(bad.read_bytes() == whole[:40_000] for bad in file.parent.glob("coaps.sessions.bad*"))
        assert ctl(lb, "status")["pools"][0]["resumable"]["max_resumable"] == SMALL
        lb.stop()
        file.unlink()
        lb.config["pools"][0]["max_resumable"] = 0
        lb.start()
        assert not file.exists() and ctl(lb, "status")["pools"][0]["resumable"] is None


def case_no_keys_flush_nothing():
    """Devices sleep while others begin many more handshakes than there is room for CIDs, answer the cookie, and show
    the CIDs that they are given."""
    with Scene() as scene:
        servers = [server(scene, number, 6) for number in (1, 2, 3)]
        lb = scene.cidlb([pool_of(scene, servers, cid={"scheme": "learned", "max_cids": SMALL})])
        fleet, story = joined_fleet(scene, lb, 15, interval_ms=2000)
        before = learned(lb)
        began = time.monotonic()
        flood = [str(part) for part in (BIN / "hello_flood", *parse_address(lb.address()), FLOOD)]
        done = subprocess.run(flood, stdout=subprocess.PIPE, text=True, timeout=900, check=True)
        took = time.monotonic() - began
        after = learned(lb)
        assert int(done.stdout) == FLOOD > SMALL, done.stdout
        assert after["evicted"] == 0 and after["cids"] - before["cids"] < 15, (before, after)
        wait_moves(story, 15)
        end(fleet, 15)
        lb.assert_identities()
        print(f"    {FLOOD} ClientHellos with cookies in {took:.1f} s; {after['cids']} CIDs learned, 0 forgotten")


if __name__ == "__main__":
    main(globals())
