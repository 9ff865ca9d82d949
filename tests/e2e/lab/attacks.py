"""Ways to attack the sessions of a stage (stage.py). Each takes the stage and for how many seconds, and sends from
addresses of its own."""

import itertools
import time

from lab import forged


def paced(seconds, per_second, act):
    """Calls act(n) so often; what lies behind schedule is caught up, a little at a time."""
    begin, n = time.monotonic(), 0
    while (now := time.monotonic() - begin) < seconds:
        for _ in range(min(100, int(now * per_second) + 1 - n)):
            act(n)
            n += 1
        time.sleep(0.002)


def pick(things, n):
    return things[n % len(things)]


def send_some(stage, seconds, addresses, per_second, make, victims=None):
    """make(seen, n): the n-th datagram against a session whose newest record was `seen`. `per_second` against each."""
    attackers, victims = stage.attackers(addresses), victims or stage.victims

    def act(n):
        seen = forged.newest(pick(victims, n).nat)
        if seen:
            pick(attackers, n // len(victims)).send(make(seen, n // len(victims)))

    paced(seconds, per_second * len(victims), act)


def nothing(stage, seconds):
    time.sleep(seconds)


def plaintext(plain):
    """Each of these plaintext records in every place beside a CID record."""

    def attack(stage, seconds):
        def make(seen, n):
            return pick(list(forged.beside(seen, pick(plain, n // 12))), n)

        send_some(stage, seconds, 4, max(40, 12 * len(plain) / seconds), make)

    return attack


def hellos(stage, seconds):
    """A ClientHello beside a CID record, and once more with the cookie that came back, if one did."""
    attackers = stage.attackers(4)
    cookies = {}

    def act(n):
        attacker, victim = pick(attackers, n // 12), pick(stage.victims, n // 48)
        seen = forged.newest(victim.nat)
        if not seen:
            return
        cookies[attacker] = forged.cookie_of(attacker.collect()) or cookies.get(attacker, b"")
        attacker.send(pick(list(forged.beside(seen, forged.hello(cookies[attacker], n % 2))), n))

    paced(seconds, 40 * len(stage.victims), act)


def flights(stage, seconds):
    """Lone fragments, and a last flight that shows another's CID."""

    def make(seen, n):
        fragment = pick(forged.FRAGMENTS, n)
        return pick([fragment, fragment + forged.junk(seen), forged.junk(seen) + fragment, forged.flight(seen)], n // 4)

    send_some(stage, seconds, 4, 20, make)


def blind(addresses, per_second):
    """Forgeries that know of no timing, from so many addresses."""

    def attack(stage, seconds):
        def make(seen, n):
            return forged.junk(seen, seen.number + 1 + n % 7 if n % 2 else forged.LAST_NUMBER - n)

        send_some(stage, seconds, addresses, per_second, make)

    return attack


def flood(stage, seconds):
    """500 forgeries a second from 20 addresses, against a few."""
    victims = [stage.home, stage.movers[0], *stage.loaders]

    def make(seen, n):
        return forged.junk(seen, seen.number + 1 + n % 7 if n % 2 else forged.LAST_NUMBER - n)

    send_some(stage, seconds, 20, 500, make, victims)
    return victims


def overheard(stage, seconds):
    """Four datagrams, as blind as can be, at a device to which much is sent: what comes of them for how long?"""
    device, attacker = stage.join(observe=(10, 400)), stage.attackers(1)[0]

    def act(n):
        attacker.collect()
        if n < 4:
            attacker.send(forged.junk(forged.newest(device.nat)))

    paced(seconds, 4, act)


def timed(stage, seconds):
    """Forgeries just before and after each datagram of a device or to it, from 20 addresses in turn."""
    attackers, count = stage.attackers(20), itertools.count()
    allowed = 200 * seconds * len(stage.victims)

    def watcher(victim):
        def watch():
            n = next(count)
            seen = forged.newest(victim.nat)
            if seen and n < allowed:
                pick(attackers, n).send(forged.junk(seen))

        return watch

    for victim in stage.victims:
        victim.nat.watch = watcher(victim)
    time.sleep(seconds)
    for victim in stage.victims:
        victim.nat.watch = lambda: None


def replays(stage, seconds):
    """Each record of a device once more, at once and later, from elsewhere."""

    def make(seen, n):
        return seen.whole

    send_some(stage, seconds, 6, 40, make)


def resumptions(stage, seconds):
    """The handshake of a device that resumed its session, once more from elsewhere: its ClientHellos and the rest."""
    datagrams, attackers = stage.resumed_handshake(), stage.attackers(8)
    paced(seconds, 60, lambda n: pick(attackers, n // len(datagrams)).send(pick(datagrams, n)))


def spoofed_owner(stage, seconds):
    """From a device's own address: junk with its CID, with another's, a ClientHello, another service address."""
    victims = stage.victims

    def act(n):
        victim, other = pick(victims, n), pick(victims, n + 1)
        seen, others = forged.newest(victim.nat), forged.newest(other.nat)
        if not seen or not others:
            return
        what = n // len(victims) % 5
        datagram = (forged.junk(seen), forged.junk(others), others.whole, forged.hello(), forged.junk(seen))[what]
        victim.nat.send(datagram, stage.other_service if what == 4 else None)

    paced(seconds, 20 * len(victims), act)


def swapped(stage, seconds):
    """Two devices get each other's port, again and again, under forgeries."""

    def make(seen, n):
        return forged.junk(seen)

    one, other = stage.movers[:2]
    one.move_s = other.move_s = None
    for _ in range(3):
        one.nat.swap(other.nat)
        one.request()
        other.request()
        send_some(stage, seconds / 3, 2, 5, make)


def insider(stage, seconds):
    """After a restart of cidlb a device makes a session of its own, shows another's CID in the midst of its handshake
    and after it, and listens."""
    victims = [stage.join(observe=(10, 400)) for _ in range(2)]
    seen = [forged.newest(victim.nat) for victim in victims]
    stage.kill_cidlb()
    stage.lb.start()

    def meddle(nat):
        def before(datagram):
            if seen and forged.seen_in(datagram):
                nat.send(forged.flight(seen.pop()))
                nat.send(forged.junk(forged.seen_in(datagram), 0))
            return False

        return before

    for n, victim in enumerate(victims):
        inside = stage.join(observe=None, meddle=meddle, ip=f"127.8.0.{1 + n}")
        inside.nat.send(forged.junk(forged.newest(victim.nat)))
        inside.request()
    for device in stage.everyone:
        device.request()
    time.sleep(seconds)


def restarted(stage, seconds):
    """cidlb is killed; forgers, and an insider with a session of its own, are the first whom the new one hears."""
    attackers, insider = stage.attackers(4), stage.join(observe=None, ip="127.8.0.1")
    first = [forged.newest(victim.nat) for victim in stage.victims]
    stage.kill_cidlb()
    stage.lb.start(ready=False)
    begin = time.monotonic()

    def act(n):
        seen = pick(first, n)
        pick(attackers, n // len(first)).send(forged.junk(seen))
        insider.nat.send(forged.flight(seen) if n % 2 else forged.junk(seen))

    while stage.lb.get("/readyz")[0] != 200 and time.monotonic() < begin + 15:
        paced(0.1, 40, act)
    for device in stage.everyone:
        device.request()
    insider.request()
    paced(seconds, 20 * len(first), act)
