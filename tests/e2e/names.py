#!/usr/bin/env python3
"""Servers behind names, as pods are: they move, the DNS fails or lies, cidlb is restarted; sessions go on."""

import re
import signal
import time
from pathlib import Path

from dns import Dns
from harness import Scene, free_ports, main, wait_all_joined, wait_until

DEVICES = 40
# Who does not hear from his server while its address is not known yet goes on to ask it.
TRAFFIC = {"interval_ms": 300, "ack_timeout_ms": 300, "duration": 600, "give_up": 20}
HEALTH = {"probe": "dtls", "interval_ms": 500, "timeout_ms": 3000}
SOURCES = ("127.64.0.0/10",)


def start_pod(scene, number, ip, port, name=None, sessions=None):
    """A server at an address of its own, with the port that all have."""
    options = ("--sessions", sessions) if sessions else ()
    return scene.backend(number, name, ip=ip, port=port, options=options)


def named(name, number, host, port):
    return {"name": name, "id": number, "address": f"{host}:{port}"}


def start_cidlb(scene, entries, **options):
    pool = scene.pool("p", entries, nat={"sources": SOURCES}, health=HEALTH)
    return scene.cidlb([pool], **options)


def is_up(lb, backend):
    return lb.metric("cidlb_backend_up", backend=backend) == 1


def wait_is_up(lb, backend, up=True, timeout=30):
    wait_until(lambda: is_up(lb, backend) == up, timeout, f"{backend} is {'up' if up else 'down'}")


def logged(lb, event, backend):
    """Texts of the log lines of an event."""
    return re.findall(rf" {event} pool=p backend={backend}: (.*)", lb.log_text())


def wait_logged(lb, event, backend):
    """A thread of its own writes the log."""
    wait_until(lambda: logged(lb, event, backend), 20, f"{event} of {backend}")


def forwarded(lb, backend):
    return lb.metric("cidlb_forwarded_total", backend=backend, direction="up")


def wait_traffic(lb, *backends):
    """Each gets more than it had."""
    before = {backend: forwarded(lb, backend) for backend in backends}
    wait_until(
        lambda: all(forwarded(lb, backend) > before[backend] + 10 for backend in backends), 20, f"traffic to {backends}"
    )


def end(fleet):
    fleet.child.send_signal(signal.SIGTERM)
    return fleet.report(60)


def assert_survived(report):
    assert report["survived"] == report["sessions"] == report["handshakes"] == DEVICES, report
    assert report["extra_handshakes"] == 0 and report["exit"] == 0, report


def case_pod_moves():
    """To another address, with its sessions: the DNS is asked when probes fail, long before its TTL has passed."""
    with Scene() as scene, Dns(scene, {"pod-0.test": ["127.0.0.11"], "pod-1.test": ["127.0.0.12"]}) as dns:
        port, sessions = free_ports(), scene.dir / "sessions"
        start_pod(scene, 1, "127.0.0.11", port)
        old = start_pod(scene, 2, "127.0.0.12", port, sessions=sessions)
        lb = start_cidlb(scene, [named("a", 1, "pod-0", port), named("b", 2, "pod-1.test.", port)])
        wait_logged(lb, "backend_address", "b")
        assert logged(lb, "backend_address", "b") == [f"pod-1.test. is now 127.0.0.12:{port}; before it was unknown"]
        story = scene.dir / "story"
        fleet = scene.fleet(lb.address(), devices=DEVICES, rebinds=1000, rebind_every=1, story=story, **TRAFFIC)
        wait_all_joined(story, DEVICES)
        wait_traffic(lb, "a", "b")
        asked = dns.asked["pod-1.test"]

        old.stop()
        wait_is_up(lb, "b", False)
        new = start_pod(scene, 2, "127.0.0.22", port, name="b2", sessions=sessions)
        new.wait_log(r"sessions .* loaded")
        start = time.monotonic()
        dns.records["pod-1.test"] = ["127.0.0.22"]
        wait_until(lambda: len(logged(lb, "backend_address", "b")) == 2, 20, "the new address is known")
        took = time.monotonic() - start
        moved = f"pod-1.test. is now 127.0.0.22:{port}; before it was 127.0.0.12:{port}"
        assert logged(lb, "backend_address", "b")[1] == moved
        wait_traffic(lb, "a", "b")
        wait_is_up(lb, "b")
        print(f"    known {1000 * took:.0f} ms after the DNS, {dns.asked['pod-1.test'] - asked} questions")
        assert dns.asked["pod-0.test"] == 1, dns.asked
        assert_survived(end(fleet))
        counted = new.report()
        assert counted["handshakes"] == 0 and counted["sessions_loaded"] > 0 and counted["forged_records"] == 0, counted
        lb.assert_identities()


def case_dead_dns_keeps_the_last_address():
    """Silence, failure, an empty answer, several addresses: said once each, and traffic goes on."""
    with Scene() as scene, Dns(scene, {"pod.test": ["127.0.0.11"]}, ttl=0) as dns:
        port = free_ports()
        start_pod(scene, 1, "127.0.0.11", port)
        lb = start_cidlb(scene, [named("a", 1, "pod.test.", port)])
        story = scene.dir / "story"
        fleet = scene.fleet(lb.address(), devices=DEVICES, story=story, **TRAFFIC)
        wait_all_joined(story, DEVICES)

        def said(reason):
            text = f"pod.test.: {reason}; the last good address stays"
            wait_until(lambda: text in logged(lb, "backend_name", "a"), 20, text)
            wait_traffic(lb, "a")
            assert is_up(lb, "a")

        dns.silent = True
        said("no answer from the DNS")
        dns.silent, dns.failing = False, True
        said("the DNS failed (SERVFAIL)")
        dns.failing, dns.records["pod.test"] = False, []
        said("the name has no IPv4 address")
        dns.records["pod.test"] = ["127.0.0.11", "127.0.0.12"]
        said("2 addresses, where a backend is one")
        del dns.records["pod.test"]
        said("no such name")
        dns.records["pod.test"] = ["127.0.0.11"]
        wait_until(
            lambda: logged(lb, "backend_name", "a")[-1] == "pod.test.: resolves again", 20, "the name is good again"
        )
        assert len(logged(lb, "backend_name", "a")) == 6, logged(lb, "backend_name", "a")
        assert len(logged(lb, "backend_address", "a")) == 1 and not logged(lb, "backend_down", "a")
        assert_survived(end(fleet))
        lb.assert_identities()


def case_other_nameserver():
    """resolv.conf changes under a cidlb that has long given up its privileges."""
    with Scene() as scene, Dns(scene, {"pod.test": ["127.0.0.11"]}, ttl=0) as dns:
        port = free_ports()
        start_pod(scene, 1, "127.0.0.11", port)
        start_pod(scene, 1, "127.0.0.12", port, name="a2")
        lb = start_cidlb(scene, [named("a", 1, "pod", port)])
        dns.records["pod.test"] = ["127.0.0.12"]
        dns.move("127.0.0.53")
        lb.wait_log(f"pod is now 127.0.0.12:{port}; before it was 127.0.0.11:{port}", 30)
        wait_is_up(lb, "a")


def case_each_question_from_another_port():
    """Whoever answers in the server's name must guess port, number and letters, of each question anew. An answer from
    another address or port is not believed."""
    with Scene() as scene, Dns(scene, {}, ttl=0) as dns:
        port = free_ports()
        start_pod(scene, 1, "127.0.0.11", port)
        dns.lie = "127.0.0.66"
        lb = start_cidlb(scene, [named("a", 1, "a-name-of-some-letters.test.", port)])
        wait_until(lambda: len(dns.questions) >= 5, 30, "the name is asked for again and again")
        questions = dns.questions[:]
        for what, values in zip(("ports", "numbers", "spellings"), zip(*questions)):
            assert len(set(values)) >= len(questions) - 1, (what, questions)
        assert not logged(lb, "backend_address", "a") and not is_up(lb, "a")
        dns.records["a-name-of-some-letters.test"] = ["127.0.0.11"]
        wait_is_up(lb, "a")
        wait_logged(lb, "backend_address", "a")
        said = f"a-name-of-some-letters.test. is now 127.0.0.11:{port}; before it was unknown"
        assert logged(lb, "backend_address", "a") == [said]


def case_numbered_set():
    """One entry, three servers; their number is their id."""
    records = {f"pod-{number}.pods.test": [f"127.0.0.{20 + number}"] for number in range(3)}
    with Scene() as scene, Dns(scene, records) as dns:
        port = free_ports()
        pods = [
            start_pod(scene, 40 + number, f"127.0.0.{20 + number}", port, name=f"pod-{number}") for number in range(3)
        ]
        entry = {"name": "pod-%d", "count": 3, "id_base": 40, "address": f"pod-%d.pods.test:{port}"}
        lb = start_cidlb(scene, [entry])
        story = scene.dir / "story"
        fleet = scene.fleet(lb.address(), devices=DEVICES, rebinds=1000, rebind_every=1, story=story, **TRAFFIC)
        wait_all_joined(story, DEVICES)
        wait_traffic(lb, "pod-0", "pod-1", "pod-2")
        dns.records["pod-3.pods.test"] = ["127.0.0.23"]
        pods.append(start_pod(scene, 43, "127.0.0.23", port, name="pod-3"))
        entry["count"] = 4
        lb.reload()
        wait_is_up(lb, "pod-3")
        wait_traffic(lb, "pod-0", "pod-1", "pod-2")
        assert set(dns.asked) == set(dns.records), dns.asked
        assert_survived(end(fleet))
        lb.assert_identities()
        reports = [pod.report() for pod in pods]
        assert sum(report["handshakes"] for report in reports) == DEVICES, reports


def case_unknown_at_the_start():
    """Down, with the reason, which holds nothing up; up once the name is there."""
    with Scene() as scene, Dns(scene, {"pod-0.test": ["127.0.0.11"]}) as dns:
        port = free_ports()
        start_pod(scene, 1, "127.0.0.11", port)
        late = start_pod(scene, 2, "127.0.0.12", port)
        lb = start_cidlb(scene, [named("a", 1, "pod-0", port), named("b", 2, "pod-1", port)])
        assert is_up(lb, "a") and not is_up(lb, "b")
        wait_logged(lb, "backend_name", "b")
        assert "pod-1: no such name" in logged(lb, "backend_name", "b"), lb.log_text()
        story = scene.dir / "story"
        fleet = scene.fleet(lb.address(), devices=DEVICES, story=story, **TRAFFIC)
        wait_all_joined(story, DEVICES)
        assert forwarded(lb, "b") == 0
        dns.records["pod-1.test"] = ["127.0.0.12"]
        wait_is_up(lb, "b")
        more_story = scene.dir / "more"
        more = scene.fleet(lb.address(), name="more", devices=DEVICES, story=more_story, **TRAFFIC)
        wait_all_joined(more_story, DEVICES)
        assert_survived(end(more))
        assert_survived(end(fleet))
        assert late.report()["handshakes"] > 0
        lb.assert_identities()


def case_restarted_without_dns():
    """The last good addresses are in the state file."""
    with Scene() as scene, Dns(scene, {"pod-0.test": ["127.0.0.11"], "pod-1.test": ["127.0.0.12"]}) as dns:
        port = free_ports()
        for number, ip in ((1, "127.0.0.11"), (2, "127.0.0.12")):
            start_pod(scene, number, ip, port)
        lb = start_cidlb(scene, [named("a", 1, "pod-0", port), named("b", 2, "pod-1", port)])
        story = scene.dir / "story"
        fleet = scene.fleet(lb.address(), devices=DEVICES, rebinds=1000, rebind_every=1, story=story, **TRAFFIC)
        wait_all_joined(story, DEVICES)
        kept = Path(lb.config["state_file"])
        wait_until(lambda: kept.exists() and "127.0.0.12" in kept.read_text(), 20, "the addresses are kept")
        dns.silent = True
        lb.restart()
        wait_traffic(lb, "a", "b")
        assert is_up(lb, "a") and is_up(lb, "b")
        lb.wait_log("pod-0: no answer from the DNS; the last good address stays", 20)
        assert_survived(end(fleet))
        lb.assert_identities()


main(globals())
