"""A real site in a storm, for test_license_storm.py: its settings, what is in it, and its clients."""
