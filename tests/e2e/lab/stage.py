"""A server of some kind behind cidlb, devices of every habit, and cells: what came of one attack. All that is asserted
is counted by servers, devices and sockets."""

import itertools
import time
from collections import namedtuple
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness import Scene, total, wait_until
from udp import parse_address

from lab.attacks import nothing, resumptions
from lab.ledger import Account, Attacker, Nat, excess_of_all
from lab.peers import KINDS
from lab.talk import BLOCK, Clock, Devices, Server, message

OBSERVE = (100, 20)  # ms between notifications, and their octets
SPEAK_S, MOVERS = 0.3, 3
SETTLE_S, ALIVE_S = 0.4, 15
PLACE_S = 5  # for which an address has its place after it spoke; a session has four
MOVED_MISSED, MOVED_MISSED_QUIET, FAILED = 0.15, 0.05, 0.01  # shares, at most

_addresses = itertools.count(1)


def cpu_s(pid):
    """Seconds on a processor of all threads of a process."""
    ran = (int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(ran) / 1e9


def most_missed(quiet):
    """Of the notifications of devices that move, the part that may not come."""
    return MOVED_MISSED_QUIET if quiet else MOVED_MISSED


# Blocks of 1,024 octets, and what the network takes there and back: below 16,384 octets a second nothing need be
# withheld from a device that has moved.
Loads = namedtuple("Loads", "fetched pushed lag_s")


@dataclass
class Cell:
    """What came of one attack. `wrong`: what must not be, in words."""

    name: str
    ended: list = field(default_factory=list)
    proven_missed: int = 0
    proven_sent: int = 0
    moved_missed: int = 0
    moved_sent: int = 0
    failed: int = 0
    requests: int = 0
    forged: int = 0
    ratio: float = 0
    copies: float = 0
    cpu_us: float = 0
    loads: str = "-"
    wrong: list = field(default_factory=list)

    def line(self):
        columns = (
            f"{self.name:<34}", f"{len(self.ended):>5}", f"{self.proven_missed:>5}/{self.proven_sent:<5}",
            f"{self.moved_missed:>5}/{self.moved_sent:<5}", f"{self.failed:>4}/{self.requests:<5}",
            f"{self.forged:>7}", f"{self.ratio:>7.1f}", f"{self.copies:>7.2f}", f"{self.cpu_us:>6.1f}",
            f"{self.loads:>17}", "" if not self.wrong else "WRONG: " + "; ".join(self.wrong),
        )
        return "  ".join(columns).rstrip()


HEAD = (
    f"{'attack':<34}  ended  proven miss  moved missed     failed   forged  got:sent  copies  us/dg      "
    "download, push"
)


class Stage:
    """Use it with `with`. In each cell there are new devices: `home`, proven and silent; `talker`, proven, speaks; and
    `movers`, who move and speak. All of them observe. An attack returns whom it was aimed at, if not at everyone."""

    def __init__(self, name, **pool):
        self.kind, self.options, self.cells = KINDS[name], pool, []
        self.stack = ExitStack()

    def __enter__(self):
        with self.stack:
            self.scene = self.stack.enter_context(Scene())
            self.server = Server(self.scene, "server", self.kind).start()
            pool = self.scene.pool("p", [self.server.entry()], **self.options)
            self.lb = self.scene.cidlb([pool], start=False)
            host, port = parse_address(self.lb.address())
            self.lb.config["listeners"].append({"name": "other", "address": f"{host}:{port + 1}", "pool": "p"})
            self.other_service = (host, port + 1)
            self.lb.start()
            self.devices = Devices(self.scene, self.kind).start()
            self.stack.enter_context(Clock(self.server, self.devices))
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    @property
    def proven(self):
        return [self.home, self.talker]

    @property
    def everyone(self):
        return [*self.proven, *self.movers]

    @property
    def victims(self):
        """Whom attacks are aimed at."""
        return [*self.everyone, *self.loaders]

    def join(self, speak_s=None, move_s=None, observe=OBSERVE, meddle=None, **nat):
        """A new device, in this cell, that was answered after its handshake. meddle(its NAT): a predicate as drop_up."""
        nat = self.open(Nat(self.lb.address(), **nat))
        if meddle:
            nat.home, nat.drop_up = None, meddle(nat)
        device = self.devices.join(nat, observe)
        self.joined.append(device)
        before = device.ok
        device.request()
        wait_until(lambda: device.ok > before and self.session(device), 20, "the device is answered")
        device.speak_s, device.move_s = speak_s, move_s
        return device

    def session(self, device):
        return self.server.of_device(device.number)

    def attackers(self, count):
        """New addresses of attackers, in this cell."""
        new = []
        for _ in range(count):
            n = next(_addresses)
            new.append(self.open(Attacker(f"127.9.{n >> 8}.{n & 255}", self.lb.address())))
        self.attacking += new
        return new

    def can(self, attack):
        """Only devices with Mbed TLS resume sessions."""
        return attack is not resumptions or self.kind.device == ("device",)

    def resumed_handshake(self):
        """What a device sent that resumed a session."""
        device = self.join(observe=None)
        begin = len(device.nat.uplinks)
        self.devices.tell(f"again {device.number}")
        wait_until(lambda: device.opened == 2, 20, "the session is resumed")
        device.send(message(b"H", device.number))
        return [datagram for _, datagram in device.nat.uplinks[begin:]]

    def kill_cidlb(self):
        """From now on nobody is proven, and what was sent before does not count."""
        self.lb.kill()
        time.sleep(SETTLE_S)  # what it sent arrives
        for device in self.joined:
            device.nat.forget()

    def run(self, name, attack, seconds, limits=(), loads=None):
        """One cell. `limits`: "proven", "moved", "one address" are asserted where named; `loads`: what two more devices
        do."""
        if not self.can(attack):
            return
        cell = Cell(name)
        with ExitStack() as opened:
            self.open, self.joined, self.attacking, self.loaders = opened.enter_context, [], [], []
            self.home, self.talker = self.join(), self.join(SPEAK_S)
            # Oftener, and a session has no place free for the next address, should the cell last longer.
            every_s = max(seconds / 2, PLACE_S / 2) if "one address" in limits else seconds / 2
            self.movers = [self.join(SPEAK_S, every_s) for _ in range(MOVERS)]
            self.run_cell(cell, attack, seconds, limits, loads)
            self.judge(cell, limits, attack is nothing)
            for device in self.joined:
                self.silence(device)
        self.cells.append(cell)
        print("    " + cell.line(), flush=True)

    def run_cell(self, cell, attack, seconds, limits, loads):
        before = {device: (device.ok, device.failed) for device in self.everyone}
        metrics, cpu, pid, begin = self.lb.metrics(), cpu_s(self.lb.pid), self.lb.pid, time.monotonic()
        if loads:
            self.begin_loads(loads)
        self.aimed = attack(self, seconds) or self.everyone
        if loads:
            self.finish_loads(cell, loads)
        end = time.monotonic()
        for mover in self.movers:
            mover.move_s = None
        time.sleep(SETTLE_S)
        if "proven" in limits:
            self.wait_heard(begin, end, most_missed(attack is nothing))
        self.count_notifications(cell, begin, end)
        if self.lb.pid == pid:
            self.count_costs(cell, metrics, cpu)
        self.count_octets(cell)
        self.check_alive(cell, before, [*self.everyone, *self.loaders])

    def silence(self, device):
        device.speak_s, device.waiting = None, {}
        if self.session(device):
            self.session(device).interval_s = None

    def begin_loads(self, loads):
        """Two devices that move; one fetches, the other says so and is pushed to."""
        self.loaders = [self.join(observe=None), self.join(observe=None)]
        for device in self.loaders:
            device.lag_s = loads.lag_s
            device.nat.rebind()
        self.loaders[0].fetch(loads.fetched)
        self.loaders[1].request(b"P", loads.pushed)

    def finish_loads(self, cell, loads):
        """Waits for them: twice what 16,384 octets a second beyond the threefold take, and then some."""
        loader, pushed = self.loaders[0], self.session(self.loaders[1])
        limit = 20 + (loads.fetched + loads.pushed) * (loads.lag_s + BLOCK / 8192)
        try:
            wait_until(
                lambda: not loader.blocks_left and (pushed.pushed or pushed.push_failed), limit, "fetched and pushed"
            )
        except TimeoutError:
            pass
        fetched, push = loader.fetched == loads.fetched, pushed.pushed == 1
        cell.loads = f"{'ok' if fetched else loader.fetched}, {'ok' if push else pushed.block}"
        cell.wrong += [] if fetched else [f"{loader.fetched} of {loads.fetched} blocks were fetched after a move"]
        cell.wrong += [] if push else [f"{pushed.block} of {loads.pushed} blocks were pushed after a move"]

    def due(self, device, begin, end):
        """Numbers of the notifications that it should hear."""
        sent = {n: at for n, at in list(self.session(device).sent.items()) if begin <= at < end}
        # Until a device that moved has spoken nobody can know where it is.
        return [n for n, at in sent.items() if not device.nat.was_unheard(at)]

    def wait_heard(self, begin, end, part):
        """What is still on its way to the devices of a busy machine arrives: all of it to the proven ones, and all but
        this part to those that move."""
        due = {device: self.due(device, begin, end) for device in self.everyone if device in self.aimed}

        def enough():
            missed = {device: sum(n not in device.heard for n in of) for device, of in due.items()}
            moved = [device for device in self.movers if device in due]
            few = sum(missed[device] for device in moved) <= part * sum(len(due[device]) for device in moved)
            return few and not any(missed[device] for device in self.proven if device in due)

        with suppress(TimeoutError):  # judge() says what has not
            wait_until(enough, 5, "all is heard")

    def count_notifications(self, cell, begin, end):
        for device in self.everyone:
            if device not in self.aimed:
                continue
            due = self.due(device, begin, end)
            missed = sum(n not in device.heard for n in due)
            if device in self.movers:
                cell.moved_sent, cell.moved_missed = cell.moved_sent + len(due), cell.moved_missed + missed
            else:
                cell.proven_sent, cell.proven_missed = cell.proven_sent + len(due), cell.proven_missed + missed

    def count_costs(self, cell, before, cpu):
        """Copies per downlink, and the CPU of cidlb for each datagram that it sent."""
        after = self.lb.metrics()
        grown = lambda name, **labels: total(after, name, **labels) - total(before, name, **labels)
        replies = grown("cidlb_replies_total", pool="p")
        sent = grown("cidlb_forwarded_total", pool="p")
        cell.copies = grown("cidlb_copies_total", pool="p") / max(replies, 1)
        cell.cpu_us = (cpu_s(self.lb.pid) - cpu) * 1e6 / max(sent, 1)

    def count_octets(self, cell):
        for attacker in self.attacking:
            attacker.collect()
        accounts = [attacker.account for attacker in self.attacking]
        cell.forged = sum(account.datagrams for account in accounts)
        cell.ratio = max((account.got / max(account.sent, 1) for account in accounts), default=0)
        # With `rebind = "backend"` the server itself decides where a session's downlinks go, once it has verified.
        if self.options.get("nat", {}).get("rebind") != "backend":
            for device in self.joined:
                accounts += device.nat.strangers()
        cell.wrong += [excess for excess in map(Account.excess, accounts) if excess][:2]
        cell.wrong += filter(None, [excess_of_all(accounts)])

    def check_alive(self, cell, before, devices):
        """Each is still answered, in the session that it had."""
        due = {device: device.ok for device in devices}
        for device in devices:
            device.request()
        try:
            wait_until(lambda: all(device.ok > ok for device, ok in due.items()), ALIVE_S, "all are answered")
        except TimeoutError:
            pass
        for device in devices:
            session = self.session(device)
            why = device.ended or (session.ended if session else "no session")
            if why or device.ok == due[device]:
                cell.ended.append(f"device {device.number}: {why or 'not answered any more'}")
        for device, (ok, failed) in before.items():
            cell.failed += device.failed - failed
            cell.requests += device.ok + device.failed - ok - failed

    def judge(self, cell, limits, quiet):
        cell.wrong += cell.ended
        if cell.proven_missed and "proven" in limits:
            cell.wrong.append(f"proven devices missed {cell.proven_missed} of {cell.proven_sent}")
        if cell.moved_missed > cell.moved_sent * most_missed(quiet) and "moved" in limits:
            cell.wrong.append(f"moved devices missed {cell.moved_missed} of {cell.moved_sent}")
        if cell.failed > FAILED * cell.requests:
            cell.wrong.append(f"{cell.failed} of {cell.requests} requests failed")
        if "one address" in limits:
            # From the handshake's endpoint to the session's: once.
            seen = [session.addresses for session in map(self.session, self.joined) if session]
            cell.wrong += [f"the server saw {addresses}" for addresses in seen if len(addresses) > 2][:1]

    def table(self):
        """Prints it, and fails with what is wrong in it."""
        print(f"    {self.kind.title}\n    {HEAD}")
        for cell in self.cells:
            print("    " + cell.line())
        wrong = [cell.name for cell in self.cells if cell.wrong]
        assert not wrong, f"{len(wrong)} of {len(self.cells)} attacks succeeded: {', '.join(wrong)}"
        self.lb.assert_identities()
