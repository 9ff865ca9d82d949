#!/usr/bin/env python3
"""The doors: who may ask admin.http, and what cidlbctl says of commands, reloads and traces."""

import re
import shutil
import socket
import subprocess
from pathlib import Path

from control import ask, ctl
from harness import AS_ROOT, BIN, PSK, SANITIZE, USER, Scene, free_ports, main, wait_until

PAGES = ("/healthz", "/readyz", "/metrics")
PROMETHEUS = (
    "GET {page} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Prometheus/2.45.0\r\n"
    "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n"
    "Accept-Encoding: gzip\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n"
)


def request(lb, text):
    """(status, all that is answered) of a request as it stands."""
    address, port = lb.config["admin"]["http"].rsplit(":", 1)
    with socket.create_connection((address, int(port)), timeout=20) as door:
        door.sendall(text.encode())
        answer = b"".join(iter(lambda: door.recv(65536), b"")).decode()
    return int(answer.split()[1]), answer


def case_monitors():
    """Prometheus asks by host name; health checks ask with HTTP/1.0 and without Host; browsers by a name in
    admin.hosts. Nobody else gets more than monitors do."""
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])], start=False)
        lb.config["admin"]["hosts"] = ("lb1.example",)
        lb.start()
        port = lb.config["admin"]["http"].rsplit(":", 1)[1]
        for page in PAGES:
            for host in (f"lb7.internal:{port}", "lb7", f"lb1.example:{port}"):
                status, answer = request(lb, PROMETHEUS.format(page=page, host=host))
                assert status == 200, answer
            assert page != "/metrics" or "text/plain; version=0.0.4" in answer and "\ncidlb_received_total{" in answer
            for bare in (  # HAProxy's httpchk, wget of busybox, a load balancer that names nothing
                f"GET {page} HTTP/1.0\r\n\r\n", f"HEAD {page} HTTP/1.0\r\n\r\n",
                f"GET {page} HTTP/1.0\r\nUser-Agent: Wget\r\nConnection: close\r\n\r\n",
                f"GET {page} HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n",
            ):
                assert request(lb, bare)[0] == 200, bare
            named = ["curl", "-s", "-0", "-H", "Host:", "-o", "/dev/null", "-w", "%{http_code}"]
            done = subprocess.run([*named, f"http://127.0.0.1:{port}{page}"], capture_output=True, text=True)
            assert done.stdout == "200", done
        for host, status in (("lb1.example", 200), (f"LB1.example:{port}", 200), ("lb7.internal", 403)):
            assert request(lb, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")[0] == status, host
        assert request(lb, "GET / HTTP/1.0\r\n\r\n")[0] == 403


def case_reload_says_what_came_of_it():
    """Not applied: exit status 1, and why. Applied: what of it waits for a restart."""
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])])
        before = lb.metric("cidlb_snapshot_generation")

        # Mistakes, each with its place.
        lb.config["pools"][0]["backends"][0]["weight"] = 300
        lb.config["workerz"] = 1
        lb.write()
        said = ctl(lb, "reload", status=1)
        assert re.search(rf"^{re.escape(str(lb.file))}:\d+: pools\[0\]\.backends\[0\]\.weight: ", said, re.M), said
        assert re.search(rf"^{re.escape(str(lb.file))}:\d+: workerz: ", said, re.M), said
        assert said.endswith("cidlbctl: the file has mistakes; the running configuration stays as it was\n"), said
        del lb.config["workerz"], lb.config["pools"][0]["backends"][0]["weight"]

        # What the kernel refuses, with the address and its words.
        taken, usual = free_ports(), lb.config["admin"]["http"]
        for door, option in ((socket.SOCK_DGRAM, "listeners[1].address"), (socket.SOCK_STREAM, "admin.http")):
            with socket.socket(socket.AF_INET, door) as other:
                other.bind(("127.0.0.1", taken))
                if door == socket.SOCK_STREAM:
                    other.listen()
                    lb.config["admin"]["http"] = f"127.0.0.1:{taken}"
                else:
                    lb.config["listeners"].append({"name": "q", "address": f"127.0.0.1:{taken}", "pool": "p"})
                lb.write()
                said = ctl(lb, "reload", status=1)
                assert said == (
                    f"cidlbctl: {option}: cannot bind 127.0.0.1:{taken}: Address already in use by another program, "
                    "perhaps another cidlb; the running configuration stays as it was\n"
                ), said
            del lb.config["listeners"][1:]
            lb.config["admin"]["http"] = usual
        lb.config["listeners"].append({"name": "q", "address": f"192.0.2.77:{taken}", "pool": "p"})
        lb.write()
        assert f"listeners[1].address: this host does not have 192.0.2.77:{taken}; " in ctl(lb, "reload", status=1)
        if AS_ROOT:
            lb.config["listeners"][1]["address"] = "127.0.0.1:684"
            lb.write()
            said = ctl(lb, "reload", status=1)
            assert "cannot bind 127.0.0.1:684: Permission denied (that takes root, which cidlb has only " in said, said
        del lb.config["listeners"][1:]
        assert lb.metric("cidlb_snapshot_generation") == before

        # What waits.
        state = lb.config["state_file"]
        lb.config["workers"] = 3
        lb.config["rcvbuf_octets"] = 65536
        lb.config["state_file"] = "/nowhere/state.json"
        lb.config["admin"]["socket"], path = "/nowhere/admin.sock", lb.config["admin"]["socket"]
        lb.write()
        lb.config["admin"]["socket"] = path
        waits = [
            "workers: 3 takes effect at the next start",
            "rcvbuf_octets: 65536 applies to new sockets now, and to all at the next start",
            'state_file: "/nowhere/state.json" takes effect at the next start',
            'admin.socket: "/nowhere/admin.sock" takes effect at the next start',
        ]
        changes = f"workers 2->3, rcvbuf_octets 4194304->65536, state_file {state}->/nowhere/state.json, "
        changes += f"admin.socket {path}->/nowhere/admin.sock"
        assert ctl(lb, "reload") == "\n".join(["reloaded", changes, *waits, ""])
        assert ask(lb, "reload")["waits"] == waits
        for line in waits:
            lb.wait_log(re.escape(f" warning reload: {line}".replace('"', '\\"')))


def case_unit_reloads_with_an_outcome():
    """`systemctl reload` fails for a broken file as its ExecReload does: that is cidlbctl, which waits and says why."""
    unit = (Path(__file__).parents[2] / "packaging" / "systemd" / "cidlb.service").read_text()
    command = re.search(r"^ExecReload=/usr/local/bin/(.*)$", unit, re.M)[1]
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])])
        argv = [BIN / command.split()[0], *command.split()[1:], "--socket", lb.config["admin"]["socket"]]
        for text, status in ((lb.file.read_text(), 0), ("pools = 7;", 1)):
            lb.file.write_text(text)
            done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
            assert done.returncode == status, done


def case_starts_with_an_outcome():
    """With Type=notify systemd hears that cidlb serves once it does. A refused one only ends, with its exit status."""
    with Scene() as scene, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        path = scene.dir / "notify"
        systemd.bind(str(path))
        path.chmod(0o777)
        systemd.settimeout(30)
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])], start=False)
        good = lb.config["hash_key"]
        lb.config["hash_key"] = "00"
        lb.argv = ["env", f"NOTIFY_SOCKET={path}", *lb.argv]
        lb.start(ready=False)
        assert lb.wait(30) == 1
        lb.config["hash_key"] = good
        lb.start(ready=False)
        assert systemd.recv(1000).startswith(b"READY=1\nSTATUS=serves 1 listener")
        assert lb.get("/healthz")[0] == 200
        lb.wait_log(" info started: ")
        lb.stop()
        systemd.close()  # and with it the sockets that it was sent, and never took
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as abstract:
            abstract.bind(f"\0{path}")
            abstract.settimeout(30)
            lb.argv[1] = f"NOTIFY_SOCKET=@{path}"
            lb.start(ready=False)
            assert abstract.recv(1000).startswith(b"READY=1\n")
            lb.stop()


def receive_buffers(lb):
    """Of the sockets that the process has, by port, as the kernel has them: octets as they were asked for."""
    sockets = subprocess.run(["ss", "-uanmpH"], capture_output=True, text=True, check=True).stdout
    found = {}
    for line, memory in re.findall(r"^(\S.*)\n\s+(skmem.*)$", sockets, re.M):
        if f"pid={lb.pid}," in line:
            port = int(line.split()[3].rsplit(":", 1)[1])
            octets = int(re.search(r",rb(\d+),", memory)[1]) // 2
            found[port] = min(octets, found.get(port, octets))
    return found


def most_without_root():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 30)
        return probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def buffers_are(lb, asked, **kinds):
    metrics = {kind: lb.metric("cidlb_receive_buffer_octets", kind=kind) for kind in kinds}
    assert metrics == kinds and lb.metric("cidlb_receive_buffer_asked_octets") == asked, metrics
    assert ask(lb, "status")["receive_buffers"] == {"asked": asked, **kinds}


def case_receive_buffers():
    """Where the kernel gives less than was asked for, that is said with what mends it: after a reload, and where cidlb
    never was root."""
    most = most_without_root()
    asked = 4 * most
    said = f"rcvbuf_octets: {asked} asked for, {most} got (%s): restart as root, or with sysctl "
    said += f"net.core.rmem_max at {asked}"
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])], rcvbuf_octets=asked, start=False)
        if AS_ROOT and not SANITIZE:
            lb.start()
            port, late = int(lb.address().rsplit(":", 1)[1]), free_ports()
            assert receive_buffers(lb)[port] == asked
            buffers_are(lb, asked, listener=asked, endpoint=asked)
            assert " rcvbuf:" not in lb.log_text(), "there is nothing to warn of"
            lb.config["listeners"].append({"name": "late", "address": f"127.0.0.1:{late}", "pool": "p"})
            lb.write()
            shared = "sockets that reloads opened (1) are read by one worker each, and by all from the next start on"
            assert ctl(lb, "reload") == f"reloaded\n+listener late\n{shared}\n{said % 'listener'}\n"
            lb.wait_log(re.escape(f" warning reload: {said % 'listener'}"))
            assert receive_buffers(lb)[port] == asked and receive_buffers(lb)[late] == most
            buffers_are(lb, asked, listener=most, endpoint=asked)
            lb.restart()
            assert receive_buffers(lb)[late] == asked
            assert " rcvbuf:" not in lb.log_text()
            lb.stop()
            # As where root was never had.
            lb.argv[0], lb.user = str(shutil.copy(lb.argv[0], scene.dir / "program")), USER
        lb.start()
        lb.wait_log(re.escape(f" warning rcvbuf: {said % 'listener'}"))
        ports = [listener["address"] for listener in lb.config["listeners"]] + [lb.config["pools"][0]["nat"]["ports"]]
        assert {receive_buffers(lb)[int(re.split("[:-]", port)[-1])] for port in ports} == {most}
        buffers_are(lb, asked, listener=most, endpoint=most)
        size = f"{most // 1024} KiB" if most < 1 << 20 else f"{most >> 20} MiB"
        assert f"receive buffers: listener {size}, endpoint {size}, " in ctl(lb, "status")
        # What is asked for less is had.
        lb.config["rcvbuf_octets"] = most // 2
        lb.write()
        said = ctl(lb, "reload")
        assert said.startswith(f"reloaded\nrcvbuf_octets {asked}->{most // 2}\nrcvbuf_octets: {most // 2} applies to "), said


def case_sysctl_is_as_the_default():
    """The file that is shipped lets sockets have what cidlb asks for by default."""
    shipped = (Path(__file__).parents[2] / "packaging" / "sysctl.d" / "cidlb.conf").read_text()
    conf = (Path(__file__).parents[2] / "conf" / "cidlb.conf").read_text()
    octets = re.search(r"^net\.core\.rmem_max = (\d+)$", shipped, re.M)[1]
    assert octets == re.search(r"^rcvbuf_octets = (\d+);", conf, re.M)[1]


def case_trace_of_an_address():
    """A handshake has no CID yet: its datagrams are seen by the device's address, both ways, and those that are
    dropped. Who the device is, is not: its key's identity goes over the wire, and not into the trace."""
    with Scene() as scene:
        lb = scene.cidlb([scene.pool("p", [scene.backend(1)])])
        pcap = scene.dir / "trace.pcap"
        argv = [BIN / "cidlbctl", "trace", "--from", "127.0.0.9", "--for", "15s", "--pcap", pcap, "--socket"]
        trace = scene.process("trace", *argv, lb.config["admin"]["socket"])
        address, port = lb.address().split(":")

        def shows_noise():
            for source in ("127.0.0.8", "127.0.0.9"):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
                    noise.bind((source, 0))
                    noise.sendto(b"hello?", (address, int(port)))
            return trace.out.read_text()

        wait_until(shows_noise, 20, "the trace has begun")
        options = {"devices": 1, "rebinds": 1, "rebind_every": 1, "from": "127.0.0.9", "interval_ms": 300}
        fleet = scene.fleet(lb.address(), **options)
        assert fleet.report()["survived"] == 1
        assert trace.wait(30) == 0, trace.log_text()
        shown = trace.out.read_text()
        assert re.search(r"up +127\.0\.0\.9:\d+ > nowhere, (type|malformed)", shown), shown
        assert re.search(r"up +127\.0\.0\.9:\d+ \(handshake\) > .* > a, hash.*handshake \(22\), epoch 0", shown), shown
        assert re.search(r"down .*127\.0\.0\.9:\d+.*handshake \(22\), epoch 0", shown), shown
        assert "127.0.0.8" not in shown, shown
        captured, key_exchange = pcap.read_bytes(), bytes.fromhex("10") + (2 + len(PSK[0])).to_bytes(3, "big")
        assert key_exchange in captured and PSK[0].encode() not in captured, "the identity of the device's key"


if __name__ == "__main__":
    main(globals())
