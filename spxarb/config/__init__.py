"""The configuration in force: one frozen object, every problem told at once."""
