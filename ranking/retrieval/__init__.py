"""Text in, candidates out.

collections     documents, queries and judgments, of every format they come in
judgments       what is relevant, by rows, and nDCG over a whole collection
folds           folds of queries, at random or grouped by relevant document
candidates      what both arms of the search give
terms           the terms of a text: lower case, no stop words, stemmed
lexical         BM25 over fields: the lexical arm
lexical_tuning  k1, b and field weights from judged queries
encoders        texts to unit vectors, behind one protocol; embeddings kept by content
towers          small trained maps on an encoder's vectors
fitting         trains them with InfoNCE and its kin; keeps them only where they are surely better
index           the nearest vectors, exactly
documents       what a hit is shown with
engine          a folder that is opened and asked
building        from a collection to an engine: what is tuned, trained and fused
measuring       what an engine is worth on judged queries
fusion          one list of the lexical and the dense arm's candidates
choosing        which fusion, and whether any, on held-out queries
stored          index folders with a manifest of hashes
"""
