"""Every address family with every kind of source: {IPv4, IPv6} devices x {IPv4, IPv6} servers x {prefix, address}
sources x {follow, backend}."""

import signal

from harness import FULL, Scene, ip, main, wait_until

LOOPBACK = {4: "127.0.0.1", 6: "::1"}
PREFIX = {4: "127.64.0.0/10", 6: "fd00:c1d:1b::/64"}
QUICK = {"interval_ms": 150, "ack_timeout_ms": 200, "loss": 5, "max_seconds": 90}


def sessions_live(device, server, kind, rebind):
    """Devices move, cidlb is killed and started again, and nobody loses a session."""
    devices, moves = (50, 20) if FULL else (8, 4)
    with Scene() as scene:
        backends = [scene.backend(number, ip=LOOPBACK[server]) for number in (1, 2)]
        source = PREFIX[server] if kind == "prefix" else LOOPBACK[server]
        nat = {"rebind": rebind, "sources": (source,)}
        if kind == "address":
            # With "backend" each address that a device has had is a flow of its own.
            nat |= {"ports": "20000-22499", "max_flows": 5000}
        else:
            nat |= {"ports": "40684-40691"}
        lb = scene.cidlb([scene.pool("p", backends, nat=nat)], start=False)
        lb.config["listeners"][0]["address"] = "[::1]:5684" if device == 6 else "127.0.0.1:5684"
        lb.start()
        # Oftener, and a session has no place free for the next address: its server would see another one.
        every = 2.6 if FULL and rebind == "follow" else 0.6
        fleet = scene.fleet(lb.address(), devices=devices, rebinds=moves, rebind_every=every, **QUICK)
        report = fleet.report()
        assert report["survived"] == report["handshakes"] == devices, report
        lb.assert_identities()
        changes = [backend.report()["max_address_changes_per_session"] for backend in backends]
        assert max(changes) == 1 if rebind == "follow" else max(changes) > 1, changes


def case_prefixes():
    ip("-6", "route", "add", "local", PREFIX[6], "dev", "lo")
    for device in (4, 6):
        for server in (4, 6):
            for rebind in ("follow", "backend"):
                sessions_live(device, server, "prefix", rebind)


def case_addresses():
    for device in (4, 6):
        for server in (4, 6):
            for rebind in ("follow", "backend"):
                sessions_live(device, server, "address", rebind)


def case_address_survives_a_restart():
    with Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2)]
        nat = {"sources": ("127.0.0.1",), "ports": "20000-20499", "max_flows": 1000}
        lb = scene.cidlb([scene.pool("p", backends, nat=nat)])
        fleet = scene.fleet(lb.address(), devices=10, rebinds=6, rebind_every=0.8, **QUICK)
        for _ in range(3):
            fleet.wait_log("", 1)
            lb.restart()
        report = fleet.report()
        assert report["survived"] == 10 and report["extra_handshakes"] == 0, report
        lb.assert_identities()


def case_sources_change_by_reload():
    """A session goes on from another address; its server sees the change."""
    with Scene() as scene:
        backends = [scene.backend(1)]
        lb = scene.cidlb(
            [scene.pool("p", backends, nat={"sources": ("127.0.0.1",), "ports": "20000-20499", "max_flows": 400})]
        )
        fleet = scene.fleet(lb.address(), devices=5, duration=80, **QUICK)
        # A handshake does not outlive a change of its endpoint: the device begins another.
        wait_until(
            lambda: backends[0].counters()["sessions"] == 5 and lb.metric("cidlb_flows", kind="cid") == 5, 20,
            "all have sessions",
        )
        nat = lb.config["pools"][0]["nat"]
        for sources, ports in (
            (("127.64.0.0/10",), "40684-40691"), (("127.0.0.2",), "20000-20499"), (("127.0.0.1",), "21000-21499")
        ):
            nat["sources"], nat["ports"] = sources, ports
            before = lb.metric("cidlb_replies_total")
            lb.reload()
            wait_until(lambda: lb.metric("cidlb_replies_total") >= before + 20, 20, "sessions go on")
        fleet.child.send_signal(signal.SIGTERM)
        report = fleet.report()
        assert report["survived"] == 5 and report["extra_handshakes"] == 0, report
        lb.assert_identities()


main(globals())
