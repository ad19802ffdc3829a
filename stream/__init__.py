"""The shell around the pure core: Kafka, Faust, settings, command line, web and telemetry."""
