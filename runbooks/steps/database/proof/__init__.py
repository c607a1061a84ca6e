"""What a database holds, as data that can be kept and compared: contents, schema, access. Reads; never decides."""
