"""Own lava processes. Each lives in its own folder: lava imports every file beside the class it looks up models for."""
