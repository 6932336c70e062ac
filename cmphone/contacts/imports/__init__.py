"""Brings contacts in from files and other systems."""
