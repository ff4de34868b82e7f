"""The event contract, made from the services' event models and code: JSON Schemas, AsyncAPI, saga, compatibility."""
