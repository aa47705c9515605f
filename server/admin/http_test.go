package admin

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func request(t *testing.T, source Source, method, target string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(source).ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w.Code, w.Body.String()
}

func TestPagesSayWhatZooKeeperSays(t *testing.T) {
	descriptor := regexp.MustCompile(`(file_descriptor_count": )\d+`)
	for _, p := range pages {
		if p.name == "environment" || p.traits&changes != 0 {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			code, body := request(t, example(), "GET", "/commands/"+p.name)
			if code != http.StatusOK {
				t.Fatalf("status %d: %s", code, body)
			}
			golden(t, p.name+".json", descriptor.ReplaceAllString(body, "${1}0")+"\n")
		})
	}
}

func TestEveryPageNamesItsCommandUnderEveryAlias(t *testing.T) {
	for _, p := range pages {
		for _, name := range append([]string{p.name}, p.aliases...) {
			method := "GET"
			if p.traits&changes != 0 {
				method = "POST"
			}
			_, body := request(t, example(), method, "/commands/"+name)
			var got struct {
				Command string
				Error   *string
			}
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatalf("%s: %v in %s", name, err, body)
			}
			if got.Command != p.name || got.Error != nil {
				t.Errorf("%s answered as %q with error %v", name, got.Command, got.Error)
			}
		}
	}
}

func TestErrorsOfPagesAreAnsweredInJSON(t *testing.T) {
	code, body := request(t, example(), "GET", "/commands/bogus")
	if code != http.StatusOK || !strings.Contains(body, `"error": "Unknown command: bogus"`) {
		t.Errorf("unknown command: %d %s", code, body)
	}
	source := example()
	source.stats.Serving = false
	code, body = request(t, source, "GET", "/commands/srvr")
	if code != http.StatusOK || !strings.Contains(body, "not currently serving requests\"") {
		t.Errorf("not serving: %d %s", code, body)
	}
}

func TestFiguresAreResetByPostOnly(t *testing.T) {
	source := example()
	for _, name := range []string{"stat_reset", "crst"} {
		if code, _ := request(t, source, "GET", "/commands/"+name); code != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %d", name, code)
		}
	}
	if len(source.resets) != 0 {
		t.Fatalf("a link reset %v", source.resets)
	}
	for _, name := range []string{"stat_reset", "crst"} {
		if code, _ := request(t, source, "POST", "/commands/"+name); code != http.StatusOK {
			t.Errorf("POST %s: %d", name, code)
		}
	}
	if want := []string{"server", "connections"}; !slices.Equal(source.resets, want) {
		t.Errorf("resets = %v, want %v", source.resets, want)
	}
}

func TestHealth(t *testing.T) {
	source := example()
	for _, serving := range []bool{true, false} {
		source.stats.Serving = serving
		if code, _ := request(t, source, "GET", "/livez"); code != http.StatusOK {
			t.Errorf("serving %v: livez %d", serving, code)
		}
		want := map[bool]int{true: http.StatusOK, false: http.StatusServiceUnavailable}[serving]
		if code, _ := request(t, source, "GET", "/readyz"); code != want {
			t.Errorf("serving %v: readyz %d, want %d", serving, code, want)
		}
	}
}

func TestListOfPagesLinksEach(t *testing.T) {
	_, body := request(t, example(), "GET", "/commands")
	for _, p := range pages {
		if !strings.Contains(body, `href="/commands/`+p.name+`"`) {
			t.Errorf("no link to %s", p.name)
		}
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, example()) }()
	response, err := http.Get("http://" + l.Addr().String() + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	response.Body.Close()
	if string(body) != "ok\n" {
		t.Errorf("livez = %q", body)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve = %v after its context ended", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("the listener is still open")
	}
}

func TestServeReportsAListenerThatFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := Serve(t.Context(), l, example()); err == nil || !strings.Contains(err.Error(), "serve admin on 127.0.0.1:") {
		t.Errorf("Serve = %v", err)
	}
}
