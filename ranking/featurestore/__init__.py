"""Features by id: what a document's row was, kept for those who send ids alone.

`open_store` opens a folder (a memory-mapped matrix, with SQLite for rows that change) or a Redis server
behind the same protocol; `build_store` writes one.
"""

from ranking.featurestore.building import Table, build_store, read_table
from ranking.featurestore.opening import FeatureStore, open_store

__all__ = ["FeatureStore", "Table", "build_store", "open_store", "read_table"]
