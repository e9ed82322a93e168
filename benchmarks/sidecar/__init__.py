"""The sidecar beside another server of the protocol: one server and one worker process each."""
