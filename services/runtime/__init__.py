"""The worker runtime that the four services share."""
