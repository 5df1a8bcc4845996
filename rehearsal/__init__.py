"""The simulated outside: a post office, units with temperaments, a clock. It knows only what a unit could know."""
