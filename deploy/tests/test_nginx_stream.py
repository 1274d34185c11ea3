"""deploy/nginx without HTTP, in front of a broker, with the real nginx."""

import pathlib
import unittest

from proxied import FROM_THE_PROXY_ITSELF, PROXY_PROTOCOL, ProxyTests
from support import DEPLOY, free_ports, rendered
from test_nginx import Nginx

FILE = DEPLOY / "nginx" / "tickcast-stream.conf"


class NginxStream(Nginx):
    """nginx without HTTP: it decrypts, and passes connections on."""

    MODULE = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")

    def start(self, replacements):
        self.port = free_ports(1)[0]
        folder = self.folder
        server = rendered(FILE, {
            "server 127.0.0.1:9000;": f"server 127.0.0.1:{self.broker.port};",
            "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
            "listen [::]:443 ssl backlog=4096 sndbuf=128k;": "",
            "/etc/nginx/tickcast/fullchain.pem": str(self.tls.certificate),
            "/etc/nginx/tickcast/privkey.pem": str(self.tls.key),
        } | replacements)  # fmt: skip
        (folder / "tickcast-stream.conf").write_text(server)
        main = f"""load_module {self.MODULE};
            pid {folder}/nginx.pid;
            error_log {folder}/error.log;
            worker_processes 2;
            worker_shutdown_timeout 4h;
            events {{ worker_connections 4096; }}
            stream {{ include {folder}/tickcast-stream.conf; }}"""
        self.run(main)


class NginxStreamTest(ProxyTests, unittest.TestCase):
    PROXY, PROGRAM, FILE = NginxStream, "nginx", FILE
    SETTINGS, FIRST = PROXY_PROTOCOL, FROM_THE_PROXY_ITSELF
    # It has no HTTP to say it in.
    GONE = (0,)
    TIMEOUTS = r"^ *(proxy_timeout) (\d+)s;"
    SILENCE_TIMEOUTS = ["proxy_timeout"]
    SILENCE = {"proxy_timeout 75s": "proxy_timeout 3s"}

    @classmethod
    def setUpClass(cls):
        if not NginxStream.MODULE.exists():
            raise unittest.SkipTest("nginx's stream module is not installed")
        super().setUpClass()
