#!/usr/bin/env python3
"""The OCI image, run by crun: its blobs are what they say, and devices keep their sessions with what it starts.
Usage: image.py FILE"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from deployment import Hosts, ip, run_devices, start_servers  # noqa: E402
from harness import Scene, Skip, main, wait_until  # noqa: E402

FILE = Path(sys.argv[1]).resolve()


def blob(layout, descriptor):
    """The file of a descriptor, which tells the truth."""
    kind, digest = descriptor["digest"].split(":")
    file = layout / "blobs" / kind / digest
    octets = file.read_bytes()
    assert hashlib.new(kind, octets).hexdigest() == digest and len(octets) == descriptor["size"], descriptor
    return file


def make_bundle(scene):
    """What crun runs: root and config.json, with the words of the image."""
    layout, bundle = scene.dir / "layout", scene.dir / "bundle"
    with tarfile.open(FILE) as tar:
        tar.extractall(layout)
    assert json.loads((layout / "oci-layout").read_text())["imageLayoutVersion"] == "1.0.0"
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(blob(layout, index["manifests"][0]).read_text())
    image = json.loads(blob(layout, manifest["config"]).read_text())
    (bundle / "rootfs").mkdir(parents=True)
    for layer in manifest["layers"]:
        subprocess.run(["tar", "--numeric-owner", "-xpzf", blob(layout, layer), "-C", bundle / "rootfs"], check=True)
    subprocess.run(["crun", "spec"], cwd=bundle, check=True)
    spec = json.loads((bundle / "config.json").read_text())
    words = image["config"]
    spec["process"].update(terminal=False, args=words["Entrypoint"] + words["Cmd"], env=words["Env"])
    user, group = (int(number) for number in words["User"].split(":"))
    spec["process"].update(user={"uid": user, "gid": group}, capabilities={})
    spec["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "hard": 20000, "soft": 20000}]
    spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"] if one["type"] != "network"]
    etc = scene.dir / "etc"
    etc.mkdir()
    shutil.copy(bundle / "rootfs/usr/share/doc/cidlb/conf/nat.conf", etc / "cidlb.conf")
    (etc / "hash.key").write_text("5bd1c0a3e97f4f8e9a07d2b6c14e8830\n")
    (etc / "hash.key").chmod(0o400)
    os.chown(etc / "hash.key", user, group)
    spec["mounts"].append({"destination": "/etc/cidlb", "source": str(etc), "options": ["bind", "ro"]})
    (bundle / "config.json").write_text(json.dumps(spec))
    return bundle


def case_image():
    if not shutil.which("crun"):
        raise Skip("needs crun")
    with Hosts() as hosts, Scene() as scene:
        bundle = make_bundle(scene)
        start_servers(hosts, scene)
        ip("-n", hosts.name["balancer"], "route", "add", "local", "10.64.0.0/16", "dev", "lo")
        ip("-n", hosts.name["servers"], "route", "add", "10.64.0.0/16", "via", "10.0.0.1")
        crun = ["crun", "--root", scene.dir / "crun", "--cgroup-manager", "disabled", "run", "--bundle", bundle]
        # crun wants cgroups of version 2 alone, whatever this machine has.
        alone = ["unshare", "--mount", "sh", "-c", 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"', "sh"]
        lb = scene.process("image", *hosts.on("balancer", *alone, *crun, scene.dir.name))
        asked = hosts.on("balancer", "curl", "-s", "http://127.0.0.1:9180/readyz")
        wait_until(lambda: subprocess.run(asked, capture_output=True).stdout == b"ready\n", 30, "cidlb is ready")
        devices = run_devices(hosts, scene, "fleet", 20, rebinds=4, rebind_every=1, loss=5)
        status = devices.wait(120)
        report = json.loads(devices.out.read_text())
        assert status == 0 and report["handshakes"] == report["survived"] == 20, report
        lb.stop()
        print(f"    {report}")


if __name__ == "__main__":
    del sys.argv[1]
    main(globals())
