package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const good = `
name: t
services:
  db:
    image: postgres:18.4
    logging: {options: {max-size: 10m}}
    ports: ["127.0.0.1:5432:5432"]
    deploy: {resources: {limits: {memory: 1g, cpus: "1", pids: 100}}}
    healthcheck: {test: [CMD, pg_isready], interval: 5s}
  app:
    build: .
    logging: {options: {max-size: 5m}}
    deploy: {resources: {limits: {memory: 1g, cpus: "1", pids: 100}}}
    depends_on: {db: {condition: service_healthy}}
`

const goodDockerfile = "FROM rust:1.95.0-slim AS build\nFROM build AS again\nFROM debian:13.2-slim\nUSER 10001:10001\n"

// Each replaces one thing of a good file by a bad one, which must be found, and nothing else.
func TestFindings(t *testing.T) {
	for _, c := range []struct{ name, file, text, old, new, finding string }{
		{"floating tag", "compose.yml", good, "postgres:18.4", "postgres:18", "is not pinned"},
		{"latest", "compose.yml", good, "postgres:18.4", "postgres:latest", "is not pinned"},
		{"no tag", "compose.yml", good, "postgres:18.4", "localhost:5000/postgres", "is not pinned"},
		{"open port", "compose.yml", good, "127.0.0.1:5432:5432", "5432:5432", "is published on"},
		{"no memory limit", "compose.yml", good, "{memory: 1g, cpus: \"1\", pids: 100}}}\n    healthcheck", "{cpus: \"1\", pids: 100}}}\n    healthcheck", "no limit of memory"},
		{"no healthcheck", "compose.yml", good, "    healthcheck: {test: [CMD, pg_isready], interval: 5s}\n", "", "has no healthcheck"},
		{"healthcheck off", "compose.yml", good, "{test: [CMD, pg_isready], interval: 5s}", "{disable: true}", "has no healthcheck"},
		{"bad condition", "compose.yml", good, "condition: service_healthy", "condition: service_well", "condition"},
		{"unknown dependency", "compose.yml", good, "{db: {condition", "{bd: {condition", "bd"},
		{"unknown key", "compose.yml", good, "interval: 5s", "intervall: 5s", "intervall"},
		{"bad duration", "compose.yml", good, "interval: 5s", "interval: 5 apples", "duration"},
		{"hidden dependency", "compose.yml", good, "    image: postgres:18.4\n", "    image: postgres:18.4\n    profiles: [data]\n", "with profiles []"},
		{"log without a limit", "compose.yml", good, "    logging: {options: {max-size: 5m}}\n", "", "log has no limit"},
		{"waits for a profile", "compose.yml", strings.Replace(good, "service_healthy}}", "service_healthy, required: false}}", 1), "    image: postgres:18.4\n", "    image: postgres:18.4\n    profiles: [data]\n", "which only a profile brings"},
		{"base image", "Dockerfile", goodDockerfile, "debian:13.2-slim", "debian:stable", "is not pinned"},
		{"root", "Dockerfile", goodDockerfile, "USER 10001:10001\n", "", "as root"},
		{"root by number", "Dockerfile", goodDockerfile, "10001:10001", "0:0", "as root"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if findings := findingsOf(t, c.file, c.text); len(findings) != 0 {
				t.Fatalf("the good file: %q", findings)
			}
			bad := strings.Replace(c.text, c.old, c.new, 1)
			if bad == c.text {
				t.Fatal("nothing was replaced")
			}
			findings := findingsOf(t, c.file, bad)
			if len(findings) != 1 || !strings.Contains(findings[0], c.finding) {
				t.Fatalf("want one finding with %q, got %q", c.finding, findings)
			}
		})
	}
}

func findingsOf(t *testing.T, name, text string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return check(context.Background(), file)
}
