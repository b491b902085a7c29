"""Compiled reading of LETOR text: chunks of lines to labels, ids, a matrix.

sources     files, gzip and stdin as chunks of whole lines
parsing     the compiled scan
scanning    one chunk through it
explaining  what is wrong with a line
matrix      the features, while their size is not yet known
grouping    rows to lists
pipeline    all of it, in order, on several threads
"""
