#!/usr/bin/env python3
"""Connections to admin.http: thousands of them, and some that end nothing or read nothing."""

import contextlib
import resource
import socket
import subprocess
import threading
import time

from edges import NO_PROBES, answered, descriptors, settled, udp_pool
from harness import BIN, Scene, Skip, main, wait_until
from udp import Clients, Echo, parse_address

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: a\r\n"


def dial(lb, sent=b"", receive_octets=None):
    """A connection to admin.http that has sent so much of a request."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_octets:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_octets)
    sock.settimeout(10)
    sock.connect(parse_address(lb.config["admin"]["http"]))
    sock.sendall(sent)
    return sock


def is_held(sock):
    """Whether the other side has not ended the connection."""
    sock.setblocking(False)
    try:
        return sock.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def case_doors():
    """Thousands hold connections to admin.http, send no end, or do not read. A scrape gets in at once, commands too,
    and datagrams flow."""
    count = 5000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 1000:
        raise Skip(f"needs {count + 1000} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Scene() as scene, Echo("a") as servers, contextlib.ExitStack() as all_of_them:
        lb = scene.cidlb([udp_pool(scene, servers)])
        all_of_them.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        used = descriptors(lb)
        idle = [all_of_them.enter_context(dial(lb)) for _ in range(count)]
        with Clients(lb.address(), 20) as clients:
            stop, scrapes = threading.Event(), []

            def scrape():
                while not stop.is_set():
                    scrapes.append(lb.get("/metrics")[0])
                    time.sleep(0.02)

            scraper = threading.Thread(target=scrape)
            scraper.start()
            try:
                slow = [all_of_them.enter_context(dial(lb, REQUEST)) for _ in range(40)]
                deaf = [all_of_them.enter_context(dial(lb, REQUEST + b"\r\n", 1)) for _ in range(40)]
                again = [all_of_them.enter_context(dial(lb)) for _ in range(1000)]
                for _ in range(10):
                    for sock in slow:
                        with contextlib.suppress(OSError):
                            sock.sendall(b"X: y\r\n")
                    assert answered(clients, 0.2) == 20
            finally:
                stop.set()
                scraper.join()
            assert set(scrapes) == {200}, scrapes
            held = [*idle, *slow, *again]
            wait_until(lambda: sum(map(is_held, held)) <= 32, 60, "all but 32 are let go")
            assert descriptors(lb) <= used + 32
            ctl = [BIN / "cidlbctl", "--socket", lb.config["admin"]["socket"], "status"]
            assert subprocess.run(ctl, capture_output=True, timeout=10).returncode == 0
            assert lb.metric("cidlb_admin_stalls_total") == 0
        lb.assert_identities()


def case_doors_have_little_time():
    """Who sends a request octet by octet is let go, and who does not read the answer."""
    with Scene() as scene, Echo("a") as servers:
        many = [dict(entry, name=f"server-{n}") for n in range(900) for entry in servers.entries()]
        pool = scene.pool("u", many, protocol="udp", cid=None, health=NO_PROBES)
        lb = scene.cidlb([pool], start=False).start(timeout=120)  # 900 servers, under sanitizers
        before = settled(lambda: descriptors(lb))  # the probe of readiness is over
        with dial(lb) as slow, dial(lb, REQUEST + b"\r\n", 1):
            wait_until(lambda: descriptors(lb) == before + 2, 20, "both are in")
            began = time.monotonic()
            while is_held(slow):
                with contextlib.suppress(OSError):
                    slow.sendall(b"G")
                assert time.monotonic() < began + 30, "it may send for ever"
                time.sleep(0.2)
            wait_until(lambda: descriptors(lb) == before, 30, "who does not read is let go")


if __name__ == "__main__":
    main(globals())
