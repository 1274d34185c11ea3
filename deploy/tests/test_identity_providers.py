"""deploy/identity-providers.md: each configuration with a token of exactly its claims, and keys over HTTP as the provider publishes them."""

import base64
import http.server
import json
import pathlib
import re
import tempfile
import threading
import time
import unittest

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from websockets.sync.client import connect

from guides import blocks, section
from support import Broker, ask, until

GUIDE = "identity-providers.md"


class Provider:
    """Keys at one path of a server on this machine."""

    def __init__(self, path, document):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                found = self.path == path
                body = json.dumps(document if found else {}).encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", len(body))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.origin = f"http://127.0.0.1:{self.server.server_port}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def jwk(key, **members):
    numbers = key.public_key().public_numbers()

    def text(number):
        return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()

    return {"kty": "RSA", "n": text(numbers.n), "e": text(numbers.e)} | members


class IdentityProvidersTest(unittest.TestCase):
    def given(self, heading, document, key, kid):
        """Starts a broker with the configuration of a section. Returns it, and a function that signs the section's claims, with
        some changed: only their times are moved to now."""
        (configuration,), (claims,) = blocks(GUIDE, heading, "toml"), [json.loads(text) for text in blocks(GUIDE, heading, "json")]
        url = re.search(r'^token_jwks_url = "(https://[^/"]+)(/[^"]*)"', configuration, re.MULTILINE)
        provider = Provider(url[2], document)
        self.addCleanup(provider.stop)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name) / "tickcast.toml"
        path.write_text(configuration.replace(f'token_jwks_url = "{url[1]}', f'token_jwks_url = "{provider.origin}'))
        broker = Broker(folder.name, "--config", path)
        self.addCleanup(broker.stop)
        until("the broker has keys", lambda: broker.metric("tickcast_token_keys") > 0)
        moved = int(time.time()) - claims["iat"]

        def sign(**changed):
            times = {name: claims[name] + moved for name in ("iat", "exp", "auth_time") if name in claims}
            every = {name: value for name, value in (claims | times | changed).items() if value is not None}
            return jwt.encode(every, key, "RS256", headers={"kid": kid})

        return broker, sign

    def reads(self, broker, token, topic):
        """The status of reading a topic that does not exist: 404 if it may be read."""
        return ask(broker.port, "GET", f"/v1/topics/{topic}", headers={"Authorization": f"Bearer {token}"})[0]

    def refusal(self, broker, token):
        status, body = ask(broker.port, "GET", "/v1/topics", headers={"Authorization": f"Bearer {token}"})
        self.assertEqual((status, json.loads(body)["error"]["code"]), (401, "bad_token"))
        return json.loads(body)["error"]["message"]

    def counted(self, broker, reason):
        """That the guide's table names what the broker counts."""
        self.assertIn(f"`{reason}`", section(GUIDE, "When a token is refused"))
        self.assertIn(f'tickcast_tokens_refused_total{{reason="{reason}"}} 1\n', ask(broker.admin_port, "GET", "/metrics")[1])

    def allowed(self, broker, token):
        with connect(f"ws://127.0.0.1:{broker.port}/v1/ws", additional_headers={"Authorization": f"Bearer {token}"}) as socket:
            socket.recv(timeout=20)
            message = json.loads(socket.recv(timeout=20))
        self.assertEqual(message["op"], "authenticated")
        return message["sub"], message["allow"]

    def test_auth0(self):
        key = rsa.generate_private_key(65537, 2048)
        kid = "NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4QzQ2MDAyQjVDNjk1RTM2Qg"
        document = {"keys": [jwk(key, alg="RS256", use="sig", kid=kid, x5t=kid, x5c=["MIIC"])]}
        broker, sign = self.given("Auth0", document, key, kid)
        user = "auth0:6553da60a54af58e29493993"
        sub, allow = self.allowed(broker, sign())
        self.assertEqual((sub, sorted(allow["sub"]), allow["pub"]), ("auth0|6553da60a54af58e29493993", ["stocks.>", f"users.{user}.>"], ["chat.>"]))
        for topic, status in [("stocks.AAPL.quote", 404), (f"users.{user}.note", 404), ("users.other.note", 403), ("news.x", 403)]:
            self.assertEqual(self.reads(broker, sign(), topic), status, topic)
        # An ID token has the page for its audience.
        self.assertIn("aud", self.refusal(broker, sign(aud="K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja")))
        self.counted(broker, "audience")
        self.assertIn("iss", self.refusal(broker, sign(iss="https://desk.eu.auth0.com")))
        self.counted(broker, "issuer")
        self.assertIn("token_lifetime_max_ms", self.refusal(broker, sign(exp=int(time.time()) + 2_592_000)))
        self.counted(broker, "claims")
        claim = "https://desk.example.com/tickcast"
        self.assertIn("token_claim", self.refusal(broker, sign(**{claim: ["trader"]})))
        self.counted(broker, "permissions")
        # Without the action, nothing is allowed.
        self.assertEqual(self.reads(broker, sign(**{claim: None}), "stocks.AAPL.quote"), 403)

    def test_keycloak(self):
        key, encryption = (rsa.generate_private_key(65537, 2048) for _ in range(2))
        kid = "sbS_BWBm0GzfIQRnYWolcWDRnjqwDTY_Aq6Fn_boqKM"
        keys = [jwk(encryption, alg="RSA-OAEP", use="enc", kid="other"), jwk(key, alg="RS256", use="sig", kid=kid)]
        broker, sign = self.given("Keycloak", {"keys": keys}, key, kid)
        self.assertEqual(broker.metric("tickcast_token_keys"), 1)
        user = "5132c417-d772-420e-b5db-401ea633dca1"
        sub, allow = self.allowed(broker, sign())
        self.assertEqual((sub, allow["sub"], allow["pub"]), (user, ["stocks.>", f"users.{user}.>"], ["chat.>"]))
        # The roles of every realm, which the broker does not have.
        self.assertEqual(broker.metric("tickcast_token_roles_unknown_total"), 3)
        for topic, status in [("stocks.AAPL.quote", 404), (f"users.{user}.note", 404), ("users.other.note", 403)]:
            self.assertEqual(self.reads(broker, sign(), topic), status, topic)
        # Without the mapper for the audience, and without the role.
        self.assertIn("aud", self.refusal(broker, sign(aud="account")))
        self.counted(broker, "audience")
        self.assertEqual(self.reads(broker, sign(realm_access={"roles": ["offline_access"]}), "stocks.AAPL.quote"), 403)
        self.assertIn("sub", self.refusal(broker, sign(sub=None)))
        self.counted(broker, "claims")
        other = rsa.generate_private_key(65537, 2048)
        forged = jwt.encode(jwt.decode(sign(), options={"verify_signature": False}), other, "RS256", headers={"kid": kid})
        self.assertIn("signature", self.refusal(broker, forged))
