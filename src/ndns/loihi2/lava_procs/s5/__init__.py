"""S5 in lava: processes whose fixed-point models are the equations of `ndns.loihi2.nodes.s5` and `s5_block`."""
