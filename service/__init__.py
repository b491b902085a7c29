"""Rankwright over HTTP: candidates in, an ordered list out.

The rooms:
    app          create_app(settings, ranker=None): everything is wired here, nothing is global
    settings     Settings: RANKWRIGHT_* variables, or arguments
    messages     what goes over the wire, as msgspec structs
    body         reading a request body within its limits
    decoding     bytes -> RankRequest, with errors that name the place
    candidates   RankRequest -> float32 matrix in the model's order
    reranking    matrix -> ordered reply, with contributions
    models       which model answers to which reference
    sources      a ranker, a folder or a registry
    watching     following a registry: load first, then swap
    pool         a bounded thread pool that refuses rather than queues without end
    routes       the routes, thin
    openapi      the schema of the wire, from the structs
    errors       the one error shape
    boundary     what wraps every request: metrics, and the last catch
    telemetry    Prometheus metrics and structured log lines
    server       serve(settings): uvicorn, its socket and its signals
"""
