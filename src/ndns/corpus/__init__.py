"""Stage `corpus`: the recordings of a study, synthesized or from a folder, with one manifest."""
