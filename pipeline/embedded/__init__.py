"""Kafka, ClickHouse, PostgreSQL and Redis on this machine: real, supervised, one data folder."""
