"""A corpus of noise and speech from packages of Debian: not a stage, so that it makes no result of `corpus` stale."""
