"""What the service tells those who run it.

metrics  Prometheus, and log lines that are JSON objects
tracing  OpenTelemetry (extra `tracing`)
"""
