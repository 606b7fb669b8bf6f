"""Two or more runs side by side: data and page."""
