"""Consolidation: the workbook and the one-page summary, from what the ledger holds."""
