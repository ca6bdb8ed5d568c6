"""Draw the HTML report and its figures; write to experiment trackers."""
