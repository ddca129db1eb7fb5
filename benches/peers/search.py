"""ClickHouse, as chDB has it in the process: the events that are searched, in a MergeTree table by time.

    search.py load DIR      reads paths of NDJSON files from its input, one a line; answers a line for each
                            once its rows are inserted. At the end of the input it merges all parts.
    search.py ask DIR FILE SECONDS REQUESTS
                            FILE has a query on each line, as a JSON string. The first is timed after the start,
                            then all of them are run once, then in turns until there are REQUESTS or it takes
                            more than SECONDS. Answers JSON: cold, warm (both in milliseconds), empty.
    search.py values DIR    reads queries as JSON strings, one a line; answers the first value of each.
"""

import json
import sys
import time

from chdb import session as chdb

TABLE = """
create table if not exists events (
    id UInt64, session String, seq UInt32, time DateTime64(6, 'UTC'),
    username LowCardinality(String), role LowCardinality(String), type LowCardinality(String),
    kind LowCardinality(String), verdict LowCardinality(String), body String,
    index words body type text(tokenizer = 'splitByNonAlpha', preprocessor = lower(body)),
    index grams lower(body) type ngrambf_v1(4, 65536, 2, 0) granularity 1,
    index of_session session type bloom_filter granularity 1,
    index of_user username type bloom_filter granularity 1
) engine = MergeTree order by (time, id)
"""


def load(base):
    base.query(TABLE)
    for path in sys.stdin:
        path = path.strip()
        base.query(f"insert into events select * from file('{path}', JSONEachRow)")
        print("inserted", flush=True)
    base.query("optimize table events final")
    count = str(base.query("select count() from events", "CSV")).strip()
    size = str(
        base.query(
            "select sum(bytes_on_disk), sum(secondary_indices_compressed_bytes) from system.parts"
            " where table = 'events' and active",
            "CSV",
        )
    ).strip()
    print(count, *size.split(","), flush=True)


def timed(base, query):
    began = time.monotonic()
    try:
        answer = str(base.query(query + " settings max_execution_time = 60", "JSONCompactEachRow"))
    except Exception as error:
        if "TIMEOUT_EXCEEDED" not in str(error):
            raise
        answer = "too late"
    return (time.monotonic() - began) * 1e3, answer


def ask(base, path, seconds, requests):
    with open(path, encoding="utf-8") as file:
        queries = [json.loads(line) for line in file]
    # What the first query of a process pays, whatever it is.
    base.query("select 1")
    cold, _ = timed(base, queries[0])
    empty, until = 0, time.monotonic() + seconds
    for query in queries:
        if time.monotonic() < until:
            empty += not timed(base, query)[1].strip()
    warm, until = [], time.monotonic() + seconds
    while len(warm) < requests and (len(warm) < 3 or time.monotonic() < until):
        warm.append(timed(base, queries[len(warm) % len(queries)])[0])
    print(json.dumps({"cold": cold, "warm": warm, "empty": empty}), flush=True)


def values(base):
    for line in sys.stdin:
        answer = str(base.query(json.loads(line), "JSONCompactEachRow")).strip()
        print(json.loads(answer)[0] if answer else "", flush=True)


def main():
    what, directory, *rest = sys.argv[1:]
    base = chdb.Session(directory)
    if what == "load":
        load(base)
    elif what == "values":
        values(base)
    else:
        path, seconds, requests = rest
        ask(base, path, float(seconds), int(requests))
    base.close()


main()
