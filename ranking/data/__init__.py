"""Judged lists, and everything that reads or writes them.

dataset      RankingDataset: ragged lists, the one currency of training, scoring and serving
arrays       kinds of arrays, and a column of texts
letor        LETOR and LIBSVM text: reader, writer, lint, binary cache
parquet      tables (extra `parquet`)
runs         scores written out
targets      a teacher's scores, read from a file
journal      the service's journal as judged lists
store        features by id
synthetic    seeded collections with a known relevance model
clicks       clicks simulated over judged lists
description  what is in a data set
profile      how each feature is distributed
overlap      queries that two sets of lists share
atomic       files and folders that are there whole or not at all
places       places to write to, tried before the work
"""
