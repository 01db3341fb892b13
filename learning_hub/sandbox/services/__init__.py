"""The services behind `/api/{Entity}`, one module for each kind of entity."""
