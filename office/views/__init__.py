"""What staff see of a campaign in the run UI: pages of Markdown, from one look at the ledger."""
