"""The demo: one cidlb with two listeners in front of three servers, and the same fifty devices once on each.

One listener routes by Connection ID, the other by address, as balancers without knowledge of DTLS do. In the middle
cidlb is killed, and later a server drained. Says PASS if no session was lost on the first, and most were on the second.
"""

import argparse
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / "build" / "bin"
CONF = ROOT / "conf" / "demo.conf"
PSK = "demo:000102030405060708090a0b0c0d0e0f"
HTTP = "http://127.0.0.1:9180"
SERVERS = {1: "a", 2: "b", 3: "c"}  # server id, the first octet of a CID: name
COLUMNS = {"cidlb :5684": "127.0.0.1:5684", "by address :5694": "127.0.0.1:5694"}

DEVICES, NEW_DEVICES, LOSS_PERCENT, NAT_TIMEOUT_S, SEED, HERO = 50, 10, 10, 5, 17, 17
KILL_S, DRAIN_S, END_S = 20, 28, 46
SETTLED_S = 7  # after this every device has sent again
NEW_DEVICES_S = 6
LINE_EVERY_S = 5  # where no table can be drawn
RELOADED_S = 30  # at most, under valgrind on a busy machine
READING_MS = 6500  # on average, so that the NAT has forgotten before most readings
ACK_TIMEOUT_MS = 200
# "Possibly lost" is what glibc keeps of the stacks of threads that have ended.
LEAKS = "definite,indirect"
VALGRIND = ["valgrind", "-q", "--vgdb=no", "--error-exitcode=99", "--leak-check=full"]
VALGRIND += [f"--show-leak-kinds={LEAKS}", f"--errors-for-leak-kinds={LEAKS}"]


class Failure(Exception):
    """Ends the story with FAIL."""


class Program:
    """A child process; its log is in the demo's directory."""

    def __init__(self, stage, name, *argv):
        self.name, self.argv = name, [*stage.wrap, *map(str, argv)]
        self.log, self.out = stage.dir / f"{name}.log", stage.dir / f"{name}.out"
        self.start()
        stage.programs.append(self)

    def start(self):
        with open(self.log, "ab") as log, open(self.out, "ab") as out:
            # A session of its own: Ctrl-C is for us, who end it in good order.
            self.child = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=log, start_new_session=True
            )

    def alive(self):
        return self.child.poll() is None

    def end(self, timeout=20):
        """The exit status after SIGTERM."""
        if self.alive():
            self.child.terminate()
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()

    def log_end(self, lines=10):
        return "".join(f"    {line}\n" for line in self.log.read_text(errors="replace").splitlines()[-lines:])


class Fleet(Program):
    """cidlb-fleet and what its story has told so far."""

    def __init__(self, stage, name, target, devices, duration_s, *options):
        self.story = stage.dir / f"{name}.story"
        self.story.touch()
        self.told = 0
        self.now = {"alive": 0, "rebinds": 0, "handshakes": 0, "octets_up": 0, "octets_down": 0, "exchanges_ok": 0}
        self.server_of = {}  # device: name of the server of its newest session
        self.hero_ports, self.hero_session = [], 0
        argv = ["--target", target, "--psk", PSK, "--devices", devices, "--seed", SEED, "--duration", duration_s]
        argv += [
            "--loss", LOSS_PERCENT, "--ack-timeout-ms", ACK_TIMEOUT_MS, "--story", self.story, "--max-seconds",
            duration_s + 60,
        ]
        if stage.wrap:
            # cidlb is away for seconds then: with that and losses two readings in a row may go unanswered.
            argv += ["--give-up", 4]
        super().__init__(stage, name, BIN / "cidlb-fleet", *argv, *options)

    def listen(self):
        with open(self.story, "rb") as story:
            story.seek(self.told)
            for line in story:
                if not line.endswith(b"\n"):
                    break
                self.told += len(line)
                self._take(json.loads(line))

    def _take(self, news):
        if "alive" in news:
            self.now = news
        elif news["event"] == "joined":
            self.server_of[news["device"]] = SERVERS.get(bytes.fromhex(news["cid"])[0], "?")
        if news.get("device") == HERO:
            self.hero_ports.append(news["to"] if news["event"] == "moved" else news["port"])
            self.hero_session = news["session"]

    def on(self, server):
        return sum(name == server for name in self.server_of.values())

    def report(self, timeout=60):
        """Waits for its end. What it counted."""
        try:
            status = self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} does not end") from None
        if status not in (0, 1):
            raise Failure(f"{self.name} ended with status {status}\n{self.log_end()}")
        self.listen()
        result = json.loads(self.out.read_text())
        self.now = {**self.now, **result, "alive": result["survived"]}
        return result


class Stage:
    """The directory of a run and everything that runs in it."""

    def __init__(self, valgrind):
        self.dir = Path(tempfile.mkdtemp(prefix="cidlb-demo-"))
        self.dir.chmod(0o711)
        self.wrap = VALGRIND if valgrind else []
        self.programs = []
        self.conf = self.dir / "demo.conf"
        self.socket = self.dir / "admin.sock"

    def open(self):
        admin = re.compile(r"(?m)^admin = \{ (http = .*?;) \};$")
        text, count = admin.subn(rf'admin = {{ \1 socket = "{self.socket}"; }};', CONF.read_text())
        if count != 1:
            raise Failure(f"{CONF.name} has no line for admin")
        self.write_conf(text)
        for number, name in SERVERS.items():
            argv = ["--listen", f"127.0.0.1:{6000 + number}", "--id", number, "--cid-length", 6, "--psk", PSK]
            Program(self, f"server-{name}", BIN / "cidlb-backend", *argv)
        self.cidlb = Program(self, "cidlb", BIN / "cidlb", "-c", self.conf, *(["--no-sandbox"] if self.wrap else []))
        self.wait_ready()

    def write_conf(self, text):
        """Keys are inside: for the eyes of the user alone that cidlb runs as."""
        new = self.conf.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(text)
        if os.geteuid() == 0:
            user = pwd.getpwnam(re.search(r'^user = "(.*?)";', text, re.MULTILINE)[1])
            os.chown(new, user.pw_uid, user.pw_gid)
        new.rename(self.conf)

    def get(self, path):
        """The text at `path`, or None."""
        try:
            with urllib.request.urlopen(HTTP + path, timeout=20) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def metric(self, name):
        """Sum of all samples whose line starts with `name`."""
        return sum(
            float(line.split()[-1]) for line in (self.get("/metrics") or "").splitlines() if line.startswith(name)
        )

    def wait_ready(self, timeout=30):
        end = time.monotonic() + timeout
        while self.get("/readyz") is None:
            self.check()
            if time.monotonic() > end:
                raise Failure(f"cidlb is not ready after {timeout} s\n{self.cidlb.log_end()}")
            time.sleep(0.01)

    def check(self):
        for program in self.programs:
            if not program.alive() and not isinstance(program, Fleet):
                raise Failure(f"{program.name} ended with status {program.child.returncode}\n{program.log_end()}")

    def kill(self):
        """SIGKILL and a new cidlb. Returns the seconds it was away."""
        start = time.monotonic()
        self.cidlb.child.kill()
        self.cidlb.child.wait()
        self.cidlb.start()
        self.wait_ready()
        return time.monotonic() - start

    def drain(self, server):
        """In all pools, by a reload."""
        entry = re.compile(r'(\{\s*name = "' + server + r'";[^{}]*?)(?:state = "\w+";\s*)?\}')
        text, count = entry.subn(r'\1state = "drain"; }', self.conf.read_text())
        if count == 0:
            raise Failure(f"{CONF.name} has no server {server}")
        self.write_conf(text)
        self.cidlb.child.send_signal(signal.SIGHUP)

    def end(self):
        """Ends everything; sentences about those that did not end well."""
        bad = []
        for program in reversed(self.programs):
            status = program.end()
            if status != 0 and not isinstance(program, Fleet):
                bad.append(f"{program.name} ended with status {status}")
            if self.wrap and re.search(r"^==\d+== ", program.log.read_text(errors="replace"), re.M):
                bad.append(f"valgrind has found something in {program.name}:\n{program.log_end()}")
        self.programs.clear()
        return bad


class Screen:
    """A block of lines that is drawn again and again on a terminal; elsewhere lines are appended as they come, with the
    second. Seconds are counted from when it is made."""

    def __init__(self):
        self.live = sys.stdout.isatty()
        self.height, self.next_s = 0, 0
        self.notes = []
        self.began = time.monotonic()

    def now(self):
        return time.monotonic() - self.began

    def append(self, second, words):
        if not self.live:
            print(f"  {second:2.0f} s  {words}", flush=True)

    def note(self, second, words):
        """What has happened, and when. Nothing was drawn since."""
        self.notes.append(f"[{second:.0f} s] {words}")
        self.append(second, words)

    def conclude(self, words):
        """What has come of what was noted last."""
        self.notes[-1] += f": {words}"
        self.append(self.now(), f"since then: {words}")

    def wait(self, table, why):
        """What is waited for; on a terminal until something else is drawn."""
        self.notes.append(why)
        self.draw(table)
        self.notes.pop()
        self.append(self.now(), why)

    def draw(self, table, short=None):
        """`short`: the same in a line, for where nothing can be drawn over."""
        second = self.now()
        if short and second >= self.next_s:
            self.next_s = second + LINE_EVERY_S
            self.append(second, short)
        if self.live:
            lines = [*table, *self.notes]
            sys.stdout.write((f"\x1b[{self.height}F\x1b[J" if self.height else "") + "\n".join(lines) + "\n")
            sys.stdout.flush()
            self.height = len(lines)


def octets_per_reading(now):
    return f"{(now['octets_up'] + now['octets_down']) / now['exchanges_ok']:.0f}" if now["exchanges_ok"] else ""


def table(fleets):
    rows = {
        "": COLUMNS,
        "moves": [fleet.now["rebinds"] for fleet in fleets],
        "first session alive": [f"{fleet.now['alive']} of {DEVICES}" for fleet in fleets],
        "handshakes": [fleet.now["handshakes"] for fleet in fleets],
        "octets per reading": [octets_per_reading(fleet.now) for fleet in fleets],
    }
    lines = [f"{title:24}{first!s:17}{second}" for title, (first, second) in rows.items()]
    lines[0] += " (as nginx, IPVS do)"
    lines[1] = f"{lines[1]:58}(who retries is not silent)"
    fleet = fleets[0]
    ports = " → ".join(f":{port}" for port in fleet.hero_ports[-3:])
    when = "throughout" if fleet.hero_session == 1 else "now"
    server = f"server {fleet.server_of[HERO]} {when}, session {fleet.hero_session}" if HERO in fleet.server_of else ""
    return [*lines, f"{f'device {HERO}  {ports}':41}{server}"]


def line(fleets):
    """The table in short."""
    alive = [f"{fleet.now['alive']} of {DEVICES}" for fleet in fleets]
    return f"{fleets[0].now['rebinds']} moves: {alive[0]} first sessions alive; by address {alive[1]}"


class Story:
    """What happens when."""

    def __init__(self, stage):
        self.stage = stage
        moving = ["--nat-timeout", NAT_TIMEOUT_S, "--interval-ms", READING_MS]
        names = ["devices", "devices-by-address"]
        self.fleets = [
            Fleet(stage, name, target, DEVICES, END_S, *moving) for name, target in zip(names, COLUMNS.values())
        ]
        self.screen = Screen()
        self.wrong = []

    def until(self, second):
        """Shows what goes on until then."""
        while (left := second - self.screen.now()) > 0:
            self.stage.check()
            for fleet in self.fleets:
                fleet.listen()
            self.screen.draw(table(self.fleets), line(self.fleets))
            time.sleep(min(left, 0.5))

    def alive(self):
        return f"{self.fleets[0].now['alive']} of {DEVICES}"

    def tell(self):
        """Returns the last line: PASS … or FAIL …."""
        self.until(KILL_S)
        second, away_s = self.screen.now(), self.stage.kill()
        self.screen.note(second, f"cidlb killed with SIGKILL, back in {away_s:.1f} s")
        self.until(KILL_S + SETTLED_S)
        self.screen.conclude(f"{self.alive()} alive")
        self.until(DRAIN_S)
        self._drain()
        self.until(END_S)
        return self._end()

    def _drain(self):
        kept = self.fleets[0].on("b")
        generation = self.stage.metric("cidlb_snapshot_generation")
        self.stage.drain("b")
        self.screen.note(self.screen.now(), "server b drained")
        self.until(DRAIN_S + 1)
        end = time.monotonic() + RELOADED_S
        while self.stage.metric("cidlb_snapshot_generation") <= generation:
            if time.monotonic() > end:
                raise Failure(f"cidlb has not reloaded\n{self.stage.cidlb.log_end()}")
            time.sleep(0.1)
        new = Fleet(
            self.stage, "new-devices", COLUMNS["cidlb :5684"], NEW_DEVICES, NEW_DEVICES_S, "--interval-ms", 1000
        )
        self.until(DRAIN_S + 2 + NEW_DEVICES_S)
        new.report()
        servers = sorted(set(new.server_of.values()))
        self.screen.conclude(f"keeps its {kept}, new ones go to {' and '.join(servers) or 'nobody'}")
        if "b" in servers or not servers:
            self.wrong.append("the drained server got new sessions" if servers else "nobody took new sessions")
        if not self.stage.metric('cidlb_datagrams_total{listener="coaps",pool="lwm2m",verdict="cid_draining"}'):
            self.wrong.append("the drained server lost its sessions")

    def _end(self):
        self.screen.wait(table(self.fleets), "each device sends its last reading: half a minute or so, by address")
        cidlb, address = (fleet.report() for fleet in self.fleets)
        self.screen.draw(table(self.fleets))
        if not self.screen.live:
            print("\n".join(table(self.fleets)))
        extra = cidlb["handshakes"] - DEVICES
        if cidlb["survived"] != DEVICES or extra:
            self.wrong.append("sessions were lost")
        if address["survived"] * 2 >= DEVICES:
            self.wrong.append("by address most lived too: the comparison proves nothing")
        result = f"{cidlb['survived']} of {DEVICES} sessions lived with {extra} extra handshakes"
        result += f" (by address: {address['survived']} lived, {address['handshakes']} handshakes)"
        if self.wrong:
            raise Failure(f"{result}: {'; '.join(self.wrong)}")
        return f"PASS  {result}"


def to_try(stage):
    """Commands, and what they show."""
    ctl = f"build/bin/cidlbctl --socket {stage.socket}"
    return (
        (f"{ctl} backends", "health, flows and last CID of each server"),
        (f"{ctl} flows --sort moves --limit 3", "the devices that have moved most"),
        (f"{ctl} drain lwm2m/c", "look at the page: it keeps its sessions"),
    )


def try_all(stage):
    """What is told to be there is, and what is told to try works."""
    if "<!doctype html>" not in (stage.get("/") or ""):
        raise Failure(f"there is no dashboard at {HTTP}/")
    for command, _ in to_try(stage):
        done = subprocess.run(command.split(), cwd=ROOT, capture_output=True, text=True, timeout=60)
        if done.returncode != 0 or not done.stdout:
            raise Failure(f"{command}: {done.stdout}{done.stderr}")


def show_dashboard():
    """In the browser of whoever sits at a desktop."""
    desktop = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if desktop and sys.stdout.isatty() and shutil.which("xdg-open"):
        subprocess.Popen(
            ["xdg-open", f"{HTTP}/"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def stay(stage):
    """Devices go on until Ctrl-C, and cidlb comes back whenever somebody kills it."""
    forever_s = 10**6
    Fleet(
        stage, "devices-forever", COLUMNS["cidlb :5684"], DEVICES, forever_s, "--nat-timeout", NAT_TIMEOUT_S,
        "--interval-ms", READING_MS,
    )
    pid = stage.cidlb.child.pid
    print(f"still running, with {DEVICES} other devices: {HTTP}/ · kill -9 {pid} · Ctrl-C ends\nto try, from {ROOT}:")
    for command, what in to_try(stage):
        print(f"  {command}  # {what}", flush=True)
    print("with servers of your own: README.md, A first deployment", flush=True)
    while True:
        if not stage.cidlb.alive():
            stage.cidlb.start()
            stage.wait_ready()
            pid = stage.cidlb.child.pid
            print(f"cidlb was killed and is back, a flow comes with its device's reading · kill -9 {pid}", flush=True)
        time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--once", action="store_true", help="end after the story")
    parser.add_argument("--valgrind", action="store_true", help="run everything under valgrind")
    options = parser.parse_args()
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)

    stage, status = Stage(options.valgrind), 1
    print(
        f"{DEVICES} devices, {len(SERVERS)} servers, {LOSS_PERCENT} % loss; "
        f"every NAT forgets after {NAT_TIMEOUT_S} s of silence",
        flush=True,
    )
    try:
        stage.open()
        print(f"to watch: {HTTP}/", flush=True)
        if not options.once:
            show_dashboard()
        last = Story(stage).tell()
        if options.once:
            try_all(stage)
            if bad := stage.end():
                raise Failure("; ".join(bad))
        print(last, flush=True)
        status = 0
        if not options.once:
            stay(stage)
    except Failure as failure:
        print(f"FAIL  {failure}", flush=True)
    except KeyboardInterrupt:
        print()
    finally:
        stage.end()
        if status == 0:
            shutil.rmtree(stage.dir)
        else:
            print(f"logs: {stage.dir}")
    sys.exit(status)


main()
