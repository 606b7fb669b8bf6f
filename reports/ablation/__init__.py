"""An ablation as data and as a page."""
