"""What the end-to-end tests share: processes, configurations, metrics and a small runner of cases.

    from harness import Scene, main

    def case_sessions_survive():
        with Scene() as scene:
            a, b = scene.backend(1), scene.backend(2)
            lb = scene.cidlb([scene.pool("lwm2m", [a, b])])
            report = scene.fleet(lb.address("lwm2m"), devices=10, rebinds=3).report()
            assert report["survived"] == 10, report
            lb.assert_identities()

    main(globals())

A Scene ends every process that it started, whatever happens, and fails its case if one ended in a way that nobody
asked for: a crash, or a sanitizer's report. All waits are bounded. Processes must be started from the main thread
(PR_SET_PDEATHSIG).

As root, a script runs in a network namespace of its own, which has nothing but loopback: scripts can run side by side
and no datagram leaves the machine.
"""

import contextlib
import ctypes
import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request
from pathlib import Path

BIN = Path(os.environ.get("CIDLB_BIN", Path(__file__).parents[2] / "build" / "bin")).resolve()
SOAK = os.environ.get("CIDLB_SOAK") == "1"
FULL = SOAK or os.environ.get("CIDLB_FULL") == "1"
SANITIZE = os.environ.get("CIDLB_SANITIZE", "")
PSK = ("demo", "000102030405060708090a0b0c0d0e0f")
USER = pwd.getpwnam("nobody")
AS_ROOT = os.geteuid() == 0

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
CLONE_NEWNET = 0x40000000


class Skip(Exception):
    """Raised by a case that cannot run here."""


def release_only(case):
    """Decorates a case about something that a build with sanitizers does not have; it is no case there."""
    case.release_only = True
    return case


def wait_until(condition, timeout, what):
    """The first true value of condition(); TimeoutError after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout} s: {what}")
        time.sleep(0.02)


PORTS = range(10000, 20000)  # of what a test starts; 20000-32767 are free for the ranges that tests write out
_ports = random.SystemRandom().randrange(PORTS.start, PORTS.stop - 1000)


def free_ports(count=1):
    """The first of `count` consecutive ports that nobody uses: of PORTS, given out once."""
    global _ports
    while True:
        first, _ports = _ports, _ports + count
        if _ports > PORTS.stop:
            _ports = PORTS.start
            continue
        if all(
            _is_free(port, kind)
            for port in range(first, first + count)
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)
        ):
            return first


def wide(ports=64):
    """Settings of nat with so many endpoints that no two sessions of a server meet at one, who are then told apart by
    who speaks first, and so change places when cidlb is restarted: of a hundred a chance of less than 1 in 100,000."""
    first = free_ports(ports)
    return {"sources": ("127.64.0.0/10", "127.128.0.0/9"), "ports": f"{first}-{first + ports - 1}"}


def _is_free(port, kind):
    with socket.socket(socket.AF_INET, kind) as sock:
        try:
            sock.bind(("0.0.0.0", port))
        except OSError:
            return False
        return True


def told(story, what):
    """A counter of the story that a fleet writes, as of its last second."""
    lines = story.read_text().split("\n")[:-1] if story.exists() else []  # the last may be half written
    return max((json.loads(line)[what] for line in lines if f'"{what}"' in line), default=0)


def wait_all_joined(story, devices, timeout=60):
    """Waits until so many devices of a fleet that writes a story have a session."""
    wait_until(
        lambda: story.exists() and story.read_text().count('"joined"') >= devices, timeout,
        f"{devices} devices have a session",
    )


def libconfig(value, indent=0):
    """libconfig text of a value: dict for a group, list for a list, tuple for an array."""
    pad = "  " * indent
    if isinstance(value, dict):
        inner = "".join(f"{pad}  {key} = {libconfig(member, indent + 1)};\n" for key, member in value.items())
        return "{\n" + inner + pad + "}"
    if isinstance(value, (list, tuple)):
        left, right = "()" if isinstance(value, list) else "[]"
        return left + ", ".join(libconfig(member, indent + 1) for member in value) + right
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, str) else str(value)


def parse_metrics(text):
    """Prometheus text as {(name, frozenset of (label, value)): number}."""
    metrics = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, labels, value = re.fullmatch(r"([a-z0-9_]+)(?:\{(.*)\})? (\S+)", line).groups()
            metrics[name, frozenset(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or ""))] = float(value)
    return metrics


def total(metrics, name, **labels):
    """Sum of the samples of `name` that have these labels."""
    return int(sum(value for (n, have), value in metrics.items() if n == name and have >= frozenset(labels.items())))


ROUTED = ("cid", "cid_draining", "cid_down", "hash", "hint", "cid_hashed")


def broken_identities(metrics, but=()):
    """What does not add up: sentences. `but`: pools to leave out."""
    broken = []

    def values(name, label):
        return sorted({value for (n, labels) in metrics if n == name for (key, value) in labels if key == label})

    def compare(what, left, right):
        if left != right:
            broken.append(f"{what}: {left} != {right}")

    for listener in values("cidlb_datagrams_total", "listener"):
        compare(
            f"listener {listener}: received, sum of verdicts",
            total(metrics, "cidlb_received_total", listener=listener),
            total(metrics, "cidlb_datagrams_total", listener=listener),
        )
    for pool in set(values("cidlb_replies_total", "pool")) - set(but):
        routed = sum(total(metrics, "cidlb_datagrams_total", pool=pool, verdict=verdict) for verdict in ROUTED)
        answers = total(metrics, "cidlb_replies_total", pool=pool) + total(metrics, "cidlb_copies_total", pool=pool)
        for direction, due in (("up", routed), ("down", answers)):
            sent = total(metrics, "cidlb_forwarded_total", pool=pool, direction=direction)
            refused = total(metrics, "cidlb_refused_total", pool=pool, direction=direction)
            compare(f"pool {pool}: due {direction}, sent + refused {direction}", due, sent + refused)
    return broken


class Process:
    """A child process. Its stderr is self.log, its stdout self.out (files)."""

    def __init__(self, scene, name, argv, user=None):
        self.scene, self.name, self.argv, self.user = scene, name, [str(arg) for arg in argv], user
        self.log, self.out = scene.dir / f"{name}.log", scene.dir / f"{name}.out"
        self.child, self.asked = None, True
        self.stderr = None  # a descriptor in place of the log
        self.logs = True  # False: its stderr is closed
        self.pass_fds = ()
        scene.processes.append(self)

    def start(self):
        def become():
            if self.user:
                os.setgroups([])
                os.setgid(self.user.pw_gid)
                os.setuid(self.user.pw_uid)
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        with open(self.log, "ab") as log, open(self.out, "ab") as out:
            self.child = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=self.stderr or log, preexec_fn=become,
                cwd="/", pass_fds=self.pass_fds
            )
        self.asked = False
        return self

    @property
    def pid(self):
        return self.child.pid

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_log(self, pattern, timeout=20):
        """The first match of a regular expression in the log."""
        return wait_until(lambda: re.search(pattern, self.log_text()), timeout, f"{self.name} logs {pattern!r}")

    def wait(self, timeout):
        """The exit status of a process that ends by itself."""
        self.asked = True
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} has not ended within {timeout} s") from None

    def stop(self, timeout=30):
        """SIGTERM; it must exit with status 0."""
        if self.alive():
            self.child.send_signal(signal.SIGTERM)
        status = self.wait(timeout)
        assert status == 0, f"{self.name} ended with status {status}"

    def kill(self):
        """SIGKILL; it must still run, unless it was told to end."""
        assert self.asked or self.alive(), f"{self.name} ended by itself with status {self.child.returncode}"
        self.asked = True
        if self.alive():
            self.child.kill()
        if self.child:
            self.child.wait()


class Backend(Process):
    """cidlb-backend, which writes its counters as JSON at its end and when asked."""

    def __init__(self, scene, number, name, cid_length, port, ip, options):
        self.number, self.name = number, name
        self.address = "%s:%d" % (f"[{ip}]" if ":" in ip else ip, port or free_ports())
        self.port = int(self.address.rsplit(":", 1)[1])
        self.report_file = scene.dir / f"{name}.json"
        argv = [BIN / "cidlb-backend", "--listen", self.address, "--id", number, "--report", self.report_file]
        argv += [] if {"--plain", "--certificates"} & {*options} else ["--psk", ":".join(PSK)]
        argv += [] if "--plain" in options or cid_length is None else ["--cid-length", cid_length]
        super().__init__(scene, name, argv + [*options])

    def start(self):
        """Returns once it is bound: a probe before that would be refused, and it be down."""
        before = len(self.log_text())
        super().start()
        if self.logs:
            said = rf"\bserver {self.number}: "
            wait_until(
                lambda: re.search(said, self.log_text()[before:]) or not self.alive(), 30, f"{self.name} is bound"
            )
        return self

    def entry(self, **options):
        """Its entry in a pool's `backends`."""
        return {"name": self.name, "id": self.number, "address": self.address, **options}

    def counters(self):
        """What it has counted so far."""
        self.report_file.unlink(missing_ok=True)
        self.child.send_signal(signal.SIGUSR1)
        wait_until(self.report_file.exists, 20, f"{self.name} reports")
        return json.loads(self.report_file.read_text())

    def report(self):
        """Stops it; what it counted."""
        self.stop()
        return json.loads(self.report_file.read_text())

    def replace(self):
        """Ends it and starts another one in its place; what it had counted. With --sessions in its options, sessions go
        on."""
        counted = self.report()
        self.start()
        return counted


class Fleet(Process):
    """cidlb-fleet: one JSON report on stdout."""

    def report(self, timeout=300):
        """What it reports at its end; `exit` is its exit status."""
        status = self.wait(timeout)
        text = self.out.read_text()
        assert status in (0, 1) and text, f"{self.name} ended with status {status}"
        return {**json.loads(text), "exit": status}


class Cidlb(Process):
    """cidlb with a configuration that a test changes in place: lb.config["pools"][0]["backends"] …, then
    lb.reload()."""

    def __init__(self, scene, name, config):
        self.config, self.file = config, scene.dir / f"{name}.conf"
        run = scene.dir / f"{name}.run"
        run.mkdir(exist_ok=True)
        if AS_ROOT:
            os.chown(run, USER.pw_uid, USER.pw_gid)
        self.config["admin"].setdefault("socket", str(run / "admin.sock"))
        self.config.setdefault("state_file", str(run / "state.json"))
        program, user = BIN / "cidlb", None
        if AS_ROOT and SANITIZE:
            # A process that gave up root cannot be traced, which the leak check at its end needs: it never has root.
            program, user = shutil.copy(program, scene.dir / f"{name}.program"), USER
        super().__init__(scene, name, [program, "-c", self.file], user)

    def write(self):
        text = "".join(f"{key} = {libconfig(value)};\n" for key, value in self.config.items())
        new = self.file.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(text)
        if AS_ROOT:
            os.chown(new, USER.pw_uid, USER.pw_gid)
        new.rename(self.file)

    def start(self, ready=True, timeout=30):
        self.write()
        before = self.logged("started")
        super().start()
        if ready:
            wait_until(lambda: self.probed() or not self.alive(), timeout, f"{self.name} is ready")
            assert self.alive(), f"{self.name} ended with status {self.child.returncode}"
            self.wait_logged("started", before)
        return self

    def logged(self, event):
        """How many lines of an event the log has. A thread of its own writes it, and may lag a little behind."""
        return len(re.findall(rf"\b{event}\b", self.log_text()))

    def wait_logged(self, event, before):
        """Until there is one more. What was logged before it is there, too."""
        if self.logs and not self.stderr:
            wait_until(lambda: self.logged(event) > before or not self.alive(), 20, f"{self.name} logs {event}")

    def probed(self):
        """Every server was probed, whatever came of it."""
        status, text = self.get("/readyz")
        return status == 200 or "has no backend that is up" in text or "told to leave" in text

    def restart(self):
        """SIGKILL, then a new one. Returns the seconds until it was ready."""
        self.kill()
        start = time.monotonic()
        self.start()
        return time.monotonic() - start

    def reload(self, timeout=30):
        """SIGHUP with the present configuration; returns once the new routing table is published."""
        before, lines = self.metric("cidlb_snapshot_generation"), self.logged("reloaded")
        self.write()
        self.child.send_signal(signal.SIGHUP)
        wait_until(lambda: self.metric("cidlb_snapshot_generation") > before, timeout, f"{self.name} has reloaded")
        self.wait_logged("reloaded", lines)

    def listener(self, name):
        return next(listener for listener in self.config["listeners"] if listener["name"] == name)

    def address(self, name=None):
        """ADDRESS:PORT of a listener, by default the first."""
        return self.listener(name)["address"] if name else self.config["listeners"][0]["address"]

    def get(self, path):
        """(status, text) of an HTTP GET; (0, reason) without an answer."""
        try:
            with urllib.request.urlopen(f"http://{self.config['admin']['http']}{path}", timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def metrics(self):
        status, text = self.get("/metrics")
        assert status == 200, f"{self.name}: /metrics: {status} {text}"
        return parse_metrics(text)

    def metric(self, name, **labels):
        return total(self.metrics(), name, **labels)

    def down(self, **labels):
        """How many servers with these labels are down."""
        return sum(
            not up for (name, have), up in self.metrics().items()
            if name == "cidlb_backend_up" and have >= frozenset(labels.items())
        )

    def backend(self, name, pool=None):
        """What cidlbctl says of one server."""
        argv = [BIN / "cidlbctl", "--json", "--socket", self.config["admin"]["socket"], "backends"]
        out = subprocess.run(argv, capture_output=True, text=True, check=True)
        rows = json.loads(out.stdout)["backends"]
        return next(row for row in rows if row["name"] == name and pool in (None, row["pool"]))

    def assert_identities(self, timeout=15, but=()):
        """Datagrams on their way may need a moment. `but`: pools of which a reload has taken away listeners or
        backends, whose counters are shown no more."""
        broken = None

        def settled():
            nonlocal broken
            broken = broken_identities(self.metrics(), but)
            return not broken

        try:
            wait_until(settled, timeout, "counters add up")
        except TimeoutError:
            raise AssertionError("; ".join(broken)) from None


class Scene:
    """A temporary directory and the processes of one case."""

    def __enter__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="cidlb-e2e-"))
        self.dir.chmod(0o711)
        self.processes = []
        return self

    def __exit__(self, kind, error, trace):
        failures = []
        for process in reversed(self.processes):
            if process.asked:
                continue
            try:
                if not process.alive():
                    raise AssertionError(f"{process.name} ended by itself with status {process.child.returncode}")
                process.stop()
            except (AssertionError, TimeoutError) as failure:
                failures.append(str(failure))
        for process in self.processes:
            process.asked = True
            process.kill()
        if kind or failures:
            self._print_logs()
        shutil.rmtree(self.dir, ignore_errors=True)
        if failures and not kind:
            raise AssertionError("; ".join(failures))

    def _print_logs(self, lines=30):
        for process in self.processes:
            print(f"--- {process.name}: {' '.join(process.argv)}")
            for line in process.log_text().splitlines()[-lines:]:
                print(f"    {line}")

    def process(self, name, *argv):
        return Process(self, name, argv).start()

    def backend(self, number, name=None, cid_length=6, port=None, ip="127.0.0.1", options=()):
        """A started cidlb-backend with server id `number`. By default its name is a, b, c … cid_length None: `options`
        have it."""
        return Backend(self, number, name or chr(ord("a") + number - 1), cid_length, port, ip, options).start()

    def pool(self, name, backends, **options):
        """A pool of node-id CIDs of 6 octets. `backends`: of backend(), or entries; `options` replace whole settings
        (None: absent)."""
        first = free_ports(2)
        nat = {"ports": f"{first}-{first + 1}", **options.pop("nat", {})}
        entries = [backend.entry() if isinstance(backend, Backend) else backend for backend in backends]
        cid = {"scheme": "node-id", "length": 6}
        # A server that is gone refuses: it is down at once, and one that is only slow is not.
        health = {"probe": "dtls", "interval_ms": 500, "timeout_ms": 3000}
        pool = {
            "name": name, "protocol": "dtls", "cid": cid, "nat": nat, "health": health, **options, "backends": entries
        }
        return {key: value for key, value in pool.items() if value is not None}

    def cidlb(self, pools, name="cidlb", start=True, **options):
        """A cidlb (started and ready unless `start` is False) with a listener per pool, of the pool's name."""
        config = {
            "workers": 2,
            "hash_key": "000102030405060708090a0b0c0d0e0f",
            "admin": {"http": f"127.0.0.1:{free_ports()}"},
            "listeners": [
                {"name": pool["name"], "address": f"127.0.0.1:{free_ports()}", "pool": pool["name"]} for pool in pools
            ],
            "pools": pools,
        }
        if AS_ROOT:
            config["user"] = USER.pw_name
        lb = Cidlb(self, name, {**config, **options})
        return lb.start() if start else lb

    def fleet(self, target, name="fleet", **options):
        """A started cidlb-fleet: options by name, as in devices=10, rebind_every=2; True for one without a value."""
        argv = [BIN / "cidlb-fleet", "--target", target, "--psk", ":".join(PSK)]
        if options.get("loss"):  # of some thousands of exchanges two in a row go unanswered by chance
            options = {"give_up": 4, **options}
        for option, value in options.items():
            argv.append("--" + option.replace("_", "-"))
            argv += [] if value is True else [value]
        return Fleet(self, name, argv).start()


@contextlib.contextmanager
def limited(lb, what, value):
    """A limit of the running cidlb, for a while; set by its own user, as root may lack the right."""
    user = {"user": USER.pw_uid, "group": USER.pw_gid, "extra_groups": []} if AS_ROOT else {}
    limit = f"import resource; print(resource.prlimit({lb.pid}, {what})[0]); "
    limit += f"resource.prlimit({lb.pid}, {what}, (%d, resource.prlimit({lb.pid}, {what})[1]))"

    def change(to):
        return int(
            subprocess.run(["python3", "-c", limit % to], check=True, capture_output=True, cwd="/", **user).stdout
        )

    before = change(value)
    try:
        yield
    finally:
        change(before)


_own_network = False


def fast_path_is_built():
    out = subprocess.run([BIN / "cidlb", "-V"], capture_output=True, text=True, check=True).stdout
    return "fast path: built" in out


def ip(*arguments):
    """Runs `ip` in the network of the script."""
    if not _own_network:
        raise Skip("needs a network of its own, and so root")
    subprocess.run(["ip", *arguments], check=True)


def enter_own_network():
    """Threads and processes started from here on are in it; without root, or in a container that may not, all stays as
    it was."""
    global _own_network
    if AS_ROOT and _libc.unshare(CLONE_NEWNET) == 0:
        _own_network = True
        ip("link", "set", "lo", "up")
        # What the configurations here bind must not become the port of a device while cidlb is down.
        Path("/proc/sys/net/ipv4/ip_local_reserved_ports").write_text("40684-40691")


def main(names):
    """Runs every case_… of a script (those named on the command line, if any; --list names them) and exits with 1 if
    one failed."""
    cases = {name.removeprefix("case_"): case for name, case in names.items() if name.startswith("case_")}
    if SANITIZE:
        cases = {name: case for name, case in cases.items() if not hasattr(case, "release_only")}
    if sys.argv[1:] == ["--list"]:
        print("\n".join(cases))
        return
    # SystemExit runs the clean-up of the scene that is open.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.stdout.reconfigure(line_buffering=True)
    enter_own_network()
    failed = 0
    for name in sys.argv[1:] or cases:
        start = time.monotonic()
        try:
            cases[name]()
        except Skip as reason:
            print(f"skip {name}: {reason}")
        except Exception as error:
            traceback.print_exc()
            print(f"not ok {name}: {type(error).__name__}: {' '.join(str(error).split())}")
            failed += 1
        else:
            print(f"ok {name} ({time.monotonic() - start:.1f} s)")
    sys.exit(1 if failed else 0)
