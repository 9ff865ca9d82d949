#!/usr/bin/env python3
"""As many sessions as the table holds: what one costs in memory, and that none costs a descriptor."""

import contextlib
import os
import re
import select
import socket
import struct
import subprocess
from pathlib import Path

from harness import AS_ROOT, BIN, FULL, Scene, Skip, free_ports, main, release_only
from udp import Clients, Echo, drain, open_socket, parse_address

MOST_OCTETS = 256  # of user memory for each proven flow
HEAP_OCTETS = 2 << 20  # by which the heap, and what is touched of the buffers, differs from one run to the next
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
    """A cidlb with room for `flows` of sessions and so many of them: its anonymous octets, and its descriptors before
    and after."""
    for sock in (server, device):
        drain(sock)
    entry = {"name": "a", "id": 1, "address": "127.0.0.1:%d" % server.getsockname()[1]}
    pool = scene.pool("p", [entry], health={"probe": "none"}, nat={"max_flows": flows}, max_resumable=0)
    lb = scene.cidlb([pool], name=f"flows-{flows}", start=False)
    lb.argv[:0] = ["prlimit", f"--nofile={nofile}:{nofile}"]
    lb.start()
    before = descriptors(lb)
    exchange(lb, server, device, range(flows))
    assert lb.metric("cidlb_flows", kind="cid") == flows and lb.metric("cidlb_flows", kind="handshake") == 0
    # Every one of them is still the way back of its session: none was made anew.
    for number in range(0, flows, max(1, flows // 1000)):
        exchange(lb, server, device, [number])
    assert lb.metric("cidlb_flows", kind="cid") == flows and lb.metric("cidlb_flows", kind="handshake") == 0
    after = descriptors(lb)
    lb.assert_identities()
    octets = anonymous_octets(lb)
    lb.stop()
    return octets, before, after


@release_only  # measures memory, which sanitizers use for themselves
def case_octets_per_flow():
    flows = 200_000
    with Scene() as scene, open_socket("127.0.0.1") as server, open_socket("127.0.0.1") as device:
        few, _, _ = filled(scene, server, device, FEW, 20_000)
        octets, _, _ = filled(scene, server, device, flows, 20_000)
        each = (octets - few) / (flows - FEW)
        print(f"    {flows} proven flows: {each:.1f} octets each, beside {few} with {FEW} flows")
        # Their own memory at least: less would mean that something else was measured.
        assert 128 < each and octets - few <= MOST_OCTETS * (flows - FEW) + HEAP_OCTETS, each


def case_descriptors():
    flows, nofile = (1_000_000, 20_000) if FULL else (10_000, 500)
    with Scene() as scene, open_socket("127.0.0.1") as server, open_socket("127.0.0.1") as device:
        octets, before, after = filled(scene, server, device, flows, nofile)
        print(
            f"    {flows} proven flows under a limit of {nofile} descriptors: {before} before, {after} after; "
            f"{octets / flows:.1f} octets each"
        )
        assert abs(after - before) <= 4, "one connection or another of who asks for metrics"


def checked(lb, nofile):
    """What `cidlb -t` says under a limit, and whether it accepts."""
    argv = ["prlimit", f"--nofile={nofile}:{nofile}", BIN / "cidlb", "-t", "-c", lb.file]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    assert done.returncode in (0, 1), done
    return done.stderr, done.returncode == 0


def everything(scene, servers):
    """A cidlb of every kind of socket: prefixes, two pools on the ports of one address, a tunnel, probes of each kind,
    both doors."""
    a, single, prefix, tunnel = scene.backend(1), free_ports(40), free_ports(3), free_ports(8)
    address = {"sources": ("127.0.0.1",), "ports": f"{single}-{single + 39}"}
    plain = {"protocol": "udp", "cid": None}
    none, coap = {"probe": "none"}, {"probe": "coap", "interval_ms": 200, "timeout_ms": 3000}
    coaps = {**coap, "probe": "coaps", "psk_identity": "demo", "psk_key": "000102030405060708090a0b0c0d0e0f"}
    keys = [{"id": 1, "key": "f" * 32}]
    pools = [
        scene.pool("one", servers.entries()[:1], health=none, nat=address, **plain),
        scene.pool("two", servers.entries()[1:], health=coap, nat=address, **plain),
        scene.pool(
            "prefix", [a], health=coaps,
            nat={"ports": f"{prefix}-{prefix + 1}", "sources": ("127.64.0.0/10", "fd00::/64")},
        ),
        scene.pool("meets", [a], nat={"ports": f"{prefix + 1}-{prefix + 2}"}),
        scene.pool(
            "tunnel", servers.entries()[:1], health=coap, forward="tunnel",
            tunnel={"local": f"127.0.0.1:{tunnel}", "keys": keys}, **plain,
        ),
    ]
    del pools[-1]["nat"]
    return scene.cidlb(pools, workers=3, start=False)


def ports_of(lb):
    first, last = map(int, lb.config["pools"][0]["nat"]["ports"].split("-"))
    return set(range(first, last + 1))


def bound_ports():
    return {int(line.split()[1].split(":")[1], 16) for line in Path("/proc/net/udp").read_text().splitlines()[1:]}


def case_what_the_check_accepts_is_enough():
    """One descriptor less is refused by the check and at the start; with so many nothing runs out."""
    if not AS_ROOT:
        raise Skip("needs a route to fd00::/64, and so root")
    subprocess.run(["ip", "-6", "route", "replace", "local", "fd00::/64", "dev", "lo"], check=True)
    with Scene() as scene, Echo("ab") as servers:
        lb = everything(scene, servers)
        lb.write()
        said, good = checked(lb, 140)
        needed = int(
            re.search(
                r":1: may need (\d+) descriptors \(\d+ for .*, \d+ for .*\); "
                r"the limit \(ulimit -Hn\) is 140: .* LimitNOFILE=\1$",
                said, re.M,
            ).group(1)
        )
        # 40 ports; 3 of IPv4 and 2 of IPv6, 5 listeners and a tunnel for each worker; probes: one, two, one and one.
        assert not good and needed > 40 + 3 * (3 + 2 + 5 + 1) + 5, said
        said, good = checked(lb, needed - 1)
        assert not good and f"is {needed - 1}: " in said, said
        assert checked(lb, needed)[1]

        program = lb.argv
        lb.argv = ["prlimit", f"--nofile={needed - 1}:{needed - 1}", *program]
        lb.start(ready=False)
        # The check warns of more than a start does.
        refused = "".join(line for line in said.splitlines(True) if not line.startswith("warning: "))
        assert lb.wait(30) == 1 and lb.log_text() == refused, (lb.log_text(), said)
        lb.argv = ["prlimit", f"--nofile={needed}:{needed}", *program]
        lb.start()
        with contextlib.ExitStack() as stack:
            for _ in range(32):
                stack.enter_context(socket.socket(socket.AF_UNIX)).connect(lb.config["admin"]["socket"])
            for _ in range(31):  # and one that asks for metrics
                stack.enter_context(socket.create_connection(parse_address(lb.config["admin"]["http"])))
            # Which port a client gets is a matter of chance, so there are as many clients as it takes.
            for pool in ("one", "two") * 20:
                if ports_of(lb) - bound_ports():
                    with Clients(lb.address(pool), 60) as clients:
                        clients.run(0.2, 300)
            assert not ports_of(lb) - bound_ports(), "ports that nobody opens"
            used = descriptors(lb)
        assert needed - 20 <= used <= needed, (used, needed)
        assert "oo many open files" not in lb.log_text(), lb.log_text()
        lb.assert_identities()


main(globals())
