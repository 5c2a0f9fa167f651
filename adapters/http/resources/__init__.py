"""One file a family of routes: read the request, call one use-case, write the answer."""
