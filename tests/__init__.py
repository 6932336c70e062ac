"""Tests of the whole product, flat: test_<app>_<subject>.py."""
