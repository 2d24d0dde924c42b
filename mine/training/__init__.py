"""Training: batches, losses, the optimizer, distributed runs, and the state that a run resumes from."""
