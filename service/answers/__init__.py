"""From what is asked to what is answered.

answering    choose the model, read, rank, tell those who watch
answer       what was ranked and how
requests     what is asked, in each form that it is posted in
candidates   what is to be ranked, by fast ways
generic      the same whatever it looks like
batch        candidates as a matrix
survey       what the matrix lacks
lookup       features by id
reranking    the order
stopwatch    when a request was read and ranked
experiments  which version answers whom
"""
