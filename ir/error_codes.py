"""Every error code and its cause in one line. docs/troubleshooting.md explains each; a test compares the two.

Codes are stable: one is never given a second meaning. Rooms: C command line, F frontend, I ir, P passes,
R runtime and transport, S stores and correlations, K kernels.
"""

from __future__ import annotations

ERROR_CODES: dict[str, str] = {
    # R: transport
    "MPC-R001": "the listening address cannot be bound: the port is in use or not allowed",
    "MPC-R002": "the other party did not connect in time",
    "MPC-R003": "the other party's address could not be reached in time",
    "MPC-R004": "the other party closed the connection before the end",
    "MPC-R005": "the other party did not answer in time",
    "MPC-R006": "a message from the other party is malformed or has the wrong length",
    "MPC-R007": "a message from the other party is out of sequence",
    "MPC-R008": "the other party stopped with an error of its own",
    # R: handshake
    "MPC-R010": "the two parties speak different protocol versions",
    "MPC-R011": "the two parties run different programs",
    "MPC-R012": "both processes claim to be the same party",
    # R: program folder
    "MPC-R020": "the program folder or its manifest is missing",
    "MPC-R021": "the manifest is not readable, or a key in it is missing or wrong",
    "MPC-R022": "a file of the program folder is missing",
    "MPC-R023": "a file of the program folder differs from its checksum",
    "MPC-R024": "the program folder has a format this version does not read",
    # R: the client's inputs and outputs
    "MPC-R030": "the input file is missing or not an .npz archive",
    "MPC-R031": "an input of the program is missing from the input file",
    "MPC-R032": "the input file holds a name the program does not have",
    "MPC-R033": "an input has the wrong shape",
    "MPC-R034": "an input has the wrong dtype",
    "MPC-R035": "an input holds NaN or infinity",
    "MPC-R036": "an input holds a value outside the range the program was compiled for",
    "MPC-R037": "a file of results could not be written",
    # R: processes
    "MPC-R040": "a process ended without saying why",
    "MPC-R041": "the run was interrupted",
    "MPC-R042": "an internal error stopped the run",
    # S: correlation stores
    "MPC-S001": "the store is missing or is not a store",
    "MPC-S002": "the store's index is not readable",
    "MPC-S003": "the store was dealt for another program",
    "MPC-S004": "the store was dealt for other weights",
    "MPC-S005": "the store belongs to the other party",
    "MPC-S006": "every session of the store has been used",
    "MPC-S007": "a session file of the store is missing or truncated",
    "MPC-S008": "a session file of the store is damaged",
    "MPC-S009": "the session has been used already",
    "MPC-S010": "the two parties' stores have no unused session in common",
    "MPC-S011": "the store could not be written",
}
