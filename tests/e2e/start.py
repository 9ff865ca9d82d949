#!/usr/bin/env python3
"""Starts: what refuses one is refused by -t as well, in the same words, and little is needed for one."""

import os
import shutil
import signal
import struct
import subprocess
import time
from pathlib import Path

from harness import AS_ROOT, BIN, USER, Scene, Skip, main, release_only, wait_until

QUICK = {"interval_ms": 200, "ack_timeout_ms": 300}


def scene_lb(scene, **options):
    return scene.cidlb([scene.pool("p", [scene.backend(1)])], start=False, **options)


def session(scene, lb):
    report = scene.fleet(lb.address(), devices=2, duration=1, **QUICK).report(60)
    assert report["survived"] == report["handshakes"] == 2, report


def few_rights(scene):
    """Root can read the file without the right to read all files, and so can the user."""
    lb = scene_lb(scene, state_file="")
    lb.config["admin"]["socket"] = ""
    write = lb.write

    def write_for_both():
        write()
        os.chown(lb.file, 0, USER.pw_gid)
        lb.file.chmod(0o640)

    lb.write = write_for_both
    return lb


def both(lb, said, prefix=(), user=None):
    """`said`: the refusal of -t and of a start; None: neither refuses. `prefix`: a program that starts cidlb."""
    lb.write()
    usual, before = (lb.argv, lb.user), len(lb.log_text())
    program, *options = lb.argv
    if user:  # who may not see into the home of whoever built it
        program = shutil.copy(program, lb.scene.dir / "cidlb")
    lb.argv, lb.user = [*prefix, program, *options], user or lb.user
    become = {"user": lb.user.pw_uid, "group": lb.user.pw_gid, "extra_groups": []} if lb.user else {}
    check = subprocess.run([*lb.argv, "-t"], capture_output=True, text=True, timeout=20, cwd="/", **become)
    try:
        lb.start(ready=said is None)
        if said is None:
            assert check.returncode == 0 and "good" in check.stdout, check
            lb.stop()
            return
        status = lb.wait(30)
    finally:
        lb.argv, lb.user = usual
    start = lb.log_text()[before:]
    assert check.returncode == status == 1 and not check.stdout, (check, status, start)
    assert said in check.stderr and said in start, (said, check.stderr, start)


@release_only  # sanitizers need capabilities of their own
def case_few_capabilities():
    """A container has few. What is not needed is not missed."""
    if not AS_ROOT or not shutil.which("setpriv"):
        raise Skip("needs root, and setpriv")
    with Scene() as scene:
        lb = few_rights(scene)
        for kept, said in (
            ("+setuid,+setgid", None),
            ("+setuid,+setgid,+setpcap", None),
            ("+setgid,+setpcap", f'user: "{USER.pw_name}": cannot take on the user: Operation not permitted'),
            ("+setuid", f'user: "{USER.pw_name}": cannot take on the '),
        ):
            both(lb, said, ["setpriv", f"--bounding-set=-all,{kept}"])


@release_only
def case_no_right_to_give_away():
    """Nor is CAP_CHOWN needed: the socket stays root's, and the state file's directory is the user's already."""
    if not AS_ROOT or not shutil.which("setpriv"):
        raise Skip("needs root, and setpriv")
    with Scene() as scene:
        lb = few_rights(scene)
        states, doors = scene.dir / "states", scene.dir / "doors"
        states.mkdir()
        os.chown(states, USER.pw_uid, USER.pw_gid)
        lb.config.update(state_file=str(states / "state.json"))
        lb.config["admin"]["socket"] = str(doors / "admin.sock")
        lb.argv = ["setpriv", "--bounding-set=-all,+setuid,+setgid", *lb.argv]
        lb.start()
        done = subprocess.run(
            [BIN / "cidlbctl", "--socket", lb.config["admin"]["socket"], "drain", "a"], capture_output=True, timeout=10
        )
        assert done.returncode == 0, done
        wait_until(lambda: (states / "state.json").exists(), 20, "the state is saved")
        assert " state_file: " not in lb.log_text(), lb.log_text()
        lb.stop()
        both(lb, None)


@release_only
def case_only_root_in_a_namespace():
    """Nobody else is mapped, so there is no other user to become."""
    if not AS_ROOT:
        raise Skip("needs root")
    prefix = ["unshare", "--user", "--map-root-user"]
    if subprocess.run([*prefix, "true"], capture_output=True).returncode:
        raise Skip("no user namespaces")
    with Scene() as scene:
        both(few_rights(scene), f'user: "{USER.pw_name}": cannot take on the ', prefix)


@release_only  # with sanitizers cidlb never is root
def case_user():
    if not AS_ROOT:
        raise Skip("needs root")
    with Scene() as scene:
        lb = scene_lb(scene, user="root")
        both(lb, 'user: "root": the user to become is root, or of root\'s group')
        lb.config["user"] = "no-such-user"
        both(lb, 'user: no such user: "no-such-user"; make it with: useradd --system')


def case_socket():
    with Scene() as scene:
        lb = scene_lb(scene)
        file = scene.dir / "file"
        file.write_text("")
        for path, why in (
            (scene.dir / "not" / "there" / "admin.sock", "No such file or directory"),
            (file / "admin.sock", "Not a directory"),
            (file, "File exists"),
        ):
            lb.config["admin"]["socket"] = str(path)
            both(lb, f"no socket for cidlbctl at {path}: {why}")
        lb.config["admin"]["socket"] = ""
        both(lb, None)


def case_socket_of_another_user():
    if not AS_ROOT:
        raise Skip("needs root")
    with Scene() as scene:
        lb = scene_lb(scene)
        path = scene.dir / "admin.sock"
        lb.config["admin"]["socket"] = str(path)
        both(lb, f"no socket for cidlbctl at {path}: Permission denied", user=USER)


@release_only  # with sanitizers cidlb never is root
def case_ports_of_root():
    if not AS_ROOT:
        raise Skip("needs root")
    with Scene() as scene:
        lb = scene_lb(scene)
        lb.config["listeners"][0]["address"] = "127.0.0.1:443"
        both(lb, "cannot bind 127.0.0.1:443: Permission denied", user=USER)
        both(lb, None)


def case_checked_while_it_runs():
    """What cidlb itself has is not taken."""
    with Scene() as scene:
        lb = scene_lb(scene).start()
        done = subprocess.run([*lb.argv, "-t"], capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done


NAMED_USER, NAMED_GROUP = 0x02, 0x08


def set_acl(path, number, permissions, tag=NAMED_USER):
    """What setfacl -m u:NUMBER:PERMISSIONS (or g:) does to a file of mode 0600."""
    entries = [(0x01, 6, -1), (tag, permissions, number), (0x04, 0, -1), (0x10, permissions, -1), (0x20, 0, -1)]
    entries.sort(key=lambda entry: entry[0])
    packed = b"".join(struct.pack("<HHi", *entry) for entry in entries)
    os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + packed)


@release_only  # with sanitizers cidlb never is root
def case_key_file_with_a_list():
    """An access control list opens root's key file to cidlb, and a reload finds what it opens and closes."""
    if not AS_ROOT:
        raise Skip("needs root")
    with Scene() as scene:
        key = scene.dir / "hash.key"
        key.touch(mode=0o600)
        lb = scene_lb(scene)
        key.write_text(lb.config["hash_key"])
        lb.config["hash_key"] = f"@{key}"
        both(lb, "hash_key: ")
        try:
            set_acl(key, USER.pw_uid, 4)
        except OSError:
            raise Skip("this file system has no access control lists") from None
        both(lb, None)
        lb.start()
        lb.reload()
        set_acl(key, 1, 4)
        lb.child.send_signal(signal.SIGHUP)
        lb.wait_log("hash.key\\\\\": Permission denied")
        os.chown(key, USER.pw_uid, USER.pw_gid)
        lb.child.send_signal(signal.SIGHUP)
        lb.wait_log("its access control list lets others access it; setfacl -b it")
        set_acl(key, USER.pw_uid, 4)
        lb.reload()


@release_only
def case_key_file_for_a_group():
    """The list names a group, of which cidlb's user is only besides: no less at a reload than at a start."""
    if not AS_ROOT:
        raise Skip("needs root")
    with Scene() as scene:
        groups, key, number = scene.dir / "group", scene.dir / "hash.key", 4711
        groups.write_text(f"{Path('/etc/group').read_text()}keys:x:{number}:{USER.pw_name}\n")
        lb = scene_lb(scene)
        key.touch(mode=0o600)
        key.write_text(lb.config["hash_key"])
        lb.config["hash_key"] = f"@{key}"
        try:
            set_acl(key, number, 4, NAMED_GROUP)
        except OSError:
            raise Skip("this file system has no access control lists") from None
        lb.argv = ["unshare", "-m", "sh", "-c", f'mount --bind {groups} /etc/group && exec "$@"', "sh", *lb.argv]
        lb.start()
        lb.reload()


def standard_files(pid):
    return [os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)]


def case_closed_descriptors():
    """Whatever of 0, 1 and 2 is closed, no socket takes its place, and no log line goes to a device."""
    for closed in ("<&- >&- 2>&-", "2>&-", "<&-"):
        with Scene() as scene:
            b = scene.backend(1)
            lb = scene.cidlb([scene.pool("p", [b])], start=False)
            for process in (lb, b):
                process.argv = ["sh", "-c", f'exec "$@" {closed}', "sh", *process.argv]
            lb.logs = b.logs = "2>" not in closed
            b.kill()
            b.start()
            lb.start()
            for process in (lb, b):
                wait_until(lambda: not os.readlink(f"/proc/{process.pid}/exe").endswith("sh"), 20, "it has begun")
                assert not any(f.startswith("socket:") for f in standard_files(process.pid)), standard_files(lb.pid)
            session(scene, lb)
            asked = [BIN / "cidlbctl", "--socket", lb.config["admin"]["socket"], "backends"]
            done = subprocess.run(
                ["sh", "-c", f'exec "$@" {closed}', "sh", *asked], capture_output=True, text=True, timeout=10
            )
            assert done.returncode == 0, done
            assert lb.get("/healthz")[0] == 200
            lb.stop()
            b.stop()


def case_harmless_signals():
    """Of no meaning to cidlb, and no reason to end."""
    with Scene() as scene:
        lb = scene_lb(scene).start()
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE, signal.SIGALRM, signal.SIGWINCH, signal.SIGCHLD):
            lb.child.send_signal(number)
        time.sleep(0.2)
        assert lb.alive()
        session(scene, lb)
        lb.reload()


def case_hang_up_during_a_start():
    """A reload that is asked for before there can be one comes after the start."""
    with Scene() as scene:
        lb = scene_lb(scene)
        # The file is a FIFO, which cidlb reads until its text is written.
        lb.write()
        text = lb.file.read_text()
        lb.file.unlink()
        os.mkfifo(lb.file, 0o600)
        if AS_ROOT:
            os.chown(lb.file, USER.pw_uid, USER.pw_gid)
        lb.write = lambda: None
        lb.start(ready=False)
        with open(lb.file, "w") as fifo:  # cidlb has opened it to read
            for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGPIPE):
                lb.child.send_signal(number)
            time.sleep(0.2)
            assert lb.alive(), lb.child.returncode
            lb.file.unlink()
            lb.file.touch(mode=0o600)
            lb.file.write_text(text)
            if AS_ROOT:
                os.chown(lb.file, USER.pw_uid, USER.pw_gid)
            fifo.write(text)
        lb.wait_log(" info started: [^\\n]*\\n(.*\\n)*?[^\\n]* info reloaded: ")
        session(scene, lb)


main(globals())
