"""Simulate a survey whose true classes are known."""
