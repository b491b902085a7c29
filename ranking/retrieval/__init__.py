"""Text in, candidates out.

collections  documents, queries and judgments, of every format they come in
lexical      BM25 with stemming, one index a field
encoders     texts to unit vectors, behind one protocol; embeddings kept by content
index        the nearest vectors, exactly
fusion       one list of the lexical and the dense arm's candidates
"""
