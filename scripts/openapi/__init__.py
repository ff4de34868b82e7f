"""The OpenAPI documents of the four services: made from their applications, kept in docs/openapi/."""
