package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Handler answers over HTTP:
//
//	GET  /livez          200 while the process answers at all
//	GET  /readyz         200 while it serves clients, 503 with a word why otherwise
//	GET  /metrics        Prometheus, under ZooKeeper's names
//	GET  /commands       a list of links
//	GET  /commands/NAME  JSON, as Apache ZooKeeper's admin server; errors too are answered with 200
//	POST /commands/NAME  the same for the two that reset figures
//
// It asks for no credentials: whoever reaches the address may read all of it.
func Handler(source Source) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { readyz(source, w) })
	mux.Handle("GET /metrics", metrics(source))
	mux.HandleFunc("GET /commands", listPages)
	mux.HandleFunc("GET /commands/{name}", func(w http.ResponseWriter, r *http.Request) { servePage(source, w, r) })
	mux.HandleFunc("POST /commands/{name}", func(w http.ResponseWriter, r *http.Request) { servePage(source, w, r) })
	return mux
}

func readyz(source Source, w http.ResponseWriter) {
	if !source.Stats().Serving {
		http.Error(w, "not serving", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// How long a client of the admin address may take. Nothing here is long unless its reader is slow.
const (
	requestTimeout  = 10 * time.Second
	responseTimeout = 30 * time.Second
	idleTimeout     = 30 * time.Second
	closeTimeout    = 2 * time.Second
	headerBytesMax  = 16 << 10
)

// Serve answers on l until ctx ends, then lets requests under way finish for two seconds and
// returns nil. It closes l.
func Serve(ctx context.Context, l net.Listener, source Source) error {
	web := &http.Server{
		Handler:           Handler(source),
		ReadHeaderTimeout: requestTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      responseTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytesMax,
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		if web.Shutdown(grace) != nil {
			web.Close() // whoever is still reading has had its time
		}
	})
	err := web.Serve(l)
	if !stop() {
		<-closed
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve admin on %s: %w", l.Addr(), err)
}
