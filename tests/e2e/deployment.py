"""The first deployment of the README, with its own configuration (conf/nat.conf), each host a network namespace:

    devices                 balancer                     servers
    192.0.2.2 ── 192.0.2.1  cidlb  10.0.0.1 ── 10.0.0.11  a, id 1
    192.0.2.3               │                  10.0.0.12  b, id 2
                            └ local 10.64.0.0/16: what the servers see
"""

import json
import os
import subprocess
from pathlib import Path

from harness import AS_ROOT, BIN, PSK, Scene, Skip, broken_identities, main, parse_metrics, wait_until

ROOT = Path(__file__).parents[2]


def ip(*words):
    subprocess.run(["ip", *words], check=True)


class Hosts:
    """The namespaces; gone with the block."""

    def __enter__(self):
        self.name = {host: f"cidlb-{os.getpid()}-{host}" for host in ("devices", "balancer", "servers")}
        try:
            for name in self.name.values():
                ip("netns", "add", name)
                ip("-n", name, "link", "set", "lo", "up")
            self._link("devices", ["192.0.2.2/24", "192.0.2.3/24"], ["192.0.2.1/24"])
            self._link("servers", ["10.0.0.11/24", "10.0.0.12/24"], ["10.0.0.1/24"])
            ip("-n", self.name["balancer"], "route", "add", "local", "10.64.0.0/16", "dev", "lo")
            ip("-n", self.name["servers"], "route", "add", "10.64.0.0/16", "via", "10.0.0.1")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _link(self, host, addresses, balancer_addresses):
        ns, balancer = self.name[host], self.name["balancer"]
        ip("link", "add", host, "netns", ns, "type", "veth", "peer", "name", host, "netns", balancer)
        for where, mine in ((ns, addresses), (balancer, balancer_addresses)):
            for address in mine:
                ip("-n", where, "address", "add", address, "dev", host)
            ip("-n", where, "link", "set", host, "up")

    def __exit__(self, *_):
        for name in self.name.values():
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL)

    def on(self, host, *argv):
        return ["ip", "netns", "exec", self.name[host], *argv]


def configuration(scene):
    """conf/nat.conf with a key file of the test's."""
    key, conf = scene.dir / "hash.key", scene.dir / "cidlb.conf"
    key.touch(mode=0o600)
    key.write_text(os.urandom(16).hex() + "\n")
    text = (ROOT / "conf" / "nat.conf").read_text()
    assert "/etc/cidlb/hash.key" in text
    conf.write_text('user = "nobody";\n' + text.replace("/etc/cidlb/hash.key", str(key)))
    subprocess.run(["chown", "nobody", str(key)], check=True)
    return conf


def case_readme_deployment():
    if not AS_ROOT:
        raise Skip("needs root for network namespaces")
    psk = ":".join(PSK)
    with Hosts() as hosts, Scene() as scene:
        for number, address in ((1, "10.0.0.11:5684"), (2, "10.0.0.12:5684")):
            argv = [BIN / "cidlb-backend", "--listen", address, "--id", number, "--cid-length", 6, "--psk", psk]
            scene.process(
                f"server{number}", *hosts.on("servers", *argv, "--report", scene.dir / f"server{number}.json")
            )
        # Who gave up root cannot be traced, which the leak check needs: other scripts do it without root.
        no_leak_check = ["env", "ASAN_OPTIONS=detect_leaks=0"]
        lb = scene.process("cidlb", *hosts.on("balancer", *no_leak_check, BIN / "cidlb", "-c", configuration(scene)))

        def get(path):
            fetch = hosts.on(
                "balancer", "python3", "-c",
                f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:9180{path}').read().decode())",
            )
            return subprocess.run(fetch, capture_output=True, text=True).stdout

        wait_until(lambda: "ready" in get("/readyz"), 15, "cidlb is ready")
        fleet = [
            BIN / "cidlb-fleet", "--target", "192.0.2.1:5684", "--devices", 20, "--rebinds", 4, "--rebind-every", 1
        ]
        fleet += ["--loss", 5, "--ack-timeout-ms", 300, "--psk", psk, "--observe"]
        devices = scene.process("fleet", *hosts.on("devices", *fleet))
        status = devices.wait(120)
        report = json.loads(devices.out.read_text())
        assert status == 0 and report["handshakes"] == 20 and report["survived"] == 20, report

        metrics = parse_metrics(get("/metrics"))
        assert not broken_identities(metrics), broken_identities(metrics)
        lb.stop()
        for number in (1, 2):
            server = next(process for process in scene.processes if process.name == f"server{number}")
            server.stop()
            counted = json.loads((scene.dir / f"server{number}.json").read_text())
            assert counted["max_address_changes_per_session"] <= 1, counted


main(globals())
