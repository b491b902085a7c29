"""LETOR and LIBSVM text in and out.

A LETOR row is `label qid:Q id:value ... # comment`: blanks or tabs between, ids ascending from 1, absent
features filled by the missing policy. Lines end with LF (a CR directly before it is part of the line end).
`.gz` is recognised by its content, `-` is stdin.

    parser      compiled reading: chunks, scan, matrix, grouping, what is wrong with a line
    lists       from paths and options to rows and lists
    reading     read_letor
    linting     lint
    naming      features.txt
    formatting  compiled shortest decimals
    writing     write_letor
    libsvm      rows without qid and their group file
    cache       a memory-mapped copy of what was read
"""

from ranking.data.letor.libsvm import read_libsvm, write_libsvm
from ranking.data.letor.linting import Lint, lint
from ranking.data.letor.naming import read_feature_names
from ranking.data.letor.reading import read_letor
from ranking.data.letor.writing import write_letor

__all__ = ["Lint", "lint", "read_feature_names", "read_letor", "read_libsvm", "write_letor", "write_libsvm"]
