"""Oblivious transfer: base OTs, extensions, and products of private bits and values from them."""
