"""Clients of a real Keycloak: `keycloak.py PORT` waits until it answers, lets clients log in, fail, refresh, be rotated, disabled, deleted and revoked, and prints
what was done as JSON lines: {"did", "at"} with the time when it was asked for.

Needs `PyJWT` with `cryptography`.
"""

import base64
import datetime
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

home = f"http://127.0.0.1:{sys.argv[1]}"
realm = f"{home}/realms/machines/protocol/openid-connect"
clients = f"{home}/admin/realms/machines/clients"


def send(url, form=None, body=None, token=None, method=None):
    """Status, JSON and headers of an answer."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = urllib.parse.urlencode(form).encode() if form else None
    if body is not None:
        data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=60)
    except urllib.error.HTTPError as refused:
        answer = refused
    text = answer.read()
    return answer.status, json.loads(text) if text.startswith((b"{", b"[")) else None, answer.headers


def ready():
    until = time.monotonic() + 480
    while True:
        try:
            if send(f"{home}/realms/master")[0] == 200:
                return
        except OSError:
            pass
        assert time.monotonic() < until, "Keycloak does not answer"
        time.sleep(0.3)


def did(what):
    print(json.dumps({"did": what, "at": datetime.datetime.now(datetime.timezone.utc).isoformat()}), flush=True)
    # Of two acts the log says which came first.
    time.sleep(0.05)


def administrator():
    form = {"client_id": "admin-cli", "username": "admin", "password": "tests-only", "grant_type": "password"}
    return send(f"{home}/realms/master/protocol/openid-connect/token", form)[1]["access_token"]


def made(admin, body):
    status, _, headers = send(clients, body={"publicClient": False, "serviceAccountsEnabled": True, **body}, token=admin)
    assert status == 201, status
    return headers["Location"].rsplit("/", 1)[1]


def login(client, **proof):
    return send(f"{realm}/token", {"client_id": client, "grant_type": "client_credentials", **proof})[:2]


def refresh(client, secret, token):
    return send(f"{realm}/token", {"client_id": client, "client_secret": secret, "grant_type": "refresh_token", "refresh_token": token})[:2]


def secrets(admin):
    refreshes = {"attributes": {"client_credentials.use_refresh_token": "true"}}
    a = made(admin, {"clientId": "svc-a", "secret": "first-of-a", **refreshes})
    did("a made")
    status, tokens = login("svc-a", client_secret="first-of-a")
    assert status == 200, tokens
    did("a logged in")
    assert login("svc-a", client_secret="wrong")[0] == 401
    did("a failed")
    assert refresh("svc-a", "first-of-a", tokens["refresh_token"])[0] == 200
    did("a refreshed")
    second = send(f"{clients}/{a}/client-secret", token=admin, method="POST")[1]["value"]
    did("a rotated")
    assert login("svc-a", client_secret="first-of-a")[0] == 401
    did("a used its old secret")
    time.sleep(1.5)
    status, tokens = login("svc-a", client_secret=second)
    assert status == 200, tokens
    did("a logged in anew")
    assert send(f"{realm}/revoke", {"client_id": "svc-a", "client_secret": second, "token": tokens["refresh_token"]})[0] == 200
    did("a revoked its token")
    assert refresh("svc-a", second, tokens["refresh_token"])[0] == 400
    did("a used a revoked token")


def ends(admin):
    b = made(admin, {"clientId": "svc-b", "secret": "of-b"})
    assert login("svc-b", client_secret="of-b")[0] == 200
    did("b logged in")
    assert send(f"{clients}/{b}", body={"clientId": "svc-b", "enabled": False}, token=admin, method="PUT")[0] == 204
    did("b disabled")
    assert login("svc-b", client_secret="of-b")[0] == 401
    did("b refused")
    assert send(f"{clients}/{b}", token=admin, method="DELETE")[0] == 204
    did("b deleted")
    assert login("svc-b", client_secret="of-b")[0] == 401
    did("b unknown")


def keys(admin):
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "svc-k")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
    certificate = builder.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    der = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
    k = made(admin, {"clientId": "svc-k", "clientAuthenticatorType": "client-jwt", "attributes": {"jwt.credential.certificate": der}})
    issued = int(time.time())
    claims = {"iss": "svc-k", "sub": "svc-k", "aud": f"{home}/realms/machines", "jti": uuid.uuid4().hex, "iat": issued, "exp": issued + 60}
    proof = {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion": jwt.encode(claims, key, algorithm="RS256")}
    assert login("svc-k", **proof)[0] == 200
    did("k logged in")
    assert login("svc-k", **proof)[0] in (400, 401)
    did("k replayed its proof")
    # Keycloak answers with the new private key, and writes it into its log.
    fresh = send(f"{clients}/{k}/certificates/jwt.credential/generate", token=admin, method="POST")[1]["privateKey"]
    print(json.dumps({"did": "k rotated", "at": datetime.datetime.now(datetime.timezone.utc).isoformat(), "secret": fresh}), flush=True)


ready()
admin = administrator()
events = {"eventsListeners": ["jboss-logging"], "eventsEnabled": True, "adminEventsEnabled": True, "adminEventsDetailsEnabled": True}
assert send(f"{home}/admin/realms", body={"realm": "machines", "enabled": True, **events}, token=admin)[0] == 201
secrets(admin)
ends(admin)
keys(admin)
# Whoever asks for a token may call itself anything: a name that looks like further facts.
assert login('x\\", error=\\"none', client_secret="x")[0] == 401
did("a stranger came")
