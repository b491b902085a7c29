"""LETOR and LIBSVM text in and out.

A LETOR row is `label qid:Q id:value ... # comment`: blanks or tabs between, ids ascending from 1, absent
features filled by the missing policy. Lines end with LF (a CR directly before it is part of the line end).
`.gz` is recognised by its content, `-` is stdin.

    parsing     compiled scan of lines: labels, query ids, numbers, document ids
    explaining  what is wrong with a malformed line, and what to do
    sources     files, gzip and stdin as chunks of whole lines
    matrix      the feature matrix that grows while it is read
    grouping    rows that name their query, to lists
    reading     read_letor
    linting     lint
    naming      features.txt
    formatting  compiled shortest decimals
    writing     write_letor
    libsvm      rows without qid and their group file
    cache       a memory-mapped copy of what was read
"""

from ranking.letor.libsvm import read_libsvm, write_libsvm
from ranking.letor.linting import Lint, lint
from ranking.letor.naming import read_feature_names
from ranking.letor.reading import read_letor
from ranking.letor.writing import write_letor

__all__ = ["Lint", "lint", "read_feature_names", "read_letor", "read_libsvm", "write_letor", "write_libsvm"]
