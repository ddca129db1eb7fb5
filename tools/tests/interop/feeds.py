"""Reads feeds of a running server with other people's clients, and compares all rows with what was sent.

    feeds.py follow DIRECTORY     a reader that is killed again and again, while the server is, too
    feeds.py lag DIRECTORY        how long what is closed takes to be seen, until DIRECTORY/stop is there
    feeds.py clients DIRECTORY    DuckDB, polars, pyarrow, deltalake, Delta Sharing, and Spark where it is
    feeds.py ocsf DIRECTORY       a feed in OCSF against exports
    feeds.py large DIRECTORY      one large event among many small ones: settings.json has `events` and `large`

In the directory: settings.json (url, token, table, seed, kills, user, in_order) and expected.ndjson, a line for each event that was
sent, with the user and the role of its session and whether it is erased.
"""

import bisect
import collections
import datetime
import json
import os
import pathlib
import random
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pyarrow
import pyarrow.compute
import pyarrow.parquet

BEGAN = time.time()
COLUMNS = ["session", "seq", "kind", "input", "output", "text", "user", "role"]


class Server:
    def __init__(self, directory):
        self.directory = directory
        self.settings = json.loads((directory / "settings.json").read_text())
        self.url = self.settings["url"]
        self.token = self.settings["token"]
        self.random = random.Random(self.settings["seed"])

    def open(self, path, body=None, url=None, method=None):
        request = urllib.request.Request((url or self.url) + path, data=body, method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        return urllib.request.urlopen(request, timeout=600)

    def get(self, path, url=None):
        return json.load(self.open(path, url=url))

    def expected(self):
        with open(self.directory / "expected.ndjson", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def behind(self):
        feed = self.get("/v1/feeds")["items"][0]
        if feed["last_error"]:
            sys.exit(f"the feed fails: {feed}")
        return feed["behind"]

    def files(self, feed="native", table="", url=None):
        """Every file of a table, as links."""
        items, cursor = [], ""
        while True:
            page = self.get(f"/v1/parquet?feed={feed}&table={table}&cursor={cursor}&limit=1000".replace("&table=&", "&"), url)
            items += page["items"]
            cursor = page["next_cursor"]
            if not page["more"]:
                return items


def check(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: found {found!r}, expected {expected!r}")


def key(row):
    return row["session"], row["seq"]


def values(row):
    return tuple(row.get(name) for name in COLUMNS)


def same_rows(what, rows, expected, erased=False):
    """Each row that is expected is there once, with its contents, and no other but those of daybook's own session;
    with `erased`, what is erased may be there, too."""
    rows = [row for row in rows if row["session"] != "daybook"]
    found = {key(row): values(row) for row in rows}
    check(f"{what}: rows that are there again", len(rows) - len(found), 0)
    wanted = {key(event): event for event in expected}
    for name, row in found.items():
        event = wanted.get(name)
        if event is None or (event["erased"] and not erased):
            sys.exit(f"{what}: {row!r} should not be there")
        if row != values(event):
            sys.exit(f"{what}: {row!r} was sent as {values(event)!r}")
    missing = [name for name, event in wanted.items() if not event["erased"] and name not in found]
    if missing:
        sys.exit(f"{what}: {len(missing)} rows are missing, such as {missing[:3]}")
    kinds = collections.Counter((row["session"], row["kind"]) for row in rows if not wanted[key(row)]["erased"])
    check(f"{what}: counts by session and kind", kinds,
          collections.Counter((e["session"], e["kind"]) for e in expected if not e["erased"]))
    print(f"{what}: {len(rows)} rows, each once, as they were sent (after {time.time() - BEGAN:.1f} s)", flush=True)


def of_frame(frame):
    """Rows of a pandas frame, with None where there is nothing."""
    frame = frame[COLUMNS].astype(object)
    return frame.where(frame.notna(), None).to_dict("records")


# A reader that is killed.


def follow(directory):
    server = Server(directory)
    (directory / "files").mkdir()
    kills, restarts = 0, 0
    while kills < server.settings["kills"] or not (directory / "done").exists():
        reader = start_reader(server)
        try:
            # Sometimes before it has asked for anything, sometimes in the middle of an answer.
            reader.wait(timeout=server.random.uniform(0.1, 1.2))
            sys.exit(f"the reader ended with {reader.returncode}")
        except subprocess.TimeoutExpired:
            reader.kill()
            reader.wait()
            kills += 1
    expected = server.expected()
    erased = {key(event) for event in expected if event["erased"]}
    # What is closed is shipped, and what is erased is gone from the table.
    until = time.time() + 60
    while True:
        files = [] if server.behind() else server.files()
        rows = [row for item in files for row in read(server, item)]
        if rows and not any(key(row) in erased for row in rows) and len(rows) >= len(expected) - len(erased):
            break
        if time.time() > until:
            sys.exit("the feed does not come to an end")
        time.sleep(0.3)
    same_rows("a new reader", rows, expected)
    (directory / "stop").touch()
    check("the reader's end", start_reader(server).wait(timeout=600), 0)

    state = json.loads((directory / "state.json").read_text())
    names = [file for file, _, _ in state["files"]]
    check("files that came twice", [name for name, n in collections.Counter(names).items() if n > 1], [])
    rows, of_file = [], collections.defaultdict(set)
    for name, count, skip in state["files"]:
        table = pyarrow.parquet.read_table(directory / "files" / name.replace("/", "+"), columns=["offset", *COLUMNS])
        check(f"rows of {name}", table.num_rows, count)
        table = table.filter(pyarrow.compute.greater_equal(table["offset"], skip))
        rows += table.to_pylist()
        of_file[name] |= {key(row) for row in table.to_pylist()}
    offsets = [row["offset"] for row in rows]
    check("offsets that came twice", len(offsets) - len(set(offsets)), 0)
    same_rows(f"a reader that was killed {kills} times", rows, expected, erased=True)

    # What it has of what was erased is in files that it was told of, and nobody can have these.
    stale = {name for name in names if of_file[name] & erased}
    untold = stale - set(state["removed"])
    check("files with erased rows that the reader was not told of", sorted(untold), [])
    for name in stale:
        try:
            server.open(f"/v1/parquet/{name}")
            sys.exit(f"{name} can still be read")
        except urllib.error.HTTPError as error:
            check(f"status of {name}", error.code, 410)
    if erased and not stale:
        # On a slow machine all may go before the reader comes to it.
        print("nothing was erased that the reader had: what it is told then was not tried")
    print(f"{len(names)} files; {sum(len(of_file[name] & erased) for name in names)} of {len(erased)} erased rows had come, "
          f"in {len(stale)} files of {len(set(state['removed']))} that it was told of; "
          f"{sum(skip > 0 for _, _, skip in state['files'])} files with rows to skip")


def start_reader(server):
    script = pathlib.Path(__file__).with_name("reader.py")
    return subprocess.Popen([sys.executable, script, server.directory, str(server.random.randrange(1 << 30))])


def read(server, item):
    """The rows of a link; none if it went since."""
    try:
        bytes = urllib.request.urlopen(item["url"], timeout=600).read()
    except urllib.error.HTTPError as error:
        check(f"status of {item['file']}", error.code, 410)
        return []
    return pyarrow.parquet.read_table(pyarrow.BufferReader(bytes), columns=["offset", *COLUMNS]).to_pylist()


# From sealed to seen.


def lag(directory):
    server = Server(directory)
    log = pathlib.Path(server.settings["table"]) / "_delta_log"
    closed, seen = [], {"pull feed": [], "Delta table": [], "Delta Sharing": []}
    waiting = {door: collections.deque() for door in seen}
    places, cursor, version, looks = {}, "", -1, []
    while not (directory / "stop").exists():
        began = time.time()
        feed = server.get("/v1/feeds")["items"][0]
        end = feed["through"] + feed["behind"]
        if end and (not closed or end > closed[-1]):
            closed.append(end)
            for queue in waiting.values():
                queue.append((end, time.time()))
        page = server.get(f"/v1/parquet?limit=1000&cursor={cursor}")
        cursor = page["next_cursor"]
        through = {"pull feed": max([item["offsets"][1] for item in page["items"]], default=0)}
        while (log / f"{version + 1:020}.json").exists():
            version += 1
            actions = [json.loads(line) for line in open(log / f"{version:020}.json", encoding="utf-8")]
            places[version] = max([a["txn"]["version"] for a in actions if "txn" in a], default=places.get(version - 1, 0))
        through["Delta table"] = places.get(version, 0)
        shared = server.open("/delta-sharing/shares/daybook/schemas/native/tables/events/version")
        through["Delta Sharing"] = places.get(int(shared.headers["delta-table-version"]), 0)
        for door, place in through.items():
            while waiting[door] and waiting[door][0][0] <= place:
                seen[door].append(time.time() - waiting[door].popleft()[1])
        looks.append(time.time() - began)
        time.sleep(0.005)
    for door, times in seen.items():
        if not times:
            print(f"nothing was closed while the {door} was looked at", flush=True)
            continue
        print(f"closed until in the {door}: p50 {statistics.median(times) * 1000:.0f} ms, max {max(times) * 1000:.0f} ms, "
              f"of {len(times)} (looked every {statistics.median(looks) * 1000:.0f} ms)", flush=True)


# Clients.


class Counting:
    """A proxy that counts what comes from the server."""

    def __init__(self, url):
        self.upstream = url.removeprefix("http://").split(":")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.bytes = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection((self.upstream[0], int(self.upstream[1])))
            threading.Thread(target=self.pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, True), daemon=True).start()

    def pump(self, source, sink, count):
        try:
            while data := source.recv(1 << 16):
                self.bytes += len(data) if count else 0
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def of(self, run):
        before = self.bytes
        result = run()
        time.sleep(0.05)
        return result, self.bytes - before


def links(server, expected):
    import duckdb
    import duckdb_extension_httpfs
    import fsspec
    import polars

    proxy = Counting(server.url)
    items = server.files(url=proxy.url)
    urls = [item["url"] for item in items]
    sql = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    extension = next(pathlib.Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_extension"))
    sql.execute(f"load '{extension}'")
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    rows = sql.execute(f"select {names} from read_parquet($1)", [urls]).to_arrow_table().to_pylist()
    same_rows("DuckDB, by links", rows, expected)
    frames = [polars.scan_parquet(url).select(COLUMNS).collect() for url in urls]
    same_rows("polars, by links", polars.concat(frames).to_dicts(), expected)
    web = fsspec.filesystem("http")
    tables = [pyarrow.parquet.read_table(web.open(url), columns=COLUMNS) for url in urls]
    same_rows("pyarrow, by links", pyarrow.concat_tables(tables).to_pylist(), expected)

    # One user, a narrow time, few columns: of the largest file.
    item = max(items, key=lambda item: item["bytes"])
    url, size = item["url"], item["bytes"]
    if size < 2 << 20:
        sys.exit(f"the largest file has {size} bytes: the test tests less than it says")
    whole = read(server, item)
    of_file = {key(row) for row in whole}
    times = sorted(event["time"] for event in expected if key(event) in of_file)
    low, high = times[len(times) // 2], times[len(times) * 11 // 20]
    in_window = collections.Counter(e["user"] for e in expected if low <= e["time"] <= high and key(e) in of_file)
    user = server.settings["user"] or in_window.most_common(1)[0][0]
    wanted = sorted(key(e) for e in expected if e["user"] == user and low <= e["time"] <= high and key(e) in of_file)
    if not wanted:
        sys.exit("nothing is selected")

    def by_duckdb():
        fresh = duckdb.connect(config={"allow_unsigned_extensions": "true"})
        fresh.execute(f"load '{extension}'")
        text = 'select session, seq from read_parquet($1) where "user" = $2 and time between $3::timestamptz and $4::timestamptz'
        return fresh.execute(text, [url, user, low, high]).fetchall()

    def by_polars():
        moment = lambda text: polars.lit(text).str.to_datetime(time_unit="us", time_zone="UTC")
        frame = polars.scan_parquet(url).filter(
            (polars.col("user") == user) & (polars.col("time") >= moment(low)) & (polars.col("time") <= moment(high)))
        return frame.select("session", "seq").collect().rows()

    def by_pyarrow():
        moment = lambda text: pyarrow.scalar(datetime.datetime.fromisoformat(text), pyarrow.timestamp("us", tz="UTC"))
        field = pyarrow.compute.field
        file = pyarrow.parquet.ParquetFile(web.open(url, cache_type="none"), pre_buffer=True)
        table = file.read(columns=["session", "seq", "user", "time"])
        kept = table.filter((field("user") == user) & (field("time") >= moment(low)) & (field("time") <= moment(high)))
        return [tuple(row.values()) for row in kept.select(["session", "seq"]).to_pylist()]

    for name, run in ("DuckDB", by_duckdb), ("polars", by_polars), ("pyarrow", by_pyarrow):
        found, moved = proxy.of(run)
        check(f"{name}: one user in a narrow time", sorted(map(tuple, found)), wanted)
        print(f"{name}: {len(wanted)} of {item['rows']} rows selected, {moved} of {size} bytes moved ({moved * 100 / size:.1f} %)", flush=True)
        if moved * 3 >= size:
            sys.exit(f"{name} moved {moved} of {size} bytes")


def lake(server, expected):
    import deltalake

    path = server.settings["table"]
    table = deltalake.DeltaTable(path)
    rows = lambda table: table.to_pyarrow_table(columns=["offset", *COLUMNS]).to_pylist()
    all_rows = rows(table)
    same_rows("deltalake", all_rows, expected)
    offsets = sorted(row["offset"] for row in all_rows)
    version = table.version()
    if version <= 20:
        sys.exit(f"{version} versions: the test tests less than it says")
    history = table.history()
    check("operations", {action["operation"] for action in history} >= {"CREATE TABLE", "WRITE", "OPTIMIZE"}, True)
    check("versions in the history", sorted(action["version"] for action in history), list(range(version + 1)))
    place = 0
    for at in range(version + 1):
        commit = pathlib.Path(path) / "_delta_log" / f"{at:020}.json"
        actions = [json.loads(line) for line in open(commit, encoding="utf-8")]
        place = max([place, *[a["txn"]["version"] for a in actions if "txn" in a]])
        then = deltalake.DeltaTable(path, version=at).to_pyarrow_table(columns=["offset"])["offset"].to_pylist()
        check(f"offsets at version {at}: those that there were", sorted(then), offsets[:bisect.bisect_left(offsets, place)])
    print(f"deltalake: {version + 1} versions, each has what there was", flush=True)
    last = json.loads((pathlib.Path(path) / "_delta_log/_last_checkpoint").read_text())["version"]
    copy = server.directory / "copy"
    shutil.copytree(path, copy)
    commits = sorted((copy / "_delta_log").glob("*.json"))
    for commit in commits:
        if int(commit.stem) <= last:
            commit.unlink()
    short = deltalake.DeltaTable(str(copy))
    check("version from the checkpoint", short.version(), version)
    same_rows(f"deltalake, from the checkpoint {last} on", rows(short), expected)


def profile(server):
    """The address of the table for clients of Delta Sharing."""
    place = server.directory / "profile.share"
    place.write_text(json.dumps({
        "shareCredentialsVersion": 1, "endpoint": f"{server.url}/delta-sharing", "bearerToken": server.token,
        "expirationTime": "2100-01-01T00:00:00.0Z"}))
    return f"{place}#daybook.native.events"


def sharing(server, expected):
    import delta_sharing
    import pandas

    url = profile(server)
    tables = delta_sharing.SharingClient(url.split("#")[0]).list_all_tables()
    check("the table is listed", ("daybook", "native", "events") in [(t.share, t.schema, t.name) for t in tables], True)
    version = delta_sharing.get_table_version(url)
    check("version", version >= 20, True)
    for delta in False, True:
        name = f"Delta Sharing, {'delta' if delta else 'parquet'}"
        frame = delta_sharing.load_as_pandas(url, use_delta_format=delta)
        same_rows(name, of_frame(frame), expected)
        for limit in 1, 7, len(frame):
            check(f"{name}: limit", len(delta_sharing.load_as_pandas(url, limit=limit, use_delta_format=delta)), limit)
        old = delta_sharing.load_as_pandas(url, version=version // 2, use_delta_format=delta)
        check(f"{name}: less at an old version", 0 < len(old) < len(frame), True)
        check(f"{name}: nothing at the first", len(delta_sharing.load_as_pandas(url, version=0, use_delta_format=delta)), 0)
        pieces, start = [], 0
        while start <= version:
            end = min(version, start + server.random.randrange(1, 12))
            piece = delta_sharing.load_table_changes_as_pandas(url, starting_version=start, ending_version=end, use_delta_format=delta)
            if len(piece):
                check(f"{name}: kinds of changes", set(piece["_change_type"]), {"insert"})
                check(f"{name}: versions of {start} to {end}", start <= piece["_commit_version"].min() and piece["_commit_version"].max() <= end, True)
                pieces.append(piece)
            start = end + 1
        same_rows(f"{name}: changes in {len(pieces)} pieces", of_frame(pandas.concat(pieces)), expected)
    # Hints.
    files = lambda hint: [json.loads(line)["file"]["id"] for line in server.open(
        "/delta-sharing/shares/daybook/schemas/native/tables/events/query",
        json.dumps({"jsonPredicateHints": json.dumps(hint)}).encode() if hint else b"{}",
    ).read().decode().splitlines() if line.startswith('{"file"')]
    times = sorted(event["time"] for event in expected)
    column = {"op": "column", "name": "time", "valueType": "timestamp"}
    hint = {"op": "lessThanOrEqual", "children": [column, {"op": "literal", "value": times[len(times) // 100], "valueType": "timestamp"}]}
    some, every = files(hint), files(None)
    # Whether files can be passed over depends on whether events come in the order of their times.
    check("files that a hint leaves", 0 < len(some) < len(every) or not server.settings["in_order"], True)
    frame = delta_sharing.load_as_pandas(url, jsonPredicateHints=json.dumps(hint))
    had = {key(row) for row in of_frame(frame)}
    check("rows that a hint should have left", {key(e) for e in expected if e["time"] <= times[len(times) // 100]} - had, set())
    print(f"Delta Sharing: a hint of a time leaves {len(some)} of {len(every)} files", flush=True)


def spark(server, expected):
    try:
        import pyspark.sql
    except ImportError:
        print("Spark: skipped, pyspark is not in the virtual environment (DAYBOOK_SPARK=1 installs it)")
        return
    if not shutil.which("java"):
        print("Spark: skipped, there is no java")
        return
    import deltalake

    files = deltalake.DeltaTable(server.settings["table"]).file_uris()
    session = (pyspark.sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
               .config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1").config("spark.sql.session.timeZone", "UTC").getOrCreate())
    session.sparkContext.setLogLevel("ERROR")
    frame = session.read.parquet(*[file.removeprefix("file://") for file in files])
    same_rows("Spark", [row.asDict() for row in frame.select(*COLUMNS).collect()], expected)
    user = server.settings["user"] or expected[0]["user"]
    of_user = frame.filter((frame.user == user) & (frame.kind == "command")).count()
    check("Spark: commands of one user", of_user, sum(e["user"] == user and e["kind"] == "command" for e in expected))
    session.stop()


def clients(directory):
    server = Server(directory)
    expected = server.expected()
    until = time.time() + 600
    while server.behind() or sum(item["rows"] for item in server.files()) < len(expected):
        if time.time() > until:
            sys.exit("the feed does not come to an end")
        time.sleep(0.1)
    for part in links, lake, sharing, spark:
        began = time.time()
        part(server, expected)
        print(f"{part.__name__}: {time.time() - began:.1f} s", flush=True)


# OCSF.


def ocsf(directory):
    server = Server(directory)
    feeds = {feed["name"]: feed for feed in server.get("/v1/feeds")["items"]}
    until = time.time() + 600
    while any(feed["behind"] for feed in server.get("/v1/feeds")["items"]):
        if time.time() > until:
            sys.exit("the feed does not come to an end")
        time.sleep(0.1)
    total = 0
    for table in feeds["ocsf"]["tables"]:
        name = table["name"]
        uid = lambda row: (row["metadata"]["uid"], row["class_uid"])
        rows = []
        for item in server.files("ocsf", name):
            bytes = urllib.request.urlopen(item["url"], timeout=600).read()
            rows += pyarrow.parquet.read_table(pyarrow.BufferReader(bytes)).to_pylist()
        query = f"/v1/export?schema=ocsf&class={name}&format=parquet&outputs=text&findings=true&q=-session:daybook"
        exported = pyarrow.parquet.read_table(pyarrow.BufferReader(server.open(query).read())).to_pylist()
        found, wanted = {uid(row): row for row in rows}, {uid(row): row for row in exported}
        check(f"{name}: rows that are there again", len(rows) - len(found), 0)
        for one, row in wanted.items():
            if found.get(one) != row:
                sys.exit(f"{name}: {found.get(one)!r}\nis exported as {row!r}")
        others = [row for one, row in found.items() if one not in wanted]
        check(f"{name}: rows that no export has", [row for row in others if "daybook" not in json.dumps(row, default=str)], [])
        total += len(wanted)
        print(f"OCSF, {name}: {len(wanted)} rows as exported, {len(others)} of daybook's own", flush=True)
    if not total:
        sys.exit("no rows: the test tests nothing")


# One large event among many small ones.


def large(directory):
    import deltalake
    import delta_sharing
    import duckdb

    server = Server(directory)
    events, size = server.settings["events"], server.settings["large"]
    until = time.time() + 600
    while server.behind() or sum(item["rows"] for item in server.files()) < events:
        if time.time() > until:
            sys.exit("the feed does not come to an end")
        time.sleep(0.1)
    print(f"in the feed after {time.time() - BEGAN:.1f} s", flush=True)
    items = server.files()
    for item in items:
        (directory / item["file"].replace("/", "+")).write_bytes(urllib.request.urlopen(item["url"], timeout=600).read())
    print(f"pulled {len(items)} files, {sum(item['bytes'] for item in items)} bytes after {time.time() - BEGAN:.1f} s", flush=True)
    sql = duckdb.connect()
    query = "select count(*), count(distinct (session, seq)), max(strlen(output)) from read_parquet($1) where session <> 'daybook'"
    check("DuckDB: rows, keys, the longest output", sql.execute(query, [str(directory / "*.parquet")]).fetchone(), (events, events, size))
    print(f"DuckDB: {events} rows after {time.time() - BEGAN:.1f} s", flush=True)
    table = deltalake.DeltaTable(server.settings["table"]).to_pyarrow_table(columns=["session", "output"])
    longest = pyarrow.compute.max(pyarrow.compute.utf8_length(table["output"])).as_py()
    check("deltalake: rows", (table.filter(pyarrow.compute.not_equal(table["session"], "daybook")).num_rows, longest), (events, size))
    print(f"deltalake: {events} rows after {time.time() - BEGAN:.1f} s", flush=True)
    url = profile(server)
    for delta in False, True:
        frame = delta_sharing.load_as_pandas(url, use_delta_format=delta)
        check("Delta Sharing: rows", (int((frame["session"] != "daybook").sum()), int(frame["output"].str.len().max())), (events, size))
        print(f"Delta Sharing: {events} rows after {time.time() - BEGAN:.1f} s", flush=True)


def end():
    """All is said. The clients' own threads are not waited for: they sometimes abort while Python takes itself down."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    {"follow": follow, "lag": lag, "clients": clients, "ocsf": ocsf, "large": large}[sys.argv[1]](pathlib.Path(sys.argv[2]))
    end()
