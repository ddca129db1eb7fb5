"""ClickHouse, as chDB has it in the process: batches of events into a MergeTree table with a text index.

    clickhouse.py LINES DIR SECONDS PRODUCERS:BATCH ...

LINES is NDJSON with session, seq, line and body. Each insert is acknowledged once it is synced, as daybook's
is. Answers a line for each run: producers, batch, events, bytes, seconds, CPU seconds, and the time to an
acknowledgement in milliseconds at the 50th, 99th and 99.9th percentile.
"""

import itertools
import json
import resource
import sys
import threading
import time

from chdb import session as chdb

TABLE = """
create table {name} (
    session String, seq UInt32, line String, body String,
    index words body type text(tokenizer = 'splitByNonAlpha')
) engine = MergeTree order by (session, seq)
settings fsync_after_insert = 1, fsync_part_directory = 1
"""


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def produce(base, table, name, lines, batch, until, acks, sent):
    """Inserts batch after batch until it is time; notes how long each took."""
    events = itertools.cycle(lines)
    seq = 0
    while time.monotonic() < until:
        rows = []
        size = 0
        for event in itertools.islice(events, batch):
            rows.append(json.dumps({**event, "session": name, "seq": seq}))
            size += len(event["line"]) + 1
            seq += 1
        query = f"insert into {table} format JSONEachRow " + "\n".join(rows)
        began = time.monotonic()
        base.query(query)
        acks.append(time.monotonic() - began)
        sent.append((batch, size))


def main():
    path, directory, seconds, *runs = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    base = chdb.Session(directory)
    base.query("set allow_experimental_full_text_index = 1")
    for number, run in enumerate(runs):
        producers, batch = map(int, run.split(":"))
        table = f"events{number}"
        base.query(TABLE.format(name=table))
        acks, sent = [], []
        began, used = time.monotonic(), cpu()
        until = began + float(seconds)
        threads = [
            threading.Thread(
                target=produce,
                args=(base, table, f"p{p}", lines, batch, until, acks, sent),
            )
            for p in range(producers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took, used = time.monotonic() - began, cpu() - used
        events = sum(n for n, _ in sent)
        stored = int(str(base.query(f"select count() from {table}", "CSV")).strip())
        if stored != events:
            sys.exit(f"{events} events were acknowledged, {stored} are there")
        acks.sort()
        at = [acks[min(len(acks) - 1, int(len(acks) * q))] * 1e3 for q in (0.5, 0.99, 0.999)]
        size = sum(n for _, n in sent)
        print(producers, batch, events, size, took, used, *at, flush=True)
    base.close()


main()
