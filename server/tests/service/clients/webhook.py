"""Receives an alert with the Standard Webhooks library: webhook.py URL"""

import http.server
import json
import sys
import urllib.request

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

daybook = sys.argv[1]
taken = []


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = dict(self.headers)
        delivery = Webhook(secret).verify(body, headers)
        try:
            Webhook(secret).verify(body + b" ", headers)
            raise SystemExit("another body has the same signature")
        except WebhookVerificationError:
            taken.append((headers["webhook-id"], delivery))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def post(path, body):
    request = urllib.request.Request(daybook + path, body.encode(), method="POST")
    return json.load(urllib.request.urlopen(request))


receiver = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
receiver.timeout = 30
url = f"http://127.0.0.1:{receiver.server_port}/"
search = post("/v1/searches", json.dumps({"name": "n", "query": "drop", "alert": {"url": url}}))
secret = search["alert"]["secret"]
event = {"session": "s", "seq": 0, "time": "2026-03-01T09:30:00Z", "kind": "command", "input": "drop table naïve"}
post("/v1/events", json.dumps(event) + "\n")
receiver.handle_request()
[(identifier, delivery)] = taken
assert identifier.startswith(search["id"]), identifier
assert delivery["hits"][0]["snippets"][0]["text"] == event["input"], delivery
print("verified")
