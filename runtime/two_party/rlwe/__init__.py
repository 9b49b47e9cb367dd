"""RLWE encryption under a key of party 1: products of private matrices and vectors."""
