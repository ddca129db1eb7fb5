"""Sends documents with the elasticsearch client's helpers: bulk.py URL"""

import sys

from elasticsearch import Elasticsearch, helpers

client = Elasticsearch(sys.argv[1], http_compress=True)
assert client.info()["version"]["number"] == "8.19.0"
assert client.ping()
assert client.cluster.health()["status"] == "green"


def documents(count):
    for n in range(count):
        yield {
            "_index": "audit",
            "_id": f"doc-{n}",
            "_op_type": "create" if n % 2 else "index",
            "@timestamp": f"2026-03-01T09:30:{n % 60:02}.{n:06}Z",
            "session": {"id": f"es-{n % 5}"},
            "user": {"email": "alice@example.com", "full_name": "Alice"},
            "process": {"command_line": f"kubectl get pod pod{n}marker", "exit_code": 0},
            "event": {"duration": 2_000_000, "outcome": "success", "type": ["allowed"]},
            "labels": {"role": "prod-eu"},
        }


stored, errors = helpers.bulk(client, documents(1000), chunk_size=100)
assert (stored, errors) == (1000, []), (stored, errors)
# A producer that did not hear the answer, and cuts its chunks elsewhere.
stored, errors = helpers.bulk(client, documents(1000), chunk_size=77)
assert (stored, errors) == (1000, []), (stored, errors)

bad = list(documents(3))
bad[1]["_id"], bad[1]["@timestamp"] = "bad", "yesterday"
stored, errors = helpers.bulk(client, bad, raise_on_error=False)
assert stored == 2 and len(errors) == 1, (stored, errors)
(error,) = errors
assert error["create"]["status"] == 400, error
assert error["create"]["error"]["type"] == "mapper_parsing_exception", error
assert "RFC 3339" in error["create"]["error"]["reason"], error
print("sent")
