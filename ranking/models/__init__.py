"""A model as an object, as a folder and as an entry of a registry.

ranker     `Ranker`: what every trained model can do
kinds      who opens which kind
ensemble   several rankers as one
folder     the model folder
manifest   what it says of itself
probe      a disposable process that opens it first
loading    `load_ranker`
verifying  its checks, one by one
registry   named versions, and aliases
"""
