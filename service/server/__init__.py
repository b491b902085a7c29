"""uvicorn, its socket and its signals.

run       `serve`
protocol  limits that uvicorn's HTTP lacks
"""
