"""Writers of generated documents: `python -m tools.docs` runs them all, `python -m tools.docs.NAME` one.

Run them in the project's folder. Only the tests import them; they are not in the wheel.
"""
