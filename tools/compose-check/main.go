// Command compose-check says what Docker Compose, or this house, would have against compose files and Dockerfiles.
//
// It loads each compose file with the loader of Docker Compose itself, once without profiles, once with every single one and once
// with all, so a dependency that only some profile brings is noticed. Then the house's own rules (rules.go). It prints each
// finding on a line and exits with 1 if there was one. Nothing is pulled or started.
//
// Usage: compose-check FILE...   (a file named Dockerfile* is read as one)
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: compose-check FILE...")
		os.Exit(2)
	}
	failed := false
	for _, file := range os.Args[1:] {
		for _, finding := range check(context.Background(), file) {
			fmt.Fprintf(os.Stderr, "%s: %s\n", file, finding)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// check gives the findings of one file.
func check(ctx context.Context, file string) []string {
	if strings.HasPrefix(filepath.Base(file), "Dockerfile") {
		text, err := os.ReadFile(file)
		if err != nil {
			return []string{err.Error()}
		}
		return checkDockerfile(string(text))
	}
	all, err := load(ctx, file, "*")
	if err != nil {
		return []string{err.Error()}
	}
	findings := checkProject(all)
	for _, profiles := range profileSets(all) {
		if _, err := load(ctx, file, profiles...); err != nil {
			findings = append(findings, fmt.Sprintf("with profiles %q: %v", profiles, err))
		}
	}
	return findings
}

func load(ctx context.Context, file string, profiles ...string) (*types.Project, error) {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithOsEnv, cli.WithProfiles(profiles))
	if err != nil {
		return nil, err
	}
	return options.LoadProject(ctx)
}

// profileSets: no profile, and each one alone.
func profileSets(project *types.Project) [][]string {
	known := map[string]bool{}
	for _, service := range project.Services {
		for _, profile := range service.Profiles {
			known[profile] = true
		}
	}
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	sort.Strings(names)
	sets := [][]string{{}}
	for _, name := range names {
		sets = append(sets, []string{name})
	}
	return sets
}
