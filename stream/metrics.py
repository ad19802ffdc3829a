"""What a metric is: declared once, with everything its documentation needs."""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

M = TypeVar("M", bound=MetricWrapperBase)


class Label:
    """A label with the values it can take; all of them are shown from the start when they are a closed list.

    Args:
        name: of the label.
        values: every value, or none when they are only known at run time.
    """

    def __init__(self, name: str, values: Iterable[str] = ()) -> None:
        self.name = name
        self.values = tuple(str(value) for value in values)


class Metric(Generic[M]):
    """Declares a metric as a class attribute; an instance of the class has the collector under the same name.

    Args:
        kind: Counter, Gauge or Histogram.
        name: full name on the wire, without the ``_total`` that counters get.
        unit: what is counted or measured.
        meaning: one sentence.
        labels: in the order of ``.labels``; never anything of which there are many, such as clients or paths.
        buckets: upper bounds of a histogram.
    """

    def __init__(  # noqa: PLR0913 -- the parts of a declaration
        self,
        kind: type[M],
        name: str,
        unit: str,
        meaning: str,
        *,
        labels: Sequence[Label] = (),
        buckets: Sequence[float] = (),
    ) -> None:
        self.kind = kind
        self.name = name
        self.unit = unit
        self.meaning = meaning
        self.labels = tuple(labels)
        self.buckets = tuple(buckets)
        self.attribute = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.attribute = name

    def __get__(self, instance: object, owner: type) -> M:
        # Not a data descriptor: once collect() has put the collector into the instance, this is not called again.
        raise AttributeError(f"{self.attribute} has no collector: make a {owner.__name__} first")

    @property
    def type_name(self) -> str:
        """``counter``, ``gauge`` or ``histogram``."""
        return self.kind.__name__.lower()

    @property
    def exposed_name(self) -> str:
        """The name as Prometheus queries use it; histograms add _bucket, _sum and _count."""
        return f"{self.name}_total" if self.kind is Counter else self.name

    def collector(self, registry: CollectorRegistry) -> M:
        """Return a collector in a registry, every series with a known set of labels at zero.

        Raises:
            ValueError: the registry has a metric of this name.
        """
        options: dict[str, Any] = {"buckets": self.buckets} if self.buckets else {}
        made = self.kind(self.name, self.meaning, [label.name for label in self.labels], registry=registry, **options)
        if self.labels and all(label.values for label in self.labels):
            for values in product(*(label.values for label in self.labels)):
                made.labels(*values)
        return made


def declared(owner: type) -> tuple[Metric[Any], ...]:
    """Return the metrics that a class declares, in order."""
    return tuple(value for value in vars(owner).values() if isinstance(value, Metric))


def counter(name: str, unit: str, meaning: str, *labels: Label) -> Metric[Counter]:
    """Declare a counter."""
    return Metric(Counter, name, unit, meaning, labels=labels)


def gauge(name: str, unit: str, meaning: str, *labels: Label) -> Metric[Gauge]:
    """Declare a gauge."""
    return Metric(Gauge, name, unit, meaning, labels=labels)


def histogram(name: str, unit: str, meaning: str, *labels: Label, buckets: Sequence[float]) -> Metric[Histogram]:
    """Declare a histogram."""
    return Metric(Histogram, name, unit, meaning, labels=labels, buckets=buckets)
