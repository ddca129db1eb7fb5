"""A reader of the pull feed, as simple as they are. It may be killed at any moment.

    reader.py DIRECTORY SEED

Its place, and the files that it has, are in DIRECTORY/state.json, which is replaced when the files of an answer are
there, and not before. Ends when DIRECTORY/stop is there and nothing is new.
"""

import hashlib
import http.client
import json
import os
import pathlib
import random
import sys
import time
import urllib.error
import urllib.request


def fetch(url, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30).read()


def main(directory, seed):
    settings = json.loads((directory / "settings.json").read_text())
    place = directory / "state.json"
    state = {"cursor": "", "files": [], "removed": []}
    if place.exists():
        state = json.loads(place.read_text())
    chance = random.Random(seed)
    while True:
        # Before the answer: what it has is everything that there was when it was told to stop.
        stop = (directory / "stop").exists()
        query = f"wait={'0s' if stop else '1s'}&limit={chance.choice([1, 2, 5, 100])}&cursor={state['cursor']}"
        try:
            page = json.loads(fetch(f"{settings['url']}/v1/parquet?{query}", settings["token"]))
            for item in page["items"]:
                bytes = fetch(item["url"])
                if hashlib.sha256(bytes).hexdigest() != item["sha256"] or len(bytes) != item["bytes"]:
                    sys.exit(f"{item['file']} is not what was promised")
                file = directory / "files" / item["file"].replace("/", "+")
                if file.exists() and file.read_bytes() != bytes:
                    # It was cut short by a kill, or the file changed, which none does.
                    if not bytes.startswith(file.read_bytes()):
                        sys.exit(f"{item['file']} changed")
                file.write_bytes(bytes)
                time.sleep(chance.random() * 0.03)
        except urllib.error.HTTPError as error:
            # Erased since, or the feed has not begun yet: the same question has another answer now.
            if error.code not in (410, 503):
                sys.exit(f"{error.url}: {error.code} {error.read()[:500]}")
            time.sleep(0.05)
            continue
        except (OSError, http.client.HTTPException, ValueError):
            # The server is away.
            time.sleep(0.05)
            continue
        state["cursor"] = page["next_cursor"]
        state["files"] += [[item["file"], item["rows"], item.get("skip_offsets_before", 0)] for item in page["items"]]
        state["removed"] += [went["file"] for went in page["removed"]]
        beside = place.with_suffix(".tmp")
        beside.write_text(json.dumps(state))
        os.replace(beside, place)
        if stop and not page["items"] and not page["removed"] and not page["more"]:
            return


main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
