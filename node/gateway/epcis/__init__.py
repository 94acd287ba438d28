"""EPCIS 2.0 as values: the query language, the index, documents. No I/O."""
