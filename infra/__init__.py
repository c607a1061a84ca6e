"""What exists, declared. This package never acts on a running system and knows no runbook.

`stack` and `outputs` are plain data without pulumi: the runbooks read them too.
"""
