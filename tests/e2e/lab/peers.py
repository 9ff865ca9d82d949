"""DTLS servers and devices of others, driven by the lines of tests/interop/peers/lines.h."""

import ctypes
import signal
import subprocess
import threading
from collections import namedtuple
from pathlib import Path

from harness import Process, Skip, wait_until

BUILT = Path(__file__).parents[3] / "build-test-servers"
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def built(name):
    """The path of what tests/interop/peers/build makes."""
    reason = BUILT / f"{name}.reason"
    if reason.exists():
        raise Skip(f"no {name}: {reason.read_text().strip()}")
    if not (BUILT / f"{name}.sum").exists():
        raise Skip("tests/interop/peers/build was not run")
    return BUILT / name


class LinePeer(Process):
    """A process that says and takes lines. `hear(verb, number, words)` is called in a thread of its own."""

    def __init__(self, scene, name, argv, hear):
        super().__init__(scene, name, argv)
        self.hear, self.ready, self.lock = hear, threading.Event(), threading.Lock()

    def start(self):
        return self.launch().wait_ready()

    def launch(self):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd="/", text=True,
                preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
            )
        self.asked = False
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def wait_ready(self):
        wait_until(lambda: self.ready.is_set() or not self.alive(), 60, f"{self.name} is ready")
        return self

    def _read(self):
        for line in self.child.stdout:
            words = line.split(maxsplit=2)
            if words == ["ready"]:
                self.ready.set()
            elif len(words) >= 2 and words[1].isdigit():
                self.hear(words[0], int(words[1]), words[2].strip() if len(words) > 2 else "")

    def tell(self, line):
        with self.lock:
            try:
                self.child.stdin.write(line + "\n")
                self.child.stdin.flush()
            except (OSError, ValueError):
                pass  # it has ended, which its scene finds out

    def stop(self, timeout=10):
        """It ends with its standard input."""
        with self.lock:
            self.child.stdin.close()
        status = self.wait(timeout)
        assert status == 0, f"{self.name} ended with status {status}"


# A kind of server: what it is called, its argv before PORT and ID and behind them, the argv of its devices.
Kind = namedtuple("Kind", "title program before behind device", defaults=((), (), ("device",)))


def java(jars, program="Lines", megabytes=96):
    small = [f"-Xmx{megabytes}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return ["java", *small, "-cp", f"{jars}/*:{jars}", program]


_CERTIFICATE = (BUILT / "ecdsa.pem", BUILT / "ecdsa.key")

KINDS = {
    "mbedtls": Kind("Mbed TLS 3.6, cookies", "mbed_server"),
    "libcoap": Kind(
        "moves before it verifies, as libcoap 4.3.5", "mbed_server", behind=("move-first",)
    ),
    "pion": Kind("pion 3.1.15", "pion_newest"),
    "pion_3_0_0": Kind("pion 3.0.0", "pion_lines"),
    "californium": Kind("Californium 4.0.0-M6", "scandium"),
    "californium_3": Kind("Californium 3.14.0", "californium"),
    "wolfssl": Kind("wolfSSL 5.9, pending peer", "wolf", before=("server",)),
    # These never take another address than that of the handshake.
    "wolfssl_connected": Kind(
        "wolfSSL 5.9, a connected socket per peer", "wolf", before=("server",), behind=("connected",)
    ),
    "pion_rejects": Kind("pion 4.0.1, DTLS 1.2, rejects", "pion_v4", before=("server",), behind=("1.2", "reject")),
    "pion_rejects13": Kind(
        "pion 4.0.1, DTLS 1.3, rejects", "pion_v4", before=("server",), behind=("1.3", "reject"),
        device=("pion_v4", "device", "1.3"),
    ),
    "rrc": Kind(
        "pion 4.0.1, DTLS 1.2, RRC", "pion_v4", before=("server",), behind=("1.2",), device=("pion_v4", "device", "1.2")
    ),
    "rrc13": Kind(
        "pion 4.0.1, DTLS 1.3, RRC", "pion_v4", before=("server",), behind=("1.3",),
        device=("pion_v4", "device", "1.3"),
    ),
    "unchecked13": Kind(
        "pion 4.0.1, DTLS 1.3, no RRC", "pion_v4", before=("server",), behind=("1.3", "unsafe"),
        device=("pion_v4", "device", "1.3", "unsafe"),
    ),
    # Devices with CIDs of their own.
    "rrc13_cid": Kind(
        "pion 4.0.1, DTLS 1.3, RRC, CIDs both ways", "pion_v4", before=("server",), behind=("1.3",),
        device=("pion_v4", "device", "1.3", "cid"),
    ),
    "unchecked13_cid": Kind(
        "pion 4.0.1, DTLS 1.3, no RRC, CIDs both ways", "pion_v4", before=("server",), behind=("1.3", "unsafe"),
        device=("pion_v4", "device", "1.3", "unsafe", "cid"),
    ),
    "wolfssl13_server": Kind("wolfSSL 5.9, DTLS 1.3", "wolf", before=("server",), behind=("1.3",)),
    "purecrypto": Kind(
        "purecrypto 0.10.4, DTLS 1.3", "purecrypto", before=("server",), behind=_CERTIFICATE,
        device=("purecrypto", "device"),
    ),
    "purecrypto_cid": Kind(
        "purecrypto 0.10.4, DTLS 1.3, CIDs both ways", "purecrypto", before=("server",), behind=_CERTIFICATE,
        device=("purecrypto", "device", "cid"),
    ),
}

# Nobody here has CIDs. (server, devices), each a program with its arguments.
_OPENSSL = ("OpenSSL 3.0", "openssl_lines", ())
_LIBCOAP = ("libcoap 4.3 over OpenSSL", "libcoap_openssl", ())
_LIBCOAP_GNUTLS = ("libcoap 4.3 over GnuTLS", "libcoap_gnutls", ())
_AIOCOAP = ("aiocoap 0.4.17 (DTLSSocket 0.2.3)", "aiocoap", ())
_LIBCOAP_PLAIN = ("libcoap 4.3, plain", "libcoap_openssl", ("plain",))
_AIOCOAP_PLAIN = ("aiocoap 0.4.17, plain", "aiocoap", ("plain",))


def _without_cids(server, devices):
    title, program, words = server
    device_title, device_program, device_words = devices
    return Kind(
        f"{title}, devices of {device_title}", program, before=("server",), behind=words,
        device=(device_program, "device", *device_words),
    )


KINDS |= {
    "openssl": _without_cids(_OPENSSL, _OPENSSL),
    "openssl_mbedtls": Kind("OpenSSL 3.0, devices of Mbed TLS 3.6", "openssl_lines", before=("server",)),
    "mbedtls_openssl": Kind("Mbed TLS 3.6, devices of OpenSSL 3.0", "mbed_server", device=("openssl_lines", "device")),
    "libcoap_openssl": _without_cids(_LIBCOAP, _LIBCOAP),
    "libcoap_gnutls": _without_cids(_LIBCOAP_GNUTLS, _LIBCOAP_GNUTLS),
    "aiocoap": _without_cids(_AIOCOAP, _AIOCOAP),
    "aiocoap_libcoap": _without_cids(_AIOCOAP, _LIBCOAP),
    "libcoap_aiocoap": _without_cids(_LIBCOAP, _AIOCOAP),
    # These resume sessions, by session id or by ticket.
    "openssl_ids": Kind(
        "OpenSSL 3.0, session ids", "openssl_lines", before=("server",), behind=("ids",),
        device=("openssl_lines", "device", "resumes"),
    ),
    "openssl_tickets": Kind(
        "OpenSSL 3.0, tickets", "openssl_lines", before=("server",), behind=("tickets",),
        device=("openssl_lines", "device", "resumes"),
    ),
    "mbedtls_ids": Kind("Mbed TLS 3.6, session ids", "mbed_server", behind=("ids",)),
    "mbedtls_tickets": Kind("Mbed TLS 3.6, tickets", "mbed_server", behind=("tickets",)),
    "mbedtls_openssl_ids": Kind(
        "Mbed TLS 3.6, session ids, devices of OpenSSL 3.0", "mbed_server", behind=("ids",),
        device=("openssl_lines", "device", "resumes"),
    ),
    "californium_openssl_ids": Kind(
        "Californium 4.0.0-M6, session ids, devices of OpenSSL 3.0", "scandium",
        device=("openssl_lines", "device", "resumes"),
    ),
    "wolfssl_ids": Kind(
        "wolfSSL 5.9, session ids, devices of Mbed TLS 3.6", "wolf", before=("server",), behind=("ids",)
    ),
    "openssl_mbedtls_tickets": Kind(
        "OpenSSL 3.0, tickets, devices of Mbed TLS 3.6", "openssl_lines", before=("server",), behind=("tickets",)
    ),
    "libcoap_plain": _without_cids(_LIBCOAP_PLAIN, _LIBCOAP_PLAIN),
    "aiocoap_plain": _without_cids(_AIOCOAP_PLAIN, _AIOCOAP_PLAIN),
}


def _with(server, devices, *argv):
    """The same server with devices of another stack, or of its own."""
    return KINDS[server]._replace(title=f"{KINDS[server].title}, devices of {devices}", device=argv)


KINDS |= {
    "mbedtls_wolfssl": _with("mbedtls", "wolfSSL 5.9", "wolf", "device", "1.2"),
    "mbedtls_californium": _with("mbedtls", "Californium 4.0.0-M6", "scandium"),
    "mbedtls_californium_3": _with("mbedtls", "Californium 3.14.0, CIDs both ways", "californium", "cid"),
    "pion_pion": _with("pion", "pion 3.1.15, CIDs both ways", "pion_newest", "device", "cid"),
    "pion_wolfssl": _with("pion", "wolfSSL 5.9, CIDs both ways", "wolf", "device", "1.2", "cid"),
    "californium_californium": _with("californium", "Californium 4.0.0-M6, CIDs both ways", "scandium", "cid"),
    "californium_3_californium_3": _with("californium_3", "Californium 3.14.0", "californium"),
    "wolfssl_pion": _with("wolfssl", "pion 3.1.15", "pion_newest", "device"),
    "wolfssl_wolfssl": _with("wolfssl", "wolfSSL 5.9, CIDs both ways", "wolf", "device", "1.2", "cid"),
    "rrc_wolfssl": _with("rrc", "wolfSSL 5.9, without RRC", "wolf", "device", "1.2"),
    "rrc13_wolfssl": _with("rrc13", "wolfSSL 5.9, without RRC", "wolf", "device", "1.3"),
    "unchecked13_wolfssl": _with("unchecked13", "wolfSSL 5.9", "wolf", "device", "1.3"),
    "unchecked13_wolfssl_cid": _with("unchecked13", "wolfSSL 5.9, CIDs both ways", "wolf", "device", "1.3", "cid"),
    "wolfssl13": _with("wolfssl13_server", "pion 4.0.1", "pion_v4", "device", "1.3"),
    "wolfssl13_cid": _with("wolfssl13_server", "pion 4.0.1, CIDs both ways", "pion_v4", "device", "1.3", "cid"),
    "wolfssl13_wolfssl": _with("wolfssl13_server", "wolfSSL 5.9", "wolf", "device", "1.3"),
    "wolfssl13_wolfssl_cid": _with(
        "wolfssl13_server", "wolfSSL 5.9, CIDs both ways", "wolf", "device", "1.3", "cid"
    ),
}


def server_argv(kind, port, number):
    program = built(kind.program)
    start = java(program) if program.is_dir() else [program]
    return [*start, *kind.before, port, number, *kind.behind]


def device_argv(kind):
    program = built(kind.device[0])
    start = java(program, "Devices") if program.is_dir() else [program]
    return [*start, *kind.device[1:]]
