"""Takes packets out of packets, as the kernel's modules ipip (RFC 2003) and ip6_tunnel (RFC 2473) do, and gives them to
the host that it runs on."""

import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"decap", IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "link", "set", "decap", "mtu", "65535", "up"], check=True)
    v4 = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IPIP)
    v6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_IPV6)
    for sock in (v4, v6):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    print("ready", flush=True)
    while True:
        for sock in select.select([v4, v6], [], [])[0]:
            packet = sock.recv(65535)
            inner = packet[(packet[0] & 15) * 4 :] if sock is v4 else packet  # of IPv6 there is no outer header
            os.write(tun, inner)


if __name__ == "__main__":
    main()
