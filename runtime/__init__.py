"""Runtime: interpreter, sessions, transport, correlation sources, protocols, kernels."""
