"""Baselines: simpler detectors that a model has to beat on the same sessions.

Each gives a score to moments of sessions (calls, or feature vectors) and knows no labels; the threshold of each is
chosen by the same budget of false alerts (``scorer.comparison``).
"""
