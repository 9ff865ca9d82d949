#!/usr/bin/env python3
"""Mode dsr: servers answer devices themselves, with frames of one segment (l2) and with packets in packets (ipip).
cidlb opens its sockets as root. In a build with sanitizers, which never has root, it has CAP_NET_RAW."""

import contextlib
import os
import shutil
import signal
import socket

from harness import FULL, SANITIZE, USER, Scene, Skip, ip, main, release_only, told, wait_all_joined, wait_until
from lab.segment import DEVICES, SERVICE, SERVICE6, Segment
from udp import drain, forge

PORT = 5684
TRAFFIC = {"interval_ms": 200, "ack_timeout_ms": 500}
MOVES = 20 if FULL else 3
FLEET = 50 if FULL else 12
# ip(7), ipv6(7)
IP_TOS, IP_TTL, IP_RECVTTL, IP_RECVTOS = 1, 2, 12, 13
IPV6_RECVHOPLIMIT, IPV6_HOPLIMIT, IPV6_RECVTCLASS, IPV6_TCLASS = 51, 52, 66, 67
CLASS = 0xB9  # DSCP "expedited forwarding", and ECT(1)


def text_of(ip, port=PORT):
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def entry(server, v6=False, **options):
    return {
        "name": "abc"[server.number - 1], "id": server.number, "address": text_of(server.own(v6)), **options
    }


def started(scene, segment, encap, v6=False, health=None, start=True, **options):
    """A pool of the segment's servers. With ipip each has a decapsulator."""
    if encap == "ipip":
        for server in segment.servers:
            server.decapsulate(scene)
    pool = scene.pool("p", [entry(server, v6) for server in segment.servers], **options)
    pool.pop("nat")
    pool.update(forward="dsr", dsr={"encap": encap})
    pool["health"] = health or {"probe": "none"}
    lb = scene.cidlb([pool], start=False, **segment.options)
    lb.config["listeners"][0]["address"] = text_of(SERVICE6 if v6 else SERVICE)
    if SANITIZE:
        keep_net_raw(lb)
    if not start:
        return lb
    lb.start()
    wait_until(lambda: all(not missing(lb, server) for server in segment.servers), 20, "next hops are known")
    return lb


def keep_net_raw(lb):
    if not shutil.which("setpriv"):
        raise Skip("needs setpriv, of util-linux")
    user = [f"--reuid={USER.pw_uid}", f"--regid={USER.pw_gid}", "--clear-groups"]
    lb.argv[:0] = ["setpriv", *user, "--inh-caps=+net_raw", "--ambient-caps=+net_raw"]
    lb.user = None


def missing(lb, server):
    """Why nothing can be sent to it, or None."""
    return lb.backend("abc"[server.number - 1]).get("next_hop")


def real_servers(scene, segment, v6=False):
    """A DTLS server at the service address, and one at the server's own, which probes ask: together as one that listens
    on all addresses."""
    servers = []
    for host in segment.servers:
        with host.there():
            servers.append(scene.backend(host.number, port=PORT, ip=SERVICE6 if v6 else SERVICE))
            scene.backend(host.number, name=f"own-{host.number}", port=PORT, ip=host.own(v6))
    return servers


def fleet(scene, segment, v6=False, **options):
    with segment.devices.there():
        return scene.fleet(
            text_of(SERVICE6 if v6 else SERVICE), addresses=DEVICES, **{"from": "fd09::1:1" if v6 else "10.9.1.1"},
            **TRAFFIC, **options
        )


def sessions(encap, v6=False, kind=Segment, watch=lambda lb: lambda: None):
    """Devices move, cidlb is killed, a server is drained, another configuration is loaded: nobody notices. `watch`:
    called once cidlb runs again; what it returns is called at the end."""
    probes = {"probe": "dtls", "interval_ms": 500, "timeout_ms": 3000}
    with kind() as segment, Scene() as scene:
        servers = real_servers(scene, segment, v6)
        lb = started(scene, segment, encap, v6, health=probes)
        story = scene.dir / "story"
        devices = fleet(
            scene, segment, v6, devices=FLEET, duration=3600, rebind_every=1, loss=5, give_up=8, story=story
        )
        wait_all_joined(story, FLEET)
        wait_until(lambda: told(story, "rebinds") >= FLEET, 60, "the devices have moved")
        lb.assert_identities()
        lb.restart()
        judge = watch(lb)
        wait_until(lambda: told(story, "rebinds") >= 2 * FLEET, 60, "the devices have moved again")
        lb.config["pools"][0]["backends"][0]["state"] = "drain"
        lb.reload()
        wait_until(lambda: told(story, "rebinds") >= MOVES * FLEET, 300, "and again")
        wait_until(
            lambda: lb.metric("cidlb_datagrams_total", verdict="cid_draining") > 0, 20, "the draining server is served"
        )
        late = fleet(scene, segment, v6, name="late", devices=4, rebinds=1, rebind_every=0.5).report()
        assert late["survived"] == 4, late
        devices.stop()
        report = devices.report()
        assert report["survived"] == FLEET and report["handshakes"] == FLEET, report
        lb.assert_identities()
        assert lb.metric("cidlb_forwarded_total", direction="up") > 0
        assert lb.metric("cidlb_forwarded_total", direction="down") == lb.metric("cidlb_replies_total") == 0
        assert lb.down() == 0 and "unanswered" not in lb.log_text()
        judge()
        counted = [server.report() for server in servers]
        assert sum(one["sessions"] for one in counted) == FLEET + 4, counted
        assert sum(one["address_changes"] for one in counted) >= FLEET, counted


def case_sessions_l2():
    sessions("l2")


def case_sessions_ipip():
    sessions("ipip")


@release_only
def case_sessions_l2_ipv6():
    sessions("l2", v6=True)


@release_only
def case_sessions_ipip_ipv6():
    sessions("ipip", v6=True)


def longer(record, octets):
    """The record with more ciphertext."""
    at = 11 + 6
    tail = os.urandom(octets - len(record))
    length = int.from_bytes(record[at : at + 2], "big") + len(tail)
    return record[:at] + length.to_bytes(2, "big") + record[at + 2 :] + tail


def arrives(sock, timeout=20):
    """The next datagram, its source, its TTL, and its traffic class."""
    def ready():
        with contextlib.suppress(BlockingIOError):
            return sock.recv(1, socket.MSG_PEEK) is not None
        return False

    wait_until(ready, timeout, "a datagram arrives")
    data, control, _, source = sock.recvmsg(65536, 256)
    told = {kind: value[0] for _, kind, value in control}
    ttl, traffic_class = (IPV6_HOPLIMIT, IPV6_TCLASS) if IPV6_HOPLIMIT in told else (IP_TTL, IP_TOS)
    return data, source[:2], told[ttl], told[traffic_class]


def server_socket(host, v6):
    sock = host.socket(SERVICE6 if v6 else SERVICE, PORT)
    for option in (IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS) if v6 else (IP_RECVTTL, IP_RECVTOS):
        sock.setsockopt(socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP, option, 1)
    return sock


def as_it_was(encap, v6=False):
    """Payload, both ends, TTL and traffic class: each arrives as it came, less one hop, also what is larger than the
    link."""
    ttl = (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if v6 else (socket.IPPROTO_IP, IP_TTL)
    with Segment() as segment, Scene() as scene:
        lb = started(scene, segment, encap, v6)
        service = SERVICE6 if v6 else SERVICE, PORT
        with contextlib.ExitStack() as sockets:
            servers = [sockets.enter_context(server_socket(host, v6)) for host in segment.servers]
            device = sockets.enter_context(segment.devices.socket("fd09::1:3" if v6 else "10.9.1.3"))
            fits = 1500 - (48 if v6 else 28) - (0 if encap == "l2" else 40 if v6 else 20)
            device.setsockopt(*((socket.IPPROTO_IPV6, IPV6_TCLASS) if v6 else (socket.IPPROTO_IP, IP_TOS)), CLASS)
            fragmented = 0
            for octets in (100, 101, fits, fits + 1, 3000, 1400, 8001, 60000):
                for number, server in enumerate(servers, 1):
                    record = longer(forge(bytes([number]) + bytes(5)), octets)
                    device.sendto(record, service)
                    data, *rest = arrives(server)
                    assert (data == record, *rest) == (True, device.getsockname()[:2], 63, CLASS), (
                        octets, len(data), *rest
                    )
                    fragmented += octets > fits
                    # The answer goes straight back.
                    answer = b"down %d" % octets
                    server.sendto(answer, device.getsockname())
                    wait_until(
                        lambda: [(said, by[:2]) for said, by in drain(device)] == [(answer, service)], 20, "the answer"
                    )
                assert lb.metric("cidlb_dsr_fragmented_total") == fragmented, octets
            device.setsockopt(*ttl, 1)
            device.sendto(forge(b"\1" + bytes(5)), service)
            wait_until(lambda: lb.metric("cidlb_refused_total", reason="ttl") == 1, 20, "its last hop was here")
            device.setsockopt(*ttl, 2)
            device.sendto(forge(b"\2" + bytes(5)), service)
            assert arrives(servers[1])[2] == 1
            assert all(not drain(server) for server in servers)
            assert lb.metric("cidlb_refused_total", direction="up") == 1
            lb.assert_identities()


def case_as_it_was_l2():
    as_it_was("l2")


def case_as_it_was_ipip():
    as_it_was("ipip")


def case_as_it_was_l2_ipv6():
    as_it_was("l2", v6=True)


def case_as_it_was_ipip_ipv6():
    as_it_was("ipip", v6=True)


def reaches(lb, device, server, timeout=30):
    """A datagram for this server arrives there; earlier ones may be lost."""
    def sent_and_there():
        device.sendto(forge(bytes([1]) + bytes(5)), (SERVICE, PORT))
        return drain(server)

    wait_until(sent_and_there, timeout, "datagrams reach the server")


def case_next_hop():
    """A server gets another Ethernet address, goes, and comes back."""
    with Segment() as segment, Scene() as scene:
        lb = started(scene, segment, "l2")
        one = segment.servers[0]
        with server_socket(one, False) as server, segment.devices.socket("10.9.1.3") as device:
            reaches(lb, device, server)
            one.ip("link", "set", "eth", "address", "02:00:00:00:00:77")
            # As a host does that has a new one.
            ip("neighbour", "flush", "dev", "segment")
            reaches(lb, device, server)
            one.ip("link", "set", "eth", "down")
            ip("neighbour", "flush", "dev", "segment")
            wait_until(lambda: missing(lb, one), 30, "its neighbour is gone")
            assert missing(lb, one) == "no neighbour has its address" and not missing(lb, segment.servers[1])
            lb.wait_log("next_hop pool=p backend=a: nothing can be sent to it: no neighbour has its address", 30)
            before = lb.metric("cidlb_refused_total", reason="next_hop")
            device.sendto(forge(bytes([1]) + bytes(5)), (SERVICE, PORT))
            wait_until(lambda: lb.metric("cidlb_refused_total", reason="next_hop") == before + 1, 20, "it is refused")
            one.ip("link", "set", "eth", "up")
            reaches(lb, device, server)
            lb.wait_log("next_hop pool=p backend=a: the next hop to it is known", 30)
            lb.assert_identities()


@release_only
def case_behind_a_router():
    """l2 does not reach beyond the segment, and says so; ipip does."""
    with Segment(servers=1) as segment, Scene() as scene:
        one = segment.servers[0]
        lb = started(scene, segment, "l2", start=False)
        one.ip("address", "add", "10.8.0.1/32", "dev", "lo")
        ip("route", "add", "10.8.0.1/32", "via", one.ip4)
        lb.config["pools"][0]["backends"][0]["address"] = text_of("10.8.0.1")
        lb.start()
        wait_until(lambda: "behind a router" in (missing(lb, one) or ""), 30, "the server is known to be elsewhere")
        one.decapsulate(scene)
        lb.config["pools"][0]["dsr"] = {"encap": "ipip"}
        lb.reload()
        wait_until(lambda: not missing(lb, one), 30, "the way to it is known")
        with server_socket(one, False) as server, segment.devices.socket("10.9.1.3") as device:
            reaches(lb, device, server)
        lb.assert_identities()


def case_strangers():
    """What comes from where nobody can be answered, is no DTLS, or leads nowhere does not reach a server."""
    with Segment() as segment, Scene() as scene:
        lb = started(scene, segment, "l2")
        sockets = [server_socket(host, False) for host in segment.servers]
        with segment.devices.socket("10.9.1.3") as device:
            good = forge(bytes([1]) + bytes(5))
            bad = {
                "type": b"GET / HTTP/1.1", "malformed": b"\x16\xfe\xfd", "unknown_cid": forge(bytes([9]) + bytes(5)),
                "mixed": good + bytes.fromhex("15fefd0000000000000000000201002a")[:15],
            }
            for verdict, datagram in bad.items():
                device.sendto(datagram, (SERVICE, PORT))
                wait_until(lambda: lb.metric("cidlb_datagrams_total", verdict=verdict) == 1, 20, verdict)
            # From a server's address and port: a loop, or a lie.
            segment.devices.ip("address", "add", f"{segment.servers[1].ip4}/32", "dev", "eth")
            with segment.devices.socket(segment.servers[1].ip4, PORT) as liar:
                liar.sendto(good, (SERVICE, PORT))
                wait_until(lambda: lb.metric("cidlb_datagrams_total", verdict="bad_source") == 1, 20, "bad_source")
            device.sendto(good, (SERVICE, PORT))
            assert arrives(sockets[0])[0] == good
            assert not any(drain(server) for server in sockets)
            lb.assert_identities()
        for server in sockets:
            server.close()


@release_only
def case_reload_cannot_begin_it():
    """Only root may open the sockets. Between its two kinds, and away from it, a reload leads."""
    with Segment() as segment, Scene() as scene:
        dsr = started(scene, segment, "l2", start=False)
        pool = dsr.config["pools"][0]
        nat = {**pool, "forward": "nat", "nat": {"sources": ["10.9.0.1"], "ports": "20000-20099", "max_flows": 100}}
        dsr.config["pools"][0] = {key: value for key, value in nat.items() if key != "dsr"}
        dsr.start()
        before = dsr.metric("cidlb_snapshot_generation")
        dsr.config["pools"][0] = pool
        dsr.write()
        dsr.child.send_signal(signal.SIGHUP)
        dsr.wait_log(r'refused: pools\[0\].forward: dsr needs a socket that takes root to open.*: restart it', 20)
        assert dsr.metric("cidlb_snapshot_generation") == before
        dsr.restart()
        for server in segment.servers:
            server.decapsulate(scene)
        wait_until(lambda: not missing(dsr, segment.servers[0]), 20, "the next hop is known")
        with server_socket(segment.servers[0], False) as server, segment.devices.socket("10.9.1.3") as device:
            reaches(dsr, device, server)
            pool["dsr"]["encap"] = "ipip"
            dsr.reload()
            reaches(dsr, device, server)
            dsr.config["pools"][0] = {key: value for key, value in nat.items() if key != "dsr"}
            dsr.reload()
            dsr.config["pools"][0] = pool
            dsr.reload()
            reaches(dsr, device, server)


if __name__ == "__main__":
    main(globals())
