"""The API of the simulated gateway: the wire, sessions, requests and answers."""
