"""Starts and stops what one machine needs: Postgres, Valkey, the web process and the workers.

Plain Python: nothing here imports Django, so that it can run before Django is set up.
"""
