"""From feature vectors to explained alerts: pure code, no I/O, no broker, no clock.

A ModelBundle holds the trained ensemble and its reference; scoring gives a Verdict; the alert policy decides
which verdicts become an Alert.
"""
