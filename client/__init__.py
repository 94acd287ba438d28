"""What a member's own software uses: wallet, sealing, transactions, API client, verifier."""
