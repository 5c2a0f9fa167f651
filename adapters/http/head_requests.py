"""HEAD requests on every route with GET: the same headers, no body. A1111 answers 405."""

import falcon


class HeadAsGet:
    """Middleware that turns HEAD into GET for the routes, and back for the reply."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context["head"] = req.method == "HEAD"
        if req.method == "HEAD":
            req.method = "GET"

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        if req.context.get("head"):
            req.method = "HEAD"
