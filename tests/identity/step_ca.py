"""A real step-ca's clients. `prepare FOLDER PORT` writes a CA and its configuration; `story FOLDER PORT` lets machines get, renew and revoke certificates,
and be refused, and prints what was done as JSON lines: {"did", "subject", "serial"}.

Needs `cryptography` and `PyJWT`.
"""

import datetime
import json
import secrets
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

folder, port = Path(sys.argv[2]), int(sys.argv[3])
home = f"https://127.0.0.1:{port}"
KID = "tests-provisioner"


def name(common):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def prepare():
    now = datetime.datetime.now(datetime.timezone.utc)

    def authority(common, key, issuer, issuer_key, length):
        return (
            x509.CertificateBuilder()
            .subject_name(name(common))
            .issuer_name(name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=True, path_length=length), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(issuer_key, hashes.SHA256())
        )

    root_key, key, provisioner = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    root = authority("Tests Root CA", root_key, "Tests Root CA", root_key, 1)
    intermediate = authority("Tests Intermediate CA", key, "Tests Root CA", root_key, 0)
    (folder / "root.crt").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    (folder / "intermediate.crt").write_bytes(intermediate.public_bytes(serialization.Encoding.PEM))
    (folder / "intermediate.key").write_bytes(pem(key))
    (folder / "provisioner.key").write_bytes(pem(provisioner))
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(provisioner.public_key())) | {"kid": KID, "use": "sig", "alg": "ES256"}
    at = lambda file: str(folder / file)
    configuration = {
        "root": at("root.crt"),
        "crt": at("intermediate.crt"),
        "key": at("intermediate.key"),
        "address": f"127.0.0.1:{port}",
        "dnsNames": ["127.0.0.1"],
        "logger": {"format": "json"},
        "db": {"type": "badgerv2", "dataSource": at("db")},
        "authority": {"provisioners": [{"type": "JWK", "name": "tests", "key": public}]},
    }
    (folder / "ca.json").write_text(json.dumps(configuration))


def token(subject, path, key=None, lived=300):
    key = key or (folder / "provisioner.key").read_text()
    now = int(time.time())
    claims = {"iss": "tests", "sub": subject, "sans": [subject], "aud": f"{home}/1.0/{path}", "iat": now - lived + 300, "nbf": now - lived + 300, "exp": now - lived + 600}
    return jwt.encode(claims | {"jti": secrets.token_hex(16)}, key, algorithm="ES256", headers={"kid": KID})


def ask(path, body, certificate=None):
    """The answer, or the status that refused."""
    context = ssl.create_default_context(cafile=folder / "root.crt")
    if certificate:
        context.load_cert_chain(*certificate)
    request = urllib.request.Request(f"{home}/1.0/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        return json.load(urllib.request.urlopen(request, context=context, timeout=30))
    except urllib.error.HTTPError as refused:
        return refused.code


def hexadecimal(serial):
    """Whole bytes, as OpenSSL and Zeek print them: one serial in sixteen begins with a zero."""
    return serial.to_bytes((serial.bit_length() + 7) // 8, "big").hex()


def did(what, subject, certificate=None):
    serial = hexadecimal(x509.load_pem_x509_certificate(certificate.encode()).serial_number) if certificate else None
    print(json.dumps({"did": what, "subject": subject, "serial": serial}), flush=True)


def sign(subject, ott):
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(subject)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name(subject)).add_extension(names, critical=False).sign(key, hashes.SHA256())
    answer = ask("sign", {"csr": request.public_bytes(serialization.Encoding.PEM).decode(), "ott": ott})
    if isinstance(answer, dict):
        (folder / f"{subject}.key").write_bytes(pem(key))
        (folder / f"{subject}.crt").write_text(answer["crt"] + answer["ca"])
    return answer


def story():
    pump, meter = "pump.plant.test", "meter.plant.test"
    ott = token(pump, "sign")
    first = sign(pump, ott)
    did("issued", pump, first["crt"])
    assert sign(pump, ott) == 401
    did("replayed", pump)
    time.sleep(1.1)
    second = ask("renew", {}, (folder / f"{pump}.crt", folder / f"{pump}.key"))
    did("renewed", pump, second["crt"])
    stranger = pem(ec.generate_private_key(ec.SECP256R1())).decode()
    assert sign("thief.plant.test", token("thief.plant.test", "sign", stranger)) == 401
    did("forged", "thief.plant.test")
    assert sign(meter, token(meter, "sign", lived=900)) == 401
    did("stale", meter)
    third = sign(meter, token(meter, "sign"))
    did("issued", meter, third["crt"])
    serial = str(x509.load_pem_x509_certificate(third["crt"].encode()).serial_number)
    time.sleep(1.1)
    revoke = {"serial": serial, "ott": token(serial, "revoke"), "reasonCode": 1, "reason": "key compromise", "passive": True}
    assert ask("revoke", revoke) == {"status": "ok"}
    did("revoked", meter, third["crt"])
    assert ask("renew", {}, (folder / f"{meter}.crt", folder / f"{meter}.key")) == 401
    did("refused", meter, third["crt"])


{"prepare": prepare, "story": story}[sys.argv[1]]()
