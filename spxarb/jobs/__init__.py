"""One file a verb: `run(env, ...)` returns a result and prints nothing."""
