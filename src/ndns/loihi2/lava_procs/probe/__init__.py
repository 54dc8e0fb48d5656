"""A process that feeds and records many others, so that one lava run can hold them all."""
