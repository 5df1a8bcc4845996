"""The operator's door: `muster …`."""
