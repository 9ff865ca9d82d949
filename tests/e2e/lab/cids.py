"""What servers are told of their CIDs, and what cidlb is told of them.

    def case_nat():
        for cids in ways(LEARNED):
            sessions("nat", cids)
"""

from collections import namedtuple

from harness import FULL

# `pool`: the pool's setting, None for none. `leshan`: options of peers/leshan/Server.java; %d is the server's number.
Cids = namedtuple("Cids", "title pool leshan")

NODE_ID = Cids("CIDs with server ids", {"scheme": "node-id", "length": 6}, ("node-id=%d", "cid-length=6"))
LEARNED = Cids("no CID setting anywhere", None, ())
THINGSBOARD = Cids("CIDs as ThingsBoard's", None, ("node-id=0", "cid-length=8"))


def ways(reduced):
    """In which ways a scenario is run: with ids and with learned CIDs. In reduced size it is one of them, and scenarios
    are shared out so that each has its turn in nat and in tunnel."""
    return (NODE_ID, LEARNED) if FULL else (reduced,)


def learners(turn):
    """The same for stands with several pools: functions that say whether the pool with a number learns. Every other one
    does: the first, or with `turn` 1 the second. In full size all do, and then none."""
    return (lambda _: True, lambda _: False) if FULL else (lambda number: number % 2 == turn,)
