"""A corpus of noise from packages of Debian: not a stage, so that it makes no result of `corpus` stale."""
