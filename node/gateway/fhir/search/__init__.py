"""Search of the FHIR R4 gateway: pure, in memory, and blind to what the caller may not see.

`extract` makes the index entry of a resource, `query` reads what a client asks, `index` answers,
`paging` names the next page, `summary` cuts resources down. Nothing here reads a clock, a file or
the network.
"""
