"""Which object is which, and which may train, calibrate or test."""
