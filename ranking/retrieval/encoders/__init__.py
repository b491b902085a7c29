"""Texts to unit vectors, behind one protocol; a model's weights are opened by path and never fetched.

encoder                what an encoder is, its fingerprint, and what a saved one says of itself
hashed                 words, pairs and character 4-grams under a random projection: always there
static                 token tables (WordLlama's, model2vec's), summed over a text
minilm                 all-MiniLM-L6-v2 and other BERTs with mean pooling
bert                   BERT's forward pass in torch
sentence_transformers  whatever else that package opens, by its folder
tokens                 tokenizers by their bytes, and a memory of words
packages               weights inside installed packages
loading                an encoder by its name or its folder
cache                  embeddings kept by content and encoder
"""

from ranking.retrieval.encoders.cache import embed
from ranking.retrieval.encoders.encoder import Encoder
from ranking.retrieval.encoders.loading import encoder_named, load_encoder

__all__ = ["Encoder", "embed", "encoder_named", "load_encoder"]
