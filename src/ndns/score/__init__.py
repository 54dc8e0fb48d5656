"""Quality of denoised clips, and what it says about a system; docs/metrics.md has each metric and special clip."""
