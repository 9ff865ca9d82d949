"""Other conditions than those of the main table: one server without a balancer, cidlb and nginx, side by side.

Nothing is lost in any of these, so every figure shows the condition alone.
"""

from .case import TIME_FACTOR, Case
from .contenders import Cidlb, Contender, Nginx

ALL = (Contender, Cidlb, Nginx)
MESSAGE_OCTETS = (22, 26, 98)
NAT_TIMEOUTS_S, NAT_INTERVAL_S = (20, 65, 120), 60
ROUND_TRIP_S = 2
DAYS = 10
DAY_S = 6 * TIME_FACTOR  # 6 s here
# In the sleep of a day all of these pass, and cid_idle_s (a day) for every second device, as they would.
DAY = {"interval_s": DAY_S, "cid_idle_s": DAY_S, "idle_s": TIME_FACTOR, "proxy_timeout_s": TIME_FACTOR}


def of_cid(scale):
    """The cost of CIDs where no NAT forgets."""
    for octets in MESSAGE_OCTETS:
        for cid, contenders in ((False, (Contender, Nginx)), (True, (Contender, Cidlb))):
            said = f"{octets} octets, {'with' if cid else 'without'} CID"
            case = Case(scale(10), scale(10), "cid", said, nat_timeout_s=0, octets=octets, cid=cid)
            yield from ((contender, case) for contender in contenders)


def of_nats(scale):
    for timeout_s in NAT_TIMEOUTS_S:
        said = f"NATs of {timeout_s} s"
        case = Case(scale(40), scale(20), "nat", said, interval_s=NAT_INTERVAL_S, nat_timeout_s=timeout_s)
        yield from ((contender, case) for contender in ALL)


def of_round_trips(scale):
    said = f"round trips of {ROUND_TRIP_S * 0.5:.0f} to {ROUND_TRIP_S * 1.5:.0f} s"
    case = Case(scale(40), scale(20), "radio", said, round_trip_s=ROUND_TRIP_S)
    return [(contender, case) for contender in ALL]


def of_days(scale):
    case = Case(scale(50), scale(DAYS * DAY_S // 60), "day", "a report a day", give_up=1, **DAY)
    return [(contender, case) for contender in ALL]


def of_certificates(scale):
    """In a round of their own: their handshakes take CPU time. Few devices, one after the other."""
    for certificates in (False, True):
        said = "certificates" if certificates else "PSK"
        case = Case(scale(20), scale(20), "handshake", said, ramp_s=scale(200), certificates=certificates)
        yield from ((contender, case) for contender in ALL)


TOGETHER = (of_cid, of_nats, of_round_trips, of_days)


def rounds(quick):
    """Jobs (contender, case) that run side by side, round by round."""

    def scale(number):
        return max(4, number // 5) if quick else number

    first = [job for part in TOGETHER for job in part(scale)]
    last = list(of_certificates(scale))
    return [first + last] if quick else [first, last]
