"""The story, a chapter a file. Each flow plans, then drains what it planned, and ends in a tally."""
