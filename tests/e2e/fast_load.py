#!/usr/bin/env python3
"""The fast path under a load that waits for nobody, and while devices move: what happens to cidlb costs no datagram of
a known session, and no session. As in fast.py."""

import contextlib
import os
import signal
import subprocess

import dsr
from decap import in_place_of_the_module
from fast import FLEET, MOVES, fast, fleet_of, made, needs_bpf, real_servers, stage
from harness import FULL, USER, Scene, free_ports, main, release_only, told, wait_all_joined, wait_until
from lab.manager import Manager
from lab.numbered import CID, ID, RATE, NumberedLoad, by_dsr, by_tunnel, entry
from lab.segment import FastSegment
from lab.xdp_program import bpf_file_system, links_of
from restarts import PLAIN, Devices, Echo
from tunnel import key_file

CAPS = "-all,+bpf,+perfmon,+net_admin"  # as fast.conf has them


@contextlib.contextmanager
def managed(lb, links=2):
    """cidlb has a manager that keeps its sockets, and a bpf file system, as fast.conf has it."""
    with bpf_file_system(lb) as pins:
        there = lb.argv[:4]
        directory = f"mkdir /sys/fs/bpf/cidlb && chown {USER.pw_name} /sys/fs/bpf/cidlb && chmod o+x /sys/fs/bpf"
        subprocess.run([*there, "sh", "-c", directory], check=True)
        with Manager(lb, caps=CAPS, before=there) as manager:
            manager.start()
            manager.wait_ready()
            assert len(pins()) == links, pins()
            yield manager
            if lb.alive():
                lb.stop()
            assert pins() == [], pins()


def is_attached(*names):
    shown = (subprocess.check_output(["ip", "link", "show", name]) for name in names or ("devs", "srvs"))
    return any(b"xdp" in text for text in shown)


def upgrade(lb, manager, how):
    """The program is another file, and cidlb starts anew."""
    before = links_of(lb.pid)
    manager.install()
    manager.restart(how)
    wait_until(lambda: not any("xdp" in name for name in manager.names()), 20, "the links are cidlb's again")
    # So each frame has met a program.
    assert len(before) == 2 and links_of(lb.pid) == before, (before, links_of(lb.pid))


@contextlib.contextmanager
def loaded(scene, way, forwards):
    """The load, once the program forwards."""
    with NumberedLoad(scene, way, rate=100, name="first"):
        wait_until(forwards, 30, "the program forwards")
    with NumberedLoad(scene, way) as load:
        load.wait_more(RATE)
        yield load


def tunnelled(scene, net, lb):
    """The load through a tunnel: the program has heard which header the server reads."""
    return loaded(scene, by_tunnel(net, key_file(scene)), lambda: lb.metric("cidlb_fast_replies_total") > 0)


def wait_fast(lb):
    at = fast(lb)
    wait_until(lambda: fast(lb) > at + RATE // 2, 30, "the program forwards")


def killed(lb, pins, load):
    """cidlb is killed, the program goes on, and the next one takes it over. `load`: a context."""
    with load as load:
        before = links_of(lb.pid)
        lb.kill()
        load.wait_more(2 * RATE)
        lb.start()
        wait_fast(lb)
        assert len(before) == len(pins()) and links_of(lb.pid) == before, (before, links_of(lb.pid), pins())
    load.assert_all_once()
    lb.assert_identities()


@release_only
def case_killed():
    with stage() as (scene, net):
        lb = made(scene, [entry()], start=False, cid=CID, max_resumable=0)
        with bpf_file_system(lb) as pins:
            lb.start()
            assert len(pins()) == 2, pins()
            killed(lb, pins, tunnelled(scene, net, lb))


def killed_dsr(encap):
    """The server answers the devices itself."""
    needs_bpf()
    with FastSegment() as net, Scene() as scene:
        lb = dsr.started(scene, net, encap, start=False, cid=CID)
        lb.config["pools"][0]["backends"][0]["id"] = ID
        with bpf_file_system(lb) as pins:
            lb.start()
            wait_until(lambda: not any(dsr.missing(lb, server) for server in net.servers), 20, "next hops are known")
            assert len(pins()) == 1, pins()
            killed(lb, pins, loaded(scene, by_dsr(net), lambda: fast(lb) > 0))
            lb.stop()
            assert pins() == []


@release_only
def case_killed_dsr_l2():
    killed_dsr("l2")


@release_only
def case_killed_dsr_ipip():
    with in_place_of_the_module("auto"):
        killed_dsr("ipip")


@release_only
def case_upgraded():
    """As systemctl restart has it, and killed."""
    with stage() as (scene, net):
        lb = made(scene, [entry()], start=False, cid=CID, max_resumable=0)
        with managed(lb) as manager:
            with tunnelled(scene, net, lb) as load:
                for how in (signal.SIGTERM, signal.SIGKILL):
                    upgrade(lb, manager, how)
                    wait_fast(lb)
            load.assert_all_once()
            lb.assert_identities()


@release_only
def case_renamed():
    """The interface has another name by the time cidlb starts again, and another one has its name: the program is on
    the one that is named, and not on the other."""
    with stage() as (scene, net):
        lb = made(scene, [entry()], start=False, cid=CID)
        lb.config["fast"]["interfaces"] = ["lost"]
        subprocess.run("ip link add lost type veth peer name lost-peer", shell=True, check=True)
        with managed(lb, links=1) as manager:
            lb.stop()
            rename = "ip link set lost name moved && ip link set lost-peer name lost"
            subprocess.run(rename, shell=True, check=True)
            manager.restart()
            assert links_of(lb.pid) and is_attached("lost") and not is_attached("moved"), lb.log_text()


@release_only
def case_killed_as_it_starts():
    """The manager has not yet been told that the links are cidlb's again, so they are left in two places."""
    with stage() as (scene, net):
        lb = made(scene, [entry()], start=False, cid=CID)
        with managed(lb) as manager:
            lb.stop()
            manager.hear_all()
            left = [(name, os.dup(fd)) for name, fd in manager.store if "xdp" in name]
            assert len(left) == 2, manager.names()
            manager.restart()
            wait_until(lambda: not any("xdp" in name for name in manager.names()), 20, "the links are cidlb's again")
            lb.kill()
            for name, fd in left:
                manager.keep(name, fd)
                os.close(fd)
            manager.restart(signal.SIGKILL)
            assert is_attached("devs") and is_attached("srvs"), lb.log_text()


@release_only
def case_many_ports():
    """Sessions have more ports than the manager has room for: the program is not what is left behind."""
    with stage() as (scene, _), Echo() as echo:
        first = free_ports(60)
        nat = {"sources": ("127.0.0.1",), "ports": f"{first}-{first + 59}", "max_flows": 60}
        pool = scene.pool("p", [echo.entry()], nat=nat, **PLAIN)
        lb = scene.cidlb([pool], start=False, fast={"interfaces": ["devs", "srvs"]})
        with managed(lb) as manager, Devices(lb, 40) as devices:
            devices.ask_all()
            before, manager.room = links_of(lb.pid), len(manager.store) + 13
            manager.restart()
            assert len(before) == 2 and links_of(lb.pid) == before, (before, links_of(lb.pid))
            lb.wait_log("info inherited: 10 ports of sessions of the cidlb before")


@release_only
def case_another_kind():
    """What was left with the manager is native, and with an interface more it can only be generic. Nothing else has
    the links."""
    with stage() as (scene, net):
        lb = made(scene, [entry()], start=False, cid=CID)
        # Frames that long are more than native XDP takes.
        subprocess.run("ip link add plain type veth peer name long mtu 65000", shell=True, check=True)
        with managed(lb) as manager:
            lb.config["fast"] |= {"interfaces": ["devs", "srvs", "plain"], "attach": "auto", "linger_s": 0}
            manager.restart()
            assert lb.metric("cidlb_fast_attached", mode="generic") == 3, lb.log_text()


@release_only
def case_nothing_left_behind():
    """By one that is stopped, or has linger_s = 0, or after which one without `fast` is started."""
    with stage() as (scene, net):
        lb = made(scene, [entry()], start=False, cid=CID)
        with managed(lb) as manager:
            group = lb.config.pop("fast")
            manager.restart()
            assert not is_attached()
            lb.config["fast"] = {**group, "linger_s": 0}
            manager.restart()
            assert is_attached()
            lb.stop()
            assert not is_attached()
            lb.config["fast"] = group
            manager.restart()
            assert is_attached()
        assert not is_attached()


@release_only
def case_held_up():
    """cidlb does not come to do anything, and the program goes on. Beyond linger_s it passes up, and what it passes up
    waits in the sockets."""
    with stage() as (scene, net):
        lb = made(scene, [entry()], cid=CID, max_resumable=0, fast={"linger_s": 2})
        with tunnelled(scene, net, lb) as load:
            lb.child.send_signal(signal.SIGSTOP)
            load.wait_more(RATE)
            lb.child.send_signal(signal.SIGCONT)
            wait_fast(lb)
            lb.child.send_signal(signal.SIGSTOP)
            wait_until(lambda: load.under_way() > RATE // 5, 30, "nothing goes on")
            lb.child.send_signal(signal.SIGCONT)
            wait_fast(lb)
        load.assert_all_once()
        lb.assert_identities()


@release_only
def case_sessions():
    """Devices move all the while, and cidlb is killed, started again and replaced: nobody notices."""
    with stage() as (scene, net):
        servers = real_servers(scene, net)
        health = {"probe": "dtls", "interval_ms": 500, "timeout_ms": 3000}
        lb = made(scene, servers, start=False, health=health)
        with managed(lb) as manager:
            story = scene.dir / "story"
            devices = fleet_of(scene, net, devices=FLEET, duration=3600, rebind_every=1 if FULL else 0.5, loss=5,
                               give_up=8, story=story)
            wait_all_joined(story, FLEET)

            def moved():
                """Each device, so many times on average, and by the program."""
                moves, at = told(story, "rebinds"), fast(lb, "cid")
                wait_until(lambda: told(story, "rebinds") >= moves + MOVES * FLEET // 3, 300, "the devices have moved")
                wait_until(lambda: fast(lb, "cid") > at + FLEET, 60, "the program has forwarded")
                lb.assert_identities()

            moved()
            lb.kill()
            moves, starts = told(story, "rebinds"), manager.count("READY=1")
            wait_until(lambda: told(story, "rebinds") >= moves + FLEET, 60, "the devices have moved without cidlb")
            manager.start()
            manager.wait_ready(starts)
            for how in (signal.SIGTERM, signal.SIGKILL):
                moved()
                upgrade(lb, manager, how)
            moved()
            devices.stop()
            report = devices.report()
            assert report["survived"] == report["sessions"] == report["handshakes"] == FLEET, report
            assert report["extra_handshakes"] == 0, report
            counted = [server.report() for server in servers]
            assert sum(one["sessions"] for one in counted) == FLEET, counted
            assert sum(one["bad_headers"] for one in counted) == 0, counted
            print(f"    {FLEET} sessions, {report['rebinds']} moves, {report['exchanges_lost']} exchanges lost")
            lb.assert_identities()


if __name__ == "__main__":
    main(globals())
