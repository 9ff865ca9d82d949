#!/usr/bin/env python3
"""Floods by those who have no credentials: half handshakes from one prefix, plain UDP from anywhere, ClientHellos from
anywhere. No flow in use ends, and newcomers come up beside them."""

import contextlib
import os
import select
import time

from edges import logged
from flood import COARSE_S, RANDOM_OCTETS, Flood, end, settle, two_listeners
from handshakes import HEADERS, HELLO_VERIFY_REQUEST, SERVER_HELLO, fragment, message, msg_type
from harness import FULL, Scene, main, wait_until
from lab.floods import (
    ATTACKED, ATTACKED_PREFIX, ELSEWHERE, TIMER_S, HalfHandshakes, Hellos, InUse, Newcomers, Notifier, PlainDevices,
    Radio, Slow, Strangers, Watch,
)
from udp import drain, open_socket, parse_address

DEFAULT_MAX_FLOWS = 100_000


def plain_pool(scene, notifier, max_flows):
    nat = {"max_flows": max_flows}
    return scene.pool("u", [notifier.entry()], protocol="udp", cid=None, health={"probe": "none"}, nat=nat)


def come(scene, radios, target, seconds):
    """Newcomers in the prefix of the flood and elsewhere, some of them by a slow way: {name: Newcomers}."""
    many, few = (200, 100) if FULL else (30, 15)
    elsewhere, attacked = (radios.enter_context(Radio(target, source)).address for source in (ELSEWHERE, ATTACKED))
    return {
        "elsewhere": Newcomers(scene, target, "elsewhere", many, seconds, **{"from": ELSEWHERE, "addresses": 200}),
        "attacked": Newcomers(scene, target, "attacked", many, seconds, **{"from": ATTACKED, "addresses": 200}),
        "elsewhere, slow": Newcomers(scene, elsewhere, "elsewhere-slow", few, seconds),
        "attacked, slow": Newcomers(scene, attacked, "attacked-slow", few, seconds),
    }


def assert_all_came(comers, at_least):
    """Within two retransmissions: all that are elsewhere, and this part of those in the attacked prefix."""
    soon = {name: those.soon() for name, those in comers.items()}
    print(f"    came up soon: {', '.join(f'{n} of {comers[name].devices} {name}' for name, n in soon.items())}")
    for name, those in comers.items():
        part = 1 if name.startswith("elsewhere") else at_least
        assert soon[name] >= part * those.devices, name
        report = end(those.fleet)
        assert report["survived"] >= part * those.devices, (name, report)


def half_handshakes(max_flows, seconds, first_only=False):
    devices, at_least = 50 if FULL else 10, 0.9 if max_flows == DEFAULT_MAX_FLOWS else 0
    with Scene() as scene, Notifier() as notifier, contextlib.ExitStack() as radios:
        backends = [scene.backend(number) for number in (1, 2, 3)]  # each keeps 20,000 handshakes
        pools = [scene.pool("d", backends, nat={"max_flows": max_flows}), plain_pool(scene, notifier, max_flows)]
        lb = scene.cidlb(pools)
        d, u = lb.address("d"), lb.address("u")
        in_use = InUse(scene, d, backends, devices)
        with PlainDevices(u, devices) as plain, HalfHandshakes(d, first_only) as flood, Strangers(u) as strangers:
            comers, watch = come(scene, radios, d, seconds), Watch(lb)
            watch.go_on(0.6 * seconds)
            watch.wait_full()
            slow = Slow(lb)
            watch.go_on(0.4 * seconds)
            slow.assert_flows()
            for those in comers.values():
                those.wait()
            if max_flows == DEFAULT_MAX_FLOWS:
                assert introduced(u, 20) == 20
            plain.hush()
            print(f"    {flood.sent} half handshakes, {flood.cookies} with a cookie; {strangers.sent} strangers")
        plain.assert_nothing_missed(notifier)
        print(f"    {in_use.assert_nothing_missed()} notifications, none missed")
        watch.assert_bounds()
        assert flood.answers > 0 and (first_only or flood.cookies > 0.5 * flood.sent), (flood.cookies, flood.sent)
        assert_all_came(comers, at_least)
        lb.assert_identities()


def introduced(target, count):
    """How many new plain devices, each of a prefix of its own, have two answered round trips, with at most two
    retransmissions each."""
    done = 0
    for n in range(count):
        with open_socket(f"127.21.{n}.1") as sock:
            done += all(answers_soon(sock, b"s new %d" % turn, parse_address(target)) for turn in range(2))
    return done


def answers_soon(sock, datagram, target):
    for tries in range(3):
        sock.sendto(datagram, target)
        if select.select([sock], [], [], TIMER_S * 2**tries)[0] and drain(sock):
            return True
    return False


def case_half_handshakes():
    """A limit of the default size: the flood takes its prefix's half of what may be under a handshake after some
    seconds."""
    half_handshakes(DEFAULT_MAX_FLOWS, 600 if FULL else 15)


def case_half_handshakes_and_a_small_table():
    half_handshakes(1000, 60 if FULL else 6)


def case_first_hellos():
    """No second one: what has shown no cookie takes a flow all the same."""
    half_handshakes(8000, 60 if FULL else 5, first_only=True)


def case_strangers_who_come_again():
    """A server that answers two spoofed requests makes a flow beyond class handshake of them. The table is full of
    these, and those in use stay, as they are not silent for long."""
    max_flows, seconds = (100_000, 300) if FULL else (2000, 8)
    with Scene() as scene, Notifier() as notifier:
        lb = scene.cidlb([plain_pool(scene, notifier, max_flows)])
        with PlainDevices(lb.address("u"), 10) as plain:
            with Strangers(lb.address("u"), times=2):
                watch = Watch(lb)
                watch.go_on(seconds)
                assert introduced(lb.address("u"), 20) == 20
            plain.hush()
        plain.assert_nothing_missed(notifier)
        assert watch.most["u", "address"] == max_flows, watch.most
        assert lb.metric("cidlb_flows_evicted_total", kind="address") > 0
        assert logged(lb, "flows_evicted", "flows are in use") == 1
        lb.assert_identities()


def second_hellos(rates, sources, flood_sources):
    """Honest handshakes among spoofed first ClientHellos: who was sent a cookie sends it once, and is served."""
    count, allowed = 200 if FULL else 8, max(rates.values())
    with Scene() as scene:
        lb = two_listeners(scene, [scene.backend(1), scene.backend(2)], hello_rate=rates, health={"probe": "none"})
        service, tries, start = parse_address(lb.address("live")), 0, time.monotonic()
        limited = lambda: lb.metric("cidlb_datagrams_total", listener="p", verdict="limited")
        with Hellos(lb.address("p"), 1000, flood_sources) as flood:
            wait_until(limited, 30, "the rate is used up")
            for n in range(count):
                random = os.urandom(RANDOM_OCTETS)
                with open_socket(sources(n)) as device:
                    tries += ask_for_cookie(device, random, service)
        settle(lb, "p", flood.sent)
        admitted, seconds = flood.sent - limited(), time.monotonic() - start
        print(
            f"    {count} served, after {tries} first ClientHellos beside {flood.sent} spoofed ones in "
            f"{seconds:.1f} s; {admitted} of these admitted"
        )
        assert admitted <= allowed * (seconds + COARSE_S + 1), (admitted, seconds)
        lb.assert_identities()


def ask_for_cookie(device, random, service):
    """Sends the first ClientHello until it is answered, and the second once, which must be. How often the first was
    sent."""
    for tries in range(1, 1000):
        device.sendto(fragment(message(0, random)), service)
        if select.select([device], [], [], 0.05)[0]:
            break
    asked, _ = device.recvfrom(2048)
    assert msg_type(asked) == HELLO_VERIFY_REQUEST, asked.hex()
    device.sendto(fragment(message(1, random, asked[HEADERS + 3 :])), service)
    # A repetition of the first may be answered before.
    wait_until(
        lambda: SERVER_HELLO in [msg_type(datagram) for datagram, _ in drain(device)], 10,
        "the second ClientHello is answered",
    )
    return tries


def in_attacked(flood):
    return ATTACKED_PREFIX + bytes([flood.dice.randrange(1, 255)])


def case_second_hellos_and_the_rate_of_a_pool():
    """From everywhere; the first ClientHello of a device is one among many, its second is free."""
    second_hellos({"pool": 100}, lambda n: f"127.30.{n % 250}.1", [Flood.anywhere, in_attacked])


def case_second_hellos_and_the_rate_of_a_prefix():
    """From one prefix, and the devices are in it."""
    second_hellos({"prefix": 100}, lambda n: f"127.200.5.{n % 250 + 1}", [in_attacked])


if __name__ == "__main__":
    main(globals())
