"""Rankwright over HTTP: candidates in, an ordered list out.

The rooms:
    app          create_app(settings, ranker=None): everything is wired here, nothing is global
    settings     Settings: RANKWRIGHT_* variables, or arguments
    messages     what goes over the wire, as msgspec structs
    body         reading a request body within its limits
    asking       what a request says in its headers and parameters
    decoding     bytes -> RankRequest, with errors that name the place
    scan         the numbers of a request straight into the matrix, compiled
    candidates   RankRequest -> float32 matrix in the model's order
    lookup       features by id, from a store
    reranking    matrix -> ordered reply, with contributions
    answering    bytes -> reply: all of the above in order
    dialects     the wire formats of other rerank services
    naming       which model their clients mean
    experiments  which version answers whom: splits and drafts
    shadow       another version in the background, compared
    journal      what was shown and what came of it
    observing    what the metrics learn from answers; drift, its bins
    background   work nobody waits for
    models       which model answers to which reference
    sources      a ranker, a folder or a registry
    watching     following a registry: load first, then swap
    pool         a bounded thread pool that refuses rather than queues without end
    routes       the routes, thin
    openapi      the schema of the wire, from the structs
    errors       the one error shape
    echo         what a client sent, said back: cut
    access       who may ask for what, and how often
    proxies      whose request it is that a proxy hands on
    boundary     what wraps every request: metrics, and the last catch
    draining     not ready any more, and still answering
    telemetry    Prometheus metrics and structured log lines
    tracing      OpenTelemetry
    protocol     uvicorn's protocol with deadlines and limits on headers and connections
    server       serve(settings): uvicorn, its socket and its signals
    page         the playground: plain files
"""
