"""From what is asked to what is answered.

answering    read, choose the model, rank, tell those who watch
candidates   a request as a matrix
lookup       features by id
reranking    the ordered reply
experiments  which version answers whom
"""
