"""What may be on an interface: the links of a cidlb, and where they outlive it. And an XDP program that passes everything
up, with a map of its own, which another version of cidlb, or somebody else, may have left."""

import contextlib
import ctypes
import os
import platform
import re
import socket
import struct
import subprocess
from pathlib import Path

from harness import Skip

SYS_BPF = {"x86_64": 321, "aarch64": 280}
MAP_CREATE, PROG_LOAD, OBJ_PIN, LINK_CREATE = 0, 5, 6, 28
MAP_TYPE_ARRAY, PROG_TYPE_XDP, ATTACH_XDP = 2, 6, 37
XDP_FLAGS_DRV_MODE = 1 << 2
PSEUDO_MAP_FD = 1
ATTRIBUTES_OCTETS = 128


def links_of(pid, fds=None):
    """The numbers of the links to interfaces that a process has."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fdinfo") if fds is None else fds:
        with contextlib.suppress(FileNotFoundError):  # closed by now
            text = Path(f"/proc/{pid}/fdinfo/{fd}").read_text()
            found += re.findall(r"link_type:\s*xdp\s+link_id:\s*(\d+)", text)
    return sorted(found)


@contextlib.contextmanager
def bpf_file_system(lb):
    """cidlb runs where a bpf file system is mounted, which outlives it. Yields a function: the links there."""
    holder = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", "mount -t bpf -o mode=700 bpf /sys/fs/bpf && echo && exec sleep 3600"],
        stdout=subprocess.PIPE
    )
    try:
        if not holder.stdout.readline():
            raise Skip("no bpf file system can be mounted here")
        lb.argv[:0] = ["nsenter", "--target", str(holder.pid), "--mount"]
        root = Path(f"/proc/{holder.pid}/root/sys/fs/bpf/cidlb")
        yield lambda: [file.name for file in root.rglob("*") if not file.is_dir()]
    finally:
        holder.kill()
        holder.wait()


def bpf(command, attributes):
    """The descriptor that bpf() gives, or 0."""
    libc = ctypes.CDLL(None, use_errno=True)
    given = ctypes.create_string_buffer(attributes, ATTRIBUTES_OCTETS)
    done = libc.syscall(SYS_BPF[platform.machine()], command, given, ATTRIBUTES_OCTETS)
    if done < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return done


def pass_all():
    """The descriptor of the program."""
    own_map = bpf(MAP_CREATE, struct.pack("=IIII", MAP_TYPE_ARRAY, 4, 24, 7))
    words = [
        (0x18, 1 | PSEUDO_MAP_FD << 4, 0, own_map), (0, 0, 0, 0),  # r1 = the map
        (0xB7, 0, 0, 2),  # r0 = XDP_PASS
        (0x95, 0, 0, 0),  # exit
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=BBhi", *word) for word in words))
    license = ctypes.create_string_buffer(b"Apache-2.0")
    head = struct.pack("=IIQQ", PROG_TYPE_XDP, len(words), ctypes.addressof(code), ctypes.addressof(license))
    program = bpf(PROG_LOAD, head.ljust(68, b"\0") + struct.pack("=I", ATTACH_XDP))
    os.close(own_map)
    return program


def leave(program, interface, path):
    """Puts it on an interface, where a link at this path in a bpf file system keeps it. The link's number."""
    index = socket.if_nametoindex(interface)
    link = bpf(LINK_CREATE, struct.pack("=IIII", program, index, ATTACH_XDP, XDP_FLAGS_DRV_MODE))
    name = ctypes.create_string_buffer(str(path).encode())
    bpf(OBJ_PIN, struct.pack("=QI", ctypes.addressof(name), link))
    number = links_of("self", [link])
    os.close(link)
    return number
