"""Other people's writers and readers of the feed's files.

    parquet.py write DIR ROUNDS     the rows of DIR's files, in memory, written again by pyarrow and by DuckDB; the quickest
                                    of some rounds
    parquet.py read URL             a selective query of DuckDB's over the links of a feed, and how much it moves

Prints a line of JSON for each."""

import inspect
import json
import os
import pathlib
import socket
import sys
import tempfile
import threading
import time
import urllib.request

FEW = ["kind", "verdict", "rule", "language", "stream", "review", "decision", "by", "action", "target", "user", "user_name",
       "role", "type", "subtype", "agent", "client_ip", "status", "event_type", "session", "session_id", "producer",
       "exit_code", "duration_ms", "rows", "masked", "bytes", "tags.list.element"]

BLOOM = ["session", "session_id", "user"]


def say(name, **figures):
    print(json.dumps({"name": name, **figures}), flush=True)


def quickest(rounds, work):
    def seconds():
        started = time.process_time()
        work()
        return time.process_time() - started

    return min(seconds() for _ in range(int(rounds)))


def write(directory, rounds):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    files = sorted(str(path) for path in pathlib.Path(directory).glob("*.parquet"))
    table = pa.concat_tables(pq.read_table(file) for file in files).combine_chunks()
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        out = os.path.join(scratch, "pyarrow.parquet")
        options = {}
        if "bloom_filter_options" in inspect.signature(pq.write_table).parameters:
            options["bloom_filter_options"] = {name: {"ndv": 1 << 15, "fpp": 0.01} for name in BLOOM}
        seconds = quickest(rounds, lambda: pq.write_table(
            table, out, compression="zstd", compression_level=1, use_dictionary=FEW, row_group_size=128 << 10,
            data_page_version="1.0", write_page_index=True, **options))
        say("pyarrow", seconds=seconds, rows=table.num_rows, bytes=os.path.getsize(out))
        try:
            import duckdb
        except ImportError:
            return
        connection = duckdb.connect()
        connection.execute("set threads = 1")
        connection.register("events", table)
        connection.execute("create table held as select * from events")
        out = os.path.join(scratch, "duckdb.parquet")
        seconds = quickest(rounds, lambda: connection.execute(
            f"copy held to '{out}' (format parquet, compression zstd, compression_level 1, row_group_size 131072)"))
        say("DuckDB", seconds=seconds, rows=table.num_rows, bytes=os.path.getsize(out))


class Counting(threading.Thread):
    """Hands connections on to a port, and counts what comes back."""

    def __init__(self, host, port):
        super().__init__(daemon=True)
        self.there = (host, port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.bytes = 0

    def run(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(self.there)
            threading.Thread(target=self.pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, True), daemon=True).start()

    def pump(self, source, to, counted):
        try:
            while piece := source.recv(1 << 16):
                if counted:
                    self.bytes += len(piece)
                to.sendall(piece)
        except OSError:
            pass
        for end in (source, to):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def read(url):
    import duckdb
    import duckdb_extension_httpfs

    host, port = url.split("://")[1].split(":")
    proxy = Counting(host, int(port))
    proxy.start()
    asked = urllib.request.Request(f"{url}/v1/parquet?limit=1000")
    asked.add_header("x-forwarded-host", f"127.0.0.1:{proxy.port}")
    files = json.load(urllib.request.urlopen(asked))["items"]
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    package = pathlib.Path(duckdb_extension_httpfs.__file__).parent
    connection.execute(f"load '{next(package.rglob('httpfs.duckdb_extension'))}'")
    links = [file["url"] for file in files]
    user, first = connection.execute(
        "select user, min(time) from read_parquet(?) where user is not null group by user order by count(*), user limit 1 offset 3", [links]).fetchone()
    stored = sum(file["bytes"] for file in files)
    # A connection that has nothing of the files in its memory.
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    connection.execute(f"load '{next(package.rglob('httpfs.duckdb_extension'))}'")
    before = proxy.bytes
    started = time.perf_counter()
    rows = connection.execute(
        "select count(*), max(input) from read_parquet(?) where user = ? and time >= ? and time < ? + interval 1 day",
        [links, user, first, first]).fetchone()[0]
    say("DuckDB over HTTP", seconds=time.perf_counter() - started, rows=rows, moved=proxy.bytes - before, bytes=stored, files=len(files))


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](*sys.argv[2:])
