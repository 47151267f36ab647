"""Measured claims: stacks of known truth, their score, and the cost of ours and of other stackers on one machine."""
