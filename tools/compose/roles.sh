#!/usr/bin/env bash
# Runs once in the postgres container of compose.yml, on a new cluster: the shop's own role with its database, and the WAL reader's,
# which may replicate and nothing else; `kartshoppe db migrate` grants it what it reads.
set -euo pipefail
psql -v ON_ERROR_STOP=1 -v shop="$KARTSHOPPE_PASSWORD" -v cdc="$KARTSHOPPE_CDC_PASSWORD" --username postgres --dbname postgres <<'SQL'
CREATE ROLE kartshoppe LOGIN PASSWORD :'shop';
CREATE ROLE kartshoppe_cdc LOGIN REPLICATION PASSWORD :'cdc';
CREATE DATABASE kartshoppe OWNER kartshoppe;
SQL
