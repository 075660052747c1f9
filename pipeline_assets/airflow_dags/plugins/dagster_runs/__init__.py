"""Starts Dagster's jobs from Airflow, waits for them without a worker, and tells how they ended.

Needs what Airflow 3.3 brings and nothing else: this folder is copied into an Airflow installation as it is.
"""
