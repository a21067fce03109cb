"""The door to the broker; ib_insync lives here alone."""
