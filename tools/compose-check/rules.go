package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// pinned: a tag with at least two numbers, or a digest. `postgres:18` is another program every few months.
var pinned = regexp.MustCompile(`(:v?[0-9]+\.[0-9]+[^/:]*|@sha256:[0-9a-f]{64})$`)

// checkProject holds a project to the house's rules.
func checkProject(project *types.Project) []string {
	var findings []string
	for _, name := range project.ServiceNames() {
		service := project.Services[name]
		for _, finding := range checkService(project, service) {
			findings = append(findings, fmt.Sprintf("service %s: %s", name, finding))
		}
	}
	return findings
}

func checkService(project *types.Project, service types.ServiceConfig) []string {
	var findings []string
	say := func(format string, args ...any) { findings = append(findings, fmt.Sprintf(format, args...)) }
	if service.Build == nil && !pinned.MatchString(service.Image) {
		say("image %q is not pinned to a version", service.Image)
	}
	for _, port := range service.Ports {
		if port.HostIP != "127.0.0.1" {
			say("port %s is published on %q: only 127.0.0.1 is this machine alone", port.Published, port.HostIP)
		}
	}
	for _, limit := range missingLimits(service) {
		say("no limit of %s (deploy.resources.limits)", limit)
	}
	if service.Logging == nil || service.Logging.Options["max-size"] == "" {
		say("its log has no limit (logging.options.max-size)")
	}
	for name, dependency := range service.DependsOn {
		other, known := project.Services[name]
		// One that is required is refused by the loader itself.
		if known && !dependency.Required && len(service.Profiles) == 0 && len(other.Profiles) > 0 {
			say("waits for %s, which only a profile brings", name)
		}
		if dependency.Condition == types.ServiceConditionHealthy && known && !hasHealthcheck(other) {
			say("waits for %s to be healthy, which has no healthcheck", name)
		}
	}
	return findings
}

func hasHealthcheck(service types.ServiceConfig) bool {
	check := service.HealthCheck
	return check != nil && !check.Disable && len(check.Test) > 0 && check.Test[0] != "NONE"
}

func missingLimits(service types.ServiceConfig) []string {
	limits := types.Resource{}
	if service.Deploy != nil && service.Deploy.Resources.Limits != nil {
		limits = *service.Deploy.Resources.Limits
	}
	var missing []string
	for _, limit := range []struct {
		name string
		set  bool
	}{
		{"memory", limits.MemoryBytes > 0},
		{"cpus", limits.NanoCPUs > 0},
		{"pids", limits.Pids > 0},
	} {
		if !limit.set {
			missing = append(missing, limit.name)
		}
	}
	return missing
}

// checkDockerfile: every base image is pinned, and the last stage does not run as root.
func checkDockerfile(text string) []string {
	var findings []string
	stages := map[string]bool{"scratch": true}
	user := "root"
	for _, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		switch strings.ToUpper(words[0]) {
		case "FROM":
			// A stage starts as its base's user; ours set it where it matters.
			user = "root"
			if !stages[words[1]] && !pinned.MatchString(words[1]) {
				findings = append(findings, fmt.Sprintf("base image %q is not pinned to a version", words[1]))
			}
			if len(words) == 4 && strings.EqualFold(words[2], "AS") {
				stages[words[3]] = true
			}
		case "USER":
			user = words[1]
		}
	}
	if name, _, _ := strings.Cut(user, ":"); name == "root" || name == "0" {
		findings = append(findings, "the program would run as root: USER is missing in the last stage")
	}
	return findings
}
