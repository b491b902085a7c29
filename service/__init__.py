"""Rankwright over HTTP: candidates in, an ordered list out.

The rooms, each importing only from those above it:
    errors     the one error shape
    echo       what a client sent, as an answer says it back
    settings   Settings: RANKWRIGHT_* variables, or arguments
    telemetry  Prometheus metrics, structured log lines, traces
    wire       between bytes and structs: our messages, other services' dialects, the schema
    models     which model answers to which reference, and whence it comes
    edge       before the routes: keys and rates, limits, deadlines, draining
    answers    from what is asked to what is answered
    observers  those who are told of every answer: metrics, drift, shadow, journal
    routes     the routes, thin
    page       the playground: plain files
    app        create_app(settings, ranker=None): everything is wired here, nothing is global
    server     serve(settings): uvicorn, its socket and its signals
"""
