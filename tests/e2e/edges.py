#!/usr/bin/env python3
"""Everything that can run out, made to run out: what that costs is counted and logged once, nobody else pays, and it is
over when it is."""

import os
import re
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

import harness
from harness import AS_ROOT, Scene, Skip, free_ports, limited, main, release_only, wait_until
from udp import Clients, Echo, drain, open_socket, parse_address

NO_PROBES = {"probe": "none"}


def udp_pool(scene, servers, nat=None, **options):
    return scene.pool("u", servers.entries(), protocol="udp", cid=None, health=NO_PROBES, nat=nat or {}, **options)


def answered(clients, seconds=0.5, per_second=400):
    """How many of the clients get an answer to what they send from now on."""
    for waiting in clients.waiting:
        waiting.clear()
    clients.server.clear()
    clients.run(seconds, per_second)
    time.sleep(0.1)
    clients.collect()
    return len(clients.server)


def logged(lb, event, *more):
    return sum(
        1
        for line in lb.log_text().splitlines()
        if re.search(rf" {event}[ :]", line) and all(word in line for word in more)
    )


def is_open(address):
    """A connection that cidlb has accepted, or None."""
    try:
        with socket.create_connection(parse_address(address), 1) as sock:
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            return b"200 OK" in sock.recv(4096)
    except OSError:
        return False


def case_proven_flows():
    """max_flows are proven: those keep their way back; new ones stay on trial, and have one only as long as there is
    room."""
    with Scene() as scene, Echo("a") as servers:
        lb = scene.cidlb([udp_pool(scene, servers, {"max_flows": 16, "idle_s": 2})])
        with Clients(lb.address(), 16) as first, Clients(lb.address(), 30) as more:
            assert answered(first) == 16
            assert lb.metric("cidlb_flows", kind="proven") == 16
            more.run(1.5, 100)
            assert lb.metric("cidlb_flows", kind="proven") == 16 and lb.metric("cidlb_flows", kind="trial") <= 2
            assert lb.metric("cidlb_flows_evicted_total", pool="u") > 10
            assert answered(first) == 16
            lb.wait_log("flows_evicted pool=u: nat.max_flows flows are proven")
            more.run(1.5, 100)
            assert logged(lb, "flows_evicted") == 1
        with Clients(lb.address(), 8) as later:
            wait_until(lambda: not lb.metric("cidlb_flows", kind="proven"), 10, "idle flows have ended")
            assert answered(later) == 8 and lb.metric("cidlb_flows", kind="proven") == 8
        lb.wait_log("flows_evicted pool=u: over; it happened [0-9]+ times?", 20)
        lb.assert_identities()


def case_trial_flows():
    """A flood from everywhere to a server that does not answer: proven flows do not notice."""
    with Scene() as scene, Echo("a") as servers:
        silent = open_socket("127.0.0.1", free_ports())
        entries = [{"name": "s", "address": "127.0.0.1:%d" % silent.getsockname()[1]}]
        pools = [
            udp_pool(scene, servers),
            scene.pool("v", entries, protocol="udp", cid=None, health=NO_PROBES, nat={"max_flows": 80}),
        ]
        lb = scene.cidlb(pools)
        with Clients(lb.address("u"), 20) as clients, Clients(lb.address("v"), 200) as flood:
            assert answered(clients) == 20
            flood.run(2, 1_000)
            assert lb.metric("cidlb_flows", pool="v", kind="trial") == 10
            assert lb.metric("cidlb_flows_evicted_total", pool="v") == flood.sent - 10
            assert lb.metric("cidlb_flows_evicted_total", pool="u") == 0
            assert answered(clients) == 20
            lb.wait_log("flows_evicted pool=v: more than an eighth of nat.max_flows are on trial")
            assert logged(lb, "flows_evicted") == 1
        lb.assert_identities()
        silent.close()


def eight_endpoints(nat):
    """All taken: the ninth session is refused, until one is free."""
    with Scene() as scene, Echo("a") as servers:
        lb = scene.cidlb([udp_pool(scene, servers, {**nat, "max_flows": 8, "idle_s": 2})])
        with Clients(lb.address(), 8) as first, Clients(lb.address(), 20) as more:
            assert answered(first) == 8
            more.run(1.2, 200)
            assert len(more.server) == 0
            refused = lb.metric("cidlb_refused_total", pool="u", direction="up", reason="flows")
            assert refused == more.sent, (refused, more.sent)
            lb.wait_log("flows_refused pool=u: ")
            assert logged(lb, "flows_refused") == 1
            assert answered(first) == 8
            wait_until(lambda: not lb.metric("cidlb_flows", kind="proven"), 10, "idle flows have ended")
            assert answered(more) == 8
        lb.assert_identities()


def case_endpoints():
    eight_endpoints({"sources": ("127.66.0.0/30",)})


def case_ports_of_an_address():
    first = free_ports(8)
    eight_endpoints({"sources": ("127.0.0.1",), "ports": f"{first}-{first + 7}"})


def case_descriptors_of_an_address():
    """None is left for a further port: sessions that have one go on, further ones are refused, until there is one."""
    with Scene() as scene, Echo("a") as servers:
        first = free_ports(100)
        nat = {"sources": ("127.0.0.1",), "ports": f"{first}-{first + 99}", "max_flows": 100}
        lb = scene.cidlb([udp_pool(scene, servers, nat)])
        with Clients(lb.address(), 10) as old, Clients(lb.address(), 40) as new:
            assert answered(old) == 10
            with limited(lb, resource.RLIMIT_NOFILE, len(os.listdir(f"/proc/{lb.pid}/fd"))):
                new.run(1, 200)
                assert len(new.server) == 0
                assert answered(old) == 10
            refused = lb.metric("cidlb_refused_total", pool="u", direction="up", reason="flows")
            assert refused == new.sent, (refused, new.sent)
            lb.wait_log("flows_refused pool=u: ")
            assert answered(new) == 40
        lb.assert_identities()


def case_descriptors():
    """None is left: admin waits, a reload that needs some is refused and changes nothing, datagrams flow."""
    with Scene() as scene, Echo("a") as servers:
        lb = scene.cidlb([udp_pool(scene, servers)])
        http = lb.config["admin"]["http"]
        with Clients(lb.address(), 20) as clients:
            assert answered(clients) == 20
            used = len(os.listdir(f"/proc/{lb.pid}/fd"))
            with limited(lb, resource.RLIMIT_NOFILE, used):
                assert not is_open(http)
                lb.wait_log("warning admin: .*cannot accept connections")
                lb.config["listeners"].append({"name": "more", "address": f"127.0.0.1:{free_ports()}", "pool": "u"})
                lb.write()
                lb.child.send_signal(signal.SIGHUP)
                lb.wait_log("reload_refused")
                assert "Too many open files" in lb.log_text()
                assert answered(clients, 2.5) == 20
                assert logged(lb, "admin", "cannot accept connections") == 1
            wait_until(lambda: is_open(http), 5, "admin answers again")
            assert lb.metric("cidlb_admin_stalls_total") > 0
            lb.reload()
            lb.wait_log("info reloaded: 2 listeners")
            assert answered(clients) == 20
        lb.assert_identities()


@release_only  # sanitizers map memory as they like
def case_memory():
    """No page more: a reload that needs some is refused and changes nothing, datagrams flow."""
    with Scene() as scene, Echo("a") as servers:
        lb = scene.cidlb([udp_pool(scene, servers, {"max_flows": 1000})])
        with Clients(lb.address(), 20) as clients:
            assert answered(clients) == 20
            pages = int(Path(f"/proc/{lb.pid}/statm").read_text().split()[0])
            with limited(lb, resource.RLIMIT_AS, pages * resource.getpagesize()):
                lb.config["pools"][0]["nat"]["max_flows"] = 2_000_000
                lb.write()
                lb.child.send_signal(signal.SIGHUP)
                lb.wait_log("reload_refused")
                assert re.search("[Oo]ut of memory|Cannot allocate", lb.log_text())
                assert answered(clients) == 20
                with Clients(lb.address(), 200) as others:
                    assert answered(others, 1) == 200
            lb.reload()
            assert answered(clients) == 20
        lb.assert_identities()


def case_kernel_drops():
    """Every datagram that finds a socket buffer full is counted, of devices and of servers."""
    with Scene() as scene, Echo("a") as servers:
        lb = scene.cidlb([udp_pool(scene, servers)], rcvbuf_octets=4096, workers=1)
        sock = servers.sockets["a"]
        with Clients(lb.address(), 1) as clients:
            assert answered(clients) == 1
            lb.assert_identities()
            received, replies = lb.metric("cidlb_received_total"), lb.metric("cidlb_replies_total")
            lb.child.send_signal(signal.SIGSTOP)
            for _ in range(200):
                clients.send(0)
            for n in range(300):
                sock.sendto(b"a0", servers.last)
            lb.child.send_signal(signal.SIGCONT)
            wait_until(lambda: lb.metric("cidlb_received_total") > received, 5, "it reads again")
            time.sleep(0.2)
            clients.send(0)  # the kernel tells of drops with the next datagram
            wait_until(lambda: lb.metric("cidlb_kernel_drops_total", listener="u"), 5, "the drops are counted")
            time.sleep(0.2)
            up = lb.metric("cidlb_received_total") - received
            down = lb.metric("cidlb_replies_total") - replies
            assert lb.metric("cidlb_kernel_drops_total", listener="u") == 201 - up > 0, up
            assert lb.metric("cidlb_endpoint_kernel_drops_total") == 300 + up - down > 0, (up, down)
            lb.wait_log("kernel_drops: the kernel drops datagrams from devices")
            lb.wait_log("kernel_drops: the kernel drops datagrams from servers")
        lb.assert_identities()


def case_fairness():
    """One worker, one of two listeners flooded beyond what it can read: the other's devices, and the replies to them,
    do not wait."""
    with Scene() as scene, Echo("a") as servers:
        flooded = scene.pool(
            "v", [{"name": "s", "address": f"127.0.0.1:{free_ports()}"}], protocol="udp", cid=None, health=NO_PROBES
        )
        lb = scene.cidlb([udp_pool(scene, servers), flooded], workers=1, rcvbuf_octets=65536)
        target = parse_address(lb.address("v"))
        flood = "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        flood += f"s.connect({target!r})\nwhile True: s.send(b'x' * 60)"
        with Clients(lb.address("u"), 20) as clients:
            assert answered(clients) == 20
            floods = [subprocess.Popen(["python3", "-c", flood]) for _ in range(2)]
            try:
                time.sleep(0.3)
                before = lb.metric("cidlb_received_total", listener="v")
                sent = clients.sent
                clients.run(2, 500)
                wait_until(lambda: clients.collect() or not clients.lost_to("a"), 3, "all are answered")
                sent, took = clients.sent - sent, lb.metric("cidlb_received_total", listener="v") - before
            finally:
                for process in floods:
                    process.kill()
                    process.wait()
            drops = lb.metric("cidlb_kernel_drops_total", listener="v")
            print(
                f"    {sent} exchanges beside a flood of {took} datagrams read and {drops} dropped by the kernel: "
                "0 lost"
            )
            assert took > 10 * sent and lb.metric("cidlb_kernel_drops_total", listener="u") == 0
        lb.assert_identities()


@release_only  # a build with sanitizers has none
def case_sandbox():
    """A filter in every thread, no core dump, nobody but root looks into it."""
    with Scene() as scene, Echo("a") as servers:
        lb = scene.cidlb([udp_pool(scene, servers)])
        assert "sandbox" not in lb.log_text(), lb.log_text()
        for task in Path(f"/proc/{lb.pid}/task").iterdir():
            status = (task / "status").read_text()
            assert "\nSeccomp:\t2\n" in status and "\nNoNewPrivs:\t1\n" in status, status
        if AS_ROOT:
            # The kernel gives the files of a process that may not be dumped to root.
            assert os.stat(f"/proc/{lb.pid}/environ").st_uid == 0
        lb.stop()


def case_conntrack():
    """Tracked, with room for fewer connections than the pool may carry: said at the start, and gone with the rules in
    packaging/."""
    rules = Path(__file__).parents[2] / "packaging" / "notrack.nft"
    count = Path("/proc/sys/net/netfilter/nf_conntrack_count")
    if not count.exists() or not AS_ROOT:
        raise Skip("needs root and connection tracking")
    harness.ip("link", "set", "lo", "up")  # skips where the network is not ours
    needed = int(Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text()) // 2 + 1

    def nft(text):
        subprocess.run(["nft", "-f", "-"], input=text.encode(), check=True)

    with Scene() as scene, Echo("a") as servers:
        try:
            nft("table inet t { chain c { type filter hook input priority 0; ct state invalid drop; }; }")
        except (OSError, subprocess.CalledProcessError):
            raise Skip("no nft, or no connection tracking by it") from None
        lb = scene.cidlb([udp_pool(scene, servers, {"max_flows": needed})])
        with Clients(lb.address(), 20) as clients:
            assert answered(clients) == 20
            tracked = int(count.read_text())
            assert tracked >= 40, "each in, and to its server"
        lb.stop()
        lb.start()
        lb.wait_log("warning conntrack: ")
        port, (low, high) = lb.address().rsplit(":", 1)[1], lb.config["pools"][0]["nat"]["ports"].split("-")
        nft(rules.read_text().replace("5684", port).replace("40684-40691", f"{low}-{high}"))
        before = int(count.read_text())
        with Clients(lb.address(), 20) as clients:
            assert answered(clients) == 20
            assert int(count.read_text()) < before + 10, "/metrics at most"
        lb.assert_identities()
        nft("flush ruleset")


main(globals())
