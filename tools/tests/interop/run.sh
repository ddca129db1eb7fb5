#!/bin/sh
# Runs a check of the feeds with other people's clients:
#     run.sh feeds.py follow|lag|clients|ocsf DIRECTORY
#     run.sh shared.py store|check DIRECTORY
# Makes a virtual environment once, in $DAYBOOK_FEEDS_VENV or the temporary directory.
# Exit status 77 means skipped: there is no python3, or the packages can't be installed.
set -eu
here=$(dirname "$0")
# Another list of packages takes another directory. It is not the one of query's tests: delta-sharing wants an older
# pyarrow.
venv=${DAYBOOK_FEEDS_VENV:-${TMPDIR:-/tmp}/daybook-feeds-venv-2}
skip() {
    echo "feeds: skipped, $1"
    exit 77
}
command -v python3 >/dev/null || skip "there is no python3"
wanted="import duckdb, duckdb_extension_httpfs, polars, pyarrow, deltalake, delta_sharing, pandas, fsspec, aiohttp, requests, moto, flask, flask_cors"
if ! "$venv/bin/python" -c "$wanted" 2>/dev/null; then
    # Made beside and renamed, so that two runs at once do not meet.
    python3 -m venv "$venv.$$" >&2 || { rm -rf "$venv.$$"; skip "python3 can't make a virtual environment"; }
    "$venv.$$/bin/python" -m pip install --quiet \
        duckdb==1.5.5 duckdb-extension-httpfs==1.5.5 polars==2.1.0 pyarrow==23.0.1 deltalake==1.6.6 \
        delta-sharing==1.4.2 pandas==2.3.3 fsspec==2026.2.0 aiohttp requests \
        "moto[server,s3]==5.2.5" >&2 ||
        { rm -rf "$venv.$$"; skip "the packages can't be installed"; }
    mv -T "$venv.$$" "$venv" 2>/dev/null || rm -rf "$venv.$$"
fi
# Spark is large, so it is there only where it is asked for.
if [ -n "${DAYBOOK_SPARK:-}" ] && ! "$venv/bin/python" -c 'import pyspark' 2>/dev/null; then
    "$venv/bin/python" -m pip install --quiet pyspark >&2 || echo "feeds: pyspark can't be installed"
fi
check=$1
shift
exec "$venv/bin/python" "$here/$check" "$@"
