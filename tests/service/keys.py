"""A service with one admin key, and who shows it."""

from __future__ import annotations

import hashlib

ADMIN = {"x-api-key": "ak"}
KEYS = f"ops admin {hashlib.sha256(b'ak').hexdigest()}"
