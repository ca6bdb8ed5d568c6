"""Cross-match surveys, and decide which objects train, validate, calibrate and test."""
