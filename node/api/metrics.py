"""What the HTTP port counts: requests by route and status, and how long they took."""

from prometheus_client import CollectorRegistry, Counter, Histogram


class ApiMetrics:
    """Labels are the routes of the table, never paths as they were sent."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "medlock_http_requests",
            "Requests answered",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "medlock_http_request_seconds",
            "From the headers of a request to the end of its answer",
            ("method", "route"),
            registry=registry,
            buckets=(0.001, 0.005, 0.02, 0.05, 0.2, 1.0, 5.0, 30.0),
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one answer."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)
