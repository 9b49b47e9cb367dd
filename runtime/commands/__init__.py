"""The command lines of the runtime: the parties, the dealer, the server."""
