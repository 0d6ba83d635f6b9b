"""The front door: view events over HTTP, durable in `views.raw` before they are answered."""
