#!/usr/bin/env python3
"""Everything that can run out, made to run out: what that costs is counted and logged once, nobody else pays, and it is
over when it is."""

import contextlib
import os
import re
import resource
import select
import signal
import socket
import subprocess
import time
from pathlib import Path

import harness
from harness import AS_ROOT, BIN, USER, Scene, Skip, free_ports, limited, main, release_only, wait_until
from udp import Clients, Echo, open_socket, parse_address

NO_PROBES = {"probe": "none"}


def udp_pool(scene, servers, nat=None, **options):
    return scene.pool("u", servers.entries(), protocol="udp", cid=None, health=NO_PROBES, nat=nat or {}, **options)


def answered(clients, seconds=0.5, per_second=400):
    """How many of the clients get an answer to what they send from now on, within a while."""
    for waiting in clients.waiting:
        waiting.clear()
    clients.server.clear()
    clients.run(seconds, per_second)
    everybody = lambda: clients.collect() or len(clients.server) == len(clients.sockets)
    for _ in range(5):
        with contextlib.suppress(TimeoutError):
            wait_until(everybody, 2, "answers")
            break
        # On a busy machine the flow of one may have made room for that of another before its answer came.
        for index in set(range(len(clients.sockets))) - set(clients.server):
            clients.send(index)
    return len(clients.server)


def introduce(clients, count=None):
    """One after the other has two answered round trips, and so a flow beyond class handshake. `count`: of the first."""
    clients.server.clear()
    for index in range(count or len(clients.sockets)):
        for _ in range(2):
            clients.waiting[index].clear()
            clients.send(index)
            assert select.select([clients.sockets[index]], [], [], 20)[0], "an answer"
            clients.collect()


def end_idle_flows(lb):
    """Of all that are silent, by a reload with a short idle_s, which is taken back: until then none ends, however slow a
    machine is."""
    nat = lb.config["pools"][0]["nat"]
    nat["idle_s"] = 1
    lb.reload()
    wait_until(lambda: not lb.metric("cidlb_flows", kind="address"), 30, "idle flows have ended")
    del nat["idle_s"]
    lb.reload()


def logged(lb, event, *more):
    return sum(
        1
        for line in lb.log_text().splitlines()
        if re.search(rf" {event}[ :]", line) and all(word in line for word in more)
    )


def case_full_table():
    """max_flows are in use: a further one takes the place of the one that was silent longest, and that one comes back when
    it speaks."""
    with Scene() as scene, Echo("a") as servers:
        lb = scene.cidlb([udp_pool(scene, servers, {"max_flows": 16})])
        with Clients(lb.address(), 16) as first, Clients(lb.address(), 30) as more:
            introduce(first)
            assert lb.metric("cidlb_flows", kind="address") == 16
            introduce(more)
            assert lb.metric("cidlb_flows", kind="address") == 16 and lb.metric("cidlb_flows", kind="handshake") <= 2
            assert lb.metric("cidlb_flows_evicted_total", pool="u", kind="address") > 10
            introduce(first)
            lb.wait_log("flows_evicted pool=u: nat.max_flows flows are in use")
            introduce(more)
            assert logged(lb, "flows_evicted", "in use") == 1
        with Clients(lb.address(), 8) as later:
            end_idle_flows(lb)
            introduce(later)
            assert lb.metric("cidlb_flows", kind="address") == 8
        lb.wait_log("flows_evicted pool=u: over; it happened [0-9]+ times?", 20)
        lb.assert_identities()


def case_flows_of_nobody():
    """A flood to a server that does not answer, from one prefix: it has half of what is free, and nobody else notices."""
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
            # Of the ten that may be under a handshake.
            evicted = lambda: lb.metric("cidlb_flows_evicted_total", pool="v")
            wait_until(lambda: evicted() == flood.sent - 6, 20, f"{flood.sent} have come")
            assert lb.metric("cidlb_flows", pool="v", kind="handshake") == 6
            assert lb.metric("cidlb_flows_evicted_total", pool="u") == 0
            assert answered(clients) == 20
            lb.wait_log("flows_evicted pool=v: nat.max_flows / 8 flows are under a handshake")
            assert logged(lb, "flows_evicted") == 1
        lb.assert_identities()
        silent.close()


def eight_endpoints(nat):
    """All taken: the ninth session is refused, until one is free."""
    with Scene() as scene, Echo("a") as servers:
        lb = scene.cidlb([udp_pool(scene, servers, {**nat, "max_flows": 8})])
        with Clients(lb.address(), 8) as first, Clients(lb.address(), 20) as more:
            introduce(first)
            more.run(1.2, 200)
            refused = lambda: lb.metric("cidlb_refused_total", pool="u", direction="up", reason="flows")
            wait_until(lambda: refused() == more.sent, 20, f"{more.sent} are refused")
            assert len(more.server) == 0
            lb.wait_log("flows_refused pool=u: ")
            assert logged(lb, "flows_refused") == 1
            assert answered(first) == 8
            end_idle_flows(lb)
            introduce(more, 8)
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
            introduce(old)
            with limited(lb, resource.RLIMIT_NOFILE, settled(lambda: descriptors(lb))):
                new.run(1, 200)
                refused = lambda: lb.metric("cidlb_refused_total", pool="u", direction="up", reason="flows")
                wait_until(lambda: refused() == new.sent, 20, f"{new.sent} are refused")
                assert len(new.server) == 0
                assert answered(old) == 10
            lb.wait_log("flows_refused pool=u: ")
            introduce(new)
        lb.assert_identities()


def case_descriptors():
    """None is left: admin answers all the same, a reload that needs some is refused and changes nothing, datagrams
    flow."""
    with Scene() as scene, Echo("a") as servers:
        lb = scene.cidlb([udp_pool(scene, servers)])
        http = lb.config["admin"]["http"]
        with Clients(lb.address(), 20) as clients:
            assert answered(clients) == 20
            used = settled(lambda: descriptors(lb))
            with limited(lb, resource.RLIMIT_NOFILE, used):
                held = [socket.create_connection(http.split(":")) for _ in range(5)]
                assert all(lb.get("/metrics")[0] == 200 for _ in range(20)), "one descriptor is kept for who asks"
                ctl = [BIN / "cidlbctl", "--socket", lb.config["admin"]["socket"], "status"]
                done = subprocess.run(ctl, capture_output=True, timeout=10)
                assert done.returncode == 0, "the same at the other door"
                lb.config["listeners"].append({"name": "more", "address": f"127.0.0.1:{free_ports()}", "pool": "u"})
                lb.write()
                lb.child.send_signal(signal.SIGHUP)
                lb.wait_log("reload_refused")
                assert "Too many open files" in lb.log_text()
                assert answered(clients, 2.5) == 20
                for one in held:
                    one.close()
            assert lb.metric("cidlb_admin_stalls_total") == 0
            lb.reload()
            lb.wait_log("info reloaded: 2 listeners")
            assert answered(clients) == 20
        lb.assert_identities()


def descriptors(lb):
    return len(os.listdir(f"/proc/{lb.pid}/fd"))


def settled(value):
    """What value() is once it has been the same for half a second."""
    last, since = value(), time.monotonic()

    def still():
        nonlocal last, since
        before, last = last, value()
        since = since if last == before else time.monotonic()
        return time.monotonic() > since + 0.5

    wait_until(still, 20, "it is settled")
    return last


STEAL = """\
import socket, sys
for text in sys.argv[1:]:
    address, port = text.rsplit(":", 1)
    for reuse in (socket.SO_REUSEPORT, socket.SO_REUSEADDR):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
            thief.setsockopt(socket.SOL_SOCKET, reuse, 1)
            try:
                thief.bind((address, int(port)))
            except OSError:
                continue
            print(text)
"""


def stolen(wildcard, loopback):
    """Where another process of cidlb's user can get a share of the datagrams; ports of these addresses."""
    addresses = [f"{address}:{port}" for port in wildcard for address in ("0.0.0.0", "127.0.0.1", "127.65.0.1")]
    addresses += [f"{address}:{port}" for port in loopback for address in ("0.0.0.0", "127.0.0.1")]
    user = {"user": USER.pw_uid, "group": USER.pw_gid, "extra_groups": []}
    argv = ["python3", "-c", STEAL, *addresses]
    return subprocess.run(argv, capture_output=True, text=True, check=True, cwd="/", timeout=30, **user).stdout.split()


def port_of(address):
    return parse_address(address)[1]


@release_only  # with sanitizers cidlb never is root
def case_nobody_shares_the_sockets():
    """Another process of the user that cidlb runs as gets no datagram, wherever it binds: neither of what was opened by
    root, nor of what a reload opened or a session made. All of it serves."""
    if not AS_ROOT:
        raise Skip("needs a cidlb that was root")
    with Scene() as scene, Echo("a") as servers:
        first, second, alone = free_ports(2), free_ports(2), free_ports(40)
        tunnel = free_ports(8)
        lb = scene.cidlb([udp_pool(scene, servers, {"ports": f"{first}-{first + 1}"})])
        endpoints = [first, first + 1]
        assert stolen(endpoints, [port_of(lb.address())]) == []
        late = scene.pool(
            "late", servers.entries(), protocol="udp", cid=None, health=NO_PROBES,
            nat={"ports": f"{second}-{second + 1}", "sources": ("127.65.0.0/16",)},
        )
        single = scene.pool(
            "single", servers.entries(), protocol="udp", cid=None, health=NO_PROBES,
            nat={"ports": f"{alone}-{alone + 39}", "sources": ("127.0.0.1",), "max_flows": 40},
        )
        tunnelled = scene.pool(
            "tunnelled", servers.entries(), protocol="udp", cid=None, health=NO_PROBES, forward="tunnel",
            tunnel={"local": f"127.0.0.1:{tunnel}", "keys": [{"id": 1, "key": "f" * 32}]},
        )
        del tunnelled["nat"]
        for pool in (late, single, tunnelled):
            lb.config["pools"].append(pool)
            lb.config["listeners"].append(
                {"name": pool["name"], "address": f"127.0.0.1:{free_ports()}", "pool": pool["name"]}
            )
        lb.reload()
        with contextlib.ExitStack() as devices:
            for name in ("u", "late", "single"):
                clients = devices.enter_context(Clients(lb.address(name), 20))
                assert answered(clients) == 20, name
            opened = [port_of(lb.address(name)) for name in ("u", "late", "single", "tunnelled")]
            used = [port for port in range(alone, alone + 40) if not can_bind(port)]
            assert len(used) >= 8, used
            assert stolen([*endpoints, second, second + 1], [*opened, *used, tunnel, tunnel + 1]) == []
        lb.assert_identities()


def can_bind(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


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
            introduce(clients)  # one at a time: nothing is dropped yet
            lb.assert_identities()
            received, replies = lb.metric("cidlb_received_total"), lb.metric("cidlb_replies_total")
            lb.child.send_signal(signal.SIGSTOP)
            for _ in range(200):
                clients.send(0)
            for n in range(300):
                sock.sendto(b"a0", servers.last)
            lb.child.send_signal(signal.SIGCONT)
            wait_until(lambda: lb.metric("cidlb_received_total") > received, 20, "it reads again")
            settled(lambda: (lb.metric("cidlb_received_total"), lb.metric("cidlb_replies_total")))
            clients.send(0)  # the kernel tells of drops with the next datagram
            wait_until(lambda: lb.metric("cidlb_kernel_drops_total", listener="u"), 20, "the drops are counted")

            def up():
                return lb.metric("cidlb_received_total") - received

            def down():
                return lb.metric("cidlb_replies_total") - replies

            wait_until(
                lambda: lb.metric("cidlb_kernel_drops_total", listener="u") == 201 - up(), 20, "all drops are counted"
            )
            wait_until(
                lambda: lb.metric("cidlb_endpoint_kernel_drops_total") == 300 + up() - down(), 20,
                "those of servers, too",
            )
            assert up() < 201 and down() < 300 + up()
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
        lb = scene.cidlb([udp_pool(scene, servers), flooded], workers=1, rcvbuf_octets=1 << 19)
        target = parse_address(lb.address("v"))
        flood = "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        flood += f"s.connect({target!r})\nwhile True: s.send(b'x' * 60)"
        with Clients(lb.address("u"), 20) as clients:
            assert answered(clients) == 20
            floods = [subprocess.Popen(["python3", "-c", flood]) for _ in range(2)]
            try:
                received = lambda: lb.metric("cidlb_received_total", listener="v")
                dropped = lambda: lb.metric("cidlb_kernel_drops_total", listener="v")
                wait_until(lambda: received() > 0 and dropped() > 0, 30, "it is flooded")
                before = received(), dropped()
                sent = clients.sent
                clients.run(2, 500)
                wait_until(lambda: clients.collect() or not clients.lost_to("a"), 20, "all are answered")
                sent, took, drops = clients.sent - sent, received() - before[0], dropped() - before[1]
            finally:
                for process in floods:
                    process.kill()
                    process.wait()
            print(
                f"    {sent} exchanges beside a flood of {took} datagrams read and {drops} dropped by the kernel: "
                "0 lost"
            )
            assert took + drops > 10 * sent and took > 0 and drops > 0, (took, drops, sent)
            assert lb.metric("cidlb_kernel_drops_total", listener="u") == 0
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


if __name__ == "__main__":
    main(globals())
