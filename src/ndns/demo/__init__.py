"""A page on this machine alone: give it a recording, hear and see what a network makes of it."""
