"""Certificates of servers and devices (ECDSA, P-256), as cidlb-backend and cidlb-fleet take them."""

import shutil
import subprocess

from lib import frame

EXTENSIONS = {
    "server": "subjectAltName=DNS:coaps.fleet.example\nextendedKeyUsage=serverAuth\n",
    "device": "extendedKeyUsage=clientAuth\n",
}
SUBJECTS = {"server": "/O=Example Metering/CN=coaps.fleet.example", "device": "/CN=urn:dev:ops:32473-meter-00017"}
NEW = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout")


def require():
    if not shutil.which("openssl"):
        raise frame.LeftOut("needs openssl")


def openssl(*arguments):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30).stdout


def make(directory):
    """An authority, and a certificate each of the server and of all devices: (their files, {name: octets})."""
    ca, ca_key = directory / "ca.pem", directory / "ca.key"
    openssl("req", "-x509", *NEW, ca_key, "-subj", "/O=Example Metering/CN=Fleet CA", "-days", 30, "-out", ca)
    files, octets = {}, {}
    for name, extensions in EXTENSIONS.items():
        key, request, own, wanted = (directory / f"{name}.{kind}" for kind in ("key", "csr", "pem", "extensions"))
        wanted.write_text(f"keyUsage=critical,digitalSignature\n{extensions}")
        openssl("req", *NEW, key, "-subj", SUBJECTS[name], "-out", request)
        issue = ("-CA", ca, "-CAkey", ca_key, "-set_serial", "0x1000000000000001", "-days", 30, "-extfile", wanted)
        openssl("x509", "-req", "-in", request, *issue, "-out", own)
        octets[name] = len(openssl("x509", "-in", own, "-outform", "DER"))
        files[name] = directory / f"{name}.all"
        files[name].write_text("".join(file.read_text() for file in (key, own, ca)))
    return files, octets
