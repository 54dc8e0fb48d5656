"""Noisy clips: a plan that says what each clip is made of, and its rendering with a true SNR."""
