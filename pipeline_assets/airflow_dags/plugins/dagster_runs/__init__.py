"""Starts Dagster jobs from Airflow, waits for them without holding a worker, and reports how they ended.

Works in Airflow 2.10, 2.11, and 3.3 or newer, and needs nothing that they do not bring: this folder is copied into an
Airflow installation as it is.
"""
