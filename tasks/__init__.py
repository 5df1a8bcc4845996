"""Prefect's coat on the office: one effect each, batched, retried, safe to run twice."""
