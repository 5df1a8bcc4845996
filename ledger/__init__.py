"""What happened: the tables, the verbs on them, files by sha256, the audit chain."""
