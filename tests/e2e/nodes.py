#!/usr/bin/env python3
"""Several cidlb nodes with one service address (packaging/guide/nodes.md), with the configurations of packaging/ecmp
and real BIRDs. Each host is a network namespace:

    devices                 router                    node1    cidlb, BIRD, announce
    198.51.100.2 ── 198.51.100.1   10.0.N.1 ── 10.0.N.2  node2    192.0.2.1/32 on lo
                            │  10.1.0.1               node3    local 10.64.N.0/24: what the servers see
                            └───────── 10.1.0.11-13   servers  a, b, c, ids 1, 2, 3
"""

import signal
import subprocess

from control import ctl
from harness import AS_ROOT, BIN, Scene, Skip, main, release_only, told, total, wait_all_joined, wait_until
from lab.nodes import DEVICES, KEYS, NODES, Deployment, Network, ip


def fingerprint(node):
    """As /metrics has it."""
    return next(dict(labels)["fingerprint"] for (name, labels) in node.metrics() if name == "cidlb_config_fingerprint")


@release_only
def case_nodes_come_and_go():
    """A node dies, comes back, a third one joins, cidlb alone dies, a host hangs: the router finds out by itself."""
    if not AS_ROOT:
        raise Skip("needs root for network namespaces")
    with Network() as network, Scene() as scene:
        all_of = Deployment(scene, network)
        all_of.begin(1, 2)
        all_of.assert_shown(1, 2)
        all_of.start_fleet()
        all_of.wait_exchanges()

        all_of.nodes[2].kill_all()
        all_of.wait_serving(1)
        all_of.wait_exchanges()
        all_of.begin(2)
        all_of.wait_routed(2)

        all_of.begin(3)
        all_of.wait_routed(3)
        assert len({fingerprint(node) for node in all_of.nodes.values()}) == 1

        all_of.nodes[1].kill()
        all_of.wait_serving(2, 3)
        all_of.wait_exchanges()
        all_of.nodes[1].start()
        all_of.wait_serving(1, 2, 3)
        all_of.wait_routed(1)

        # On several nodes: those that have the new key already, and those that do not.
        rotate(list(all_of.nodes.values()), KEYS[0], KEYS[1], lambda: all_of.wait_exchanges(1))

        all_of.nodes[3].send_all(signal.SIGSTOP)
        all_of.wait_serving(1, 2)
        all_of.wait_exchanges()
        all_of.nodes[3].send_all(signal.SIGCONT)
        all_of.wait_serving(1, 2, 3)
        all_of.wait_exchanges()
        all_of.end()


@release_only
def case_blind_nodes_are_a_last_resort():
    """A node that is cut off from its servers, or was told to leave, gets no devices while another one is ready. Where
    none is, all of them serve."""
    if not AS_ROOT:
        raise Skip("needs root for network namespaces")
    with Network() as network, Scene() as scene:
        all_of = Deployment(scene, network)
        all_of.begin(1, 2)
        all_of.start_fleet()
        all_of.wait_exchanges()

        def cut(number, how="add"):
            ip("-n", network.name[f"node{number}"], "route", how, "blackhole", "10.1.0.0/24")

        def why(number):
            return all_of.nodes[number].get("/readyz")

        cut(1)
        all_of.wait_serving(2)
        assert why(1) == (503, "pool coaps has no backend that is up\n") and why(2)[0] == 200
        all_of.wait_exchanges()
        cut(2)
        all_of.wait_serving(1, 2)
        assert why(2) == (503, "pool coaps has no backend that is up\n")
        cut(2, "delete")
        all_of.wait_serving(2)
        all_of.wait_exchanges()
        cut(1, "delete")
        all_of.wait_serving(1, 2)
        all_of.wait_exchanges()

        ctl(all_of.nodes[2], "leave")
        all_of.wait_serving(1)
        all_of.wait_exchanges()
        ctl(all_of.nodes[1], "leave")
        all_of.wait_serving(1, 2)
        all_of.wait_exchanges()
        for number in (1, 2):
            ctl(all_of.nodes[number], "join")
        all_of.wait_serving(1, 2)
        all_of.wait_exchanges()
        all_of.end()


@release_only
def case_any_node_answers():
    """Nat without a table: the nodes share the addresses that servers see, and an answer goes through whichever the
    router takes."""
    if not AS_ROOT:
        raise Skip("needs root for network namespaces")
    with Network() as network, Scene() as scene:
        all_of = Deployment(scene, network, stateless=True)
        all_of.begin(1, 2)
        all_of.start_fleet()
        all_of.wait_exchanges()
        all_of.nodes[2].kill_all()
        all_of.wait_serving(1)
        all_of.wait_exchanges()
        all_of.begin(2)
        all_of.begin(3)
        rotate(list(all_of.nodes.values()), KEYS[0], KEYS[1], lambda: all_of.wait_exchanges(1))
        for node in all_of.nodes.values():
            metrics = node.metrics()
            assert total(metrics, "cidlb_flows") == total(metrics, "cidlb_strays_total") == 0, metrics
            assert total(metrics, "cidlb_replies_total") > 0, metrics
        all_of.end()


def rotate(nodes, old, new, between):
    """One key gives way to another on all nodes, as the guide has it; between() after each step. Their fingerprints
    after each round."""
    seen = []
    for keys in (
        {"hash_key": old, "hash_key_previous": new}, {"hash_key": new, "hash_key_previous": old}, {"hash_key": new}
    ):
        for node in nodes:
            node.config.pop("hash_key_previous", None)
            node.config.update(keys)
            node.reload()
            between()
        seen.append({fingerprint(node) for node in nodes})
    return seen


def case_keys_change():
    """While devices join, while they have sessions, and then cidlb ends and starts with the new key."""
    with Scene() as scene:
        servers = [scene.backend(number) for number in NODES]
        lb = scene.cidlb([scene.pool("coaps", servers)], hash_key=KEYS[0])
        story = scene.dir / "story"
        options = {"devices": DEVICES, "ramp_ms": 100, "observe": True, "interval_ms": 300, "ack_timeout_ms": 300}
        fleet = scene.fleet(lb.address(), rebind_every=3, duration=600, story=story, **options)

        def exchanges(count=10):
            due = told(story, "exchanges_ok") + count
            wait_until(lambda: told(story, "exchanges_ok") >= due, 30, f"{count} more exchanges")

        def most_changes():
            return max(server.counters()["max_address_changes_per_session"] for server in servers)

        exchanges()
        seen = rotate([lb], KEYS[0], KEYS[1], exchanges)
        wait_all_joined(story, DEVICES)
        seen += rotate([lb], KEYS[1], KEYS[2], exchanges)
        assert all(len(one) == 1 for one in seen) and len(set().union(*seen)) == 6, seen
        # Endpoints stay as long as cidlb runs. The key then is another one: they change, once.
        exchanges(3 * DEVICES)
        assert most_changes() == 1, most_changes()
        lb.restart()
        exchanges(3 * DEVICES)
        fleet.child.send_signal(signal.SIGTERM)
        report = fleet.report(60)
        assert report["survived"] == report["sessions"] == report["handshakes"] == DEVICES, report
        assert report["exit"] == 0, report
        assert report["extra_handshakes"] == report["observations_lost"] == 0, report
        assert most_changes() == 2, most_changes()
        lb.assert_identities()
        checked = subprocess.run([BIN / "cidlb", "-t", "-c", lb.file], capture_output=True, text=True)
        assert checked.stdout == f"{lb.file}: good, fingerprint {fingerprint(lb)}\n", checked


if __name__ == "__main__":
    main(globals())
