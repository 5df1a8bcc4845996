"""Excel and Word, in and out."""
