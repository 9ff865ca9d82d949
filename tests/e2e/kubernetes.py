#!/usr/bin/env python3
"""packaging/kubernetes without a cluster: the manifests are read, and what they tell a pod to run is run as the user
and with the rights that they give, beside servers whose names are in a DNS:

    devices, the node, cidlb             pods
    10.244.0.1, DNS 127.0.0.1 ────────── 10.244.0.10 … .12   lwm2m-0 … lwm2m-2

No API server, kubelet, container or network of a cluster takes part."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from dns import Dns
from pages import GUIDE, Page
from harness import AS_ROOT, BIN, Backend, Scene, Skip, ip, main, release_only, wait_all_joined, wait_until

MANIFESTS = Path(__file__).parents[2] / "packaging" / "kubernetes"
NODE, DOMAIN = "10.244.0.1", "default.svc.cluster.local"
DEVICES = 6


def objects():
    """Those of all manifests, by kind and name."""
    try:
        import yaml
    except ImportError:
        raise Skip("needs python3-yaml") from None
    files = sorted(MANIFESTS.glob("*.yaml"))
    assert len(files) == 2, files
    found = [one for file in files for one in yaml.safe_load_all(file.read_text())]
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


def pod_of(one):
    spec = one["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"], spec
    pod = spec["template"]["spec"]
    assert len(pod["containers"]) == 1
    return pod, pod["containers"][0]


def setting(conf, name):
    return re.search(rf"\b{name} = \"?([^;\"]+)", conf)[1]


def case_manifests():
    """What one of them says fits what the others say."""
    found = objects()
    conf = found["ConfigMap", "cidlb"]["data"]["cidlb.conf"]
    pod, container = pod_of(found["DaemonSet", "cidlb"])
    assert pod["hostNetwork"] and pod["dnsPolicy"] == "ClusterFirstWithHostNet", "else the names of pods are unknown"
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert volumes.keys() == mounts.keys() and volumes["config"]["configMap"]["name"] == "cidlb"
    assert setting(conf, "hash_key").startswith("@" + mounts["keys"] + "/")
    assert volumes["keys"]["secret"]["defaultMode"] & 0o007 == 0, "cidlb refuses keys that others can read"
    port = int(setting(conf, "http").rsplit(":", 1)[1])
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] == port, container[probe]
    sleep = int(re.search(r"sleep (\d+)", container["lifecycle"]["preStop"]["exec"]["command"][2])[1])
    assert sleep + 10 <= pod["terminationGracePeriodSeconds"], "cidlb has time to end"
    assert int(container["resources"]["requests"]["cpu"]) == int(setting(conf, "workers"))

    servers, service = found["StatefulSet", "lwm2m"], found["Service", "lwm2m"]
    pod, container = pod_of(servers)
    assert servers["spec"]["serviceName"] == "lwm2m" and service["spec"]["selector"] == {"app": "lwm2m"}
    assert service["spec"]["clusterIP"] == "None" and service["spec"]["publishNotReadyAddresses"]
    assert servers["spec"]["replicas"] == int(setting(conf, "count"))
    ports = [one["containerPort"] for one in container["ports"]]
    assert f"lwm2m-%d.lwm2m:{ports[0]}" in conf and ports == [one["port"] for one in service["spec"]["ports"]]
    first, last = map(int, setting(conf, "ports").split("-"))
    assert int(setting(conf, "max_flows")) == (last - first + 1) * servers["spec"]["replicas"]
    assert last < 30000, "NodePort begins there"


class Pod:
    """The container of cidlb.yaml, as a process of this host with its own mounts in place of the pod's."""

    def __init__(self, scene, found):
        self.scene, self.started = scene, 0
        self.data = found["ConfigMap", "cidlb"]["data"]
        pod, self.container = pod_of(found["DaemonSet", "cidlb"])
        user = pod["securityContext"]
        assert self.container["securityContext"]["capabilities"]["drop"] == ["ALL"]
        assert not self.container["securityContext"]["allowPrivilegeEscalation"]
        self.group = user["fsGroup"]
        self.rights = ["setpriv", f"--reuid={user['runAsUser']}", f"--regid={user['runAsGroup']}"]
        self.rights += [f"--groups={self.group}", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
        self.programs = scene.dir / "programs"
        self.programs.mkdir()
        shutil.copy(BIN / "cidlb", self.programs)
        shutil.copy(BIN / "cidlbctl", self.programs / "real")

    def start(self):
        """A new one, with nothing of the one before."""
        self.started += 1
        self.run = self.scene.dir / f"run{self.started}"
        for name in ("config", "keys"):
            (self.scene.dir / name).mkdir(exist_ok=True)
        self.run.mkdir()
        self.run.chmod(0o770)
        os.chown(self.run, 0, self.group)
        control = self.programs / "cidlbctl"
        control.write_text(f'#!/bin/sh\nexec {self.programs}/real "$@" --socket {self.run}/admin.sock\n')
        control.chmod(0o755)
        self.configure()
        key = self.scene.dir / "keys" / "hash.key"
        key.write_text("000102030405060708090a0b0c0d0e0f\n")
        key.chmod(0o440)
        os.chown(key, 0, self.group)
        self.process = self.scene.process(f"cidlb{self.started}", *self.argv(self.container["command"]))
        wait_until(lambda: self.get("readinessProbe") == 200, 30, "the pod is ready")

    def configure(self):
        """The ConfigMap comes to the node."""
        for name, text in self.data.items():
            text = text.replace("admin = {", f'admin = {{ socket = "{self.run}/admin.sock";')
            (self.scene.dir / "config" / name).write_text(self.at_home(text))

    def exec(self, command):
        """What `kubectl exec` prints of it."""
        argv = self.argv(shlex.split(command))
        done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20)
        assert done.returncode == 0, (command, done)
        return done.stdout

    def at_home(self, text):
        for there, here in (("/mnt/", f"{self.scene.dir}/"), ("/run/cidlb", f"{self.run}"), ("sleep 60", "sleep 8")):
            text = text.replace(there, here)
        return text

    def argv(self, command):
        environment = ["env", "-i", f"NODE={NODE}", f"PATH={self.programs}:/usr/bin:/bin"]
        return [*environment, *self.rights, *map(self.at_home, command)]

    def get(self, probe):
        asked = self.container[probe]["httpGet"]
        try:
            with urllib.request.urlopen(f"http://{NODE}:{asked['port']}{asked['path']}", timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def stop(self):
        """As a kubelet does: the hook, then SIGTERM."""
        command = self.container["lifecycle"]["preStop"]["exec"]["command"]
        hook = self.scene.process("hook", *self.argv(command))
        wait_until(lambda: self.get("readinessProbe") == 503, 7, "devices are to be led elsewhere")
        assert self.get("livenessProbe") == 200 and hook.alive()
        assert hook.wait(30) == 0, hook.log_text()
        self.process.stop()


def executed():
    """What the guide has pods of cidlb execute."""
    text = "\n".join(line for lines in Page(GUIDE / "kubernetes.md").commands("sh on a cluster") for line in lines)
    return re.findall(r"kubectl exec \S+ -- (.*)", text)


@release_only
def case_pod():
    """It is started, ready, asked to leave, replaced and given another server, under devices that move: no session is
    lost."""
    if not AS_ROOT or not shutil.which("setpriv"):
        raise Skip("needs root and setpriv")
    found = objects()
    name = f"cidlb-{os.getpid()}-pods"
    count = found["StatefulSet", "lwm2m"]["spec"]["replicas"]
    search = f"{DOMAIN} svc.cluster.local cluster.local"
    try:
        ip("netns", "add", name)
        ip("link", "add", "pods", "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("address", "add", f"{NODE}/24", "dev", "pods")
        ip("link", "set", "pods", "up")
        ip("-n", name, "link", "set", "eth0", "up")
        with Scene() as scene, Dns(scene, {}, search=search, ndots=5) as dns:

            def serve(number):
                address = f"10.244.0.{10 + number}"
                ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
                server = Backend(scene, number, f"lwm2m-{number}", 6, 5684, address, ())
                server.argv = ["ip", "netns", "exec", name, *server.argv]
                server.start()
                dns.records[f"lwm2m-{number}.lwm2m.{DOMAIN}"] = [address]

            for number in range(count):
                serve(number)
            pod, story = Pod(scene, found), scene.dir / "story"
            pod.start()
            traffic = {"interval_ms": 200, "ack_timeout_ms": 300, "duration": 600, "story": story}
            fleet = scene.fleet(f"{NODE}:5684", devices=DEVICES, rebinds=1000, rebind_every=1, **traffic)
            wait_all_joined(story, DEVICES)
            status = Path(f"/proc/{pod.process.pid}/status").read_text()
            assert re.search(r"CapBnd:\s+0+\n", status) and re.search(r"Uid:\s+5684\s", status), status
            pod.stop()
            pod.start()
            # One more server: its name is nobody's yet when the nodes are told.
            conf = pod.data["cidlb.conf"]
            pod.data["cidlb.conf"] = conf.replace(f"count = {count}", f"count = {count + 1}")
            pod.configure()
            shown, reload = executed()
            said = pod.exec(reload)
            assert "reloaded" in said and f"+lwm2m/lwm2m-{count}" in said, said
            wait_until(lambda: pod.get("readinessProbe") == 200, 30, "the DNS was asked")
            late = re.compile(rf"^lwm2m/lwm2m-{count} +(\w+)", re.M)
            assert late.search(pod.exec(shown))[1] == "down", pod.exec(shown)
            serve(count)
            wait_until(lambda: late.search(pod.exec(shown))[1] == "up", 30, "the new server is up")
            time.sleep(2)  # all have moved and spoken
            fleet.child.send_signal(signal.SIGTERM)
            report = fleet.report(30)
            assert report["survived"] == report["handshakes"] == DEVICES and report["exit"] == 0, report
            assert ": good, fingerprint " in pod.exec("cidlb -t -c /run/cidlb/cidlb.conf")
    finally:
        subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main(globals())
