"""What every service needs and no business noun: settings, database, events, HTTP, gRPC, supervision."""
