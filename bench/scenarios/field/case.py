"""What devices do and what their NATs do, in the rounds of scenario `field`."""

from dataclasses import dataclass

TIME_FACTOR = 25  # one second here stands for so many


@dataclass(frozen=True)
class Case:
    """Times in seconds of what is told of; they pass TIME_FACTOR times as fast."""

    devices: int
    minutes: float
    table: str = "main"
    said: str = ""  # what this one is about
    loss: int = 0  # percent, each way
    seed: int = 1
    interval_s: int = 25
    nat_timeout_s: int = 20  # 0: a NAT that never forgets
    ramp_s: int = 10  # from the first device's start to the last one's
    ack_timeout_s: int = 2
    give_up: int = 0  # as --give-up; 0: as the contender has it
    round_trip_s: int = 0  # over the radio, half to one and a half times that; 0: no time
    octets: int = 0  # of a notification as a CoAP message; 0: as many as its JSON has
    cid: bool = True
    certificates: bool = False  # a PSK otherwise
    idle_s: int = 300  # the defaults of mode nat
    cid_idle_s: int = 86400
    proxy_timeout_s: int = 600  # of nginx

    @property
    def seconds(self):
        """That it really takes."""
        return self.minutes * 60 / TIME_FACTOR

    def nat(self):
        """The settings of mode nat, in the time of this scenario."""
        return {"idle_s": self.idle_s // TIME_FACTOR, "cid_idle_s": self.cid_idle_s // TIME_FACTOR}
