package admin

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// The figures of the runtime and the process differ from run to run; those of the source do not.
func TestMetricsHaveZooKeepersNames(t *testing.T) {
	code, body := request(t, example(), "GET", "/metrics")
	if code != http.StatusOK {
		t.Fatalf("status %d: %s", code, body)
	}
	ofProcess := regexp.MustCompile(`^(# (HELP|TYPE) )?(go|process)_`)
	descriptor := regexp.MustCompile(`(?m)^((?:open|max)_file_descriptor_count) .*`)
	var ours strings.Builder
	process := false
	for line := range strings.Lines(body) {
		if ofProcess.MatchString(line) {
			process = true
			continue
		}
		ours.WriteString(line)
	}
	if !process {
		t.Error("no figures of the runtime and the process")
	}
	golden(t, "metrics.txt", descriptor.ReplaceAllString(ours.String(), "$1 N"))
}

func TestEachScrapeReadsTheSourceAnew(t *testing.T) {
	source := example()
	handler := Handler(source)
	for _, want := range []string{"\nznode_count 8\n", "\nznode_count 9\n"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if body := w.Body.String(); !strings.Contains(body, want) {
			t.Errorf("no %q in the scrape", want)
		}
		source.stats.Tree.Nodes++
	}
}
