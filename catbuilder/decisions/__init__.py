"""Calibrate posteriors, certify error rates, promote labels, and evaluate on the test sets."""
