"""How our code meets the compiler.

jit       the one `compiled` decorator, and where machine code is kept
warming   what is compiled before it is needed
decimals  numbers in text, bit for bit as Python reads them
digits    the same where the ends are known, many digits at a time
doubles   printed numbers as the nearest double
names     a table of names that compiled code searches
own_code  functions from a user's own file
cpus      how many processors there are for us
"""
