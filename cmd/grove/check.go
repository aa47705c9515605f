package main

import (
	"errors"

	"github.com/urfave/cli/v2"

	"github.com/grovekeeper/grove/server"
)

// errDamaged is the end of a check that found something; what it found has been printed.
var errDamaged = errors.New("the data directory is damaged")

func checkCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "verify every checksum of a data directory that no server is using",
		ArgsUsage: "DIR",
		Description: "Reads the log and the checkpoint, changes nothing, and says what it finds.\n" +
			"The exit code is 0 if all is well and 1 if not.\n\n" +
			"Example:\n\n" +
			"   $ grove check ./grove-data",
		OnUsageError: wrongUsage,
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			ok, err := server.Check(c.Args().First(), c.App.Writer)
			if err == nil && !ok {
				return errDamaged
			}
			return err
		},
	}
}
