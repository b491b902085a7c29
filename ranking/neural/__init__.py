"""Neural rankers: networks over features, trained with any ranking loss of `ranking.losses` (extra `neural`).

settings   what a network is made of and how it learns
inputs     raw features to what a network learns from, fitted in training, stored with the model
network    the network in torch, for training
batches    lists of like lengths together
lesson     the objective, and a teacher beside it
fitting    the training loop
audit      what a run says of itself
first_layer  the first layer on encoded features, compiled
scoring    the network in numpy, for scoring without torch
ranker     the ranker as it is kept: one safetensors file

Scoring needs no torch: a service can rerank with a model that was trained elsewhere.
"""
