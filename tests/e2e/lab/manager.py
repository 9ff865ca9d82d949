"""What systemd is to cidlb, as far as a test needs it: it hears what cidlb says at NOTIFY_SOCKET, keeps descriptors
that come with FDSTORE=1 as systemd.service(5) has it, and gives them to the next start."""

import array
import fcntl
import os
import shutil
import signal
import socket
import threading
import time
from pathlib import Path

from harness import AS_ROOT, BIN, SANITIZE, USER, wait_until

CAPS = "-all,+net_bind_service,+net_admin"  # as the unit has them
KEPT = 500  # descriptors of the store are above this in the process of the test, out of the way of those from 3 on
# Puts them where sd_listen_fds(3) wants them.
START = """
for ((i = 0; i < LISTEN_FDS; i++)); do eval "exec $((3 + i))<&${FDS[i]} ${FDS[i]}<&-"; done
export LISTEN_PID=$$
exec "$@"
"""


def same_file(a, b):
    """Links of the fast path have one inode for all; the kernel tells more of them."""
    about = [Path(f"/proc/self/fdinfo/{fd}").read_text() for fd in (a, b)]
    return os.fstat(a)[1:3] == os.fstat(b)[1:3] and about[0] == about[1]


class Manager:
    """The service manager of one cidlb, which starts as the user that the unit names. A context. `before`: words of a
    command line that runs the rest of it elsewhere."""

    def __init__(self, lb, watchdog_s=None, caps=CAPS, before=()):
        self.lb, self.watchdog_s, self.caps, self.before = lb, watchdog_s, caps, before
        self.store = []  # (name, descriptor)
        self.room = 2048  # FileDescriptorStoreMax
        self.said = []  # (when, assignment)
        self.path = lb.scene.dir / "notify"
        self.program = str(lb.scene.dir / "cidlb.program")
        self.install()

    def install(self):
        """The program becomes another file of the same name, as a package manager has it."""
        os.replace(shutil.copy(BIN / "cidlb", self.program + ".new"), self.program)

    def __enter__(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.path.chmod(0o777)
        self.socket.settimeout(0.1)
        self.ends = False
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends = True
        self.thread.join()
        self.socket.close()
        for _, fd in self.store:
            os.close(fd)

    def _listen(self):
        while not self.ends:
            try:
                text, ancillary, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(4 * 253))
            except TimeoutError:
                continue
            fds = array.array("i")
            for _, _, data in ancillary:
                fds.frombytes(data)
            self._hear(text.decode().splitlines(), fds)

    def _hear(self, lines, fds):
        told = dict(line.split("=", 1) for line in lines)
        name = told.get("FDNAME", "stored")
        if told.get("FDSTOREREMOVE") == "1":
            for gone in [entry for entry in self.store if entry[0] == name]:
                self.store.remove(gone)
                os.close(gone[1])
        for fd in fds:
            # Without FDPOLL=0 an ICMP error would take a socket out of the store.
            assert told.get("FDSTORE") == "1" and told.get("FDPOLL") == "0", lines
            if len(self.store) < self.room and not any(same_file(fd, kept) for _, kept in self.store):
                self.keep(name, fd)
            os.close(fd)
        self.said += [(time.monotonic(), line) for line in lines]

    def keep(self, name, fd):
        self.store.append((name, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, KEPT)))

    def names(self):
        return sorted(name for name, _ in self.store)

    def count(self, assignment):
        return sum(line == assignment for _, line in self.said)

    def status(self):
        """The last STATUS=."""
        return next((line.removeprefix("STATUS=") for _, line in reversed(self.said) if line.startswith("STATUS=")), "")

    def hear_all(self):
        """What was said before this is heard first, as systemd sees to it."""
        before = self.count("HEARD=1")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"HEARD=1", str(self.path))
        wait_until(lambda: self.count("HEARD=1") > before, 20, "the manager has heard all")

    def wait_status(self, words, timeout=20):
        wait_until(lambda: words in self.status(), timeout, f"STATUS= says {words!r}")

    def start(self):
        """As systemd would, without waiting."""
        self.hear_all()
        lb, env = self.lb, {"NOTIFY_SOCKET": str(self.path)}
        if self.watchdog_s:
            env["WATCHDOG_USEC"] = str(int(self.watchdog_s * 1e6))
        if self.store:
            env["LISTEN_FDS"] = str(len(self.store))
            env["LISTEN_FDNAMES"] = ":".join(name for name, _ in self.store)
        fds = " ".join(str(fd) for _, fd in self.store)
        script = f"FDS=({fds})\n{START}"
        words = [f"{key}={value}" for key, value in env.items()]
        program = [self.program, "-c", str(lb.file)]
        if AS_ROOT and not SANITIZE:
            ids = ["--reuid", str(USER.pw_uid), "--regid", str(USER.pw_gid), "--clear-groups"]
            program = ["setpriv", *ids, "--inh-caps", self.caps, "--ambient-caps", self.caps, "--no-new-privs", *program]
        lb.argv = [*self.before, "env", *words, "bash", "-c", script, "bash", *program]
        lb.pass_fds = [fd for _, fd in self.store]
        lb.user = USER if AS_ROOT and SANITIZE else None
        lb.start(ready=False)

    def wait_ready(self, before=0, timeout=30):
        wait_until(lambda: self.count("READY=1") > before or not self.lb.alive(), timeout, "cidlb says that it serves")
        assert self.lb.alive(), f"cidlb ended with status {self.lb.child.returncode}"

    def restart(self, how=signal.SIGTERM):
        """Stop and start; the seconds from the start to READY=1."""
        before = self.count("READY=1")
        if how == signal.SIGTERM:
            self.lb.stop()
        else:
            self.lb.kill()
        self.hear_all()
        begin = time.monotonic()
        self.start()
        self.wait_ready(before)
        return next(when for when, line in reversed(self.said) if line == "READY=1") - begin
