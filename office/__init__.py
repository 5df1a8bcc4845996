"""What the office does, as plain synchronous functions over the ledger; no Prefect."""
