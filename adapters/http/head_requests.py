"""HEAD, on every route that answers GET: the same headers, no body. A1111 says 405."""

import falcon


class HeadAsGet:
    """Lets the routes see a GET, and leaves the body out of the answer."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context["head"] = req.method == "HEAD"
        if req.method == "HEAD":
            req.method = "GET"

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        if req.context.get("head"):
            req.method = "HEAD"
