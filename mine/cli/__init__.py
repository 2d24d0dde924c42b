"""The command line `mine`: the table of commands, and the functions that run them."""
