"""RawRoutes: route templates that let the raw path of a call be seen, for checking only.

Adapters put the template of a call into it and forget the path. With these routes the template remembers it.
"""

from featurizer.mining import bare_path
from featurizer.routes import RouteTemplates, Target


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

    def target(self, method: str, path: str, status: int, route: str | None = None) -> Target:
        """Return what a call went to, as RouteTemplates does."""
        found = super().target(method, path, status, route)
        endpoint = RawEndpoint(found.endpoint)
        endpoint.path = bare_path(path)
        endpoint.own = route is not None and endpoint != super().target(method, path, status).endpoint
        return Target(endpoint, found.object_id)
