"""One file a verb: `run(context, ...)` returns a result and prints nothing."""
