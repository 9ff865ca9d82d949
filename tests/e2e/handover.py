#!/usr/bin/env python3
"""Servers that are replaced in place while devices talk: sessions go from one to the next in a file, and no device
notices."""

import signal
import stat

from harness import BIN, FULL, PSK, SANITIZE, Scene, free_ports, main, told, wait_all_joined, wait_until

DEVICES = 300 if FULL else 60
TRAFFIC = (
    {"interval_ms": 1000, "ack_timeout_ms": 500} if FULL or SANITIZE else {"interval_ms": 300, "ack_timeout_ms": 300}
)


def backend(scene, number):
    """Started, with a file for its sessions."""
    file = scene.dir / f"sessions{number}"
    started = scene.backend(number, options=("--sessions", file))
    started.wait_log("starting without sessions")
    started.sessions = file
    return started


def replace(server):
    """Its successor has taken over; what it had counted."""
    loaded = server.log_text().count(" loaded\n")
    counted = server.replace()
    wait_until(lambda: server.log_text().count(" loaded\n") > loaded, 20, f"{server.name} has the sessions")
    return counted


def wait_exchanges(story, more, timeout=120):
    due = told(story, "exchanges_ok") + more
    wait_until(lambda: told(story, "exchanges_ok") >= due, timeout, f"{more} more exchanges")


def end(fleet):
    """Asks a fleet for its last exchanges: its report."""
    fleet.child.send_signal(signal.SIGTERM)
    return fleet.report(120)


def assert_survived(report, devices):
    assert report["survived"] == report["sessions"] == report["handshakes"] == devices, report
    assert report["extra_handshakes"] == 0 and report["exit"] == 0, report


def assert_handed_over(generations):
    """Of one server: what each of its generations counted."""
    for before, after in zip(generations, generations[1:]):
        assert after["sessions_loaded"] == before["sessions_saved"], generations
        assert before["sessions_unsaved"] == 0 and after["handshakes"] == 0, generations
    assert all(counted["forged_records"] == 0 for counted in generations), generations


def case_replaced_three_times():
    with Scene() as scene:
        server = backend(scene, 1)
        story = scene.dir / "story"
        options = {
            "devices": 30, "observe": True, "rebind_every": 1, "duration": 600, "story": story, "max_seconds": 600
        }
        fleet = scene.fleet(server.address, **options, **TRAFFIC)
        wait_all_joined(story, 30)
        generations = []
        for _ in range(3):
            wait_exchanges(story, 5 * 30)
            generations.append(replace(server))
        notified = told(story, "notifications")
        wait_until(lambda: told(story, "notifications") >= notified + 3 * 30, 60, "notifications go on")
        wait_exchanges(story, 5 * 30)
        report = end(fleet)
        generations.append(server.report())
        assert_survived(report, 30)
        assert report["exchanges_lost"] == 0 and report["observations_lost"] == 0, report
        assert report["rebinds"] >= 30, report
        assert_handed_over(generations)
        assert [counted["sessions_saved"] for counted in generations] == [30] * 4, generations
        assert stat.S_IMODE(server.sessions.stat().st_mode) == 0o600


def replace_all(loss):
    """Three servers behind cidlb, replaced one after the other under a fleet that moves. The fleet's report."""
    with Scene() as scene:
        servers = [backend(scene, number) for number in (1, 2, 3)]
        lb = scene.cidlb([scene.pool("lwm2m", servers)])
        story = scene.dir / "story"
        options = {
            "devices": DEVICES, "rebind_every": 2, "loss": loss, "duration": 900, "story": story, "max_seconds": 900
        }
        fleet = scene.fleet(lb.address(), **options, **TRAFFIC)
        wait_all_joined(story, DEVICES, 120)
        # A session of which its server has heard nothing yet cannot be saved.
        wait_until(lambda: lb.metric("cidlb_flows", kind="cid") >= DEVICES, 120, "every session was answered")
        wait_exchanges(story, 10 * DEVICES)
        generations = {server: [] for server in servers}
        for server in servers:
            generations[server].append(replace(server))
            wait_exchanges(story, 4 * DEVICES)
        moved = told(story, "rebinds")
        wait_until(lambda: told(story, "rebinds") >= moved + DEVICES, 60, "moves after the last replacement")
        report = end(fleet)
        lb.assert_identities()
        for server in servers:
            generations[server].append(server.report())
            assert_handed_over(generations[server])
        assert sum(counted["handshakes"] for of in generations.values() for counted in of) == DEVICES, generations
        assert sum(of[1]["sessions_loaded"] for of in generations.values()) == DEVICES, generations
        return report


def case_rolling_replacement():
    report = replace_all(loss=0)
    assert_survived(report, DEVICES)
    assert report["exchanges_lost"] == 0, report


def case_rolling_replacement_with_loss():
    assert_survived(replace_all(loss=10), DEVICES)


def case_two_start_at_once():
    """On one file. One gets the sessions, the other says that it has none: never both."""
    with Scene() as scene:
        server = backend(scene, 1)
        story = scene.dir / "story"
        fleet = scene.fleet(server.address, devices=5, duration=600, story=story, max_seconds=600, **TRAFFIC)
        wait_all_joined(story, 5)
        wait_exchanges(story, 5 * 5)
        end(fleet)
        server.stop()
        file = server.sessions
        for turn in range(10):
            argv = [BIN / "cidlb-backend", "--id", 1, "--psk", ":".join(PSK), "--sessions", file]
            ports = [free_ports(), free_ports()]
            pair = [scene.process(f"pair{turn}-{port}", *argv, "--listen", f"127.0.0.1:{port}") for port in ports]
            for one in pair:
                one.wait_log("sessions .*(loaded|starting without sessions)\n")
            loaded = [" 5 loaded\n" in one.log_text() for one in pair]
            assert sorted(loaded) == [False, True], [one.log_text() for one in pair]
            winner, other = pair if loaded[0] else reversed(pair)
            assert "not there; starting without sessions" in other.log_text(), other.log_text()
            assert not file.exists()
            # The other one's (none) would take the name.
            other.kill()
            winner.stop()
        assert [path.name for path in scene.dir.glob("sessions1*")] == ["sessions1"]


def case_signal_while_it_starts():
    """A server that is told to end before it served anybody hands on what it was given."""
    with Scene() as scene:
        server = backend(scene, 1)
        story = scene.dir / "story"
        fleet = scene.fleet(server.address, devices=5, duration=600, story=story, max_seconds=600, **TRAFFIC)
        wait_all_joined(story, 5)
        wait_exchanges(story, 5 * 5)
        for _ in range(5):
            replace(server)
        wait_exchanges(story, 5 * 5)
        report = end(fleet)
        assert_survived(report, 5)
        assert server.report()["sessions_loaded"] == 5


def case_refused_file_is_set_aside():
    with Scene() as scene:
        server = backend(scene, 1)
        story = scene.dir / "story"
        fleet = scene.fleet(server.address, devices=3, duration=600, story=story, max_seconds=600, **TRAFFIC)
        wait_all_joined(story, 3)
        wait_exchanges(story, 3 * 5)
        server.stop()
        server.sessions.chmod(0o644)
        server.start()
        said = server.wait_log(
            r"sessions .*: refused: others may read or write it; set aside as (.*); starting without sessions\n"
        )
        refused = server.sessions.with_name("sessions1.refused")
        assert said[1] == str(refused) and refused.exists() and not server.sessions.exists()
        wait_until(lambda: server.counters()["unknown_cid"] > 0, 30, "its devices have no sessions here")
        fleet.kill()
        assert server.report()["sessions_loaded"] == 0
        assert PSK[1] not in server.log_text(), server.log_text()


main(globals())
