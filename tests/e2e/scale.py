#!/usr/bin/env python3
"""As many sessions as the table holds: what one costs in memory, and that none costs a descriptor."""

import os
import re
import select
import struct
from pathlib import Path

from harness import FULL, Scene, Skip, main, release_only
from udp import drain, open_socket, parse_address

MOST_OCTETS = 256  # of user memory for each proven flow
WINDOW = 64  # datagrams on their way at a time: no socket's buffer overflows
FEW = 32 * WINDOW  # flows: an eighth may be on trial, and so those that wait for an answer
HEAD = struct.pack(">BHH6x", 25, 0xFEFD, 1)
NUMBER = slice(12, 17)
BODY = struct.pack(">H", 16) + bytes(16)


def record(number):
    """A record of session `number`, of server 1."""
    return HEAD + b"\1" + number.to_bytes(5, "big") + BODY


def exchange(lb, server, device, numbers):
    """Each session says something, and says it again until it is answered."""
    target, numbers = parse_address(lb.address()), iter(numbers)
    waiting, more, silent = set(), True, 0
    while more or waiting:
        while more and len(waiting) < WINDOW:
            number = next(numbers, None)
            more = number is not None
            if more:
                device.sendto(record(number), target)
                waiting.add(number)
        for datagram, endpoint in drain(server):
            server.sendto(datagram, endpoint)
        for datagram, _ in drain(device):
            waiting.discard(int.from_bytes(datagram[NUMBER], "big"))
        if waiting and not select.select([server, device], [], [], 0.5)[0]:
            silent += 1
            assert silent < 20, f"{len(waiting)} sessions are not answered"
            for number in waiting:
                device.sendto(record(number), target)


def anonymous_octets(lb):
    """Its memory that is no file's: heap and stacks."""
    return 1024 * int(re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{lb.pid}/status").read_text()).group(1))


def descriptors(lb):
    try:
        return len(os.listdir(f"/proc/{lb.pid}/fd"))
    except PermissionError:
        raise Skip("needs root, to count another user's descriptors") from None


def filled(scene, server, device, flows, nofile):
    """A cidlb with room for `flows` proven ones and so many of them: its anonymous octets, and its descriptors before and after."""
    for sock in (server, device):
        drain(sock)
    entry = {"name": "a", "id": 1, "address": "127.0.0.1:%d" % server.getsockname()[1]}
    pool = scene.pool("p", [entry], health={"probe": "none"}, nat={"max_flows": flows})
    lb = scene.cidlb([pool], name=f"flows-{flows}", start=False)
    lb.argv[:0] = ["prlimit", f"--nofile={nofile}:{nofile}"]
    lb.start()
    before = descriptors(lb)
    exchange(lb, server, device, range(flows))
    assert lb.metric("cidlb_flows", kind="proven") == flows and lb.metric("cidlb_flows", kind="trial") == 0
    # Every one of them is still the way back of its session: none was made anew.
    for number in range(0, flows, max(1, flows // 1000)):
        exchange(lb, server, device, [number])
    assert lb.metric("cidlb_flows", kind="proven") == flows and lb.metric("cidlb_flows", kind="trial") == 0
    after = descriptors(lb)
    lb.assert_identities()
    octets = anonymous_octets(lb)
    lb.stop()
    return octets, before, after


@release_only  # measures memory, which sanitizers use for themselves
def case_octets_per_flow():
    flows = 200_000 if FULL else 20_000
    with Scene() as scene, open_socket("127.0.0.1") as server, open_socket("127.0.0.1") as device:
        few, _, _ = filled(scene, server, device, FEW, 20_000)
        octets, _, _ = filled(scene, server, device, flows, 20_000)
        each = (octets - few) / (flows - FEW)
        print(f"    {flows} proven flows: {each:.1f} octets each, beside {few} with {FEW} flows")
        # Their own memory at least: less would mean that something else was measured.
        assert 128 < each <= MOST_OCTETS, each


def case_descriptors():
    flows, nofile = (1_000_000, 20_000) if FULL else (10_000, 500)
    with Scene() as scene, open_socket("127.0.0.1") as server, open_socket("127.0.0.1") as device:
        octets, before, after = filled(scene, server, device, flows, nofile)
        print(f"    {flows} proven flows under a limit of {nofile} descriptors: {before} before, {after} after; {octets / flows:.1f} octets each")
        assert abs(after - before) <= 4, "one connection or another of who asks for metrics"


main(globals())
