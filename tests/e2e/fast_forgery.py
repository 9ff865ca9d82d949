#!/usr/bin/env python3
"""The fast path among datagrams of somebody who sees what devices send, and has no keys: no session ends, none is
slowed, and nothing of one goes to another. As in fast.py."""

import contextlib
import itertools
import socket

from fast import FLEET, device_at, fast, fleet_of, made, real_servers, service_of, stage
from harness import FULL, main, release_only, told, wait_all_joined, wait_until
from lab import forged
from lab.attacks import paced, pick
from lab.background import Background
from lab.triple import DEVICES
from udp import drain

SECONDS = 20 if FULL else 3
PER_SECOND = 1000 if FULL else 300
ETH_P_ALL, PACKET_OUTGOING = 3, 4
IP_OCTETS, UDP_OCTETS = 20, 8
HELLO_VERIFY = 3


class Overheard(Background):
    """The newest record of each session that leaves the devices' host, but for what leaves from these ports."""

    def __init__(self, host, but):
        super().__init__()
        with host.there():
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.sock.settimeout(0.1)
        self.but, self.newest = but, {}

    def __exit__(self, *error):
        super().__exit__(*error)
        self.sock.close()

    def _run(self):
        while self.running:
            try:
                frame, (_, _, kind, *_) = self.sock.recvfrom(2048)
            except TimeoutError:
                continue
            port = int.from_bytes(frame[IP_OCTETS : IP_OCTETS + 2], "big")
            seen = forged.seen_in(frame[IP_OCTETS + UDP_OCTETS :])
            if seen and kind == PACKET_OUTGOING and port not in self.but:
                self.newest[seen.cid] = seen


def forgeries(newest):
    """Datagrams against a session, without end."""
    fragments = itertools.cycle(forged.FRAGMENTS)
    for plain in itertools.cycle([*forged.ALERTS, *forged.OTHERS, forged.hello()]):
        yield from forged.beside(newest(), plain)
        yield from forged.junks(newest())
        yield next(fragments) + forged.junk(newest())
        yield forged.flight(newest())
        yield forged.hello()


@release_only
def case_sessions():
    """Devices move all the while. Forgeries of their records come from addresses that devices have, too."""
    with stage() as (scene, net), contextlib.ExitStack() as open_ones:
        attackers = [open_ones.enter_context(device_at(net, 1 + at)) for at in range(DEVICES)]
        ports = {attacker.getsockname()[1] for attacker in attackers}
        overheard = open_ones.enter_context(Overheard(net.devices, ports))
        servers = real_servers(scene, net)
        lb = made(scene, servers, health={"probe": "dtls", "interval_ms": 500, "timeout_ms": 3000})
        story = scene.dir / "story"
        devices = fleet_of(scene, net, devices=FLEET, duration=3600, rebind_every=1, story=story)
        wait_all_joined(story, FLEET)
        wait_until(lambda: fast(lb, "cid") >= FLEET, 60, "the program has forwarded")
        wait_until(lambda: len(overheard.newest) == FLEET, 30, "each session was overheard")
        streams = [forgeries(lambda cid=cid: overheard.newest[cid]) for cid in list(overheard.newest)]
        moves, before, sent, answers = told(story, "rebinds"), fast(lb), [], []

        def act(n):
            attacker, datagram = pick(attackers, n), next(pick(streams, n // DEVICES))
            attacker.sendto(datagram, service_of())
            sent.append(datagram)
            answers.extend(answer for answer, _ in drain(attacker))

        paced(SECONDS, PER_SECOND, act)
        wait_until(lambda: told(story, "rebinds") >= moves + 2 * FLEET, 60, "the devices have moved among them")
        for attacker in attackers:
            answers.extend(answer for answer, _ in drain(attacker))
        devices.stop()
        report = devices.report()
        by_program = {kind: fast(lb, kind) for kind in ("cid", "mixed", "epoch0_data", "type")}
        print(f"    {len(sent)} forgeries, {len(answers)} answers; by the program {by_program}")
        assert report["survived"] == report["sessions"] == report["handshakes"] == FLEET, report
        assert report["extra_handshakes"] == report["exchanges_lost"] == 0, report
        assert by_program["mixed"] > 0 and fast(lb) - before > len(sent) // 2, (by_program, len(sent))
        counted = [server.report() for server in servers]
        assert sum(one["sessions"] for one in counted) == FLEET, counted
        others = [answer for answer in answers if answer[0] != forged.HANDSHAKE or answer[13] != HELLO_VERIFY]
        assert not others, others
        lb.assert_identities()


if __name__ == "__main__":
    main(globals())
