"""Exports networks with attention and runs the files elsewhere: `scripts/exports`, `tests/test_exports.py`.

grid      networks, modules, formats: makes, exports, compares
runner    the other process; imports what runs a format, and nothing else
"""
