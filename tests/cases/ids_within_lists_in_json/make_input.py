"""A JSON reader rounds numbers beyond 2^53; object ids in lists and structs are text, as in columns."""
