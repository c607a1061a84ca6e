"""Answer what Workers did, from the traffic that really flowed: tails and telemetry.

`recorder` joins what the edge saw with what the runtime told, `ledger` keeps it, the other modules answer calls.
"""
