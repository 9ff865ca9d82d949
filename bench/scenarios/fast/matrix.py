"""What scenario `fast` varies: the rate, the directions, and datagrams that are no DTLS."""

ALL = None
DROP = ["fast tunnel", "empty program", "cidlb tunnel"]  # others forward what is no DTLS


def settings_of(quick):
    """In the order in which a contender meets them: sockets are overwhelmed last. `rate`: of what devices send; 0: all
    that can be made."""
    length = {"warm_s": 0.1, "steady_s": 0.2} if quick else {"warm_s": 0.3, "steady_s": 1.0}

    def setting(name, kind, rate, contenders=ALL):
        one_way, garbage = kind != "both", kind == "flood"
        return {
            "name": name, "kind": kind, "rate": rate, "one_way": one_way, "garbage": garbage, "contenders": contenders,
            **length,
        }

    return [
        setting("30 kpps both ways", "both", 15_000),
        setting("60 kpps both ways", "both", 30_000),
        setting("60 kpps up", "up", 60_000),
        setting("100 kpps of no DTLS", "flood", 100_000, DROP),
        setting("no DTLS, all that comes", "flood", 0, DROP[:2]),
        setting("up, all that comes", "up", 0),
    ]


ROUNDS, QUICK_ROUNDS = 5, 1
