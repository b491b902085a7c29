"""Features by id: what a document's row was, kept for those who send ids alone.

`open_store` opens a folder or a Redis server behind the same protocol; `build_store` writes one.

building  from judged lists to a store
opening   a store by its folder or address
packed    a memory-mapped matrix
local     the same, with SQLite for rows that change
remote    a Redis server
"""

from ranking.data.store.building import Table, build_store, read_table
from ranking.data.store.opening import FeatureStore, open_store

__all__ = ["FeatureStore", "Table", "build_store", "open_store", "read_table"]
