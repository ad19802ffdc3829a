"""The worker's web endpoints: health, readiness, metrics and single scores, on Faust's web server."""
