"""nginx as a balancer of UDP, as Debian has it: the server follows from the source's address alone."""

from pathlib import Path

from harness import Process, wait_until
from lib import frame
from lib.sockets import is_bound

PROGRAM, STREAM = Path("/usr/sbin/nginx"), Path("/usr/lib/nginx/modules/ngx_stream_module.so")
CONF = """
load_module {module};
daemon off;
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {dir}/nginx.pid;
error_log stderr warn;
user nobody nogroup;
events {{ worker_connections {connections}; }}
stream {{
  upstream servers {{ hash $remote_addr consistent; {servers} }}
  server {{ listen {target} udp reuseport rcvbuf=4m; proxy_pass servers; {options} }}
}}
"""


def require():
    """Raises LeftOut where nginx is not installed."""
    if not PROGRAM.exists() or not STREAM.exists():
        raise frame.LeftOut("not installed (packaging/deps --bench)")


class Nginx(Process):
    """A master and its worker, on the balancer's CPU.

    `servers`: ADDRESS:PORT of each, and behind it parameters of nginx if there are any.
    """

    def __init__(self, scene, target, servers, descriptors=20000, connections=8192, options=""):
        self.target, self.file = target, scene.dir / "nginx.conf"
        self.settings = {"module": STREAM, "dir": scene.dir, "target": target, "options": options}
        self.settings |= {"descriptors": descriptors, "connections": connections}
        self.write(servers)
        super().__init__(scene, "nginx", [PROGRAM, "-e", "stderr", "-p", scene.dir, "-c", self.file])
        frame.pinned(self, frame.BALANCER_CPU)

    def write(self, servers):
        lines = " ".join(f"server {server};" for server in servers)
        self.file.write_text(CONF.format(servers=lines, **self.settings))

    def pids(self):
        return frame.processes_of(self.pid)

    def start(self):
        super().start()
        wait_until(lambda: not self.alive() or len(self.pids()) == 2, 10, "nginx has its worker")
        wait_until(lambda: not self.alive() or is_bound(self.target), 10, "nginx listens")
        return self
