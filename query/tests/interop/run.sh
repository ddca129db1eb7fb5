#!/bin/sh
# Runs a check with other people's readers:
#     run.sh check.py FILE.parquet EXPECTED.json
#     run.sh ocsf.py VERSION DIRECTORY
# Makes a virtual environment once, in $DAYBOOK_INTEROP_VENV or the temporary directory.
# Exit status 77 means skipped: there is no python3, or the packages can't be installed.
set -eu
here=$(dirname "$0")
# Another list of packages takes another directory.
venv=${DAYBOOK_INTEROP_VENV:-${TMPDIR:-/tmp}/daybook-interop-venv-2}
skip() {
    echo "interop: skipped, $1"
    exit 77
}
command -v python3 >/dev/null || skip "there is no python3"
if ! "$venv/bin/python" -c 'import duckdb, pyarrow, polars, pytz, jsonschema_rs, ocsf_json_schema' 2>/dev/null; then
    # Made beside and renamed, so that two runs at once do not meet.
    python3 -m venv "$venv.$$" >&2 || skip "python3 can't make a virtual environment"
    "$venv.$$/bin/python" -m pip install --quiet \
        duckdb==1.5.5 pyarrow==26.0.1 polars==2.1.0 pytz ocsf-json-schema==1.2.0 jsonschema-rs >&2 ||
        { rm -rf "$venv.$$"; skip "the packages can't be installed"; }
    mv -T "$venv.$$" "$venv" 2>/dev/null || rm -rf "$venv.$$"
fi
check=$1
shift
exec "$venv/bin/python" "$here/$check" "$@"
