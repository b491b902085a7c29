"""How our code meets the compiler.

jit     the one `compiled` decorator, and where machine code is kept
"""
