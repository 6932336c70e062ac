"""The configuration of a site as a file."""
