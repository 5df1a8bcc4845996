"""The pages where units hand in; what they do is done by the office."""
