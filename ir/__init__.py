"""The share-typed intermediate representation: types, operations, text form, verifier."""
