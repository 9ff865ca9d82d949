"""Programs to which the kernel refuses something, by a filter of system calls that they inherit."""

import ctypes
import errno
import os
import struct
import sys

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h
CALL_AT, ARGUMENT_AT = 0, 16  # linux/seccomp.h: the number, and the low half of the first argument
REFUSE, ALLOW = 0x00050000, 0x7FFF0000
SOCKET = {"x86_64": 41, "aarch64": 198}


def without_family(family, argv):
    """The command that starts `argv` so that it can open no socket of that family, as systemd's
    RestrictAddressFamilies= has it."""
    return [sys.executable, __file__, str(family), *argv]


def enter(family):
    code = b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in (
            (LOAD, 0, 0, CALL_AT),
            (IF_EQUAL, 0, 3, SOCKET[os.uname().machine]),
            (LOAD, 0, 0, ARGUMENT_AT),
            (IF_EQUAL, 0, 1, family),
            (RETURN, 0, 0, REFUSE | errno.EAFNOSUPPORT),
            (RETURN, 0, 0, ALLOW),
        )
    )
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no filter")


if __name__ == "__main__":
    enter(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
