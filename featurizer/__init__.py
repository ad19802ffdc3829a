"""From API calls to feature vectors: pure code, no I/O, no broker, no clock.

An ApiCall joins its client's Session; consecutive calls are edges of the session's CallGraph; how common the
edges' endpoints are over all traffic is kept in DegreeTables; a FeatureVector describes a session in numbers.
"""
