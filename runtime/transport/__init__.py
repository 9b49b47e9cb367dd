"""Message transport between the two parties: length-checked frames over a byte stream, with counters."""
