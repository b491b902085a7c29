"""Which model answers.

table     references to models, at one instant
sources   one that stays, or a registry
watching  a registry followed
naming    names that clients of other services have built in
"""
