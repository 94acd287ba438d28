"""What a node counts. Names follow Prometheus' conventions: unit and `_total` last.

No label ever carries an id of a person, a record or a transaction.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The node's own registry: two nodes in one process do not share it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.height = Gauge(
            "medlock_height_blocks", "Height of the last committed block", registry=self.registry
        )
        self.view = Gauge(
            "medlock_consensus_view", "View at the height being decided", registry=self.registry
        )
        self.view_changes = Counter(
            "medlock_consensus_decided_above_view_zero_total",
            "Heights that took more than one view",
            registry=self.registry,
        )
        self.observing = Gauge(
            "medlock_observing",
            "1 where this node has no seat in consensus, or not its key",
            registry=self.registry,
        )
        self.peers = Gauge(
            "medlock_peers_connected", "Members with both connections", registry=self.registry
        )
        self.transactions = Counter(
            "medlock_transactions_committed_total",
            "Committed transactions by result",
            ["result"],
            registry=self.registry,
        )
        self.refused_proposals = Counter(
            "medlock_proposals_refused_total",
            "Proposed blocks that this node does not vote for",
            ["code"],
            registry=self.registry,
        )
        self.refused = Counter(
            "medlock_transactions_refused_total",
            "Transactions refused at the door",
            ["code"],
            registry=self.registry,
        )
        self.mempool_bytes = Gauge(
            "medlock_mempool_bytes", "Bytes waiting for a block", registry=self.registry
        )
        self.mempool_transactions = Gauge(
            "medlock_mempool_transactions",
            "Transactions waiting for a block",
            registry=self.registry,
        )
        self.execution = Histogram(
            "medlock_block_execution_seconds",
            "Executing a block",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.commit = Histogram(
            "medlock_block_commit_seconds",
            "Making a block durable",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.block_transactions = Histogram(
            "medlock_block_transactions",
            "Transactions in a block",
            buckets=(0, 1, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000),
            registry=self.registry,
        )
        self.evidence = Counter(
            "medlock_evidence_total", "Proofs of equivocation seen", registry=self.registry
        )
        self.attachments_missing = Gauge(
            "medlock_attachments_missing",
            "Committed attachments that are still to be fetched",
            registry=self.registry,
        )
