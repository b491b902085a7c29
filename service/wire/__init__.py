"""Between bytes and structs.

messages    what goes over the wire: decoder, encoder and schema at once
schema      the schema, published
decoding    bytes to requests
bounds      how much JSON holds, before any of it is decoded
envelope    what a request says beside its rows
candidates  candidates in one compiled pass
ids         ids, as strings and as they came
scan        numbers in JSON, compiled
rows        rows of numbers: the scan, and what stands in for it
results     results as JSON, compiled
dialects    other services' formats
"""
