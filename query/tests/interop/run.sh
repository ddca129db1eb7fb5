#!/bin/sh
# Checks a Parquet file of events with DuckDB, pyarrow and polars:
#     run.sh FILE.parquet EXPECTED.json
# Makes a virtual environment once, in $DAYBOOK_INTEROP_VENV or the temporary directory.
# Exit status 77 means skipped: there is no python3, or the packages can't be installed.
set -eu
here=$(dirname "$0")
venv=${DAYBOOK_INTEROP_VENV:-${TMPDIR:-/tmp}/daybook-interop-venv}
skip() {
    echo "interop: skipped, $1"
    exit 77
}
command -v python3 >/dev/null || skip "there is no python3"
if ! "$venv/bin/python" -c 'import duckdb, pyarrow, polars, pytz' 2>/dev/null; then
    # Made beside and renamed, so that two runs at once do not meet.
    python3 -m venv "$venv.$$" >&2 || skip "python3 can't make a virtual environment"
    "$venv.$$/bin/python" -m pip install --quiet \
        duckdb==1.5.5 pyarrow==26.0.1 polars==2.1.0 pytz >&2 ||
        { rm -rf "$venv.$$"; skip "duckdb, pyarrow and polars can't be installed"; }
    mv -T "$venv.$$" "$venv" 2>/dev/null || rm -rf "$venv.$$"
fi
exec "$venv/bin/python" "$here/check.py" "$@"
