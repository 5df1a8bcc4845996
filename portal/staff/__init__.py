"""The staff pages: what waits for the office is done here, in the name of whoever is logged in."""
