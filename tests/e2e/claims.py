#!/usr/bin/env python3
"""Server ids that servers claim in answers to probes: a successor takes over, and nobody takes what is another's."""

import json
import os
import signal
import socket
import time
from pathlib import Path

from harness import FULL, Scene, free_ports, main, wait_all_joined, wait_until
from health import COAPS, row


def spare_entry(**options):
    return {"name": "spare", "id": 3, "address": f"127.0.0.1:{free_ports()}", "weight": 0, **options}


def case_a_successor_claims_an_id():
    """A new process elsewhere loads the sessions of one that ends, and their CIDs lead to it: no handshake, also for
    devices that only wait."""
    devices = 100 if FULL else 30
    with Scene() as scene:
        saved = scene.dir / "sessions"
        a = scene.backend(1, options=("--sessions", saved))
        b = scene.backend(2)
        spare = spare_entry(may_claim=(1,))
        lb = scene.cidlb([scene.pool("p", [a, b, spare], health=COAPS)])
        story = scene.dir / "story"
        fleet = scene.fleet(
            lb.address(), devices=devices, rebinds=4, rebind_every=2, interval_ms=500, ack_timeout_ms=500, story=story,
            observe=True,
        )
        wait_all_joined(story, devices)
        time.sleep(1)
        mine = a.counters()["sessions"] - 1  # the probe's
        a.stop()
        heir = scene.backend(3, name="heir", port=int(spare["address"].split(":")[1]), options=("--sessions", saved))
        wait_until(lambda: set(row(lb, "spare")["ids"]) == {"01", "03"}, 60, "the id has moved")
        assert row(lb, "a")["ids"] == [] and lb.metric("cidlb_id_moves_total") == 1
        report = fleet.report()
        assert report["survived"] == devices and report["handshakes"] == devices, report
        assert heir.counters()["sessions_loaded"] >= mine > 0, heir.counters()
        lb.assert_identities()


def hand_over_then_restart(returns):
    """An heir has taken over an id when cidlb is killed and started again: its sessions go on, whether the
    predecessor's place is silent or answers that it is not to be used."""
    devices = 100 if FULL else 30
    with Scene() as scene:
        saved, story = scene.dir / "sessions", scene.dir / "story"
        a, b = scene.backend(1, options=("--sessions", saved)), scene.backend(2)
        spare = spare_entry(may_claim=(1,))
        # Silence at the predecessor's place is not known for what it is for a while.
        lb = scene.cidlb([scene.pool("p", [a, b, spare], health={**COAPS, "timeout_ms": 3000})])
        fleet = scene.fleet(
            lb.address(), devices=devices, duration=600, interval_ms=500, ack_timeout_ms=500, story=story
        )
        wait_all_joined(story, devices)
        time.sleep(1)
        mine = a.counters()["sessions"] - 1  # the probe's
        a.stop()
        heir = scene.backend(3, name="heir", port=int(spare["address"].split(":")[1]), options=("--sessions", saved))
        wait_until(lambda: set(row(lb, "spare")["ids"]) == {"01", "03"}, 60, "the id has moved")
        kept = Path(lb.config["state_file"])
        wait_until(
            lambda: kept.exists() and json.loads(kept.read_text())["ids"] == {"p": {"01": "spare"}}, 20, "that is kept"
        )
        silence = None
        if returns:
            # At its old port, without the sessions.
            words = scene.dir / "words"
            words.write_text("maint\n")
            empty = scene.backend(1, name="empty", port=a.port, options=("--steer", words))
            wait_until(lambda: row(lb, "a")["state"] == "maint", 20, "it is back")
        else:
            silence = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            silence.bind(("127.0.0.1", a.port))
            before = len(lb.log_text())
        lb.kill()
        lb.start(ready=False)
        wait_until(lambda: lb.get("/healthz")[0] == 200, 20, "cidlb is back")
        assert set(row(lb, "spare")["ids"]) == {"01", "03"} and row(lb, "a")["ids"] == [], "at once"
        wait_until(lambda: lb.get("/readyz")[0] == 200, 60, "every server was probed")
        time.sleep(1)
        assert set(row(lb, "spare")["ids"]) == {"01", "03"}, row(lb, "spare")
        fleet.child.send_signal(signal.SIGTERM)
        report = fleet.report()
        assert report["survived"] == report["handshakes"] == devices, report
        assert heir.counters()["sessions_loaded"] >= mine > 0, heir.counters()
        if returns:
            assert empty.counters()["sessions"] == 2, "only the probes', of both cidlb"
        else:
            log = lb.log_text()[before:]
            assert "id_contested" not in log and "id_moved" not in log, log
            silence.close()
        lb.assert_identities()


def case_restart_after_a_succession():
    hand_over_then_restart(returns=True)


def case_restart_with_a_silent_predecessor():
    hand_over_then_restart(returns=False)


def thief(scene, words, text, **entry):
    """A server with id 3 that says `text` of itself."""
    words.write_text(text)
    return scene.backend(3, name="thief", options=("--steer", words)).entry(**entry)


def stall(lb, server):
    """A server that answers nothing until it is down, as in a long collection of garbage."""
    server.child.send_signal(signal.SIGSTOP)
    wait_until(lambda: row(lb, server.name)["health"] == "down", 60, f"{server.name} is down")
    server.child.send_signal(signal.SIGCONT)


STALLS = {**COAPS, "timeout_ms": 2500, "fall": 2}


def case_nobody_takes_the_id_of_another():
    """A server claims another's id all the time, and may not. That one stalls, and nothing changes."""
    with Scene() as scene:
        a = scene.backend(1)
        lb = scene.cidlb([scene.pool("p", [a, thief(scene, scene.dir / "words", "id:3 id:1\n")], health=STALLS)])
        fleet = scene.fleet(lb.address(), devices=20, duration=600, interval_ms=300, ack_timeout_ms=500)
        wait_until(lambda: lb.metric("cidlb_id_claims_refused_total") >= 3, 20, "it claims")
        stall(lb, a)
        lb.wait_log("backend_down")
        wait_until(lambda: row(lb, "a")["health"] == "up", 20, "it is back")
        assert row(lb, "a")["ids"] == ["01"] and row(lb, "thief")["ids"] == ["03"]
        assert lb.metric("cidlb_id_moves_total") == lb.metric("cidlb_ids_contested") == 0
        assert lb.log_text().count("id_refused") == 1, lb.log_text()
        fleet.child.send_signal(signal.SIGTERM)
        report = fleet.report()
        assert report["survived"] == report["handshakes"] == 20, report
        lb.assert_identities()


def case_an_owner_that_stalled_gets_its_id_back():
    """One that may claim it has it meanwhile, and claims it on. Sessions go on at the owner, also after a restart."""
    with Scene() as scene:
        a = scene.backend(1)
        lb = scene.cidlb(
            [scene.pool("p", [a, thief(scene, scene.dir / "words", "id:3 id:1\n", may_claim=(1,))], health=STALLS)]
        )
        wait_until(lambda: lb.metric("cidlb_ids_contested") == 1, 20, "it claims")
        fleet = scene.fleet(lb.address(), devices=20, duration=600, interval_ms=300, ack_timeout_ms=500)
        stall(lb, a)
        wait_until(lambda: lb.metric("cidlb_id_moves_total") == 2, 20, "there and back")
        assert row(lb, "a")["ids"] == ["01"] and lb.metric("cidlb_ids_contested") == 1
        lb.restart()
        assert row(lb, "a")["ids"] == ["01"]
        fleet.child.send_signal(signal.SIGTERM)
        report = fleet.report()
        assert report["survived"] == report["handshakes"] == 20, report


def case_an_id_that_was_taken_before():
    """A cidlb before this one let a server take another's id. The state file has it, and it is not believed."""
    with Scene() as scene:
        words = scene.dir / "words"
        gone = {"name": "a", "id": 1, "address": f"127.0.0.1:{free_ports()}"}
        lb = scene.cidlb([scene.pool("p", [gone, thief(scene, words, "id:3 id:1\n")], health=COAPS)], start=False)
        kept = {"version": 1, "backends": {}, "addresses": {}, "ids": {"p": {"01": "thief", "09": "thief"}}}
        Path(lb.config["state_file"]).write_text(json.dumps(kept))
        os.chmod(lb.config["state_file"], 0o644)
        lb.start()
        assert row(lb, "a")["ids"] == ["01"] and row(lb, "a")["health"] == "down"
        assert set(row(lb, "thief")["ids"]) == {"03", "09"}, "nobody else is configured for what it had"


def case_predecessor_returns_empty():
    """It gets its id back, whoever has its sessions: else one that claims it would keep it for good."""
    with Scene() as scene:
        a, b = scene.backend(1), scene.backend(2)
        heir = thief(scene, scene.dir / "words", "id:1\n", may_claim=(1,))
        lb = scene.cidlb([scene.pool("p", [a, b, heir], health=COAPS)])
        a.kill()
        wait_until(lambda: "01" in row(lb, "thief")["ids"], 20, "the id has moved")
        a.start()
        wait_until(lambda: row(lb, "a")["ids"] == ["01"], 20, "it has its id again")
        assert lb.metric("cidlb_ids_contested") == 1
        report = scene.fleet(lb.address(), devices=30, rebinds=1, rebind_every=0.3, interval_ms=200).report()
        assert report["survived"] == report["handshakes"] == 30, report
        lb.assert_identities()


def case_two_claims_change_nothing():
    with Scene() as scene:
        words = scene.dir / "words"
        words.write_text("id:9\n")
        backends = [scene.backend(number, options=("--steer", words)).entry(may_claim=(9,)) for number in (1, 2)]
        lb = scene.cidlb([scene.pool("p", backends, health=COAPS)])
        wait_until(lambda: lb.metric("cidlb_ids_contested") == 1, 20, "the claims are seen")
        lb.wait_log("id_contested")
        assert lb.log_text().count("id_contested") == 1
        owners = [row(lb, name)["ids"] for name in ("a", "b")]
        assert "01" in owners[0] and "02" in owners[1], owners
        time.sleep(1)
        assert [row(lb, name)["ids"] for name in ("a", "b")] == owners
        words.write_text("\n")
        wait_until(lambda: lb.metric("cidlb_ids_contested") == 0, 20, "the claims are gone")


def case_claims_without_end():
    """A server that claims other ids all the time is counted, and fills no log."""
    with Scene() as scene:
        words = scene.dir / "words"
        a = scene.backend(1, options=("--steer", words)).entry(may_claim="any")
        lb = scene.cidlb([scene.pool("p", [a, scene.backend(2)], health={**COAPS, "interval_ms": 100})])

        def claim_others():
            first = claim_others.next
            claim_others.next = 20 + (first + 10) % 200
            new = words.with_suffix(".new")
            new.write_text("id:1 " + " ".join(f"id:{number}" for number in range(first, first + 20)))
            new.rename(words)
            return lb.metric("cidlb_id_moves_total") > 150

        claim_others.next = 20
        wait_until(claim_others, 30, "ids move")
        log = lb.log_text()
        assert log.count("id_moved") <= 60, log
        assert "01" in row(lb, "a")["ids"] and row(lb, "b")["ids"] == ["02"]
        lb.assert_identities()


if __name__ == "__main__":
    main(globals())
