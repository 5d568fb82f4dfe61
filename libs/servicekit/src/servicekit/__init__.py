"""What every service needs once: settings, bus, topology, Mongo, auth, secrets, logs, health."""
