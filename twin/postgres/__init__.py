"""A real PostgreSQL 18: started, archived, recovered to a point in time, and reached through a guarded gateway.

Knows nothing of the control planes: they call it through `twin.world.Engines`.
"""
