"""FHIR R4 as a value: resources, bundles and refusals, without I/O, a store or a clock."""
