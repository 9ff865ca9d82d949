#!/usr/bin/env python3
"""What `cidlbctl trace` shows of datagrams as they pass, and keeps for Wireshark."""

import ipaddress
import json
import struct
import subprocess
import time

from control import ask, ctl, end, fleet_joined
from harness import BIN, Scene, main, wait_until
from udp import Relay


def start_trace(scene, lb, name, cid, *arguments):
    """A `cidlbctl trace --json` that has begun."""
    argv = [BIN / "cidlbctl", "trace", "--cid", cid, *arguments, "--json", "--socket", lb.config["admin"]["socket"]]
    trace = scene.process(name, *argv)
    wait_until(lambda: trace.out.read_text().count("\n"), 20, "the trace begins")
    return trace


def lines_of(trace):
    answer, *lines = [
        json.loads(line) for line in trace.out.read_text().splitlines(keepends=True) if line.endswith("\n")
    ]
    assert answer["ok"], answer
    return lines


def read_pcap(data):
    """[(source, destination, payload, octets on the wire)] of IPv4 and UDP in a file of LINKTYPE_RAW."""
    assert struct.unpack_from("<IHHiIII", data) == (0xA1B2C3D4, 2, 4, 0, 0, 65535, 101), data[:24]
    at, packets = 24, []
    while at < len(data):
        seconds, _, kept, octets = struct.unpack_from("<IIII", data, at)
        packet = data[at + 16 : at + 16 + kept]
        assert abs(seconds - time.time()) < 300 and packet[0] == 0x45 and packet[9] == 17 and len(packet) == kept
        (whole,), (datagram,) = struct.unpack_from(">H", packet, 2), struct.unpack_from(">H", packet, 24)
        assert whole == octets == datagram + 20
        sums = sum(struct.unpack(">10H", packet[:20]))
        assert (sums & 0xFFFF) + (sums >> 16) == 0xFFFF, "checksum"
        ends = [
            f"{ipaddress.ip_address(packet[ip : ip + 4])}:{struct.unpack_from('>H', packet, port)[0]}"
            for ip, port in ((12, 20), (16, 22))
        ]
        packets.append((*ends, packet[28:], octets - 28))
        at += 16 + kept
    return packets


def case_trace():
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])])
        pcap = scene.dir / "trace.pcap"
        with Relay(lb.address()) as relay:
            fleet = scene.fleet(relay.address, devices=1, duration=60, interval_ms=150, ack_timeout_ms=300)
            bystander = fleet_joined(scene, lb, "bystander", 2)
            cid = relay.wait_record(6).cid.hex()
            trace = start_trace(scene, lb, "trace", cid, "--for", "12s", "--pcap", pcap)
            wait_until(lambda: len(lines_of(trace)) >= 4, 20, "datagrams are shown")
            first = "%s:%d" % relay.source
            relay.rebind()
            second = "%s:%d" % relay.source
            (home,) = (flow for flow in ask(lb, "flows", "--cid", cid)["flows"] if flow["kind"] == "cid")
            wait_until(
                lambda: sum(line.get("from") == second for line in lines_of(trace)) >= 4, 12,
                "the moved device is shown",
            )
            assert trace.wait(30) == 0, trace.log_text()
            end(fleet)
            end(bystander)
        *lines, last = lines_of(trace)
        up, down = ([line for line in lines if line["direction"] == way] for way in ("up", "down"))
        assert last == {"end": True, "shown": len(lines), "missed": 0}, last
        assert {line["from"] for line in up} == {first, second}, up
        assert all(line["sent"] and line["verdict"] == "cid" and line["service"] == lb.address() for line in up), up
        assert {line["endpoint"] for line in up + down} == {home["endpoint"]}
        assert {line["backend"] for line in lines} == {"a"}
        moved = next(line for line in up if line["from"] == second)
        assert moved["role"] == "unproven" and up[0]["role"] == "proven", up
        copied = [line for line in down if len(line["to"]) > 1]
        assert copied and {to["address"] for to in copied[0]["to"]} == {first, second}, down
        assert {to["role"] for line in down for to in line["to"]} == {"proven", "unproven"}, down
        passed = {bytes(datagram).hex() for _, datagram in relay.uplinks}
        for line in up:
            (record,) = line["records"]
            assert record["first_octet"] == 25 and record["epoch"] == 1 and record["number"] > 0, record
            assert line["data"] in passed and line["octets"] == len(line["data"]) // 2, line
        assert all(line["records"][0]["epoch"] == 1 for line in down), down

        expected = []
        for line in lines:
            ways = (
                [(line["from"], line["service"])]
                if line["direction"] == "up"
                else [(to["service"], to["address"]) for to in line["to"]]
            )
            expected += [(*way, bytes.fromhex(line["data"]), line["octets"]) for way in ways]
        assert read_pcap(pcap.read_bytes()) == expected


def case_trace_of_drops():
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])])
        with Relay(lb.address()) as relay:
            fleet = scene.fleet(relay.address, devices=1, duration=60, interval_ms=150, ack_timeout_ms=300)
            cid = relay.wait_record(6).cid.hex()
            ctl(lb, "maint", "a")
            # Longer than from one repetition of a request to the next.
            text = ctl(lb, "trace", "--cid", cid, "--for", 8)
            ctl(lb, "ready", "a")
            *lines, last = text.splitlines()
            assert lines and all(" > nowhere, maint, " in line for line in lines), text
            assert all(": tls12_cid (25), epoch 1, number " in line for line in lines), text
            assert last == f"{len(lines)} datagram{'s' * (len(lines) > 1)}", text
            end(fleet)


def case_trace_of_nobody():
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])])
        fleet = fleet_joined(scene, lb, "fleet", 2)
        pcap = scene.dir / "empty.pcap"
        assert ctl(lb, "trace", "--cid", "ff" * 6, "--for", "1s", "--pcap", pcap) == "0 datagrams\n"
        assert read_pcap(pcap.read_bytes()) == []

        # One at a time; who goes away makes room.
        trace = start_trace(scene, lb, "left", "ff" * 6, "--for", "60m")
        assert "another trace is running" in try_trace(lb)
        trace.kill()
        wait_until(lambda: try_trace(lb) == "", 20, "the trace has ended")

        assert "1..20 octets" in ctl(lb, "trace", "--cid", "f", status=1)
        assert "1..3600 seconds" in ctl(lb, "trace", "--cid", "00", "--for", "61m", status=1)
        assert "No such file" in ctl(lb, "trace", "--cid", "00", "--pcap", scene.dir / "no" / "where", status=1)
        for arguments in (
            ["trace"], ["trace", "--cid", "00", "--for", "x"], ["trace", "--cid", "00", "--limit", 1],
            ["flows", "--for", 1],
        ):
            ctl(lb, *arguments, status=2)

        # cidlb ends in the middle of a trace.
        end(fleet)
        trace = start_trace(scene, lb, "cut", "ff" * 6, "--for", "60s")
        lb.stop()
        assert trace.wait(30) == 1 or lines_of(trace)[-1]["end"], trace.log_text()


def try_trace(lb):
    """What a trace of one second says on stderr."""
    argv = [BIN / "cidlbctl", "trace", "--cid", "00", "--for", "1s", "--socket", lb.config["admin"]["socket"]]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20).stderr


if __name__ == "__main__":
    main(globals())
