"""Times with zones, infinite times and times with fractions of a second, as text and as JSON."""
