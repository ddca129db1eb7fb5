#!/usr/bin/env python3
"""A daybook producer in Python's standard library alone: batches, tries again, resumes, spills.

    client = Client("http://127.0.0.1:7330", spill="/var/spool/my-proxy")
    client.send({"session": "s-1", "seq": 0, "time": "2026-03-01T09:30:00Z", "kind": "session.start"})
    client.close()

Run as a program it sends the events (one JSON object a line) that it reads from standard input:

    daybook_client.py http://127.0.0.1:7330 /var/spool/my-proxy < events.ndjson
"""
import glob, http.client, json, os, queue, random, sys, threading, time, urllib.error, urllib.request

BATCH_BYTES, BATCH_EVENTS, BATCH_SECONDS = 256 << 10, 1000, 0.1


class SpillFull(Exception):
    """The server is away and the spill is full: nothing of this event was kept. Wait, or say so."""


class Client:
    def __init__(self, url, token=None, spill="spill", spill_bytes_max=256 << 20):
        self.url, self.token = url.rstrip("/") + "/v1/events", token
        self.spill, self.spill_bytes_max = spill, spill_bytes_max
        self.events, self.full, self.numbers = queue.Queue(10_000), False, iter(range(1 << 62))
        self.accepted = self.duplicates = 0
        self.rejected = []  # (line, why) of each event that daybook will not take
        os.makedirs(spill, 0o700, exist_ok=True)
        self.worker = threading.Thread(target=self._work, daemon=True)
        self.worker.start()

    def send(self, event):
        """Takes one event. It needs a `seq`: only so can it be sent twice and be stored once."""
        if "session" not in event or "seq" not in event:
            raise ValueError("an event needs `session` and `seq`")
        if self.full:
            raise SpillFull(f"{self.spill} holds {self.spill_bytes_max} bytes, and {self.url} is away")
        self.events.put(json.dumps(event, separators=(",", ":")).encode() + b"\n")

    def close(self, patience=30.0):
        """Sends what is left; answers how many batches then still wait in the spill."""
        self.deadline = time.monotonic() + patience
        self.events.put(None)
        self.worker.join()
        return len(self._waiting())

    def _work(self):
        batch, size, since, again_at, failures, closing = [], 0, 0.0, 0.0, 0, False
        while True:
            try:
                line = None if closing else self.events.get(timeout=0.02)
                closing = closing or line is None
            except queue.Empty:
                line = None
            if line:
                since = since if batch else time.monotonic()
                batch.append(line)
                size += len(line)
            late = batch and time.monotonic() - since > BATCH_SECONDS
            if batch and (late or closing or size >= BATCH_BYTES or len(batch) >= BATCH_EVENTS):
                self._keep(b"".join(batch))  # on disk before it is sent: a kill loses no batch
                batch, size = [], 0
            waiting = self._waiting()
            if closing and (not waiting or time.monotonic() > self.deadline):
                return
            if not waiting or time.monotonic() < again_at:
                time.sleep(0.02 if closing else 0)
                continue
            wait = self._deliver(waiting[0])  # oldest first
            failures = 0 if wait is None else failures + 1
            if wait is not None:  # at least what the server asks for, and never in step with others
                again_at = time.monotonic() + wait + min(15, 0.1 * 2 ** min(failures, 10)) * random.uniform(0.5, 1)

    def _waiting(self):
        return sorted(glob.glob(os.path.join(self.spill, "*.ndjson")))

    def _keep(self, lines):
        name = f"{time.time_ns() // 1000:020}-{os.getpid()}-{next(self.numbers):06}.ndjson"
        path = os.path.join(self.spill, name)
        with open(path + ".part", "wb") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        os.rename(path + ".part", path)
        self.full = sum(map(os.path.getsize, self._waiting())) >= self.spill_bytes_max

    def _deliver(self, path):
        """One request. None if the file is answered for, else the seconds that the server asks to wait."""
        with open(path, "rb") as file:
            lines = file.read()
        request = urllib.request.Request(self.url, lines, {"Content-Type": "application/x-ndjson"})
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                receipt = json.load(response)
        except urllib.error.HTTPError as error:
            if error.code in (408, 429) or error.code >= 500:  # busy, full, starting: the same lines again
                asked = error.headers.get("Retry-After", "0")
                return float(asked) if asked.isdigit() else 1.0
            if error.code in (400, 413, 415, 422):  # these lines can't be taken: beside, for a person to look
                self.rejected.append((lines.decode(errors="replace"), error.read().decode(errors="replace")))
                os.rename(path, path + ".refused")
                return None
            return 15.0  # 401, 403, 404: not about the lines; they wait until somebody mends it
        except (OSError, http.client.HTTPException, ValueError):
            return 0.0  # no connection, or it broke: sent again, what had arrived counts as duplicates
        self.accepted += receipt["accepted"]
        self.duplicates += receipt["duplicates"]
        refused = [(lines.splitlines()[r["line"] - 1].decode(), r["error"]) for r in receipt["rejected"]]
        if refused:
            with open(path + ".refused", "w") as file:
                file.writelines(line + "\n" for line, _ in refused)
            self.rejected += refused
        os.remove(path)
        self.full = False
        return None


if __name__ == "__main__":
    client = Client(sys.argv[1], os.environ.get("DAYBOOK_TOKEN"), sys.argv[2])
    for text in sys.stdin:
        while True:
            try:
                client.send(json.loads(text))
                break
            except SpillFull as error:
                print(error, file=sys.stderr)
                time.sleep(1)
    left = client.close()
    print(json.dumps({"accepted": client.accepted, "duplicates": client.duplicates,
                      "rejected": len(client.rejected), "batches_left": left}))
    sys.exit(1 if left or client.rejected else 0)
