#!/usr/bin/env python3
"""Two detectors of public libraries on the same events as keytrail, for `keytrail evaluate --alerts`.

    python3 -m venv venv && venv/bin/pip install scikit-learn==1.9.1 river==0.26.1
    venv/bin/python benches/comparators.py --keytrail target/release/keytrail --dir hard --out hard/alerts
    keytrail evaluate --labels hard/demo-logs/labels.json --comparators --alerts hard/alerts/isolation-forest.ndjson --alerts hard/alerts/half-space-trees.ndjson --dir hard

One row is one identity's hour: how many events, destinations, actions, addresses, failures, destinations that are new to the identity, the hour
of the day and the day of the week, and the first six of them again in relation to the identity's own running mean, which is what somebody would
do first who knows the domain. Isolation forest (Liu et al. 2008; scikit-learn) is fitted once on the first two fifths of the period, in which the
test bed hides nothing; half-space trees (Tan et al. 2011; River) learn with each row. A row's score is the library's own.
"""

import argparse
import collections
import datetime
import json
import math
import pathlib
import subprocess

NAMES = ["events", "destinations", "actions", "addresses", "failures", "new_destinations"]
FEATURES = """
SELECT identity, CAST(date_trunc('hour', time) AS BIGINT) / 3600000000 AS hour, count(*) AS events, count(DISTINCT destination) AS destinations,
       count(DISTINCT action) AS actions, count(DISTINCT source_ip) AS addresses,
       sum(CASE WHEN outcome IN ('denied', 'failure') THEN 1 ELSE 0 END) AS failures
FROM events WHERE identity_kind <> 'human' GROUP BY 1, 2 ORDER BY 2, 1
"""
EDGES = """
SELECT identity, first / 3600000000 AS hour, count(*) AS n
FROM (SELECT identity, destination, CAST(min(time) AS BIGINT) AS first FROM events WHERE destination IS NOT NULL GROUP BY 1, 2) GROUP BY 1, 2
"""


def ask(arguments, sql):
    command = [arguments.keytrail, "sql", " ".join(sql.split()), "--output", "ndjson", "--dir", arguments.dir]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def rows(arguments):
    """(identity, hour, features), in order of time."""
    new = {(row["identity"], row["hour"]): row["n"] for row in ask(arguments, EDGES)}
    means = collections.defaultdict(lambda: [0, [0.0] * len(NAMES)])
    for row in ask(arguments, FEATURES):
        row["new_destinations"] = new.get((row["identity"], row["hour"]), 0)
        raw = [math.log1p(row[name]) for name in NAMES]
        count, mean = means[row["identity"]]
        relative = [value - before for value, before in zip(raw, mean)]
        means[row["identity"]][0] += 1
        means[row["identity"]][1] = [before + (value - before) / (count + 1) for value, before in zip(raw, mean)]
        hour = row["hour"]
        yield row["identity"], hour, [*raw, *relative, hour % 24 / 24, (hour // 24 + 3) % 7 / 7]


def isolation_forest(table):
    from sklearn.ensemble import IsolationForest

    begin, end = table[0][1], table[-1][1]
    train = [features for _, hour, features in table if hour < begin + (end - begin) * 2 / 5]
    forest = IsolationForest(n_estimators=200, random_state=0).fit(train)
    return -forest.score_samples([features for _, _, features in table])


def half_space_trees(table):
    from river import anomaly, preprocessing

    scaler, trees = preprocessing.MinMaxScaler(), anomaly.HalfSpaceTrees(n_trees=50, height=8, window_size=2000, seed=0)
    for _, _, features in table:
        named = dict(enumerate(features))
        scaler.learn_one(named)
        scaled = scaler.transform_one(named)
        yield trees.score_one(scaled)
        trees.learn_one(scaled)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keytrail", default="target/release/keytrail")
    parser.add_argument("--dir", required=True, help="keytrail's data folder")
    parser.add_argument("--out", required=True, help="where the alerts go")
    arguments = parser.parse_args()
    table = list(rows(arguments))
    out = pathlib.Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    for name, detector in (("isolation-forest", isolation_forest), ("half-space-trees", half_space_trees)):
        with open(out / f"{name}.ndjson", "w", encoding="utf-8") as file:
            for (identity, hour, _), score in zip(table, detector(table)):
                time = datetime.datetime.fromtimestamp(hour * 3600, datetime.timezone.utc)
                file.write(json.dumps({"identity": identity, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ"), "score": float(score)}) + "\n")
        print(f"{out / name}.ndjson: {len(table)} hours of identities")


main()
