"""Checking: what gatewatch understands of logs that it has not met before, and which settings they need.

Everything here but ``sample`` is pure: a sample of records in, findings and proposals out.
"""
