"""One module a command; services/cli.py finds them."""
