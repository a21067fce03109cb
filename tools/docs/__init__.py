"""Writers of generated documents, `python -m tools.docs.NAME` in the project folder; not in the wheel."""
