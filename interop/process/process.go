// Package process runs the grove binary as its users do: built from this checkout, a process of its own,
// on loopback, in a directory that outlives it.
package process

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// readyMax is how long a server may take until it says that it is ready.
const readyMax = 30 * time.Second

// Build compiles the grove binary of the module the caller is in, into dir, and returns its path.
func Build(dir string) (string, error) {
	binary := filepath.Join(dir, "grove")
	out, err := exec.Command("go", "build", "-o", binary, "github.com/grovekeeper/grove/cmd/grove").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build grove: %w\n%s", err, out)
	}
	return binary, nil
}

// Server is one server: a directory, and at most one process on it. It is for one goroutine.
type Server struct {
	Binary  string   // see Build
	Dir     string   // of the data
	LogFile string   // where the log of the processes goes; empty for Dir.log
	Flags   []string // of grove serve, beside --dir and --client-addrs
	Wrapper []string // what runs the binary, as nsenter and its flags; empty for nothing
	Addr    string   // where the process listens for clients; set by Start and Ready

	running *exec.Cmd
	says    *os.File // its standard output, until it is ready
}

var readyLine = regexp.MustCompile(`is ready: clients on ([^ ,]+)`)

// Start runs a process that listens on addr, port 0 for any, and returns when it is ready.
func (s *Server) Start(addr string) error {
	if err := s.Launch(addr); err != nil {
		return err
	}
	if err := s.Ready(readyMax); err != nil {
		return errors.Join(err, s.Kill())
	}
	return nil
}

// Launch runs a process and does not wait for it: of a quorum, none is ready until most of them run.
func (s *Server) Launch(addr string) error {
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own handle
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	args := append(slices.Clone(s.Wrapper), s.Binary, "serve", "--dir", s.Dir, "--client-addrs", addr)
	args = append(args, s.Flags...)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = w, log
	err = cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return fmt.Errorf("start grove: %w", err)
	}
	s.running, s.says = cmd, r
	return nil
}

// Ready waits until the process says that it is. The one line it says is all that goes to its standard
// output. Without a process that has something to say it does nothing.
func (s *Server) Ready(within time.Duration) error {
	if s.says == nil {
		return nil
	}
	if err := s.says.SetReadDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	line, err := bufio.NewReader(s.says).ReadString('\n')
	if at := readyLine.FindStringSubmatch(line); at != nil {
		s.Addr = at[1]
		s.says.Close()
		s.says = nil
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = fmt.Errorf("it said %q; the end of its log:\n%s", line, s.lastWords())
	}
	return fmt.Errorf("start grove: %w", err)
}

// Kill ends the process as kill -9 does and waits until it is gone. Without a process it does nothing.
func (s *Server) Kill() error { return s.end(os.Kill) }

// Stop asks the process to end, as an operator would, and waits until it has.
func (s *Server) Stop() error { return s.end(syscall.SIGTERM) }

func (s *Server) end(how os.Signal) error {
	if s.running == nil {
		return nil
	}
	cmd := s.running
	s.running = nil
	if s.says != nil {
		s.says.Close()
		s.says = nil
	}
	if err := cmd.Process.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if how == os.Kill && errors.As(err, &exit) {
		return nil // it died of the signal
	}
	if err != nil {
		return fmt.Errorf("grove ended with %w; the end of its log:\n%s", err, s.lastWords())
	}
	return nil
}

// Pause stops the process from running, and Resume lets it go on.
func (s *Server) Pause() error { return s.signal(syscall.SIGSTOP) }

// Resume undoes Pause.
func (s *Server) Resume() error { return s.signal(syscall.SIGCONT) }

func (s *Server) signal(how os.Signal) error {
	if s.running == nil {
		return errNoProcess
	}
	return s.running.Process.Signal(how)
}

var errNoProcess = errors.New("there is no process")

// Running tells whether there is a process that has not ended by itself.
func (s *Server) Running() bool {
	if s.running == nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.running.Process.Pid))
	if err != nil {
		return false
	}
	_, rest, ok := strings.Cut(string(stat), ") ") // the name of the program may have anything in it but this
	return ok && !strings.HasPrefix(rest, "Z")
}

// Log returns everything that the processes have logged.
func (s *Server) Log() (string, error) {
	log, err := os.ReadFile(s.logFile())
	return string(log), err
}

func (s *Server) logFile() string {
	if s.LogFile != "" {
		return s.LogFile
	}
	return s.Dir + ".log"
}

// lastWords returns the end of the log.
func (s *Server) lastWords() []byte {
	log, err := os.ReadFile(s.logFile())
	if err != nil {
		return []byte(err.Error())
	}
	return log[max(0, len(log)-2000):]
}

// Pid returns the id of the process, and 0 without one.
func (s *Server) Pid() int {
	if s.running == nil {
		return 0
	}
	return s.running.Process.Pid
}
