"""Between bytes and structs.

messages  what goes over the wire: decoder, encoder and schema at once
schema    the schema, published
decoding  bytes to requests
bounds    how much JSON holds, before any of it is decoded
scan      numbers in JSON, compiled
rows      rows of numbers: the scan, and what stands in for it
dialects  other services' formats
"""
