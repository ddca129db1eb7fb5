"""Sends log records with the OpenTelemetry SDK: otlp.py URL COMPRESSION"""

import logging
import sys

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

# A batch that is not taken is only logged.
logging.basicConfig(level=logging.WARNING)
failures = []


class Failures(logging.Handler):
    def emit(self, record):
        failures.append(record.getMessage())


logging.getLogger("opentelemetry").addHandler(Failures())

url, compression = sys.argv[1:]
provider = LoggerProvider(resource=Resource.create({"service.name": "gateway", "host.name": "web-1"}))
exporter = OTLPLogExporter(endpoint=f"{url}/v1/logs", compression=Compression(compression))
provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
logger = provider.get_logger("audit")
for n in range(300):
    logger.emit(
        LogRecord(
            timestamp=1772357400000000000 + n,
            severity_number=SeverityNumber.INFO,
            severity_text="INFO",
            body=f"query {n}",
            attributes={
                "session.id": f"otel-{compression}-{n % 3}",
                "user.name": "alice",
                "db.system.name": "postgresql",
                "db.query.text": f"select {n} from {compression}marker",
            },
        )
    )
assert provider.force_flush(30_000)
provider.shutdown()
assert not failures, failures
print("sent")
