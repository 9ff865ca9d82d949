#!/usr/bin/env python3
"""The fast path in mode dsr: what it sends on is as what the sockets send, and servers answer devices themselves. As in
fast.py, but on one segment."""

import contextlib
import socket
import time

from control import ctl
from dsr import (
    CLASS, IP_TOS, IPV6_TCLASS, PORT, arrives, longer, missing, server_socket, sessions as dsr_sessions, started
)
from fast import CID_A, CID_B, fast, led_to, mint, moved_by_it, needs_bpf, passed, settled, without_cid
from harness import Scene, ip, main, release_only, total, wait_until
from lab.segment import SERVICE, SERVICE6, FastSegment
from lab.triple import SO_RCVBUFFORCE
from udp import drain

ETH_P_ALL = 3


@contextlib.contextmanager
def stage(encap, v6=False, **options):
    """cidlb, the sockets of its servers, and a device."""
    needs_bpf()
    with FastSegment() as segment, Scene() as scene, contextlib.ExitStack() as sockets:
        lb = started(scene, segment, encap, v6, **options)
        servers = [sockets.enter_context(server_socket(host, v6)) for host in segment.servers]
        for sock in servers:
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
        yield scene, segment, lb, servers


def device_at(segment, number=3, v6=False):
    return segment.devices.socket(f"fd09::1:{number}" if v6 else f"10.9.1.{number}")


def service_of(v6=False):
    return SERVICE6 if v6 else SERVICE, PORT


def warm(lb, device, servers, cid=CID_A, v6=False, lost=False):
    """Until the program forwards this CID. `lost`: what was sent before it did may be."""
    before = fast(lb)
    sent = got = 0

    def arrived():
        nonlocal got
        got += sum(len(drain(server)) for server in servers)
        return got

    def is_fast():
        nonlocal sent
        device.sendto(settled(cid), service_of(v6))
        sent += 1
        return arrived() > 0 and fast(lb) > before

    wait_until(is_fast, 30, "the program forwards")
    if lost:
        time.sleep(1)
        arrived()
    else:
        wait_until(lambda: arrived() == sent, 20, "each has arrived")


def reaches(device, server, record, v6=False):
    """It arrives as it came, less one hop, and the answer goes straight back."""
    device.sendto(record, service_of(v6))
    data, *rest = arrives(server)
    assert (data == record, *rest) == (True, device.getsockname()[:2], 63, CLASS), (len(record), len(data), *rest)
    server.sendto(record[:50], device.getsockname())
    wait_until(lambda: [said for said, _ in drain(device)] == [record[:50]], 20, "the answer")


def with_class(device, v6=False):
    device.setsockopt(*((socket.IPPROTO_IPV6, IPV6_TCLASS) if v6 else (socket.IPPROTO_IP, IP_TOS)), CLASS)
    return device


def each_way(encap, v6=False):
    """Payload, both ends, TTL and traffic class: as by the sockets, who have what is larger than the link."""
    fits = 1500 - (48 if v6 else 28) - (0 if encap == "l2" else 40 if v6 else 20)
    with stage(encap, v6) as (scene, segment, lb, servers), with_class(device_at(segment, v6=v6), v6) as device:
        for server, cid in zip(servers, (CID_A, CID_B)):
            warm(lb, device, [server], cid, v6)
            for octets in (100, 101, fits):
                send = lambda: reaches(device, server, longer(settled(cid), octets), v6)
                assert moved_by_it(lb, send) == [1, 0, 0], octets
            # Over l2 it comes in fragments, of which the program knows nothing.
            larger = lambda: reaches(device, server, longer(settled(cid), fits + 1), v6)
            assert moved_by_it(lb, larger) == [0, 0, encap == "ipip"]
            assert passed(lb, "size") == (0 if encap == "l2" else 1 if cid == CID_A else 2)
        # The device has moved, and is another one.
        with with_class(device_at(segment, 4, v6), v6) as moved:
            assert moved_by_it(lb, lambda: reaches(moved, servers[0], settled(CID_A), v6)) == [1, 0, 0]
        lb.assert_identities()
        assert lb.metric("cidlb_forwarded_total", direction="up") == lb.metric("cidlb_received_total")
        assert lb.metric("cidlb_replies_total") == lb.metric("cidlb_refused_total") == 0


def frame_of(segment, device, record, v6):
    """The frame that a datagram for the first server arrives there in."""
    with segment.servers[0].there():
        listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    with listener:
        listener.bind(("eth", 0))
        listener.settimeout(20)
        device.sendto(record, service_of(v6))
        while record not in (frame := listener.recv(4096)):
            pass
        return frame


def without_numbers(frame, headers, v6):
    """A frame without what is another for each packet: numbers, and checksums of headers; and without flow labels."""
    frame = bytearray(frame)
    for at in [14 + i * (40 if v6 else 20) for i in range(headers)]:
        assert frame[at] >> 4 == (6 if v6 else 4), frame
        if v6:
            frame[at + 1 : at + 4] = bytes([frame[at + 1] & 0xF0, 0, 0])
        else:
            frame[at + 4 : at + 6] = frame[at + 10 : at + 12] = bytes(2)
    return bytes(frame)


def as_by_sockets(encap, v6=False):
    """Frame and headers are those that the sockets have the kernel write."""
    with stage(encap, v6) as (scene, segment, lb, servers), with_class(device_at(segment, v6=v6), v6) as device:
        warm(lb, device, servers[:1], CID_A, v6)
        record, frames = longer(settled(CID_A), 200), []
        for by_program in (True, False):
            lb.config["pools"][0]["fast"] = by_program
            lb.reload()
            send = lambda: frames.append(frame_of(segment, device, record, v6))
            assert moved_by_it(lb, send) == [by_program, 0, 0]
        one, other = (without_numbers(frame, 2 if encap == "ipip" else 1, v6) for frame in frames)
        assert one == other, (one.hex(), other.hex())


@release_only
def case_as_by_sockets_l2():
    as_by_sockets("l2")


@release_only
def case_as_by_sockets_l2_ipv6():
    as_by_sockets("l2", v6=True)


@release_only
def case_as_by_sockets_ipip():
    as_by_sockets("ipip")


@release_only
def case_as_by_sockets_ipip_ipv6():
    as_by_sockets("ipip", v6=True)


@release_only
def case_each_way_l2():
    each_way("l2")


@release_only
def case_each_way_l2_ipv6():
    each_way("l2", v6=True)


@release_only
def case_each_way_ipip():
    each_way("ipip")


@release_only
def case_each_way_ipip_ipv6():
    each_way("ipip", v6=True)


FAMILIES = ("cidlb_fast_datagrams_total", "cidlb_datagrams_total")


def share(lb):
    """From now on nearly all records with a known CID go by the program, but for those in a flight of a handshake, and
    before the way to the servers is known. What came before the program was there is not counted."""
    def counts():
        metrics = lb.metrics()
        verdicts = ("cid", "cid_draining", "cid_down")
        of = {f: sum(total(metrics, f, verdict=verdict) for verdict in verdicts) for f in FAMILIES}
        return [*of.values(), passed(lb, "records") + passed(lb, "backend")]

    before = counts()

    def judge():
        by_program, of, up = (now - then for now, then in zip(counts(), before))
        print(f"    by the program: {by_program} of {of} datagrams with a known CID; for a reason {up}")
        assert fast(lb, "cid_draining") > 0 and by_program > 0.8 * of, (by_program, of)
        assert by_program + up > 0.95 * of, (by_program, up, of)

    return judge


def sessions(encap, v6=False):
    needs_bpf()
    dsr_sessions(encap, v6, FastSegment, share)


@release_only
def case_sessions_l2():
    sessions("l2")


@release_only
def case_sessions_l2_ipv6():
    sessions("l2", v6=True)


@release_only
def case_sessions_ipip():
    sessions("ipip")


@release_only
def case_sessions_ipip_ipv6():
    sessions("ipip", v6=True)


@release_only
def case_reload():
    """Ids change hands, weights change, a server leaves and comes back, the encapsulation and the pool's way change."""
    with stage("l2") as (scene, segment, lb, servers), with_class(device_at(segment)) as device:
        pool = lb.config["pools"][0]
        backends = pool["backends"]

        def by_program(cid, server):
            warm(lb, device, [server], cid)
            assert moved_by_it(lb, lambda: reaches(device, server, settled(cid))) == [1, 0, 0]

        for weights in ((100, 100), (1, 255), (255, 1)):
            backends[0]["id"], backends[1]["id"] = backends[1]["id"], backends[0]["id"]
            for backend, weight in zip(backends, weights):
                backend["weight"] = weight
            lb.reload()
            for backend, server in zip(backends, servers):
                by_program(bytes([backend["id"]]) + bytes(5), server)
        gone = backends.pop()
        lb.reload()
        nobody = bytes([gone["id"]]) + bytes(5)
        before = lb.metric("cidlb_datagrams_total", verdict="unknown_cid")
        device.sendto(settled(nobody), service_of())
        wait_until(
            lambda: lb.metric("cidlb_datagrams_total", verdict="unknown_cid") == before + 1, 20, "nobody has its id"
        )
        assert not any(drain(server) for server in servers)
        backends.append(gone)
        for server in segment.servers:
            server.decapsulate(scene)
        pool["dsr"]["encap"] = "ipip"
        lb.reload()
        by_program(nobody, servers[1])
        pool["fast"] = False
        lb.reload()
        assert moved_by_it(lb, lambda: reaches(device, servers[1], settled(nobody))) == [0, 0, 0]
        lb.assert_identities()


def by_hash(encap, v6=False):
    """A session without a CID goes where the address of its device leads."""
    with stage(encap, v6) as (scene, segment, lb, servers), contextlib.ExitStack() as sockets:
        devices = [with_class(sockets.enter_context(device_at(segment, v6=v6)), v6) for _ in range(8)]
        for server, cid in zip(servers, (CID_A, CID_B)):
            warm(lb, devices[0], [server], cid, v6)
        homes = [led_to(lb, device) for device in devices]
        assert set(homes) == {"a", "b"}, homes
        for device, home in zip(devices, homes):
            server = servers[0] if home == "a" else servers[1]
            send = lambda: reaches(device, server, without_cid(), v6)
            assert moved_by_it(lb, send) == [1, 0, 0]
        assert fast(lb, "hash") == len(devices)
        lb.assert_identities()


@release_only
def case_by_hash_l2():
    by_hash("l2")


@release_only
def case_by_hash_ipip_ipv6():
    by_hash("ipip", v6=True)


@release_only
def case_drain():
    """A server that drains is heard of, though only the program sees its sessions. In maint nothing goes there."""
    with stage("ipip") as (scene, segment, lb, servers), with_class(device_at(segment)) as device:
        warm(lb, device, servers[:1])
        ctl(lb, "drain", "a")
        send = lambda: reaches(device, servers[0], settled(CID_A))
        assert moved_by_it(lb, send) == [1, 0, 0] and fast(lb, "cid_draining") == 1
        wait_until(lambda: (lb.backend("a")["last_cid_s"] or 0) >= 2, 30, "silence")
        send()
        wait_until(lambda: lb.backend("a")["last_cid_s"] <= 1, 30, "what the program forwards is heard of")
        assert not lb.backend("a")["drain"]["may_stop"]
        ctl(lb, "maint", "a")
        before = passed(lb, "backend")
        device.sendto(settled(CID_A), service_of())
        wait_until(lambda: lb.metric("cidlb_datagrams_total", verdict="maint") == 1, 20, "nothing goes there any more")
        assert passed(lb, "backend") == before + 1 and not drain(servers[0])
        lb.assert_identities()


@release_only
def case_encrypted_cids():
    """The first datagram of a session goes through the sockets. After ids have changed hands nothing goes where it went
    before."""
    config = {"rotation": 0, "server_id_length": 1, "nonce_length": 14, "key": bytes(range(16)).hex()}
    cid = {"scheme": "quic-lb", "configs": [config]}
    with stage("ipip", cid=cid) as (scene, segment, lb, servers), with_class(device_at(segment)) as device:
        minted = mint(lb, "a", 4)
        warm(lb, device, servers[:1], minted[0])
        for cid in minted[1:]:
            send = lambda: reaches(device, servers[0], settled(cid))
            assert moved_by_it(lb, send) == [0, 0, 1]
            assert moved_by_it(lb, send) == [1, 0, 0]
        backends = lb.config["pools"][0]["backends"]
        backends[0]["id"], backends[1]["id"] = 2, 1
        lb.reload()
        for cid in minted:
            reaches(device, servers[1], settled(cid))
        warm(lb, device, servers[1:], minted[0])
        lb.assert_identities()


@release_only
def case_next_hop():
    """A server has another Ethernet address, or is behind a router: the program sends nothing where it is not."""
    with stage("l2") as (scene, segment, lb, servers), with_class(device_at(segment)) as device:
        one = segment.servers[0]
        warm(lb, device, servers[:1])
        one.ip("link", "set", "eth", "address", "02:00:00:00:00:77")
        ip("neighbour", "flush", "dev", segment.here)
        warm(lb, device, servers[:1], lost=True)
        # To another host than the server's address leads to, a frame would be lost.
        ip("route", "add", f"{one.ip4}/32", "via", segment.servers[1].ip4)
        wait_until(lambda: "behind a router" in (missing(lb, one) or ""), 30, "the server is known to be elsewhere")
        before = lb.metric("cidlb_refused_total", reason="next_hop"), fast(lb)
        device.sendto(settled(CID_A), service_of())
        wait_until(lambda: lb.metric("cidlb_refused_total", reason="next_hop") == before[0] + 1, 20, "it is refused")
        assert fast(lb) == before[1]
        ip("route", "del", f"{one.ip4}/32")
        warm(lb, device, servers[:1], lost=True)
        lb.assert_identities()


if __name__ == "__main__":
    main(globals())
