"""Pure decisions: the standard library and this package only."""
