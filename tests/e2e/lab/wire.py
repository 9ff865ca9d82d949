"""What servers got on the wire of loopback, as a packet socket shows it: no server, and nothing of cidlb, is asked."""

import select
import socket
import struct
import time

from harness import AS_ROOT, Skip, wait_until
from proxy2 import SIGNATURE

from lab.background import Background
from lab.road import begins_hello

ETH_P_ALL, PACKET_HOST, SOL_PACKET, PACKET_VNET_HDR, SO_RCVBUFFORCE = 3, 0, 263, 15, 33
VNET_OCTETS, ETHERNET_OCTETS, IPV4_OCTETS, IPV6_OCTETS, UDP_OCTETS = 10, 14, 20, 40, 8
UDP = 17
MARK = b"mark"  # no server takes it for DTLS


def udp_payloads(packet):
    """(source, destination port, payload) of each UDP datagram of a packet behind a virtio header: trains of datagrams
    pass loopback in one piece."""
    (segment,) = struct.unpack_from("=H", packet, 4)  # struct virtio_net_hdr.gso_size
    gso = packet[1]
    packet = packet[VNET_OCTETS:]
    (protocol,) = struct.unpack_from("!H", packet, 12)
    ip = packet[ETHERNET_OCTETS:]
    if protocol == 0x0800 and ip[0] == 0x45 and ip[9] == UDP:
        source, udp = ip[12:16], ip[IPV4_OCTETS:]
    elif protocol == 0x86DD and ip[6] == UDP:
        source, udp = ip[8:24], ip[IPV6_OCTETS:]
    else:
        return
    (port,) = struct.unpack_from("!H", udp, 2)
    payload = udp[UDP_OCTETS:]
    step = segment if gso and segment else len(payload)
    for at in range(0, len(payload), step or 1):
        yield source + udp[:2], port, payload[at : at + step]


def without_header(datagram):
    """What a tunnel's header stands before: (device or None, payload)."""
    if datagram[:12] != SIGNATURE:
        return None, datagram
    end = 16 + int.from_bytes(datagram[14:16], "big")
    device = socket.inet_ntoa(datagram[16:20]), int.from_bytes(datagram[24:26], "big")
    return device, datagram[end:]


class Wire(Background):
    """A thread. `ports`: {port: number of the server}, to which more may be added. What belongs to a handshake of the
    road is noted there, in Handshake.got; `strays` is what nobody's device sent, such as probes."""

    def __init__(self, road, ports):
        if not AS_ROOT:
            raise Skip("needs root for a packet socket")
        super().__init__()
        self.road, self.ports, self.strays = road, ports, 0
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 25)
        self.sock.bind(("lo", 0))
        self.sock.setblocking(False)
        self.ends = {}  # by what a server sees as the source: the device whose ClientHello came from it
        self.marks = 0

    def __exit__(self, *error):
        super().__exit__(*error)
        self.sock.close()

    def now(self):
        """time.monotonic() at which all that was on the wire by now has been noted."""
        seen, (port, *_) = self.marks, self.ports
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(MARK, ("127.0.0.1", port))
        wait_until(lambda: self.marks > seen, 20, "a datagram is on the wire")
        return time.monotonic()

    def _run(self):
        while self.running:
            if not select.select([self.sock], [], [], 0.05)[0]:
                continue
            try:
                packet, address = self.sock.recvfrom(1 << 17)
            except BlockingIOError:
                continue
            if address[2] != PACKET_HOST:  # loopback shows each packet twice
                continue
            for source, port, datagram in udp_payloads(packet):
                if port in self.ports:
                    self._note(self.ports[port], source, *without_header(datagram))

    def _note(self, server, source, device, datagram):
        """Nearly all datagrams are unlike all others. The rest belongs to whose ClientHello came that way."""
        self.marks += datagram == MARK
        with self.road.lock:
            sent = [h for h in self.road.sent.get(datagram, []) if device in (None, h.device)]
            if len(sent) > 1:
                sent = [h for h in sent if h.device == self.ends.get(source)]
            if not sent:
                self.strays += 1
                return
            if begins_hello(datagram):
                self.ends[source] = sent[-1].device
            sent[-1].got.append((time.monotonic(), server, datagram))
