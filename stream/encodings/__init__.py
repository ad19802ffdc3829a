"""Encodings of an Alert for the systems that consume it."""
