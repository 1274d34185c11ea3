"""deploy/nginx in front of a broker, with the real nginx."""

import pathlib
import shutil
import subprocess
import unittest

from proxied import Proxy, ProxyTests
from support import DEPLOY, free_ports, program, rendered, run, until

FILE = DEPLOY / "nginx" / "tickcast.conf"


class Nginx(Proxy):
    def start(self, replacements):
        self.port = free_ports(1)[0]
        folder = self.folder
        (folder / "conf.d").mkdir()
        server = rendered(FILE, {
            "server 127.0.0.1:9000;": f"server 127.0.0.1:{self.broker.port};",
            "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
            "listen [::]:443 ssl http2 backlog=4096 sndbuf=128k;": "",
            "/etc/nginx/tickcast/fullchain.pem": str(self.tls.certificate),
            "/etc/nginx/tickcast/privkey.pem": str(self.tls.key),
        } | replacements)  # fmt: skip
        (folder / "conf.d" / "tickcast.conf").write_text(server)
        # The directories for bodies that are too large for memory: the test's user may not write to the usual ones.
        directories = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        main = rendered(DEPLOY / "nginx" / "nginx.conf", {
            "/run/nginx.pid": f"{folder}/nginx.pid",
            "/var/log/nginx/": f"{folder}/",
            "server_tokens off;": f"server_tokens off; {directories}",
            "worker_connections 131072": "worker_connections 4096",
            "worker_rlimit_nofile 262144": "worker_rlimit_nofile 8192",
        })  # fmt: skip
        self.run(main)

    def run(self, main):
        """Starts it with this main configuration."""
        folder = self.folder
        (folder / "nginx.conf").write_text(main)
        code, output = run(*self.command(), "-t")
        # The only warning that is allowed is about the user, which only root can choose.
        if code != 0 or any("[warn]" in line and '"user"' not in line for line in output.splitlines()):
            raise AssertionError(output)
        with (folder / "nginx.log").open("w") as log:
            self.process = subprocess.Popen([*self.command(), "-g", "daemon off;"], stdout=log, stderr=log)

    def command(self):
        return [program("nginx"), "-p", f"{self.folder}/", "-c", f"{self.folder}/nginx.conf", "-e", f"{self.folder}/error.log"]

    def reload(self):
        old = [pathlib.Path(f"/proc/{pid}/cmdline") for pid in self.workers()]
        code, output = run(*self.command(), "-s", "reload")
        if code != 0:
            raise AssertionError(output)
        # Until then they and the new ones accept connections.
        until("the old workers accept no more", lambda: all(not one.exists() or "shutting down" in one.read_text() for one in old))


class NginxTest(ProxyTests, unittest.TestCase):
    PROXY, PROGRAM, FILE = Nginx, "nginx", FILE
    TIMEOUTS = r"^ *(proxy_read_timeout|proxy_send_timeout|send_timeout) (\d+)s;"
    SILENCE_TIMEOUTS = ["proxy_read_timeout", "proxy_send_timeout", "send_timeout"]
    SILENCE = {f"{name} 75s": f"{name} 3s" for name in ("proxy_read_timeout", "proxy_send_timeout")}

    def test_an_ingress_names_the_client_alone(self):
        # As ingress-nginx does unless it is told that another proxy is in front of it.
        broker, proxy = self.own({"X-Forwarded-For $proxy_add_x_forwarded_for": "X-Forwarded-For $remote_addr"})
        one = self.subscriber(proxy, source="127.0.0.2", additional_headers=[("X-Forwarded-For", "198.51.100.1")])
        self.assertEqual(broker.remote(one.hello["session"]), "127.0.0.2")

    def test_a_configuration_that_is_wrong_leaves_the_old_one_in_place(self):
        _, proxy = self.own({})
        file = proxy.folder / "conf.d" / "tickcast.conf"
        shutil.copy(file, proxy.folder / "good.conf")
        file.write_text("nonsense on;")
        with self.assertRaises(AssertionError):
            proxy.reload()
        self.assertEqual(proxy.curl("/v1/topics")[0], 200)
        shutil.copy(proxy.folder / "good.conf", file)
        proxy.reload()
        self.subscriber(proxy)
