"""Runs on a cluster: pictures at any address, results as Parquet, by way of Ray Data (``likewise[scale]``)."""
