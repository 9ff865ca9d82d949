#!/usr/bin/env python3
"""Mode dsr: probes of servers that listen at the service address alone. Their own addresses refuse what comes there, so
they are asked through the encapsulation, and answer cidlb as they answer a device."""

import contextlib
import errno
import os
import re
import socket
from pathlib import Path

from dsr import PORT, entry, started
from harness import PSK, Scene, ip, main, release_only, wait_until
from lab.far import Far
from lab.refusals import without_family
from lab.segment import SERVICE, SERVICE6, FastSegment, Segment

PROBES = {
    "dtls": {"probe": "dtls"},
    "coap": {"probe": "coap"},
    "coaps": {"probe": "coaps", "psk_identity": PSK[0], "psk_key": PSK[1]},
}
TIMES = {"interval_ms": 200, "timeout_ms": 1500}
THROUGH = " through the encapsulation"
BOTH_WAYS = "^connection refused at its own address; .* through the encapsulation"


def row(lb, number=1):
    return lb.backend("abc"[number - 1])


def wait_row(lb, what, condition, number=1):
    try:
        return wait_until(lambda: condition(row(lb, number)) and row(lb, number), 30, what)
    except TimeoutError as error:
        raise AssertionError(f"{error}: {row(lb, number)}") from None


def is_up(one):
    return one["health"] == "up" and one["reason"].endswith(THROUGH)


def server_at(scene, host, ip, name, probe):
    with host.there():
        options = ["--plain"] if probe == "coap" else []
        return scene.backend(host.number, name=name, port=PORT, ip=ip, options=options)


def probed(lb, times, result="ok"):
    before = lb.metric("cidlb_probes_total", result=result)
    wait_until(lambda: lb.metric("cidlb_probes_total", result=result) >= before + times, 30, f"{times} probes")


def alone(encap, probe, v6=False, kind=Segment):
    """Both servers listen at the service address alone. One stops and comes back; cidlb is reloaded, and killed."""
    plain = {"protocol": "udp", "cid": None} if probe == "coap" else {}
    with kind() as segment, Scene() as scene:
        servers = [
            server_at(scene, host, SERVICE6 if v6 else SERVICE, f"service-{host.number}", probe)
            for host in segment.servers
        ]
        lb = started(scene, segment, encap, v6, health={**PROBES[probe], **TIMES}, **plain)
        for number in (1, 2):
            wait_row(lb, "it is up", is_up, number)
        probed(lb, 6)
        assert "backend_down" not in lb.log_text(), lb.log_text()
        servers[0].kill()
        down = wait_row(lb, "it is down", lambda one: one["health"] == "down")
        assert "through the encapsulation" in down["reason"], down
        assert is_up(row(lb, 2)), row(lb, 2)
        wait_row(lb, "both ways are tried", lambda one: re.search(BOTH_WAYS, one["reason"]))
        with segment.servers[0].there():
            servers[0].start()
        wait_row(lb, "it is up again", is_up)
        lb.config["pools"][0]["backends"][1]["weight"] = 50
        lb.reload()
        probed(lb, 4)
        lb.restart()
        for number in (1, 2):
            wait_row(lb, "it is up after a restart", is_up, number)
        probed(lb, 4)
        if probe == "coaps":
            one = wait_row(lb, "its session moves", lambda one: one["rebinding"] == {"finding": "yes"})
            assert one["cid"] == {"finding": "ok"}, one
        assert "backend_down" not in lb.log_text().split("backend_up")[-1], lb.log_text()
        lb.assert_identities()


def case_dtls_l2():
    alone("l2", "dtls")


def case_dtls_ipip():
    alone("ipip", "dtls")


@release_only
def case_dtls_l2_ipv6():
    alone("l2", "dtls", v6=True)


@release_only
def case_dtls_ipip_ipv6():
    alone("ipip", "dtls", v6=True)


@release_only
def case_coap_l2():
    alone("l2", "coap")


@release_only
def case_coap_ipip():
    alone("ipip", "coap")


def case_coaps_l2():
    alone("l2", "coaps")


@release_only
def case_coaps_ipip_ipv6():
    alone("ipip", "coaps", v6=True)


def packets_shown():
    """How many packet sockets of this network are shown IPv4."""
    rows = Path("/proc/thread-self/net/packet").read_text().splitlines()[1:]
    return sum(row.split()[3] == "0800" for row in rows)


def case_its_own_address_first():
    """Who listens there is asked there, and cidlb is shown no packet. When it listens there no more, it is found."""
    with Segment(servers=1) as segment, Scene() as scene:
        host = segment.servers[0]
        service = server_at(scene, host, SERVICE, "service", "dtls")
        own = server_at(scene, host, host.own(), "own", "dtls")
        lb = started(scene, segment, "l2", health={**PROBES["dtls"], **TIMES})
        probed(lb, 5)
        assert not row(lb)["reason"].endswith(THROUGH) and packets_shown() == 0, row(lb)
        assert service.counters()["datagrams"] == 0 < own.counters()["datagrams"]
        own.kill()
        lb.wait_log("backend_down pool=p backend=a: connection refused\n")
        wait_row(lb, "it is found at the service address", is_up)
        assert packets_shown() == 1
        service.kill()
        wait_row(lb, "it is down", lambda one: re.search(BOTH_WAYS, one["reason"]))
        with host.there():
            own.start()
        wait_row(lb, "it is back", lambda one: one["health"] == "up" and not one["reason"].endswith(THROUGH))
        assert packets_shown() == 0


def case_nobody_anywhere():
    """A server that does not run when cidlb starts is down at once, and up when it comes."""
    with Segment(servers=1) as segment, Scene() as scene:
        lb = started(scene, segment, "l2", health={**PROBES["dtls"], **TIMES})
        lb.wait_log(
            "backend_down pool=p backend=a: connection refused at its own address; "
            "no answer through the encapsulation for 1500 ms\n"
        )
        server_at(scene, segment.servers[0], SERVICE, "service", "dtls")
        wait_row(lb, "it is up", is_up)
        lb.wait_log(f"backend_up pool=p backend=a: HelloVerifyRequest or HelloRetryRequest{THROUGH}\n")


def case_a_silent_address_of_its_own():
    """As behind a firewall that drops what is for it."""
    with Segment(servers=1) as segment, Scene() as scene, segment.servers[0].socket(segment.servers[0].own(), PORT):
        server = server_at(scene, segment.servers[0], SERVICE, "service", "dtls")
        lb = started(scene, segment, "l2", health={**PROBES["dtls"], **TIMES})
        wait_row(lb, "it is up", is_up)
        assert "backend_down" not in lb.log_text(), lb.log_text()
        server.kill()
        both = "^no answer for 1500 ms at its own address; no answer through"
        wait_row(lb, "both ways are tried", lambda one: re.search(both, one["reason"]))


@release_only  # of a sanitizer's program setpriv comes between
def case_no_packet_socket():
    """With ipip all else works without one. Servers are probed at their own addresses, and cidlb says so."""
    with Segment(servers=2) as segment, Scene() as scene:
        own, alone = segment.servers
        server_at(scene, own, own.own(), "own", "dtls")
        server_at(scene, alone, SERVICE, "alone", "dtls")
        lb = started(scene, segment, "ipip", start=False, health={**PROBES["dtls"], **TIMES})
        lb.argv = without_family(socket.AF_PACKET, lb.argv)
        lb.start()
        wait_row(lb, "it is up", lambda one: one["health"] == "up")
        down = wait_row(lb, "it is down", lambda one: one["health"] == "down", 2)
        assert down["reason"] == "connection refused", down
        lb.reload()
        said = "warning health: no packet socket, so mode dsr probes servers at their own addresses only: "
        assert lb.log_text().count(said + os.strerror(errno.EAFNOSUPPORT)) == 1, lb.log_text()


@release_only
def case_another_neighbour():
    """The server gets another Ethernet address, goes, and comes back: probes follow as datagrams do."""
    with Segment(servers=1) as segment, Scene() as scene:
        host = segment.servers[0]
        server_at(scene, host, SERVICE, "service", "dtls")
        lb = started(scene, segment, "l2", health={**PROBES["dtls"], **TIMES})
        wait_row(lb, "it is up", is_up)
        host.ip("link", "set", "eth", "address", "02:00:00:00:00:77")
        # As a host does that has a new one.
        ip("neighbour", "flush", "dev", "segment")
        probed(lb, 10)
        assert is_up(row(lb)), row(lb)
        host.ip("link", "set", "eth", "down")
        ip("neighbour", "flush", "dev", "segment")
        wait_row(lb, "it is down", lambda one: one["health"] == "down" and "No route to host" in one["reason"])
        host.ip("link", "set", "eth", "up")
        wait_row(lb, "it is up again", is_up)


def case_a_port_of_its_own():
    """Where health.port says where to ask, nothing else is asked."""
    with Segment(servers=1) as segment, Scene() as scene:
        server = server_at(scene, segment.servers[0], SERVICE, "service", "dtls")
        lb = started(scene, segment, "l2", health={**PROBES["dtls"], **TIMES, "port": PORT + 1})
        wait_row(lb, "it is down", lambda one: one["health"] == "down" and one["reason"] == "connection refused")
        probed(lb, 5, "failed")
        assert row(lb)["reason"] == "connection refused" and server.counters()["datagrams"] == 0
        assert packets_shown() == 0


def socket_at(host, address, port):
    with host.there():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    sock.setblocking(False)
    return sock


def sweep(*sockets):
    """An answer to a ClientHello, from each of them to every port that a probe may have."""
    alert = bytes.fromhex("15fefd000000000000000000020228")
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    for port in range(first, last + 1):
        for sock in sockets:
            with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                sock.sendto(alert, ("10.9.0.1", port))


def case_strangers():
    """What does not come from the service address and port, through the server's interface, is no answer, whatever port
    it goes to."""
    with Segment(servers=1) as segment, Far(1500, 8) as far, Scene() as scene:
        with far.there():
            # Else it asks for this host in the name of the service address, and gets no answer.
            Path("/proc/sys/net/ipv4/conf/all/arp_announce").write_text("2")
        ip("-n", far.name, "link", "set", "lo", "up")
        ip("-n", far.name, "address", "add", f"{SERVICE}/32", "dev", "lo")
        ip("-n", far.name, "route", "add", "10.9.0.1/32", "via", "10.8.0.1")
        server = server_at(scene, segment.servers[0], SERVICE, "service", "dtls")
        lb = started(scene, segment, "l2", health={**PROBES["dtls"], **TIMES})
        wait_row(lb, "it is up", is_up)
        server.kill()
        wait_row(lb, "it is down", lambda one: re.search(BOTH_WAYS, one["reason"]))
        with contextlib.ExitStack() as sockets:
            hosts = ((segment.devices, "10.9.1.1", PORT), (segment.servers[0], SERVICE, PORT + 1), (far, SERVICE, PORT))
            strangers = [sockets.enter_context(socket_at(*host)) for host in hosts]
            answered = lb.metric("cidlb_probes_total", result="ok")
            until = lb.metric("cidlb_probes_total", result="failed") + 4
            while lb.metric("cidlb_probes_total", result="failed") < until:
                sweep(*strangers)
            assert lb.metric("cidlb_probes_total", result="ok") == answered, row(lb)
        # From there it is one, so the ports were among those.
        with socket_at(segment.servers[0], SERVICE, PORT) as itself:
            before = lb.metric("cidlb_probes_total", result="ok")
            wait_until(lambda: sweep(itself) or lb.metric("cidlb_probes_total", result="ok") > before, 60, "an answer")


@release_only
def case_with_the_fast_path():
    """The program in the kernel leaves answers to the sockets."""
    alone("l2", "dtls", kind=FastSegment)


if __name__ == "__main__":
    main(globals())
