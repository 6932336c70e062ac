"""`make bench`: how fast the product is, as a ratio to the least that Django and PostgreSQL can do on this machine.

docs/performance.md says how to run it and how to read what it prints.
"""
