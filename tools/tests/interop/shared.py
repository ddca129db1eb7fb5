"""One table of two servers in an object store, which fails and throttles.

    shared.py store DIRECTORY     S3 by moto, until DIRECTORY/stop is there; where it is, is in DIRECTORY/endpoint, and what
                                  it did in the end in DIRECTORY/did.json
    shared.py check DIRECTORY     reads what the servers wrote, with other people's clients

The store answers some requests with 503, before or after it did what was asked, and counts what it did to whom, until
DIRECTORY/calm is there. While DIRECTORY/deaf is there it hears no conditions. In the directory of `check`: settings.json (urls, tokens, endpoint) and expected.ndjson, as feeds.py has it.
"""

import collections
import io
import json
import pathlib
import sys
import threading
import time
import urllib.error
import urllib.request

from feeds import BEGAN, Server, check, end, of_frame, profile, same_rows

BUCKET, PREFIX = "lake", "audit"
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
# Of so many requests, one is not done, and one is done and answered as if it were not.
REFUSED, UNTOLD = 11, 13


class Store:
    """One request at a time, as moto looks for what is there before it puts it."""

    def __init__(self, directory):
        from moto.server import DomainDispatcherApplication, create_backend_app

        self.app = DomainDispatcherApplication(create_backend_app)
        self.directory = directory
        self.lock = threading.Lock()
        self.did = collections.Counter()

    def __call__(self, environ, start_response):
        length = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
        if (self.directory / "deaf").exists():
            environ.pop("HTTP_IF_NONE_MATCH", None)
        with self.lock:
            self.did["asked"] += 1
            if "uploads" in environ.get("QUERY_STRING", ""):
                self.did["in pieces"] += 1
            troubled = not (self.directory / "calm").exists()
            if troubled and self.did["asked"] % REFUSED == 0:
                self.did["refused"] += 1
                return self.slow_down(start_response)
            said = []
            body = b"".join(self.app(environ, lambda status, headers, *more: said.append((status, headers))))
            if said[0][0].startswith("412"):
                self.did["lost puts"] += 1
            if troubled and self.did["asked"] % UNTOLD == 0:
                self.did["untold"] += 1
                return self.slow_down(start_response)
        start_response(*said[0])
        return [body]

    def slow_down(self, start_response):
        start_response("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", str(len(SLOW_DOWN)))])
        return [SLOW_DOWN]


def store(directory):
    import logging

    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = Store(directory)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.port}"
    (directory / "calm").touch()
    request = urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")
    request.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=one/20260301/us-east-1/s3/aws4_request")
    urllib.request.urlopen(request, timeout=30).close()
    (directory / "calm").unlink()
    (directory / "endpoint.part").write_text(endpoint)
    (directory / "endpoint.part").rename(directory / "endpoint")
    while not (directory / "stop").exists():
        time.sleep(0.1)
    print(f"the store: {dict(app.did)}")
    (directory / "did.json").write_text(json.dumps(app.did))


def compare(directory):
    settings = json.loads((directory / "settings.json").read_text())
    servers = []
    for url, token in zip(settings["urls"], settings["tokens"]):
        own = directory / f"server-{len(servers)}"
        own.mkdir()
        (own / "settings.json").write_text(json.dumps({"url": url, "token": token, "seed": 1}))
        servers.append(Server(own))
    with open(directory / "expected.ndjson", encoding="utf-8") as lines:
        expected = [json.loads(line) for line in lines]
    wait(servers)

    import deltalake
    import pyarrow.fs
    import pyarrow.parquet

    options = {
        "AWS_ENDPOINT_URL": settings["endpoint"], "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "one", "AWS_SECRET_ACCESS_KEY": "two",
    }
    table = deltalake.DeltaTable(f"s3://{BUCKET}/{PREFIX}/events", storage_options=options)
    same_rows("deltalake", table.to_pyarrow_table().to_pylist(), expected)
    s3 = pyarrow.fs.S3FileSystem(
        access_key="one", secret_key="two", endpoint_override=settings["endpoint"].removeprefix("http://"),
        scheme="http", region="us-east-1",
    )
    adds = log(s3, f"{BUCKET}/{PREFIX}/events")
    rows = []
    for path, add in adds.items():
        with s3.open_input_file(f"{BUCKET}/{PREFIX}/events/{path}") as file:
            check(f"bytes of {path}", file.size(), add["size"])
            rows += pyarrow.parquet.read_table(file).to_pylist()
    same_rows("pyarrow", rows, expected)
    nodes = {add["tags"]["daybook.node"] for add in adds.values()}
    check("nodes of the table", len(nodes), 2)

    pulled, sessions = [], []
    for server in servers:
        items = server.files()
        bodies = [pyarrow.BufferReader(urllib.request.urlopen(item["url"], timeout=60).read()) for item in items]
        own = [row for body in bodies for row in pyarrow.parquet.read_table(body).to_pylist()]
        pulled += own
        sessions.append({row["session"] for row in own} - {"daybook"})
    same_rows("the pull feeds of both", pulled, expected)
    check("sessions of both", sessions[0] & sessions[1], set())
    cursor = servers[0].get("/v1/parquet")["next_cursor"]
    try:
        servers[1].get(f"/v1/parquet?cursor={cursor}")
        sys.exit("a cursor of another server's log was taken")
    except urllib.error.HTTPError as error:
        check("a cursor of another server's", error.code, 400)

    import delta_sharing

    for server in servers:
        for delta in False, True:
            frame = delta_sharing.load_as_pandas(profile(server), use_delta_format=delta)
            same_rows(f"Delta Sharing of {server.url}", of_frame(frame), expected)
    print(f"{len(adds)} files in version {table.version()}", flush=True)


def wait(servers):
    """What is closed is in the table, both servers know it, and nothing fails any more."""
    until = time.time() + 120
    while True:
        feeds = [server.get("/v1/feeds")["items"][0] for server in servers]
        versions = {feed["tables"][0]["version"] if feed["tables"] else None for feed in feeds}
        if not any(feed["behind"] or feed["last_error"] for feed in feeds) and len(versions) == 1:
            print(f"the feeds are up to date after {time.time() - BEGAN:.1f} s", flush=True)
            return
        if time.time() > until:
            sys.exit(f"the feeds do not come to an end: {feeds}")
        time.sleep(0.3)


def log(s3, table):
    """The files of a table, by its log alone: each comes once, and each node's places only grow."""
    import pyarrow.fs

    names = [info.base_name for info in s3.get_file_info(pyarrow.fs.FileSelector(f"{table}/_delta_log"))]
    commits = sorted(name for name in names if name.endswith(".json"))
    check("versions", [int(name[:20]) for name in commits], list(range(len(commits))))
    live, came, places, times = {}, set(), collections.defaultdict(list), []
    for name in commits:
        with s3.open_input_file(f"{table}/_delta_log/{name}") as file:
            actions = [json.loads(line) for line in file.read().decode().splitlines()]
        for action in actions:
            if "remove" in action:
                check("a file that goes was there", live.pop(action["remove"]["path"], None) is None, False)
        for action in actions:
            if "commitInfo" in action:
                times.append(action["commitInfo"]["timestamp"])
            if "txn" in action:
                places[action["txn"]["appId"]].append(action["txn"]["version"])
            if "add" in action:
                path = action["add"]["path"]
                check(f"{path} comes once", path in came, False)
                came.add(path)
                live[path] = action["add"]
    for app, versions in places.items():
        check(f"places of {app}", versions, sorted(set(versions)))
    check("times", times, sorted(set(times)))
    check("writers", len(places), 2)
    return live


{"store": store, "check": compare}[sys.argv[1]](pathlib.Path(sys.argv[2]))
end()
