"""The simulated gateway: a TCP server that speaks the TWS text protocol. Imports nothing else of spxarb."""
