"""The event contract, made from the services' own event models: JSON Schemas, AsyncAPI, and what must not change."""
