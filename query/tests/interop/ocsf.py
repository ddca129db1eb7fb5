"""Validates rows of OCSF with the schemas of OCSF itself, and the Parquet and Arrow files of each class against them.

    ocsf.py VERSION DIRECTORY

In the directory: rows.ndjson, with a row a line; and for each class CLASS.parquet and CLASS.arrow.
"""

import json
import pathlib
import sys

import jsonschema_rs
import pyarrow.ipc
import pyarrow.parquet
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

PROFILES = ["security_control"]


def pruned(value):
    """Without what is null or empty, which a row has not."""
    if isinstance(value, dict):
        values = {name: pruned(inner) for name, inner in value.items()}
        return {name: inner for name, inner in values.items() if inner not in (None, [], {})}
    if isinstance(value, list):
        return [pruned(inner) for inner in value]
    return value


def of_columns(row):
    row = pruned(row)
    row["unmapped"] = json.loads(row["unmapped"])
    return row


def main(version, directory):
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=version))
    validators = {}
    rows = {}
    with open(directory / "rows.ndjson", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            name = schema.lookup_class_name_from_uid(row["class_uid"])
            if name not in validators:
                of_class = schema.get_class_schema(class_name=name, profiles=PROFILES)
                validators[name] = jsonschema_rs.validator_for(of_class)
            errors = list(validators[name].iter_errors(row))
            if errors:
                said = "; ".join(f"{error.instance_path}: {error.message}"[:300] for error in errors)
                sys.exit(f"{name} {version}: {said}\n{line[:2000]}")
            if row["metadata"]["version"] != version:
                sys.exit(f"a row of version {row['metadata']['version']}")
            rows.setdefault(name, []).append(row)
    for name, expected in sorted(rows.items()):
        parquet = pyarrow.parquet.read_table(directory / f"{name}.parquet")
        with pyarrow.ipc.open_file(directory / f"{name}.arrow") as file:
            arrow = file.read_all()
        for kind, table in ("Parquet", parquet), ("Arrow", arrow):
            found = [of_columns(row) for row in table.to_pylist()]
            if len(found) != len(expected):
                sys.exit(f"{name}, {kind}: {len(found)} rows, expected {len(expected)}")
            for mine, theirs in zip(found, expected):
                if mine != pruned(theirs):
                    sys.exit(f"{name}, {kind}: {mine}\nis not {pruned(theirs)}")
        print(f"{name} {version}: {len(expected)} rows are valid")


main(sys.argv[1], pathlib.Path(sys.argv[2]))
