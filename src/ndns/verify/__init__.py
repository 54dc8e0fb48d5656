"""Recompute recorded results in a scratch copy and compare them by what `config/claims.yaml` claims."""
