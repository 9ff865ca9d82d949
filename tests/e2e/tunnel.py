#!/usr/bin/env python3
"""Mode tunnel: servers that read and write its header, behind a real cidlb. shim_servers.py has servers of others."""

import contextlib
import os
import socket
import struct
import time

import harness
import proxy2
from harness import Scene, free_ports, main, wait_until
from lab.background import Background
from lab.far import Far
from proxy2 import DOWN, OFFER, UP, V1, V2
from udp import COAP_EMPTY_CON, COAP_RST, drain, forge, open_socket, parse_address

KEY, OTHER = bytes(range(16)), bytes(range(16, 32))
SOL_UDP, UDP_SEGMENT = 17, 103  # udp(7)
IP_PKTINFO = 8
RECORD = forge(b"\1" + bytes(5))  # server id 1


def longer(tail):
    """RECORD with more ciphertext."""
    at = 11 + 6
    octets = int.from_bytes(RECORD[at : at + 2], "big") + len(tail)
    return RECORD[:at] + octets.to_bytes(2, "big") + RECORD[at + 2 :] + tail


def text_of(ip, port):
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


class Server(Background):
    """A server id 1 at the end of the tunnel: a thread that remembers who sent what, and echoes. Without a header it is
    plain UDP."""

    def __init__(self, ip="127.0.0.1", keys=None, echo=True, sock=None, version=V2):
        super().__init__()
        self.sock = sock or open_socket(ip)
        self.address = self.sock.getsockname()[:2]
        self.keys, self.sign, self.echo = keys or {1: KEY}, 1, echo
        self.version = version  # V1: a server of before, which reads nothing else
        self.probed, self.spoken = [], []  # versions of the headers of probes; of those of devices
        self.got, self.plain = [], []  # (device, service, payload); payload
        self.node = None  # the last that sent a header

    def __exit__(self, *error):
        super().__exit__(*error)
        self.sock.close()

    def entry(self, name="a", number=1):
        return {"name": name, "id": number, "address": text_of(*self.address)}

    def header(self, service, device):
        return proxy2.write(self.keys[self.sign], self.sign, DOWN, service, device, version=self.version)

    def send(self, datagram):
        """To cidlb, as it is."""
        self.sock.sendto(datagram, self.node)

    def answer(self, service, device, payload):
        self.send(self.header(service, device) + payload)

    def wait(self, count, timeout=30):
        wait_until(lambda: len(self.got) >= count, timeout, f"{count} datagrams at the server")
        return self.got

    def _run(self):
        while self.running:
            for datagram, source in drain(self.sock):
                if datagram[:12] != proxy2.SIGNATURE:
                    self.plain.append(datagram)
                    self.sock.sendto(datagram, source)
                    continue
                self.node = source[:2]
                device, service, payload = said = proxy2.read(self.keys, UP, datagram)
                is_probe = len(payload) == 4 and payload[0] == COAP_EMPTY_CON
                (self.probed if is_probe else self.spoken).append(proxy2.version_of(datagram))
                if self.version == V1 and proxy2.version_of(datagram) == V2:
                    continue
                if is_probe:
                    self.answer(service, device, bytes([COAP_RST]) + payload[1:])
                    continue
                self.got.append(said)
                if self.echo:
                    self.answer(service, device, payload)
            time.sleep(0.001)


def tunnel(*keys, ip="127.0.0.1"):
    """`keys`: as (id, octets). A port for each of two workers, and one for probes."""
    return {
        "local": text_of(ip, free_ports(3)),
        "keys": [{"id": number, "key": key.hex()} for number, key in keys or [(1, KEY)]],
    }


def tunnel_pool(scene, name, entries, settings=None, **options):
    options = {"forward": "tunnel", "tunnel": settings or tunnel(), "health": {"probe": "none"}, **options}
    return {key: value for key, value in scene.pool(name, entries, **options).items() if key != "nat"}


def started(scene, pools, listeners=None, **options):
    """`listeners`: other addresses than 127.0.0.1 for the pools' listeners."""
    lb = scene.cidlb(pools, start=False, **options)
    for listener, ip in zip(lb.config["listeners"], listeners or []):
        listener["address"] = text_of(ip, parse_address(listener["address"])[1])
    return lb.start()


def arrives(sock, timeout=30):
    """The next datagram and where it is from."""
    wait_until(lambda: _readable(sock), timeout, "a datagram arrives")
    datagram, source = sock.recvfrom(65536)
    return datagram, source[:2]


def _readable(sock):
    with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
        return sock.recvfrom(1, socket.MSG_PEEK)
    return False


def dropped(lb, reason=None):
    return lb.metric("cidlb_tunnel_dropped_total", **({"reason": reason} if reason else {}))


def case_every_family():
    """Devices of both families through tunnels of both; listeners with addresses of their own, and on all."""
    for tunnel_ip in ("127.0.0.1", "::1"):
        with Scene() as scene, Server(tunnel_ip) as server:
            names = {
                "v4": ("127.0.0.1", "127.0.0.1"), "v4-any": ("0.0.0.0", "127.0.0.9"), "v6": ("::1", "::1"),
                "v6-any": ("::", "::1"),
            }
            lb = scene.cidlb([tunnel_pool(scene, "p", [server.entry()], tunnel(ip=tunnel_ip))], start=False)
            lb.config["listeners"] = [
                {"name": name, "address": text_of(ip, free_ports()), "pool": "p"} for name, (ip, _) in names.items()
            ]
            lb.start()
            for name, (_, service_ip) in names.items():
                service = service_ip, parse_address(lb.address(name))[1]
                with open_socket(service_ip) as device:
                    for payload in (RECORD, longer(b"x" * 1000)):
                        device.sendto(payload, service)
                        assert arrives(device) == (payload, service), (tunnel_ip, name)
                    assert server.got[-1] == (device.getsockname()[:2], service, payload), server.got[-1]
                    # A node need not have seen the device.
                    with open_socket(service_ip) as stranger:
                        server.answer(service, stranger.getsockname()[:2], b"unasked")
                        assert arrives(stranger) == (b"unasked", service)
            assert dropped(lb) == 0 and lb.metric("cidlb_forwarded_total", direction="up") == 2 * len(names)
            lb.assert_identities()


def case_every_drop():
    """What comes to a tunnel and is not what it should be: nothing leaves, and each is counted under its reason."""
    with Scene() as scene, Server(echo=False) as server, open_socket("127.0.0.1") as device, open_socket(
        "127.0.0.1"
    ) as stranger:
        with Server(echo=False) as second:
            pools = [
                tunnel_pool(scene, "p", [server.entry()]),
                tunnel_pool(scene, "q", [second.entry()], tunnel((1, OTHER))),
            ]
            lb = started(scene, pools)
            service, service_q = parse_address(lb.address("p")), parse_address(lb.address("q"))
            device.sendto(RECORD, service)
            server.wait(1)
            to = device.getsockname()
            good = server.header(service, to)
            ours = proxy2.tag(KEY, bytes([0x11, 1]), service, to)
            ends = good[16:28]
            bad = {
                "no_header": [b"", b"\x17\xfe\xfd", good[:15], b"\0" + good[1:]],
                "length": [good[:40], good[:15] + b"\xff" + good[16:], good[:15] + b"\x0b" + good[16:]],
                "kind": [
                    good[:12] + b"\x20" + good[13:], good[:13] + b"\x11" + good[14:], good[:12] + b"\x11" + good[13:]
                ],
                "no_tag": [
                    proxy2.frame(0x12, ends, []),
                    proxy2.frame(0x12, ends, [(0xE0, bytes([0x11, 1]) + ours[:7])]),
                ],
                "direction": [proxy2.write(KEY, 1, UP, service, to), proxy2.write(KEY, 1, UP, to, service)],
                "key": [proxy2.write(KEY, 2, DOWN, service, to)],
                "tag": [good[:-1] + bytes([good[-1] ^ 1]), proxy2.write(OTHER, 1, DOWN, service, to)],
                "service": [
                    server.header((service[0], service[1] ^ 1), to),
                    server.header(("127.0.0.2", service[1]), to),
                    server.header(service_q, to),  # the other pool's
                    proxy2.write(KEY, 1, DOWN, ("::1", service[1]), ("::1", to[1])),
                ],
            }
            for reason, datagrams in bad.items():
                for datagram in datagrams:
                    before = dropped(lb)
                    server.send(datagram if reason in ("no_header", "length") else datagram + b"payload")
                    wait_until(lambda: dropped(lb) > before, 20, f"{reason}: {datagram.hex()} is dropped")
                assert dropped(lb, reason) == len(datagrams), (reason, dropped(lb, reason), dropped(lb))
            stranger.sendto(good, server.node)
            second.node = server.node
            second.send(good)
            wait_until(lambda: dropped(lb, "outer_source") == 2, 20, "datagrams of strangers are dropped")
            assert dropped(lb) == 2 + sum(map(len, bad.values()))
            assert dropped(lb) == lb.metric("cidlb_tunnel_dropped_total", pool="p")
            server.send(good + b"after all")
            assert arrives(device) == (b"after all", service)
            assert lb.metric("cidlb_replies_total") == 1
            lb.assert_identities()


def case_service_address_of_another_node():
    """A listener on all addresses: what it does not hold, the kernel refuses to send from."""
    with Scene() as scene, Server() as server, open_socket("127.0.0.1") as device:
        lb = started(scene, [tunnel_pool(scene, "p", [server.entry()])], ["0.0.0.0"])
        service = "127.0.0.1", parse_address(lb.address())[1]
        device.sendto(RECORD, service)
        assert arrives(device) == (RECORD, service)
        server.answer(("198.51.100.7", service[1]), device.getsockname(), b"foreign")
        wait_until(lambda: lb.metric("cidlb_refused_total", direction="down", reason="send") == 1, 20, "it is refused")
        server.answer(service, device.getsockname(), b"own")
        assert arrives(device) == (b"own", service)
        lb.assert_identities()


def case_versions():
    """Servers of before, servers of today, and one that is replaced by the other: none misses a datagram, but for one
    that comes between the replacement and the next probe."""
    health = {"probe": "coap", "interval_ms": 100, "timeout_ms": 2000}
    with Scene() as scene, Server(version=V1) as old, Server() as new, open_socket("127.0.0.1") as device:
        lb = started(scene, [tunnel_pool(scene, "p", [old.entry(), new.entry("b", 2)], health=health)])
        service = parse_address(lb.address())

        def send(number):
            record = forge(bytes([number]) + bytes(5))
            device.sendto(record, service)
            return record

        def asks(number):
            for _ in range(50):
                record, answer = send(number), None
                while answer != record:  # and not one that comes late
                    answer, source = arrives(device)
                    assert source == service

        def spoken_to(server, number, version):
            def heard():
                send(number)
                return server.spoken[-1:] == [version]

            wait_until(heard, 20, f"server {number} is spoken to in version {version}")

        asks(1)
        spoken_to(new, 2, V2)
        asks(2)
        assert set(old.spoken) == {OFFER} and set(new.spoken) <= {OFFER, V2}, (old.spoken, new.spoken)
        old.version = V2
        spoken_to(old, 1, V2)
        asks(1)
        new.version = V1
        spoken_to(new, 2, OFFER)
        asks(2)
        assert set(old.probed) | set(new.probed) == {OFFER}, (old.probed, new.probed)
        assert lb.metric("cidlb_tunnel_dropped_total") == 0
        lb.assert_identities()


def case_versions_without_probes():
    """What a server answers with says what it reads. Silence does, too, after a while."""
    with Scene() as scene, Server() as server, open_socket("127.0.0.1") as device:
        lb = started(scene, [tunnel_pool(scene, "p", [server.entry()])], workers=1)
        service = parse_address(lb.address())
        while server.spoken[-1:] != [V2]:
            device.sendto(RECORD, service)
            assert arrives(device) == (RECORD, service)
        assert server.spoken[0] == OFFER, server.spoken
        server.version = V1

        def heard():
            device.sendto(RECORD, service)
            return server.spoken[-1] == OFFER and _readable(device)

        wait_until(heard, 60, "version 1 after 10 s without an answer")
        lb.assert_identities()


def case_keys_change():
    """The new key joins as second, becomes first, stays alone: by reload, on the same socket, and nothing is lost."""
    with Scene() as scene, Server(keys={1: KEY, 2: OTHER}) as server, open_socket("127.0.0.1") as device:
        settings = tunnel()
        lb = started(scene, [tunnel_pool(scene, "p", [server.entry()], settings)])
        service = parse_address(lb.address())

        def asks():
            device.sendto(RECORD, service)
            assert arrives(device) == (RECORD, service)
            return server.node

        def reload(*keys):
            lb.config["pools"][0]["tunnel"]["keys"] = [{"id": number, "key": key.hex()} for number, key in keys]
            lb.reload()

        node = asks()
        reload((1, KEY), (2, OTHER))
        assert asks() == node
        server.sign = 2
        assert asks() == node
        reload((2, OTHER), (1, KEY))
        del server.keys[1]  # what it still understood would fail the thread
        assert asks() == node
        reload((2, OTHER))
        assert asks() == node and dropped(lb) == 0
        server.keys[1], server.sign = KEY, 1
        device.sendto(RECORD, service)
        wait_until(lambda: dropped(lb, "key") == 1, 20, "the old key is not good any more")
        lb.assert_identities()


def case_other_mode_by_reload():
    """From nat to tunnel and back, and to another local address."""
    with Scene() as scene, Server() as server, open_socket("127.0.0.1") as device:
        lb = started(scene, [scene.pool("p", [server.entry()], health={"probe": "none"})])
        pool, service = lb.config["pools"][0], parse_address(lb.address())

        def asks():
            device.sendto(RECORD, service)
            assert arrives(device) == (RECORD, service)

        asks()
        assert len(server.plain) == 1
        for local in (free_ports(3), free_ports(3)):
            pool.update(forward="tunnel", tunnel={**tunnel(), "local": f"127.0.0.1:{local}"})
            lb.reload()
            asks()
            assert local <= server.node[1] <= local + 1 and server.node[0] == "127.0.0.1", server.node
        pool["forward"] = "nat"
        lb.reload()
        asks()
        assert (len(server.plain), len(server.got)) == (2, 2) and dropped(lb) == 0
        lb.assert_identities()


def case_same_ports_after_reload():
    """A pool with another name, a range of ports that overlaps the last one, two that change places: no port is bound
    twice."""
    with Scene() as scene, Server() as server, Server() as second, open_socket("127.0.0.1") as device:
        base = free_ports(8)
        first, other = tunnel(), tunnel((1, OTHER))
        first["local"], other["local"] = f"127.0.0.1:{base}", f"127.0.0.1:{base + 5}"
        second.keys = {1: OTHER}
        lb = started(
            scene, [tunnel_pool(scene, "p", [server.entry()], first), tunnel_pool(scene, "q", [second.entry()], other)]
        )

        def check():
            for listener, at in (lb.config["listeners"][0], server), (lb.config["listeners"][1], second):
                service = parse_address(listener["address"])
                device.sendto(RECORD, service)
                assert arrives(device) == (RECORD, service)
                port = parse_address(lb.config["pools"][at is second]["tunnel"]["local"])[1]
                assert port <= at.node[1] < port + 2, (at.node, port)
            lb.assert_identities(but=["renamed"])  # what its listener counted for the pool before is among its own

        check()
        lb.config["pools"][0]["name"] = lb.config["listeners"][0]["pool"] = "renamed"
        lb.reload()
        check()
        first["local"] = f"127.0.0.1:{base + 1}"
        lb.reload()
        check()
        first["local"], other["local"] = other["local"], first["local"]
        lb.reload()
        check()


def case_many_at_a_time():
    """Out and back: what one batch has for a server leaves in one send, and what a server sends in one is taken
    apart."""
    with Scene() as scene, Server(echo=False) as server:
        lb = started(scene, [tunnel_pool(scene, "p", [server.entry()])], workers=1)
        service = parse_address(lb.address())
        devices = [open_socket("127.0.0.1") for _ in range(20)]
        lb.child.send_signal(harness.signal.SIGSTOP)  # so that it finds them all at once
        for number, device in enumerate(devices):
            for turn in range(3):
                # Now and then of another size: no device's overtake each other.
                device.sendto(longer(b"%02d%d" % (number, turn) + b"x" * (number % 3 == turn)), service)
        lb.child.send_signal(harness.signal.SIGCONT)
        got = server.wait(3 * len(devices))
        for number, device in enumerate(devices):
            mine = [
                payload[len(RECORD) : len(RECORD) + 3] for source, _, payload in got if source == device.getsockname()
            ]
            assert mine == [b"%02d%d" % (number, turn) for turn in range(3)], mine
        segmented = lb.metric("cidlb_tunnel_segmented_total")
        print(f"    {segmented} of {len(got)} datagrams left together with others")
        assert segmented > len(got) / 2

        train = b"".join(
            server.header(service, device.getsockname()) + b"%03d" % number for number, device in enumerate(devices)
        )
        size = len(server.header(service, devices[0].getsockname())) + 3
        control = [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", size))]
        # The last one is shorter.
        server.sock.sendmsg([train + server.header(service, devices[0].getsockname()) + b"z"], control, 0, server.node)
        assert [arrives(device)[0] for device in devices] == [b"%03d" % number for number in range(len(devices))]
        assert arrives(devices[0]) == (b"z", service)
        assert lb.metric("cidlb_replies_total") == len(devices) + 1 and dropped(lb) == 0
        lb.assert_identities()
        for device in devices:
            device.close()


def case_server_is_gone():
    """ICMP errors about what went through a tunnel have its server probed at once, and cost the other one nothing."""
    health = {"probe": "coap", "interval_ms": 60_000, "timeout_ms": 1000, "fall": 2}
    with Scene() as scene, Server() as server, open_socket("127.0.0.1") as device:
        with Server() as other:
            lb = started(scene, [tunnel_pool(scene, "p", [server.entry(), other.entry("b", 2)], health=health)])
            service = parse_address(lb.address())
            device.sendto(forge(b"\2" + bytes(5)), service)
            arrives(device)
        began, sent = time.monotonic(), 0
        while "backend_down" not in lb.log_text():
            device.sendto(forge(b"\2" + bytes(5)), service)
            device.sendto(RECORD, service)
            sent += 1
            assert arrives(device) == (RECORD, service)
            assert time.monotonic() - began < 30, "it is down at once"
        errors = lb.backend("b")["icmp_errors"]
        assert 0 < errors <= sent and lb.backend("a")["icmp_errors"] == 0
        assert lb.metric("cidlb_refused_total", direction="up") == 0
        lb.assert_identities()


def case_larger_than_the_mtu():
    """With the header in front, flights near the MTU do not fit: they arrive in fragments, which are counted. Nothing
    else is."""
    with Far(1400) as far:
        for here, there, overhead in (("10.9.0.1", "10.9.0.2", 20 + 8 + 41), ("fd09::1", "fd09::2", 40 + 8 + 41)):
            with Scene() as scene, Server(sock=far.socket(there)) as server, open_socket("127.0.0.1") as device:
                lb = started(scene, [tunnel_pool(scene, "p", [server.entry()], tunnel(ip=here))])
                service, fits = parse_address(lb.address()), 1400 - overhead
                fragmented = 0
                for octets in (100, fits, fits + 1, 1400, fits, 1400, 8_000, fits + 1, 60_000):
                    payload = longer(os.urandom(octets - len(RECORD)))
                    device.sendto(payload, service)
                    assert arrives(device) == (payload, service), octets
                    fragmented += octets > fits
                    assert lb.metric("cidlb_tunnel_fragmented_total") == fragmented, (octets, fragmented)
                assert lb.metric("cidlb_refused_total") == 0 and lb.metric("cidlb_icmp_errors_total") == 0
                # Many at a time of which none fits.
                server.echo = False
                for number in range(60):
                    device.sendto(longer(b"%03d" % number + bytes(1400)), service)
                got = server.wait(9 + 60)[9:]
                numbers = [payload[len(RECORD) : len(RECORD) + 3] for _, _, payload in got]
                assert numbers == [b"%03d" % n for n in range(60)]
                lb.assert_identities()
                assert lb.metric("cidlb_tunnel_fragmented_total") == fragmented + 60
                assert lb.metric("cidlb_tunnel_segmented_total") == 0


def key_file(scene):
    """Written once: a server that starts may be reading it."""
    file = scene.dir / "tunnel.keys"
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(f"1:{KEY.hex()}\n")
    return file


if __name__ == "__main__":
    main(globals())
