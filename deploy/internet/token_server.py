"""Serves the page, and gives its users tokens for the broker: python3 token_server.py"""

import hashlib, hmac, http.server, json, pathlib, ssl, time, urllib.parse

import jwt  # PyJWT, which needs the package cryptography

ORIGIN, PORT, TOKEN_S = "https://localhost:8443", 8443, 300
HERE = pathlib.Path(__file__).parent


def token(name, password):
    user = json.loads((HERE / "users.json").read_text()).get(name, {"salt": "", "scrypt": ""})
    # Also for a name that does not exist, so that an answer takes as long.
    tried = hashlib.scrypt(password.encode(), salt=bytes.fromhex(user["salt"]), n=2**14, r=8, p=1, dklen=32)
    if not hmac.compare_digest(tried.hex(), user["scrypt"]):
        return None
    now = int(time.time())
    claims = {"iss": ORIGIN, "aud": "tickcast", "sub": name, "iat": now, "exp": now + TOKEN_S, "tickcast": {"roles": user["roles"]}}
    return jwt.encode(claims, (HERE / "token-key.pem").read_text(), "ES256")


class Handler(http.server.BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self):
        self.answer(200, "text/html; charset=utf-8", (HERE / "page.html").read_text())

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(min(int(self.headers["Content-Length"]), 1000)).decode())
        made = token(form.get("name", [""])[0], form.get("password", [""])[0])
        self.answer(200 if made else 403, "text/plain", made or "wrong name or password")

    def answer(self, status, kind, text):
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": len(text.encode()), "Cache-Control": "no-store"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())


tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain(HERE / "certificate.pem", HERE / "certificate-key.pem")
server = http.server.ThreadingHTTPServer(("", PORT), Handler)
# The thread of a connection does its handshake, so that a silent client holds up nobody.
server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
