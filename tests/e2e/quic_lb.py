#!/usr/bin/env python3
"""Encrypted CIDs lead to the servers that they are of, also while keys are changed."""

import json
import subprocess

from harness import BIN, Scene, main, wait_until
from udp import forge, open_socket, parse_address

KEYS = ("8f95f09245765f80256934e50c66207f", "fdf726a9893ec05c0632d3956680baf0")


def config(rotation, **options):
    return {"rotation": rotation, "server_id_length": 2, "nonce_length": 6, "key": KEYS[rotation], **options}


def mint(lb, server, rotation, count=20):
    command = [BIN / "cidlbctl", "cid", "mint", "coaps", server, "-c", lb.file, "--json"]
    answer = subprocess.run([*command, "--rotation", str(rotation), "--count", str(count)], check=True, capture_output=True, text=True)
    return [bytes.fromhex(cid) for cid in json.loads(answer.stdout)["cids"]]


class Servers:
    """Sockets in place of servers: what comes is held against what was sent to whom."""

    def __init__(self):
        self.sockets = {name: open_socket("127.0.0.1") for name in "ab"}
        for sock in self.sockets.values():
            sock.settimeout(5)

    def entries(self):
        return [
            {"name": name, "id": number, "address": "%s:%d" % sock.getsockname()}
            for number, (name, sock) in enumerate(self.sockets.items(), 258)
        ]

    def expect(self, device, name, cid):
        datagram = forge(cid)
        device.send(datagram)
        assert self.sockets[name].recv(2048) == datagram, (name, cid.hex())


def check_all(servers, device, cids):
    for (name, _rotation), some in cids.items():
        for cid in some:
            servers.expect(device, name, cid)


def case_keys_change_and_no_session_is_lost():
    with Scene() as scene:
        servers = Servers()
        pool = scene.pool("coaps", servers.entries(), health={"probe": "none"}, cid={"scheme": "quic-lb", "configs": [config(0)]})
        lb = scene.cidlb([pool])
        device = open_socket("127.0.0.1")
        device.setblocking(True)
        device.connect(parse_address(lb.address()))
        cids = {(name, 0): mint(lb, name, 0) for name in "ab"}
        check_all(servers, device, cids)
        pool["cid"]["configs"].append(config(1))
        lb.reload()
        cids |= {(name, 1): mint(lb, name, 1) for name in "ab"}
        check_all(servers, device, cids)
        # Configurations come and go under way; both configs live on.
        for _ in range(10):
            pool["cid"]["configs"].reverse()
            lb.reload()
            check_all(servers, device, {key: some[:2] for key, some in cids.items()})
        pool["cid"]["configs"] = [config(1)]
        lb.reload()
        check_all(servers, device, {key: some for key, some in cids.items() if key[1] == 1})
        before = lb.metric("cidlb_datagrams_total", verdict="unknown_cid")
        device.send(forge(cids["a", 0][0]))
        wait_until(lambda: lb.metric("cidlb_datagrams_total", verdict="unknown_cid") == before + 1, 5, "a retired config is unknown")
        lb.wait_log("a CID is of rotation 0, which none of cid.configs has", 15)
        lb.assert_identities()


if __name__ == "__main__":
    main(globals())
