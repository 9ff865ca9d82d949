"""How long the turns of a thread at a CPU are."""

import ctypes
import os
import struct
import threading

SETATTR, GETATTR = {"x86_64": (314, 315), "aarch64": (274, 275)}[os.uname().machine]
ATTRIBUTES = struct.Struct("=IIQiIQQQ")  # of sched_setattr(2)
SHORT_NS = 100_000


def sched_call(number, *args):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *args) != 0:
        raise OSError(ctypes.get_errno(), "sched_setattr or sched_getattr")


def turn_ns(thread):
    """How long its turns at a CPU are. 0: before Linux 6.12 nobody knows."""
    attributes = ctypes.create_string_buffer(ATTRIBUTES.size)
    sched_call(GETATTR, thread, attributes, ATTRIBUTES.size, 0)
    return ATTRIBUTES.unpack(attributes)[5]


def short_here():
    """What turn_ns() is once it has been made short, on this machine."""
    told = []

    def ask():
        sched_call(SETATTR, 0, ATTRIBUTES.pack(ATTRIBUTES.size, os.SCHED_OTHER, 0, 0, 0, SHORT_NS, 0, 0), 0)
        told.append(turn_ns(0))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return told[0]
