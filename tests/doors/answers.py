"""What an answer is, whichever door it came through: rows of plain values that can be compared."""
import datetime
import decimal
import json
import os
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request

HTTP = os.environ.get("DOOR_HTTP", "")
POSTGRES_PORT = int(os.environ.get("DOOR_POSTGRES", "0"))
TOKEN = os.environ.get("DOOR_TOKEN", "")
KEYTRAIL = os.environ.get("DOOR_KEYTRAIL", "")
DIR = os.environ.get("DOOR_DIR", "")

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")


def plain(value):
    """Times become UTC to the microsecond, numbers floats; the rest stays."""
    if isinstance(value, str) and TIME.match(value):
        value = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.timezone.utc)
        return value.astimezone(datetime.timezone.utc).isoformat()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (int, float, decimal.Decimal)) and not isinstance(value, bool):
        return float(value)
    return value


def rows(records):
    """Records in an order that does not depend on the door."""
    return sorted(({name: plain(value) for name, value in dict(record).items()} for record in records), key=lambda row: json.dumps(row, sort_keys=True))


def http(path, token=TOKEN, body=None, **arguments):
    """Status, headers and body of a request."""
    url = HTTP + path + ("?" + urllib.parse.urlencode(arguments) if arguments else "")
    headers = {"Authorization": "Bearer " + token} if token else {}
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def ask(question, **arguments):
    status, headers, body = http("/v1/" + question, **{name.rstrip("_"): value for name, value in arguments.items()})
    assert status == 200, (question, status, body)
    answer = json.loads(body)
    assert answer["coverage"] and headers["keytrail-coverage"], "an answer without its coverage line"
    return rows(answer["rows"])


def cli(*arguments):
    done = subprocess.run([KEYTRAIL, "--dir", DIR, "--output", "ndjson", *arguments], capture_output=True, text=True, check=True)
    return rows(json.loads(line) for line in done.stdout.splitlines()), done.stderr


# The same questions, as each door writes them: name, arguments, SQL.
QUESTIONS = [
    ("touched", {"identity": "svc-deploy"}, "SELECT * FROM touched('svc-deploy')"),
    ("timeline", {"identity": "svc-deploy", "from_": "-1d"}, "SELECT * FROM timeline('svc-deploy', '-1d')"),
    ("blast_radius", {"identity_or_credential": "svc-deploy", "hops": "2"}, "SELECT * FROM blast_radius('svc-deploy', NULL, NULL, 2)"),
    ("findings", {}, "SELECT * FROM findings()"),
    ("detections", {"from_": "-2d"}, "SELECT * FROM detections('-2d')"),
    ("identities", {"who": "all"}, "SELECT * FROM identities('all')"),
    ("credentials", {}, "SELECT * FROM credentials()"),
    ("posture", {}, "SELECT * FROM posture()"),
    ("coverage", {}, "SELECT * FROM coverage()"),
]
