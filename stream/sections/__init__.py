"""The sections of the settings: every field with its unit, its default and why that default.

``stream.settings`` joins them into Settings; the README's table is generated from the fields here.
"""
