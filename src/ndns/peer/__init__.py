"""Other denoisers beside ours, through the same files: one small module a peer."""
