"""Everything durable: blocks, state, votes, attachments. Knows chain, nothing of other rooms."""
