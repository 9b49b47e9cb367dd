"""From a share-stage program to a program folder."""
