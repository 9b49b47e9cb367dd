"""Every error code and its cause in one line. docs/troubleshooting.md explains each; a test compares the two.

Codes are stable: one is never given a second meaning. Rooms: C command line, F frontend, I ir, P passes,
R runtime and transport, S stores and correlations, K kernels.
"""

from __future__ import annotations

ERROR_CODES: dict[str, str] = {
    # C: the command line
    "MPC-C001": "an option has a value that is not among its choices",
    "MPC-C002": "an option belongs to a part that this version does not have",
    "MPC-C003": "the correlation source is not in this version",
    "MPC-C010": "the output folder exists and is not empty",
    "MPC-C011": "the program folder cannot be written",
    "MPC-C012": "the compiled program's error is larger than --max-error",
    "MPC-C020": "a calibration file is missing or not an .npz archive",
    "MPC-C021": "a calibration file does not fit the model's inputs",
    "MPC-C022": "the file given with --ranges is missing",
    "MPC-C060": "the program folder lacks the IR that the command reads",
    "MPC-C061": "a party's program is not the one of the program folder's IR",
    "MPC-C062": "the file given is no report of mpcc verify",
    "MPC-C063": "the report page cannot be written",
    "MPC-C099": "an internal error stopped the command",
    # F: reading the model
    "MPC-F001": "the model file cannot be read",
    "MPC-F002": "the file is not a valid ONNX model",
    "MPC-F003": "external data of the model is missing or lies outside the model's folder",
    "MPC-F004": "the model uses an opset that is not supported",
    "MPC-F005": "an input has no known type or rank, or an empty shape",
    "MPC-F006": "a symbolic dimension has no size",
    "MPC-F007": "--dim names a dimension that the model does not have",
    "MPC-F008": "--owner or --reveal names an input or output that the model does not have",
    "MPC-F009": "--owner or --reveal names no party",
    "MPC-F010": "the model is inconsistent: an operation does not fit its operands",
    # F: operations
    "MPC-F020": "an operation is not of the ONNX standard, or its output shape depends on data",
    "MPC-F021": "an operation has no secure form where it stands",
    "MPC-F022": "this form of the Attention operation is not supported",
    "MPC-F030": "a softmax has rows in which every position is masked",
    "MPC-F031": "a large fill value outside of a softmax cannot be represented",
    # F: calibration
    "MPC-F040": "a calibration sample does not fit the model, or drives it out of the finite numbers",
    "MPC-F041": "a file of calibrated ranges cannot be read",
    "MPC-F050": "the imported program differs from onnxruntime",
    # I: program texts
    "MPC-I001": "a program text has a syntax error",
    "MPC-I002": "a program text has a literal or type that is not valid",
    "MPC-I003": "a program text names an unknown stage",
    "MPC-I004": "a program text has an unknown operation",
    "MPC-I005": "an operation has a missing, unknown or wrong attribute",
    "MPC-I006": "a value is used and not defined",
    "MPC-I007": "a value is defined twice",
    "MPC-I008": "an operation's numbers of results and types differ",
    "MPC-I009": "an output is given twice",
    "MPC-I010": "a program text cannot be read",
    # I: the verifier
    "MPC-I020": "an operation is not legal in the program's stage",
    "MPC-I021": "a value is used before its definition, defined twice, or started and never finished",
    "MPC-I022": "an operation has attributes that do not fit it",
    "MPC-I023": "an operation does not accept its operands",
    "MPC-I024": "a stated type is not the inferred one",
    "MPC-I025": "an operation would let a secret become visible to someone",
    "MPC-I026": "a program reveals what was not asked for, or reveals it under another name",
    # I: constants
    "MPC-I030": "a constant is missing or has another shape or dtype than the program says",
    "MPC-I031": "the constants cannot be written",
    "MPC-I032": "the file of constants cannot be read",
    # P: lowering
    "MPC-P010": "a value has no calibrated range",
    "MPC-P011": "no protocol computes an operation on secret values",
    "MPC-P012": "a reciprocal or square root may meet a value that is not positive",
    "MPC-P013": "attention scores reach too far for the secret maximum",
    "MPC-P014": "an attention mask depends on secret values of both parties",
    "MPC-P020": "a value needs a ring wider than 64 bits",
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
    # R: arrays of the program
    "MPC-R043": "the weights or constants of a party cannot be read",
    "MPC-R044": "what the client computes from its inputs is not usable",
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
    "MPC-S012": "the correlation plan of the program cannot be read",
    "MPC-S013": "a session holds another number of bytes than the program draws",
    # K: kernels
    "MPC-K001": "an environment variable of the kernels has a value that is not possible here",
}
