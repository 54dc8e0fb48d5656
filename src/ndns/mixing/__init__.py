"""Clips from their rows of a plan: reading recordings, true SNR, the released generator's steps, rooms and levels.

The stage `mix` draws plans and stores what this package makes of them; training can ask it for the same clips directly.
"""
