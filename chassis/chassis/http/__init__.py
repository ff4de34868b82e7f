"""The HTTP edge: the application, its one middleware, its server and its probes."""
