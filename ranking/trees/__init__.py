"""Tree ensembles.

backends   one record a library: what there is to know of it
ranges     where a parameter may lie, for a search
forest     any of them as arrays
nodes      do the nodes of each tree form one tree?
reading    a model's bytes, checked
scoring    compiled, bit for bit as the libraries score
boosting   the libraries themselves: training
ranker     TreeRanker: scores and explains
merging    several as one
shrinking  fewer trees of one
"""
