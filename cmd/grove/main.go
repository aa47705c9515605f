// Command grove is the coordination service: one binary, one file per command.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/grovekeeper/grove/server"
)

func main() {
	os.Exit(run(os.Args, os.Stdout, os.Stderr))
}

// Exit codes. Scripts may rely on them.
const (
	exitOK     = 0
	exitFailed = 1 // it was tried and did not go well
	exitUsage  = 2 // it was not tried: a wrong setting, flag or argument
)

// run carries out one command line and says in one line on stderr why it failed, if it did.
func run(args []string, stdout, stderr io.Writer) int {
	app := newApp()
	app.Writer, app.ErrWriter = stdout, stderr
	err := app.Run(args)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "grove: %v\n", err)
	if errors.Is(err, errUsage) || errors.Is(err, server.ErrConfig) {
		return exitUsage
	}
	return exitFailed
}

func newApp() *cli.App {
	return &cli.App{
		Name:            "grove",
		Usage:           "a coordination service that ZooKeeper clients can use",
		Version:         release().String(),
		HideVersion:     true, // a command, as the others
		Commands:        []*cli.Command{serveCommand(), devCommand(), memberCommand(), checkCommand(), versionCommand()},
		Action:          noCommand,
		OnUsageError:    wrongUsage,
		ExitErrHandler:  func(*cli.Context, error) {}, // run prints, once, and chooses the code
		HideHelpCommand: true,
		Description: "A server with its data in ./grove-data, for clients on this machine:\n\n" +
			"   $ grove serve\n\n" +
			"Every command has help of its own, with an example: grove serve --help",
	}
}

// errUsage marks what was wrong before anything was tried.
var errUsage = errors.New("wrong usage")

// usageError is a sentence about the command line.
type usageError string

func (e usageError) Error() string        { return string(e) }
func (e usageError) Is(target error) bool { return target == errUsage }

func wrongUsage(_ *cli.Context, err error, _ bool) error {
	return usageError(err.Error())
}

func noCommand(c *cli.Context) error {
	if c.NArg() > 0 {
		return usageError(fmt.Sprintf("unknown command %q: see grove --help", c.Args().First()))
	}
	return cli.ShowAppHelp(c)
}

// wantArgs refuses any other number of arguments than the command names in its ArgsUsage.
func wantArgs(c *cli.Context) error {
	want := strings.Fields(c.Command.ArgsUsage)
	if c.NArg() == len(want) {
		return nil
	}
	usage := strings.Join(append([]string{c.Command.HelpName}, want...), " ")
	if late := slices.IndexFunc(c.Args().Slice(), isFlag); late >= 0 {
		return usageError(fmt.Sprintf("%s comes too late: flags stand before arguments, as in %s",
			c.Args().Get(late), strings.Join(append([]string{c.Command.HelpName, "[flags]"}, want...), " ")))
	}
	return usageError(fmt.Sprintf("%s takes %d arguments and was given %d: usage: %s",
		c.Command.Name, len(want), c.NArg(), usage))
}

func isFlag(arg string) bool { return strings.HasPrefix(arg, "-") && len(arg) > 1 }
