"""The command line: parse, call one job, show its result. typer and rich live here alone."""
