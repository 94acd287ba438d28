"""EPCIS 2.0 and GS1 as values: identifiers, barcodes, vocabularies, events, their hash ids.

Pure: bytes in, values or refusals out. No clock, no network; who stands above it captures and asks.
"""
