"""The services of `/api/{Entity}`, one module for each kind of entity."""
