"""A campaign folder, read and checked into values; every fault with file, line and remedy."""
