"""Start and watch the worker processes of a round."""
