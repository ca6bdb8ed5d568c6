"""A query gives intervals, lists, structs, maps and bytes, which Python writes in its own way."""
