"""An echo server that knows nothing of tunnels: each answer says from where its request came, to its eyes.

    echo.py MODE IP PORT
"""

import os
import select
import signal
import socket
import subprocess
import sys

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
mode, ip, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in ip else socket.AF_INET
sock = socket.socket(family, socket.SOCK_DGRAM)
IP_PKTINFO = 8


def text(source):
    return f"{source[0]} {source[1]} ".encode()


def say(line):
    print(line, flush=True)


def with_recvfrom():
    while True:
        data, source = sock.recvfrom(2048)
        sock.sendto(text(source) + data, source)


def with_recvmsg():
    """Answers from the address that was asked; its buffers are small, so that headers go over many."""
    if family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    while True:
        buffers = [bytearray(7) for _ in range(40)]
        size, control, flags, source = sock.recvmsg_into(buffers, 256)
        level, kind, value = control[0]
        asked = socket.inet_ntop(family, value[8:12] if family == socket.AF_INET else value[:16])
        data = b"".join(buffers)[:size]
        pieces = [text(source), f"{asked} {int(bool(flags & socket.MSG_TRUNC))} ".encode(), data]
        sock.sendmsg(pieces, [(level, kind, value)], 0, source)


def with_peek():
    """Looks first, then takes too little: how long it was is known all the same."""
    while True:
        head, first = sock.recvfrom(4, socket.MSG_PEEK)
        data, source = sock.recvfrom(4)
        assert (head, first) == (data, source), (head, first, data, source)
        full = sock.recvfrom_into(bytearray(4), 4, socket.MSG_TRUNC)
        sock.sendto(text(source) + data + b" %d" % full[0], source)


def with_life():
    """A copy of the socket after the first is closed, and children, which close what they inherited, in between."""
    global sock
    copy = sock.dup()
    sock.close()
    os.dup2(copy.fileno(), 100)
    copy.close()
    sock = socket.socket(fileno=100)
    while True:
        data, source = sock.recvfrom(2048)
        subprocess.run(["true"], check=True)
        subprocess.run(["true"], check=True, preexec_fn=int)
        sock.sendto(text(source) + data, source)


def with_nonblocking():
    sock.setblocking(False)
    while True:
        select.select([sock], [], [])
        try:
            data, source = sock.recvfrom(2048)
        except BlockingIOError:
            say("EAGAIN")
            continue
        sock.sendto(text(source) + data, source)


def with_connect():
    try:
        sock.connect(("127.0.0.1", 9))
    except OSError as error:
        say(f"connect: {error.errno}")
    with_recvfrom()


def with_options():
    for option in 1, 103, 104:  # UDP_CORK, UDP_SEGMENT, UDP_GRO
        try:
            sock.setsockopt(socket.IPPROTO_UDP, option, 1)
        except OSError as error:
            say(f"option {option}: {error.errno}")
    with_recvfrom()


def with_reuse():
    """What had a tunnelled socket's number is read as it is."""
    global sock
    number = sock.fileno()
    sock.close()
    plain = socket.socket(family, socket.SOCK_DGRAM)
    assert plain.fileno() == number
    plain.bind((ip, 0))
    sender = socket.socket(family, socket.SOCK_DGRAM)
    sender.sendto(b"plain", plain.getsockname())
    say(plain.recvfrom(100)[0].decode())
    plain.close()
    sock = socket.socket(family, socket.SOCK_DGRAM)
    assert sock.fileno() == number
    sock.bind((ip, port))
    with_recvfrom()


if mode == "taken":  # bound by the process that this one was: PORT is its number
    sock = socket.socket(fileno=port)
    say("ready")
    with_recvfrom()
try:
    sock.bind((ip, port))
except OSError as error:
    say(f"bind: {error.errno}")
    sys.exit(1)
if mode == "inherited":
    os.set_inheritable(sock.fileno(), True)
    os.execvp(sys.executable, [sys.executable, __file__, "taken", ip, str(sock.fileno())])
say("ready")
globals()["with_" + mode]()
