"""Who forwards in scenario `forward` in the kernel, and so over interfaces alone."""

from lib import wire
from lib.frame import LeftOut

from .contenders import Contender


class Nftables(Contender):
    """In the kernel, by address."""

    name = "nftables"

    @classmethod
    def require(cls, scene):
        wire.Dnat.require()

    @classmethod
    def fit(cls, setting):
        if setting["topology"] is not wire.Wire:
            raise LeftOut("forwards between interfaces, and so not here")

    def __init__(self, scene, topology, setting):
        self.rules = wire.Dnat(topology)
        self.target = self.rules.target

    def pids(self):
        return []

    def end(self):
        self.rules.end()
