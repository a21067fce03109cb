"""What each command answers beside the common part of `core/result.py`: one file a verb."""
