"""The configuration in force: one frozen object, every problem reported at once."""
