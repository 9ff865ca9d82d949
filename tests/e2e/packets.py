#!/usr/bin/env python3
"""Any datagram whatever: counted under the right verdict and nothing else, beside a session that goes on."""

import os
import random
import signal
import struct
import time
from pathlib import Path

from harness import FULL, Scene, main, total, wait_until
from udp import Relay, drain, forge, open_socket, parse_address

QUICK = {"interval_ms": 200, "ack_timeout_ms": 300}
MAX_UDP = 65507


def record(kind, body, epoch=0, seq=0, version=0xFEFD, cid=b"", length=None):
    """A record of DTLS 1.2; `length` if its field should lie."""
    head = struct.pack(">BHH", kind, version, epoch) + seq.to_bytes(6, "big") + cid
    return head + struct.pack(">H", len(body) if length is None else length) + body


def handshake(msg_type, body=bytes(34)):
    length = len(body).to_bytes(3, "big")
    return record(22, bytes([msg_type]) + length + bytes(5) + length + body)


HELLO = handshake(1)
KEY_EXCHANGE = handshake(16)
CHANGE_CIPHER_SPEC = record(20, b"\1")
ALERT = record(21, b"\2\x28")
PROTECTED = record(23, bytes(24), epoch=1)
KNOWN = bytes.fromhex("0123456789ab")  # of server 1
OTHER = bytes.fromhex("0923456789ab")  # of nobody
CID = record(25, bytes(24), epoch=1, cid=KNOWN)
CID_OTHER = record(25, bytes(24), epoch=1, cid=OTHER)
UNIFIED = bytes([0x3D]) + KNOWN + b"\0\1" + struct.pack(">H", 16) + bytes(16)
UNIFIED_REST = bytes([0x30]) + KNOWN + b"\1" + bytes(16)
UNIFIED_NO_CID = bytes([0x2D]) + b"\0\1" + struct.pack(">H", 16) + bytes(16)

# What is sent: the verdicts that may count it. Datagrams without CID are a `hash` before their source has a flow, a
# `hint` after.
BY_ADDRESS = ("hash", "hint")
TABLE = [
    ("nothing at all", b"", ("malformed",)),
    ("one octet, no DTLS", b"\0", ("type",)),
    ("one octet, handshake", b"\x16", ("malformed",)),
    ("twelve octets of a record", CHANGE_CIPHER_SPEC[:12], ("malformed",)),
    ("body cut short", PROTECTED[:-1], ("malformed",)),
    ("length field beyond the end", record(22, bytes(30), length=31), ("malformed",)),
    ("empty record", record(21, b"", epoch=1), ("malformed",)),
    ("TLS 1.2 over TCP", record(22, bytes(30), version=0x0303), ("malformed",)),
    ("DTLS 1.0 version of a CID record", record(25, bytes(24), epoch=1, version=0xFEFF, cid=KNOWN), ("malformed",)),
    ("handshake shorter than its header", record(22, bytes(11)), ("malformed",)),
    ("CID record without room for a CID", b"\x19\xfe\xfd\0\1" + bytes(8), ("malformed",)),
    ("unified header alone", b"\x2d\0\1\0\x10", ("malformed",)),
    ("unified, 15 octets of ciphertext", UNIFIED_NO_CID[:-1], ("malformed",)),
    ("a good record, then a cut one", CHANGE_CIPHER_SPEC + PROTECTED[:-1], ("malformed",)),
    ("STUN", b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12), ("type",)),
    ("plain CoAP", b"\x40\1\0\1", ("type",)),
    ("RTP", b"\x80" + bytes(40), ("type",)),
    ("type 19", b"\x13" + PROTECTED[1:], ("type",)),
    ("type 28", b"\x1c" + PROTECTED[1:], ("type",)),
    ("type 31", b"\x1f" + PROTECTED[1:], ("type",)),
    ("type 64", b"\x40" + PROTECTED[1:], ("type",)),
    ("a good record, then no DTLS", CHANGE_CIPHER_SPEC + b"\xff", ("type",)),
    ("application data in epoch 0", record(23, bytes(24)), ("epoch0_data",)),
    ("CID in epoch 0", record(25, bytes(24), cid=KNOWN), ("epoch0_data",)),
    ("a good record, then epoch-0 data", CHANGE_CIPHER_SPEC + record(23, bytes(24)), ("epoch0_data",)),
    ("CID of nobody", CID_OTHER, ("unknown_cid",)),
    ("CID of nobody behind a flight", KEY_EXCHANGE + CHANGE_CIPHER_SPEC + CID_OTHER, ("unknown_cid",)),
    ("CID of another length", record(25, bytes(24), epoch=1, cid=KNOWN + b"\1\2"), ("unknown_cid",)),
    ("CID record that ends early", CID[:-1], ("unknown_cid",)),
    ("CID record without ciphertext", CID[:19], ("unknown_cid",)),
    ("unified CID of nobody", bytes([0x3D]) + OTHER + UNIFIED[7:], ("unknown_cid",)),
    ("unified CID record that ends early", UNIFIED[:-1], ("unknown_cid",)),
    ("CID", CID, ("cid",)),
    ("CID behind a flight", KEY_EXCHANGE + CHANGE_CIPHER_SPEC + CID, ("cid",)),
    ("CID twice", CID + CID, ("cid",)),
    ("CID, then nonsense", CID + b"\xff\xff", ("mixed",)),
    ("CID of a known server, then one of nobody", CID + CID_OTHER, ("mixed",)),
    ("CID, then an alert", CID + ALERT, ("mixed",)),
    ("CID, then a ClientHello", CID + HELLO, ("mixed",)),
    ("alert, then a CID", ALERT + CID, ("mixed",)),
    ("CID of nobody, then an alert", CID_OTHER + ALERT, ("mixed",)),
    ("unified CID, then one without", UNIFIED + UNIFIED_NO_CID, ("cid",)),
    ("unified CID, then an alert", UNIFIED + ALERT, ("mixed",)),
    ("sixteen records, the last with a CID", CHANGE_CIPHER_SPEC * 15 + CID, ("cid",)),
    ("seventeen records, the last with a CID", CHANGE_CIPHER_SPEC * 16 + CID, ("mixed",)),
    ("unified CID with length", UNIFIED, ("cid",)),
    ("unified CID without length", UNIFIED_REST, ("cid",)),
    ("CID of 1,400 octets", record(25, bytes(1381), epoch=1, cid=KNOWN), ("cid",)),
    ("largest CID record", record(25, bytes(MAX_UDP - 19), epoch=1, cid=KNOWN), ("cid",)),
    ("first of 3,000 records is one with a CID", CID + CHANGE_CIPHER_SPEC * 3000, ("mixed",)),
    ("last of 4,000 records is one with a CID", CHANGE_CIPHER_SPEC * 4000 + CID, ("mixed",)),
    ("ClientHello", HELLO, ("hash",)),
    # Its random is known by now: it is repeated, so it follows its handshake.
    ("ClientHello of OpenSSL", b"\x16\xfe\xff" + HELLO[3:], ("hint",)),
    ("ClientHello in two records", HELLO + HELLO, ("hash",)),
    ("ClientHello, then early data", HELLO + UNIFIED_NO_CID, ("hint",)),
    ("ClientHello, then a CID", HELLO + CID, ("mixed",)),
    ("ClientHello, then nonsense", HELLO + b"\xff", ("mixed",)),
    ("flight without CID", KEY_EXCHANGE + CHANGE_CIPHER_SPEC, BY_ADDRESS),
    ("application data", PROTECTED, BY_ADDRESS),
    ("alert", record(21, bytes(10), epoch=1), BY_ADDRESS),
    ("heartbeat", record(24, bytes(10), epoch=1), BY_ADDRESS),
    ("acknowledgement of DTLS 1.3", record(26, bytes(10), epoch=1), BY_ADDRESS),
    ("return routability check", record(27, bytes(10), epoch=1), BY_ADDRESS),
    ("unified without CID", UNIFIED_NO_CID, BY_ADDRESS),
    ("sixteen records without CID", CHANGE_CIPHER_SPEC * 16, BY_ADDRESS),
    ("4,600 records without CID", CHANGE_CIPHER_SPEC * 4600, ("mixed",)),
    ("largest datagram without CID", record(23, bytes(MAX_UDP - 13), epoch=1), BY_ADDRESS),
    ("64 KiB of zeros", bytes(MAX_UDP), ("type",)),
    ("64 KiB of 0x16", b"\x16" * MAX_UDP, ("malformed",)),
    ("64 KiB of 0x19", b"\x19" * MAX_UDP, ("malformed",)),
]


def counts(lb, listener):
    """(received, {verdict: count}) of a listener."""
    metrics = lb.metrics()
    known = {
        value
        for name, labels in metrics
        if name == "cidlb_datagrams_total"
        for key, value in labels
        if key == "verdict"
    }
    verdicts = {
        verdict: total(metrics, "cidlb_datagrams_total", listener=listener, verdict=verdict) for verdict in known
    }
    return total(metrics, "cidlb_received_total", listener=listener), verdicts


def add(sock, datagrams, lb, listener):
    """Sends them, waits until all are counted: what each verdict has grown by."""
    before, verdicts = counts(lb, listener)
    for datagram in datagrams:
        sock.send(datagram)
    wait_until(
        lambda: counts(lb, listener)[0] >= before + len(datagrams), 20, f"{len(datagrams)} datagrams are counted"
    )
    after, grown = counts(lb, listener)
    assert after == before + len(datagrams), (before, after)
    return {verdict: grown[verdict] - verdicts[verdict] for verdict in grown if grown[verdict] != verdicts[verdict]}


def connected(address, ip="127.0.0.1"):
    sock = open_socket(ip)
    sock.setblocking(True)
    sock.connect(parse_address(address))
    return sock


def two_listeners(scene, backends, **options):
    """A cidlb whose listener `live` is for a session that must go on, and `p` for what a test sends; both lead to one
    pool."""
    lb = scene.cidlb([scene.pool("p", backends, **options)], start=False)
    address = lb.address().rsplit(":", 1)[0]
    port = int(lb.address().rsplit(":", 1)[1])
    lb.config["listeners"].append({"name": "live", "address": f"{address}:{port + 1}", "pool": "p"})
    return lb.start()


def live(scene, lb, devices=3):
    """A fleet with sessions, each with a flow."""
    fleet = scene.fleet(lb.address("live"), devices=devices, duration=600, rebind_every=1, **QUICK)
    wait_until(lambda: lb.metric("cidlb_flows", kind="cid") >= devices, 20, "the devices have sessions")
    return fleet


def assert_lived(fleet, lb, devices=3):
    fleet.child.send_signal(signal.SIGTERM)
    report = fleet.report(60)
    assert report["survived"] == report["handshakes"] == devices and report["exchanges_lost"] == 0, report
    lb.assert_identities()


def case_every_verdict():
    wrong = []
    with Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2)]
        lb = two_listeners(scene, backends)
        fleet = live(scene, lb)
        with connected(lb.address("p")) as sock:
            for what, datagram, verdicts in TABLE:
                grown = add(sock, [datagram], lb, "p")
                if list(grown.values()) != [1] or not set(grown) <= set(verdicts):
                    wrong.append(f"{what}: {grown}, not {verdicts}")
        assert not wrong, "; ".join(wrong)
        assert_lived(fleet, lb)


def case_states_of_a_server():
    with Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2)]
        lb = two_listeners(scene, backends)
        entry = lb.config["pools"][0]["backends"][0]
        with connected(lb.address("p")) as sock:
            for state, verdict in (("ready", "cid"), ("drain", "cid_draining"), ("maint", "maint"), ("ready", "cid")):
                entry["state"] = state
                lb.reload()
                assert add(sock, [CID], lb, "p") == {verdict: 1}, state
        lb.assert_identities()


CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus" / "dtls"
FUZZ_BATCH = 100  # which a socket has room for without root, while cidlb waits for its turn
LENGTHS = (0, 1, 11, 12, 13, 16, 255, 256, 1472, 0x3FFF, 0x4000, 0xFFFE, 0xFFFF)


class Fuzz:
    """Datagrams made of good ones: of the table, the corpus, and what devices send just now."""

    def __init__(self, seed, device):
        self.dice, self.device = random.Random(seed), device
        self.seeds = [datagram for _, datagram, _ in TABLE if 0 < len(datagram) <= 2000]
        self.seeds += [file.read_bytes()[:2000] for file in sorted(CORPUS.iterdir()) if file.stat().st_size]

    def seed(self):
        of_now = self.device.uplinks[-20:] if self.dice.random() < 0.3 else ()
        return bytearray(self.dice.choice(of_now)[1] if of_now else self.dice.choice(self.seeds))

    def place(self, datagram, span=64):
        """A place, near the start: that is where records say what they are."""
        return self.dice.randrange(min(len(datagram), span) if self.dice.random() < 0.8 else len(datagram))

    def flip(self, datagram):
        datagram[self.place(datagram)] ^= 1 << self.dice.randrange(8)

    def put(self, datagram):
        datagram[self.place(datagram)] = self.dice.choice((0, 1, 19, 20, 22, 25, 32, 47, 63, 64, 127, 128, 254, 255))

    def lie(self, datagram):
        """A length field, of a record, a handshake message or a CID record, or whatever is there."""
        at = self.dice.choice((3, 7, 11, 14, 17, 19, 22, 43, self.place(datagram)))
        near = len(datagram) - at - 2 + self.dice.randrange(-2, 3)
        length = self.dice.choice(LENGTHS) if self.dice.random() < 0.5 else near & 0xFFFF
        datagram[at : at + 2] = length.to_bytes(2, "big")

    def cut(self, datagram):
        del datagram[self.place(datagram) :]

    def remove(self, datagram):
        at = self.place(datagram)
        del datagram[at : at + self.dice.randrange(1, 9)]

    def insert(self, datagram):
        at = self.place(datagram)
        datagram[at:at] = self.dice.randbytes(self.dice.randrange(1, 9))

    def splice(self, datagram):
        other = self.seed()
        datagram[self.place(datagram) :] = other[self.place(other) :]

    def join(self, datagram):
        datagram += self.seed()

    def datagram(self):
        if self.dice.random() < 0.02:
            return self.dice.randbytes(self.dice.randrange(1500))
        datagram = self.seed()
        for _ in range(self.dice.choice((0, 1, 1, 1, 2, 2, 3, 5, 8))):
            if not datagram:
                break
            self.dice.choice(
                (self.flip, self.flip, self.put, self.lie, self.cut, self.remove, self.insert, self.splice, self.join)
            )(datagram)
        return bytes(datagram[:4000])


def send_all(sock, datagrams):
    for datagram in datagrams:
        try:
            sock.send(datagram)
        except ConnectionRefusedError:
            sock.send(datagram)  # that was the ICMP error of an earlier one


def case_fuzzed_datagrams():
    """From several addresses, among them records of a device that is there, beside sessions that move: none is lost."""
    count, devices = 1_000_000 if FULL else 10_000, 5
    with Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2)]
        lb = two_listeners(scene, backends)
        with Relay(lb.address("live")) as relay:
            watched = scene.fleet(relay.address, name="watched", devices=1, duration=7200, **QUICK)
            relay.wait_record(6)
            fleet = scene.fleet(lb.address("live"), devices=devices, duration=7200, rebind_every=1, **QUICK)
            wait_until(lambda: lb.metric("cidlb_flows", kind="cid") > devices, 20, "the devices have sessions")
            fuzz = Fuzz(9146, relay)
            sockets = [connected(lb.address("p"), f"127.9.8.{n}") for n in range(1, 9)]
            for sent in range(FUZZ_BATCH, count + 1, FUZZ_BATCH):
                send_all(sockets[sent // FUZZ_BATCH % len(sockets)], [fuzz.datagram() for _ in range(FUZZ_BATCH)])
                wait_until(lambda: counts(lb, "p")[0] >= sent, 20, f"{sent} datagrams are counted")
                for sock in sockets:
                    sock.setblocking(False)
                    drain(sock)
                    sock.setblocking(True)
                del relay.uplinks[:-50], relay.downlinks[:-50]
            received, verdicts = counts(lb, "p")
            print(
                f"    {received} datagrams: "
                + ", ".join(f"{verdicts[name]} {name}" for name in sorted(verdicts) if verdicts[name])
            )
            assert received == sum(verdicts.values()) == count, (received, verdicts)
            reached = {"malformed", "type", "epoch0_data", "mixed", "unknown_cid", "cid", "hash", "hint"}
            assert all(verdicts[name] > count / 1000 for name in reached), verdicts
            assert_lived(watched, lb, 1)
        assert_lived(fleet, lb, devices)
        for sock in sockets:
            sock.close()


def case_misfits_are_explained():
    with Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2)]
        lb = scene.cidlb([scene.pool("p", backends)])
        with connected(lb.address()) as sock:
            for _ in range(50):
                sock.send(record(25, os.urandom(64), epoch=1, cid=KNOWN + os.urandom(2)))
                time.sleep(0.01)
        line = lb.wait_log(r"warning unknown_cid pool=p: .* cid\.length 6; lengths that would fit: ([0-9, ]+)")
        assert "8" in line.group(1).split(", "), line.group(0)
        assert lb.log_text().count(" unknown_cid ") == 1, "the line is limited in rate"


def case_unknown_ids_are_explained():
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])])
        with connected(lb.address()) as sock:
            sock.send(CID_OTHER)
        lb.wait_log(r"warning unknown_cid pool=p: .* server id that no backend has")


def case_wrong_length_of_real_servers():
    """The mistake that operators make: the servers' CIDs are longer than cid.length says."""
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1, cid_length=8)])])
        fleet = scene.fleet(lb.address(), devices=1, duration=60, max_seconds=60, **QUICK)
        line = lb.wait_log(r"lengths that would fit: ([0-9, ]+)", 30)
        assert "8" in line.group(1).split(", "), line.group(0)
        fleet.kill()


def case_flood_of_cids():
    """Random CIDs under a valid id, from many addresses, at a table with room for few flows: no session's flow is lost to
    them."""
    count, devices, dice = 1_000_000 if FULL else 2_000, 8, random.Random(5)
    with Scene() as scene:
        backends = [scene.backend(number) for number in (1, 2)]
        lb = two_listeners(scene, backends, nat={"max_flows": 4 * devices})
        target = lb.address("p")
        with Relay(lb.address("live")) as relay:
            # Observed through a man in the middle: an answer proves that the way back is there.
            watched = scene.fleet(relay.address, name="watched", devices=1, duration=600, **QUICK)
            fleet = scene.fleet(lb.address("live"), devices=devices - 1, ramp_ms=200, duration=600, **QUICK)
            wait_until(lambda: lb.metric("cidlb_flows", kind="cid") == devices, 20, "every session has its flow")
            sources = [connected(target, f"127.9.9.{n}") for n in range(1, 21)]
            for n in range(count):
                sources[n % len(sources)].send(forge(b"\1" + dice.randbytes(5), seq=n))
                if n % 500 == 0:
                    assert lb.metric("cidlb_flows", kind="cid") == devices
                    assert lb.metric("cidlb_flows", kind="handshake") <= 4 * devices / 8
                    time.sleep(0.01 if FULL else 0.1)
            for sock in sources:
                sock.setblocking(False)
                assert not drain(sock), "cidlb sends nothing to those who forge"
            answered = len(relay.downlinks)
            wait_until(lambda: len(relay.downlinks) > answered + 3, 20, "the device is answered")
            assert lb.metric("cidlb_flows", kind="cid") == devices
            assert_lived(watched, lb, 1)
        assert_lived(fleet, lb, devices - 1)
        for sock in sources:
            sock.close()
        reports = [backend.report() for backend in backends]
        assert sum(report["handshakes"] for report in reports) == devices, reports
        assert max(report["max_address_changes_per_session"] for report in reports) == 1, reports


def case_more_devices_than_flows():
    """A table that is too small refuses nobody: who was silent longest has no flow, and a CID routes without one."""
    with Scene() as scene:
        a = scene.backend(1)
        lb = scene.cidlb([scene.pool("p", [a], nat={"max_flows": 8})])
        report = scene.fleet(
            lb.address(), devices=10, ramp_ms=200, duration=5, interval_ms=500, ack_timeout_ms=300
        ).report(60)
        assert report["survived"] == report["handshakes"] == 10, report
        lb.assert_identities()
        assert lb.metric("cidlb_flows", kind="cid") == 8 and lb.metric("cidlb_flows", kind="handshake") <= 1


main(globals())
