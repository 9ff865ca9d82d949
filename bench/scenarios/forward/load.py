"""The load of scenario `forward`: that of a setting, for a balancer."""

from lib.histogram import percentiles
from lib.load import SERVERS, Load


def make_load(scene, balancer, topology, setting):
    """Not started. Without a target devices send to the servers."""
    options = {
        "server_count": SERVERS,
        **topology.load_options,
        "target": balancer.target,
        "tunnel": balancer.tunnel_keys,
    }
    options |= {
        "sources": setting["sources"],
        "octets": ",".join(map(str, setting["octets"])),
        "batch": setting["batch"],
    }
    return Load(scene, topology.servers, setting["rate"] // 2, **options)


def ways_between(first, last):
    """Percentiles of what came between two readings, each way."""
    return {way: percentiles(first[way], last[way]) for way in first}
