"""The routes: read, decode, call one function of another room, encode.

scoring     how a request to score is answered
rank        /v1/rank
rerank      other services' paths
features    /v1/features
feedback    /v1/feedback
models      /v1/models
operations  health, readiness, metrics
page        the playground
"""
