"""Provenance of a study as a Workflow Run RO-Crate: which job made what from what, where, with which settings."""
