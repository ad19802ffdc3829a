"""One module per command of the gatewatch program."""
