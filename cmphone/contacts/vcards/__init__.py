"""Contacts as vCards: read and written."""
