"""A server of known scores, as a program."""

from __future__ import annotations

SERVER = """
from unittest import mock
from service.server import run as server
from service.app import create_app
from service.settings import Settings
from tests.service.conftest import Linear

with mock.patch.object(server, "create_app", lambda settings: create_app(settings, Linear())):
    server.serve(Settings(port=0))
"""
