"""Answer read-only questions about the catalogue: why, check, compare, diff, similar, count, SQL."""
