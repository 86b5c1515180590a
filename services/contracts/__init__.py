"""What other programs are promised, written from the code: JSON Schemas of all events' data, and an AsyncAPI document.

`python -m services.contracts` writes docs/schemas/ and docs/asyncapi.yaml; a test fails while they are out of date.
"""
