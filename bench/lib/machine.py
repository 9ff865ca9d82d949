"""What a run was made on: hardware, kernel, versions, and what there could disturb it."""

import os
import platform
import re
import subprocess
import time
from pathlib import Path

import harness
from lib.frame import ALLOWED, ROOT, SHARED, read_steal

SYSCTLS = ("net.core.rmem_max", "net.core.wmem_max", "net.core.netdev_max_backlog")
SYSTEM, DMI = Path("/sys/devices/system"), Path("/sys/class/dmi/id")


def said(*argv):
    """What a command says; None if it cannot be run or fails."""
    try:
        return subprocess.check_output(
            argv, stderr=subprocess.STDOUT, text=True, cwd=ROOT, env={**os.environ, "LC_ALL": "C"}
        ).strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def version(*argv):
    """The first version that a command tells."""
    found = re.search(r"\d+(?:\.\d+)+", said(*argv) or "")
    return found and found[0]


def read(file):
    """A text, empty if it cannot be had."""
    try:
        return Path(file).read_text()
    except OSError:
        return ""


def contents(file):
    """A text in one line; None if there is none."""
    return " ".join(read(file).split()) or None


def describe_cpu():
    first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
    numbers = [
        f"{key.removeprefix('cpu ')} {facts[key]}" for key in ("cpu family", "model", "stepping") if key in facts
    ]
    name = facts.get("model name") or platform.processor() or "unknown CPU"
    return name + (f" ({', '.join(numbers)})" if numbers else "")


def describe_caches():
    caches = {}
    for cache in sorted((SYSTEM / f"cpu/cpu{ALLOWED[-1]}/cache").glob("index*")):
        kind = {"Data": "d", "Instruction": "i"}.get(contents(cache / "type"), "")
        caches[f"L{contents(cache / 'level')}{kind}"] = contents(cache / "size")
    return caches


def describe_hypervisor():
    """Its name, "unknown" if it has none, None on bare metal."""
    found = re.search(r"^Hypervisor vendor: *(.+)$", said("lscpu") or "", re.MULTILINE)
    return found[1] if found else "unknown" if "hypervisor" in Path("/proc/cpuinfo").read_text() else None


def describe_build():
    """How the programs were compiled; None where that cannot be seen, as of installed ones."""
    tree = harness.BIN.parent
    kind = re.search(r"^CMAKE_BUILD_TYPE:\w+=(.+)$", read(tree / "CMakeCache.txt"), re.MULTILINE)
    compiler = "".join(read(file) for file in tree.glob("CMakeFiles/*/CMakeCCompiler.cmake"))
    found = [re.search(rf'set\(CMAKE_C_COMPILER_{what} "(.+)"\)', compiler) for what in ("ID", "VERSION")]
    if not kind or not all(found):
        return None
    name = {"GNU": "gcc", "Clang": "clang"}.get(found[0][1], found[0][1])
    return f"{kind[1]}, {name} {found[1][1]}"


def describe_mitigations():
    """Of the weaknesses that this CPU has: what is done."""
    files = sorted((SYSTEM / "cpu/vulnerabilities").glob("*"))
    states = {file.name: contents(file) for file in files}
    return {name: state for name, state in states.items() if state and state != "Not affected"}


def describe():
    git = ("git", "-c", f"safe.directory={ROOT}")
    stolen, ticks = read_steal()
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": " ".join(
            filter(None, (platform.machine(), contents(DMI / "sys_vendor"), contents(DMI / "product_name")))
        ),
        "cpu": describe_cpu(),
        "cpus": len(ALLOWED),
        "caches": describe_caches(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "hypervisor": describe_hypervisor(),
        "kernel": platform.release(),
        "clock": contents(SYSTEM / "clocksource/clocksource0/current_clocksource"),
        "governor": contents(SYSTEM / f"cpu/cpu{ALLOWED[-1]}/cpufreq/scaling_governor"),
        "mitigations": describe_mitigations(),
        "sysctls": {name: contents("/proc/sys/" + name.replace(".", "/")) for name in SYSCTLS},
        "commit": said(*git, "rev-parse", "--short=12", "HEAD"),
        # A report that is written into the tree changes nothing that is measured.
        "changed": bool(said(*git, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench/results")),
        "other_build": "CIDLB_BIN" in os.environ,
        "build": describe_build(),
        "versions": {
            "cidlb": version(harness.BIN / "cidlb", "-V"),
            "Mbed TLS": version("pkg-config", "--modversion", "mbedtls"),
            "liburcu": version("pkg-config", "--modversion", "liburcu"),
            "nginx": version("/usr/sbin/nginx", "-v"),
            "nft": version("/usr/sbin/nft", "--version"),
            "gnuplot": version("gnuplot", "--version"),
        },
        "load_average": os.getloadavg(),
        "steal_since_boot": stolen / max(1, ticks),
        "one_cpu": SHARED,
    }


def commit_of(facts):
    return f"commit {facts['commit'] or 'unknown'}{' with changes' if facts['changed'] else ''}"


def when(facts):
    """By which a scenario that was measured at another time than others is told: perhaps on another machine."""
    return f"{facts['time']}, {commit_of(facts)}, {facts['cpu']}, load {load_of(facts)}"


def load_of(facts):
    return " ".join(f"{load:.2f}" for load in facts["load_average"])


def rows(facts):
    """(what, text): the above for people, with `own_network` as frame.enter() tells."""
    caches = ", ".join(f"{name} {size}" for name, size in facts["caches"].items() if size)
    place = f"{facts['cpus']} CPU{'s' if facts['cpus'] != 1 else ''}"
    place += f", virtual: {facts['hypervisor']}" if facts["hypervisor"] else ""
    load = load_of(facts)
    build = f"{', programs of another build' if facts['other_build'] else ''} ({facts['build'] or 'build unknown'})"
    clock = f"clock {facts['clock'] or 'unknown'}, frequency governor {facts['governor'] or 'none'}"
    sysctls = (f"{name.removeprefix('net.core.')} {value}" for name, value in facts["sysctls"].items() if value)
    text = [
        ("machine", f"{facts['machine']}, {place}, {facts['memory_mib'] / 1024:.1f} GiB"),
        ("CPU", facts["cpu"] + (f", {caches}" if caches else "")),
        ("kernel", f"Linux {facts['kernel']}, {clock}"),
        ("mitigations", "; ".join(f"{name}: {state}" for name, state in facts["mitigations"].items()) or "none needed"),
        ("sysctls", ", ".join(sysctls)),
        ("cidlb", f"{commit_of(facts)}{build}"),
        ("versions", ", ".join(f"{name} {number}" for name, number in facts["versions"].items() if number)),
        ("at the start", f"load {load}, steal since boot {facts['steal_since_boot']:.2%}"),
    ]
    if facts["one_cpu"]:
        text.append(("one CPU", "for load and balancer: nothing here can be compared"))
    if not facts["own_network"]:
        text.append(("network", "the machine's, with what else goes on there"))
    return text
