"""What the verbs share: a job's surroundings, its connection, entries, exits, recovery, settlement."""
