#!/usr/bin/env python3
"""LwM2M's queue mode: a device of Leshan sleeps, and its NAT forgets it. It wakes up with a word from another address,
and for as long as it is awake the server may ask.

All is compressed twofold: NATs that forget after 20 s do so after 10 s, and Leshan takes a device to be awake for 5 s
instead of 10."""

from lwm2m.stand import Stand

from lab.cids import LEARNED, NODE_ID, ways
from harness import FULL, main, wait_until

DEVICES, AWAKE_MS, FORGET_S = 20, 5000, 10
NAPS = 10 if FULL else 3


def slept(stand, devices, before):
    """Leshan says that they sleep, and their NATs have forgotten them."""
    wait_until(
        lambda: all(device.server.count("SLEEPING", device.endpoint) > before[device] for device in devices), 60,
        "Leshan takes all devices to be asleep",
    )
    wait_until(lambda: all(device.nat.has_forgotten() for device in devices), 60, "all NATs have forgotten")


def naps(mode, cids):
    join = {"queue": True, "forget_s": FORGET_S}
    with Stand(mode, DEVICES, server_options=(f"awake={AWAKE_MS}",), join=join, cids=cids) as stand:
        devices, woken = stand.devices, {device: 0 for device in stand.devices}
        for nap in range(NAPS):
            slept(stand, devices, woken)
            for device in devices[:3]:
                status, said = device.server.read(device)
                assert status == 400 and "sleeping" in said.lower(), (status, said)
            woken = {device: device.server.count("SLEEPING", device.endpoint) for device in devices}

            def wake(device):
                # Leshan takes a Notify as a sign of life only where it updates registrations by it.
                notifies = mode == "tunnel" and (nap + device.number) % 2
                (stand.notify if notifies else stand.update)(device)
                stand.read(device)
                stand.write(device)

            stand.all_of(devices, wake)
        stand.check_kept()
        for device in devices:
            assert device.nat.forgotten >= NAPS, (device.endpoint, device.nat.forgotten)
            assert device.server.registrations()[device.endpoint]["queuemode"]
        assert stand.handshakes() == DEVICES
        stand.lb.assert_identities()


def case_nat():
    for cids in ways(NODE_ID):
        naps("nat", cids)


def case_tunnel():
    for cids in ways(LEARNED):
        naps("tunnel", cids)


if __name__ == "__main__":
    main(globals())
