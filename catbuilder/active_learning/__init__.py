"""Choose objects for people to label, and record their answers."""
