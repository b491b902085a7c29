"""Documents, queries and judgments, of every format they come in.

collection   the values: documents with fields and numbers, queries, judgments by split
lines        lines of a text file, plain or gzip, each with its number; faults by FILE:LINE
records      what readers yield, gathered into the values; ids that occur twice
judgments    judged pairs from TREC's and tab-separated files, split by file name
json_lines   documents and queries as one JSON object a line
tables       TSV or JSON Lines with names of one's own
beir         corpus.jsonl, queries.jsonl, qrels/
trec         <DOC> documents, <top> topics
smart        .I .T .A .B .W, as Cranfield and CISI come
folder       the files of a collection: what each is, by its name and its beginning
reading      a folder to a collection, the form decided by what lies there
description  what is in a collection, before anything is searched
"""

from __future__ import annotations

from ranking.retrieval.collections.collection import Collection, Documents, Queries
from ranking.retrieval.collections.reading import read_collection
from ranking.retrieval.judgments import Judgments

__all__ = ["Collection", "Documents", "Judgments", "Queries", "read_collection"]
