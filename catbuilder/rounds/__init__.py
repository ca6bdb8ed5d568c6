"""Run a round: plan, train, score, decide, evaluate, close; roll back; compare recipes."""
