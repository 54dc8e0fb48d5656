"""Keep what a study made: `ndns record`, `ndns restore`, `ndns explain`."""
