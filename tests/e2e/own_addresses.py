#!/usr/bin/env python3
"""Addresses that cidlb cannot have, or not answer from: each is refused by the name of its option, and what is sent to
many addresses at once goes nowhere."""

import contextlib
import signal
import socket
import struct
import subprocess

from harness import BIN, Scene, main, wait_until
from lab.far import Far
from tunnel import tunnel, tunnel_pool
from udp import Echo, open_socket, parse_address


def check(lb):
    """What `cidlb -t` says."""
    lb.write()
    return subprocess.run([BIN / "cidlb", "-t", "-c", lb.file], capture_output=True, text=True)


def readable(sock):
    with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
        sock.recv(1, socket.MSG_PEEK)
        return True
    return False


def udp_pool(scene, servers, **options):
    return scene.pool("u", servers.entries(), protocol="udp", cid=None, health={"probe": "none"}, **options)


def case_groups_are_refused():
    """Listeners and other addresses that cidlb binds."""
    with Scene() as scene, Echo("a") as servers:
        for address in "224.0.1.187:5683", "255.255.255.255:5683", "[ff02::fd]:5683":
            lb = scene.cidlb([udp_pool(scene, servers)], start=False)
            lb.listener("u")["address"] = lb.config["admin"]["http"] = address
            said = check(lb)
            assert said.returncode == 1, said
            for option in "listeners[0].address", "admin.http":
                assert f'{option}: "{address}" is a multicast or broadcast address' in said.stderr, said.stderr


def refuses(lb, why):
    before = len(lb.log_text())
    lb.write()
    lb.child.send_signal(signal.SIGHUP)
    wait_until(lambda: "reload_refused" in lb.log_text()[before:], 20, "the reload is refused")
    assert why in lb.log_text()[before:], lb.log_text()[before:]


def case_sources_of_another_host():
    """A single address in nat.sources: at the start, and at a reload, which changes nothing."""
    with Scene() as scene, Echo("a") as servers, open_socket("127.0.0.1") as device:
        good = {"sources": ("127.0.0.1",), "ports": "21000-21999"}
        for source in "10.66.0.9", "fd66::9":
            lb = scene.cidlb([udp_pool(scene, servers)], start=False)
            # Both families, so that it reaches the server.
            bad = {**good, "sources": (source,) if "." in source else ("127.0.0.1", source)}
            why = f"pools[0].nat.sources[{len(bad['sources']) - 1}]: {source} is no address of this host"
            lb.config["pools"][0]["nat"] = bad
            lb.start(ready=False)
            assert lb.wait(30) == 1 and why in lb.log_text(), lb.log_text()
            lb.config["pools"][0]["nat"] = good
            lb.start()
            lb.config["pools"][0]["nat"] = bad
            refuses(lb, why)
            device.sendto(b"1", parse_address(lb.address()))
            wait_until(lambda: readable(device), 20, "it serves")
            device.recv(10)
            lb.stop()


def case_tunnel_of_another():
    """tunnel.local that is not here, or that another cidlb has."""
    with Scene() as scene, Echo("a") as servers:
        plain = {"protocol": "udp", "cid": None}
        elsewhere = {**tunnel(), "local": "10.66.0.9:7200"}
        for settings, why in ((elsewhere, "10.66.0.9:7200: Cannot assign requested address"), (tunnel(), None)):
            lb = scene.cidlb([tunnel_pool(scene, "p", servers.entries(), settings, **plain)], "one", start=False)
            lb.start(ready=not why)
            if why:
                assert lb.wait(30) == 1
                assert f"refused: pools[0].tunnel.local: cannot bind {why}" in lb.log_text(), lb.log_text()
        second = scene.cidlb([tunnel_pool(scene, "p", servers.entries(), settings, **plain)], "two", start=False)
        second.start(ready=False)
        assert second.wait(30) == 1
        assert (
            f"refused: pools[0].tunnel.local: cannot bind {settings['local']}: Address already in use by another program"
            in second.log_text()
        ), second.log_text()


def join(sock, group, host):
    """As another program on the host does: then the kernel gives the group to wildcard listeners, too."""
    if ":" in group:
        value = socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", socket.if_nametoindex("far"))
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, value)
    else:
        sock.setsockopt(
            socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton(host)
        )


def case_sent_to_many():
    """Broadcast and multicast reach a listener on all addresses: dropped as bad_source, and none is forwarded."""
    for forward in "nat", "tunnel":
        with Far(1500) as far, Scene() as scene, Echo("a") as servers, contextlib.ExitStack() as sockets:
            if forward == "nat":
                pool = udp_pool(scene, servers)
            else:
                pool = tunnel_pool(scene, "u", servers.entries(), protocol="udp", cid=None)
            # Each socket of a group gets a copy of what is sent to many.
            lb = scene.cidlb([pool], start=False, workers=1)
            port = parse_address(lb.address())[1]
            lb.config["listeners"] = [
                {"name": "u", "address": f"0.0.0.0:{port}", "pool": "u"},
                {"name": "v", "address": f"[::]:{port}", "pool": "u"},
            ]
            lb.start()
            device, device6 = (sockets.enter_context(far.socket(ip)) for ip in ("10.9.0.2", "fd09::2"))
            member, member6 = (sockets.enter_context(open_socket(ip)) for ip in ("10.9.0.1", "fd09::1"))
            device.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            device.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.9.0.2"))
            join(member, "224.0.1.187", "10.9.0.1")
            join(member6, "ff05::fd", None)
            dropped = 0
            for to in "10.9.0.255", "224.0.1.187", "255.255.255.255":
                device.sendto(b"to many", (to, port))
                dropped += 1
                wait_until(
                    lambda: lb.metric("cidlb_datagrams_total", verdict="bad_source") == dropped, 20, f"{to} is dropped"
                )
            device6.sendto(b"to many", ("ff05::fd", port, 0, far.number))
            dropped += 1
            wait_until(
                lambda: lb.metric("cidlb_datagrams_total", verdict="bad_source") == dropped, 20, "ff05::fd is dropped"
            )
            assert lb.metric("cidlb_datagrams_total") == dropped and servers.got == {"a": 0}, lb.metrics()
            assert lb.metric("cidlb_forwarded_total", direction="up") == 0
            if forward == "nat":
                for sock, to in ((device, "10.9.0.1"), (device6, "fd09::1")):
                    sock.sendto(b"to one", (to, port))
                    wait_until(lambda: readable(sock), 20, "what is sent to one is answered")
                    assert sock.recvfrom(100)[0] == b"ato one"
            lb.assert_identities()


if __name__ == "__main__":
    main(globals())
