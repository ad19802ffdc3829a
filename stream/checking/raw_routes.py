"""RawRoutes: route templates that let the raw path of a call be seen, for checking only.

Adapters put the template of a call into it and forget the path. With these routes the template remembers it.
"""

from featurizer.mining import bare_path
from featurizer.routes import RouteTemplates


class RawEndpoint(str):
    """An endpoint with the path that it was made of.

    Attributes:
        path: the raw path, without query and matrix parameters.
        own: the gateway named the route itself.
    """

    __slots__ = ("own", "path")
    path: str
    own: bool


class RawRoutes(RouteTemplates):
    """The same templates as RouteTemplates with the same pins, each a RawEndpoint."""

    def endpoint(self, method: str, path: str, status: int, route: str | None = None) -> str:
        """Return the endpoint of a call, as RouteTemplates does."""
        found = RawEndpoint(super().endpoint(method, path, status, route))
        found.path = bare_path(path)
        found.own = route is not None and found != super().endpoint(method, path, status)
        return found
