"""What the simulated gateway does wrong on purpose: kinds of faults, scripts, the engine."""
