"""FHIR R4 over HTTP: what a gateway says below /fhir/R4."""
