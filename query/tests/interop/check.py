"""Reads a Parquet file of events with DuckDB, pyarrow and polars, which have to agree.

    check.py FILE.parquet EXPECTED.json

EXPECTED.json, all of it optional:
    {"events": 5, "sessions": {"ID": 3}, "users": {"alice@example.com": 2}, "event_data": true}
"""

import json
import sys

import duckdb
import polars
import pyarrow
import pyarrow.compute
import pyarrow.parquet


def check(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: found {found!r}, expected {expected!r}")
    print(f"{what}: {found!r}")


def main(path, expected):
    sql = duckdb.connect()
    table = pyarrow.parquet.read_table(path)
    frame = polars.scan_parquet(path)
    file = pyarrow.parquet.ParquetFile(path)
    metadata = file.metadata
    query = lambda text: sql.execute(text, [path]).fetchall()

    # Counts.
    events = expected.get("events", table.num_rows)
    check("events, pyarrow", table.num_rows, events)
    check("events, polars", frame.select(polars.len()).collect().item(), events)
    check("events, DuckDB", query("SELECT count(*) FROM read_parquet($1)")[0][0], events)

    # Types.
    utc = lambda unit: pyarrow.timestamp(unit, tz="UTC")
    for name, kind in {
        "offset": pyarrow.int64(),
        "session": pyarrow.string(),
        "seq": pyarrow.int64(),
        "time": utc("us"),
        "event_time": utc("ms"),
        "event_data": pyarrow.string(),
        "tags": pyarrow.list_(pyarrow.field("element", pyarrow.string(), nullable=False)),
    }.items():
        check(f"type of {name}, pyarrow", table.schema.field(name).type, kind)
    types = {row[0]: row[1] for row in query("DESCRIBE SELECT * FROM read_parquet($1)")}
    check("type of time, DuckDB", types["time"], "TIMESTAMP WITH TIME ZONE")
    check("type of tags, DuckDB", types["tags"], "VARCHAR[]")
    schema = frame.collect_schema()
    check("type of time, polars", schema["time"], polars.Datetime("us", "UTC"))
    ids = query("SELECT count(*), count(DISTINCT field_id) FROM parquet_schema($1) "
                "WHERE num_children IS NULL AND field_id IS NOT NULL")
    check("leaves with a field id of their own", ids[0], (len(table.schema), len(table.schema)))

    # What the footer says.
    check("created by", metadata.created_by, "daybook")
    check("schema version", metadata.metadata[b"daybook.schema_version"], b"2")
    if events:
        low, high = pyarrow.compute.min_max(table["offset"]).as_py().values()
        check("offsets", metadata.metadata[b"daybook.offsets"].decode(), f"{low}-{high}")
        columns = [metadata.row_group(0).column(i) for i in range(metadata.num_columns)]
        stats = {column.path_in_schema: column.is_stats_set for column in columns}
        check("statistics on time, input, output",
              (stats["time"], stats["input"], stats["output"]), (True, False, False))
        indexes = [c.has_offset_index and c.has_column_index for c in columns
                   if c.path_in_schema == "time"]
        check("page index on time", indexes, [True])
        if metadata.row_group(0).sorting_columns:
            times = table["time"].combine_chunks()
            check("sorted by time as it says",
                  pyarrow.compute.all(pyarrow.compute.less_equal(times[:-1], times[1:])).as_py()
                  if events > 1 else True, True)

    # Values.
    has_data = table["event_data"].null_count == 0
    check("event_data", has_data, expected.get("event_data", has_data))
    if has_data and events:
        for row in table.select(["session", "kind", "event_data"]).slice(0, 1000).to_pylist():
            event = json.loads(row["event_data"])
            if (event["session"], event["kind"]) != (row["session"], row["kind"]):
                sys.exit(f"event_data contradicts its columns: {row!r}")
    for column in ["session", "user"]:
        for value, count in expected.get(column + "s", {}).items():
            found = sql.execute(
                f'SELECT count(*) FROM read_parquet($1) WHERE "{column}" = $2', [path, value]
            ).fetchone()[0]
            check(f"events of {column} {value}, DuckDB", found, count)
            rows = frame.filter(polars.col(column) == value).select(polars.len())
            check(f"events of {column} {value}, polars", rows.collect().item(), count)
        probe = sql.execute(
            "SELECT bool_and(bloom_filter_excludes) FROM parquet_bloom_probe($1, $2, $3)",
            [path, column, "nobody has this name"],
        ).fetchone()[0]
        if events and table[column].null_count < events:
            check(f"bloom filter of {column} excludes a stranger", probe, True)
    # SQL as it is written for Teleport's audit log.
    teleport = query("SELECT event_type, count(*) FROM read_parquet($1) "
                     "WHERE event_time >= TIMESTAMPTZ '1970-01-01' "
                     "AND session_id IS NOT NULL AND uid IS NOT NULL GROUP BY 1")
    check("events by Teleport's columns", sum(row[1] for row in teleport), events)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[2]) as file:
        main(sys.argv[1], json.load(file))
    print("interop: all readers agree")
